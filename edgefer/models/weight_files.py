"""Read weights files of timm, torchvision, edgefer or Keras into a network; code in them never runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgefer import console, limits
from edgefer.errors import InputError
from edgefer.lines import one_line
from edgefer.models import keras_file, renaming
from edgefer.models.attention_net import AttentionNet

_KERAS_EPSILON = 1e-3  # of BatchNorm in Keras's networks and timm's ports of them


def load(model: nn.Module, path: Path, what: str) -> None:
    """Load a file's weights into a network; a classifier of another size is skipped.

    Args:
        model: the network. For one on a timm backbone, the file may hold just the backbone.
        path: safetensors, torch, or Keras's HDF5 or ``.keras``; layers may have another program's names.
        what: its origin, for errors.

    Raises:
        InputError: it is missing or damaged, or does not fit the network.
        MissingExtra: h5py is needed and not installed.
    """
    if not path.exists():
        raise InputError(f"{what}: no such file")
    if path.suffix in keras_file.SUFFIXES:
        part = model.backbone if isinstance(model, AttentionNet) else model
        renamed = renaming.paired(part, keras_file.read(path), classifier_of(part))
        if isinstance(renamed, str):
            raise InputError(f"{what} does not fit this network: {renamed}")
        take(part, renamed, what)
        if any(getattr(module, "eps", _KERAS_EPSILON) != _KERAS_EPSILON for module in part.modules()):
            name = (getattr(part, "default_cfg", None) or {}).get("architecture", "its name")
            console.say(
                f"warning: Keras pads and normalizes as timm's networks with tf_ in front do; use tf_{name}, or the "
                "network has to learn the difference"
            )
        return
    limits.check_file(path, limits.TENSORS, what)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: Any = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers raise many types for a damaged file
        raise InputError(f"{what} cannot be read ({type(error).__name__})") from None
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict):
        raise InputError(f"{what} holds no weights by name")
    part = model
    if isinstance(model, AttentionNet) and not any(str(key).startswith("backbone.") for key in loaded):
        part = model.backbone  # the file is from timm or another program
    own = set(part.state_dict())
    if not own <= set(loaded):  # other names for the same layers, e.g. torchvision's
        renamed = renaming.paired(part, renaming.layers(loaded), classifier_of(part))
        if not isinstance(renamed, str):
            loaded = renamed
        elif own.isdisjoint(loaded):
            raise InputError(f"{what} does not fit this network: {renamed}")
    take(part, loaded, what)


def take(model: nn.Module, loaded: Any, what: str) -> None:
    """Load the weights of another network of the same architecture; a classifier of another size is skipped.

    Args:
        model: the network.
        loaded: a state dict, or whatever was read instead.
        what: its origin, for errors.

    Raises:
        InputError: the weights don't fit.
    """
    own = model.state_dict()
    if not isinstance(loaded, dict) or not any(key in own for key in loaded):
        raise InputError(f"{what} contains none of this network's weights")
    fitting = {
        key: value
        for key, value in loaded.items()
        if key in own and isinstance(value, Tensor) and value.shape == own[key].shape
    }
    head = {f"{key}." for key, module in model.named_modules() if module is classifier_of(model)}
    wrong = [key for key in own if key not in fitting and not any(key.startswith(prefix) for prefix in head)]
    if wrong:
        raise InputError(f"{what} does not fit this network: {wrong[0]} is missing or has another shape")
    try:
        model.load_state_dict(fitting, strict=False)
    except RuntimeError as error:  # sparse tensors, quantized ones, or ones without data
        raise InputError(f"{what} holds tensors that cannot be copied ({one_line(error, 160)})") from None


def classifier_of(model: nn.Module) -> nn.Module | None:
    """Return the last layer, or None if the network does not name it."""
    get = getattr(model, "get_classifier", None)
    found = get() if callable(get) else None
    return found if isinstance(found, nn.Module) else None
