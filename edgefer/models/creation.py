"""Creates any supported network by name."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgefer.errors import InputError
from edgefer.models import from_timm, weight_files
from edgefer.models.attention_net import AttentionNet
from edgefer.models.building import build
from edgefer.models.plain_cnn import PlainCNN
from edgefer.models.plain_resnet import PlainResNet
from edgefer.models.weight_files import classifier_of

OURS: dict[str, type[nn.Module]] = {"plain-resnet": PlainResNet, "plain-cnn": PlainCNN}
_ON_TIMMS = {"attention-net": AttentionNet}  # edgefer's heads on a timm backbone: args.backbone
_MERGING = ("fuse", "reparameterize", "switch_to_deploy")  # methods of timm's modules


def create(
    name: str,
    classes: int,
    channels: int,
    args: dict[str, Any] | None = None,
    pretrained: bool = False,
    weights: str | None = None,
    zero_head: bool = False,
) -> nn.Module:
    """Build a network: (N, channels, H, W) float32 -> (N, classes) logits.

    Args:
        name: ``plain-resnet``, ``plain-cnn``, ``attention-net``, or any name in ``timm.list_models()``.
        classes: number of classes.
        channels: channels of the input.
        args: keywords of the network's builder.
        pretrained: start from timm's weights, downloaded from the hub (timm networks only).
        weights: start from a local file instead: safetensors, torch, or Keras's HDF5 or ``.keras``, from timm or
            another program with the same layers. The classifier's size may differ. For a network on a timm
            backbone, the file may hold just the backbone.
        zero_head: initialize the classifier's weights and biases with 0.

    Raises:
        InputError: unknown network or keyword, or the file doesn't fit the network.
        MissingExtra: timm is needed and not installed.
        MissingRequirement: the hub can't be reached.
    """
    args = dict(args or {})
    pretrained = pretrained and weights is None
    if name in OURS and pretrained:
        raise InputError(f"{name} has no pretrained weights; use --no-pretrained")
    model = build(name, args, lambda pretrained: _new(name, classes, channels, args, pretrained), pretrained)
    if zero_head:
        head = classifier_of(model)
        if not isinstance(head, nn.Linear):
            raise InputError(f"model {name} has no linear classifier; omit model.zero_head")
        for parameter in head.parameters():
            nn.init.zeros_(parameter)
    if weights is not None:
        weight_files.load(model, Path(weights), f"model.weights: {weights}")
    return model


def _new(name: str, classes: int, channels: int, args: Mapping[str, Any], pretrained: bool) -> nn.Module:
    if name in OURS:
        return OURS[name](classes, channels, **args)
    if name in _ON_TIMMS:
        own = {key: value for key, value in args.items() if key != "backbone"}
        backbone, inputs = from_timm.features(args.get("backbone", "efficientnet_b0"), channels, pretrained)
        return _ON_TIMMS[name](classes, backbone, inputs, **own)
    return from_timm.classifier(name, classes, channels, dict(args), pretrained, (*OURS, *_ON_TIMMS))


def widen(network: nn.Module, outputs: int) -> None:
    """Append outputs with random weights to a network's classifier.

    Args:
        network: with a linear classifier.
        outputs: number of outputs to add.

    Raises:
        InputError: there is no linear classifier.
    """
    last = _linear(network)
    wider = nn.Linear(last.in_features, last.out_features + outputs, bias=last.bias is not None)
    with torch.no_grad():
        for new, old in zip(wider.parameters(), last.parameters(), strict=True):
            new[: last.out_features] = old
    for module in network.modules():
        for name, child in module.named_children():
            if child is last:
                setattr(module, name, wider)


def narrowed(network: nn.Module, classes: int) -> dict[str, Tensor]:
    """Return a network's weights with only the first outputs of its classifier.

    Args:
        network: with a linear classifier of at least `classes` outputs.
        classes: number of outputs to keep.

    Raises:
        InputError: there is no linear classifier.
    """
    weights = network.state_dict()
    last = _linear(network)
    for key, module in network.named_modules():
        if module is last:
            weights |= {name: weights[name][:classes] for name in (f"{key}.weight", f"{key}.bias") if name in weights}
    return weights


def merged(network: nn.Module) -> nn.Module:
    """Return a copy with parallel branches merged into one layer each, as for RepVGG after training.

    Args:
        network: in eval mode. Without such branches it is just copied.
    """
    if not any(hasattr(module, name) for module in network.modules() for name in _MERGING):
        return copy.deepcopy(network)
    from timm.utils.model import reparameterize_model  # only timm's modules have these methods

    found: nn.Module = reparameterize_model(network)
    # timm detaches the neighbours of a merged layer, e.g. squeeze-excite, so fine-tuning would not update them.
    return found.requires_grad_(True).eval()


def for_classes(
    model: nn.Module,
    loaded: Mapping[str, Tensor],
    theirs: Sequence[str],
    ours: Sequence[str],
    made_of: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Tensor]:
    """Return another network's weights with a classifier for this network's classes, for `take`.

    Classes in both networks keep their weights, matched by name. A class made of several others gets the mean of their
    weights and biases plus the log of their number, which gives the log of their summed probability if their logits are
    equal. Other classes get the new network's initial weights.

    Args:
        model: the new network.
        loaded: state dict of another network of the same architecture.
        theirs: its classes, in the order of its outputs.
        ours: the new network's classes.
        made_of: for each known class in `ours`, its parts in `theirs`; by default the class of the same name.
    """
    weights, own = dict(loaded), model.state_dict()
    parts = {name: [name] for name in ours if name in theirs} if made_of is None else made_of
    for path in (path for path, module in model.named_modules() if module is classifier_of(model)):
        for key in [key for key in weights if key.startswith(f"{path}.")]:
            trained = weights.pop(key)
            if key in own and trained.shape == (len(theirs), *own[key].shape[1:]):
                weights[key] = own[key].clone()
                for name, olds in parts.items():
                    of = trained[[theirs.index(old) for old in olds]]
                    weights[key][ours.index(name)] = of.mean(0) + (math.log(len(olds)) if trained.ndim == 1 else 0.0)
    return weights


def _linear(network: nn.Module) -> nn.Linear:
    last = classifier_of(network)
    if not isinstance(last, nn.Linear):
        raise InputError("a network without a linear classifier cannot learn votes; omit teaching.votes")
    return last
