"""Checks before training whether a network can be compressed, with random weights.

Export, quantizers and lowering do not depend on the weights, so a network that fails here would fail after
hours of training. One that passes may still gain little from INT8; that is reported, and it is trained anyway.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from edgefer import console, models, paths, versions
from edgefer.backends import onnxruntime
from edgefer.compression import export, quantization, targets, worth
from edgefer.compression.extension import load_nncf
from edgefer.errors import InputError
from edgefer.graph.fp16 import to_fp16
from edgefer.recipes import Recipe

_IMAGES = 3  # more than one: the batch axis must be open
_ALIKE = 1e-2  # tolerance of ONNX Runtime's FP32 against torch, relative to the largest logit
_PACKAGES = ("torch", "timm", "nncf", "onnx", "onnxruntime")


def rehearse(recipe: Recipe, classes: int) -> None:
    """Export, quantize and lower a recipe's network with random weights, and run both files in ONNX Runtime.

    Passed networks are cached, with their notes and versions.

    Args:
        recipe: the planned training's recipe.
        classes: number of classes.

    Raises:
        InputError: the network cannot be built, trained or compressed; the message says why.
        MissingExtra: the extra `compress` is not installed.
    """
    load_nncf()
    settings, channels, size = recipe.model, recipe.preprocessing.channels, recipe.preprocessing.size
    passed = _mark([settings.name, settings.args, classes, channels, size, versions.installed(*_PACKAGES)])
    if passed.exists():
        _warn(settings.name, passed.read_text(encoding="utf-8"))
        return
    console.say(f"checking that {settings.name} can be exported and quantized")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = models.create(settings.name, classes, channels, settings.args)
        models.check(network, settings.name, settings.args, classes, channels, size)
        try:
            complaint = _go(network, torch.rand(_IMAGES, channels, size, size))
        except InputError as error:
            raise InputError(
                f"{settings.name} can be trained but not compressed: {error}; to train it anyway: --no-export-check"
            ) from error
    with suppress(OSError):  # without a cache it is checked again
        passed.parent.mkdir(parents=True, exist_ok=True)
        with paths.write_atomically(passed) as part:
            part.write_text(complaint, encoding="utf-8")
    _warn(settings.name, complaint)


def _warn(name: str, complaint: str) -> None:
    if complaint:
        console.say(f"warning: {name}: {complaint}")


def _go(network: torch.nn.Module, images: torch.Tensor) -> str:
    """Run `compress`'s steps on a network; return why INT8 is not worthwhile, if so."""
    example = images[:1]
    network = models.as_exportable(network.eval(), example)
    floats = export.fp32(network, example)
    with torch.no_grad():
        wanted = network(images).numpy()
    with onnxruntime.open_model(floats.SerializeToString(), torch.get_num_threads()) as session:
        found = session.infer(images.numpy())
    if np.abs(found - wanted).max() > _ALIKE * max(float(np.abs(wanted).max()), 1e-3):
        raise InputError("its ONNX file gives other results for a batch than for one image")
    for name, model in {"fp32": floats, **dict.fromkeys(targets.FP16_MODELS, to_fp16(floats))}.items():
        targets.check_float(name, model)
    quantized = quantization.quantize(network, images, "minmax", half_range=False)
    graphs = targets.lowered(export.int8(quantized, example))
    with onnxruntime.open_model(graphs["int8-cpu"].model.SerializeToString(), torch.get_num_threads()) as session:
        session.infer(images.numpy())
    return worth.judge(floats, graphs).complaint


def _mark(what: object) -> Path:
    """Return the marker file of a passed network."""
    digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]
    return paths.cache_dir() / "can-be-compressed" / digest
