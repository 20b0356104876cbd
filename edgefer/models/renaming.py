"""Renames another program's weights to this network's names, by pairing layers by type and order.

timm's, torchvision's and Keras's EfficientNets have the same layers in the same order under other names. Every shape
must match, so a file of another network is rejected as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from torch import Tensor, nn

Kind = Literal["convolution", "depthwise convolution", "norm", "dense layer", "layer of another kind"]
_UNCOUNTED = "num_batches_tracked"  # torch's BatchNorm only uses it if momentum is None


@dataclass(frozen=True)
class GivenLayer:
    """One layer.

    Attributes:
        kind: the type used for pairing.
        tensors: its tensors by torch's names: ``weight``, ``bias``, ``running_mean``, ``running_var``.
    """

    kind: Kind
    tensors: Mapping[str, Tensor]


def layers(state: Mapping[str, Any]) -> list[GivenLayer]:
    """Return a state dict's layers in order; depthwise convolutions count as convolutions."""
    found = []
    tensors = {key: value for key, value in state.items() if isinstance(key, str) and isinstance(value, Tensor)}
    for _, keys in groupby(tensors, key=lambda key: key.rpartition(".")[0]):
        parts = {key.rpartition(".")[2]: tensors[key] for key in keys}
        parts.pop(_UNCOUNTED, None)
        if parts:
            found.append(GivenLayer(_kind(parts), parts))
    return found


def paired(model: nn.Module, given: Sequence[GivenLayer], head: nn.Module | None) -> dict[str, Tensor] | str:
    """Return the weights of `given` under a network's names, or why they don't fit.

    Args:
        model: the network.
        given: layers in order. Depthwise convolutions, if marked, are a separate sequence.
        head: the network's classifier; only loaded if the last dense layer has its shape.

    Returns:
        A state dict, without the head if that doesn't fit, or a phrase like "it has 5 norms, not 7".
    """
    apart = any(layer.kind == "depthwise convolution" for layer in given)
    own = [(name, kind, module) for name, kind, module in _own(model, apart) if module is not head]
    found: dict[str, Tensor] = {}
    for kind in dict.fromkeys([*(kind for _, kind, _ in own), *(layer.kind for layer in given)]):
        ours = [(name, module) for name, each, module in own if each == kind]
        theirs = [layer for layer in given if layer.kind == kind]
        if len(ours) != len(theirs) and kind != "dense layer":
            return f"it has {len(theirs)} {kind}s, not {len(ours)}"
        if len(ours) > len(theirs):
            return f"it has {len(theirs)} dense layers, not {len(ours)}"
        for number, ((name, module), layer) in enumerate(zip(ours, theirs, strict=False), start=1):
            for key, wanted in module.state_dict().items():
                tensor = layer.tensors.get(key)
                if key == _UNCOUNTED:
                    found[f"{name}.{key}"] = wanted
                elif tensor is None or tensor.shape != wanted.shape:
                    shape = "missing" if tensor is None else tuple(tensor.shape)
                    return f"{key} of its {kind} {number} is {shape}, not {tuple(wanted.shape)}"
                else:
                    found[f"{name}.{key}"] = tensor
    dense = [layer for layer in given if layer.kind == "dense layer"]
    if head is not None and dense:
        name = next(name for name, module in model.named_modules() if module is head)
        wanted = head.state_dict()
        if {key: value.shape for key, value in wanted.items()} == {k: v.shape for k, v in dense[-1].tensors.items()}:
            found |= {f"{name}.{key}": dense[-1].tensors[key] for key in wanted}
    return found


def _own(model: nn.Module, apart: bool) -> Iterator[tuple[str, Kind, nn.Module]]:
    for name, module in model.named_modules():
        tensors = {
            **dict(module.named_parameters(recurse=False)),
            **{key: value for key, value in module.named_buffers(recurse=False) if key != _UNCOUNTED},
        }
        if not tensors:
            continue
        kind = _kind(tensors)
        if apart and kind == "convolution" and getattr(module, "groups", 1) > 1:
            kind = "depthwise convolution"
        yield name, kind, module


def _kind(tensors: Mapping[str, Tensor]) -> Kind:
    weight = tensors.get("weight")
    if "running_mean" in tensors:
        return "norm"
    if weight is not None and weight.ndim in (2, 4) and set(tensors) <= {"weight", "bias"}:
        return "convolution" if weight.ndim == 4 else "dense layer"
    return "layer of another kind"
