"""Replaces convolutions and linear layers that compute their weights in each call by layers with constant weights.

Examples are weight standardization (timm's StdConv2d and ScaledStdConv2d) and torch's parametrizations. In a trained
network the computed weights are constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_LAYERS: Mapping[Callable[..., Tensor], tuple[str, ...]] = {
    F.conv1d: ("stride", "padding", "dilation", "groups"),
    F.conv2d: ("stride", "padding", "dilation", "groups"),
    F.linear: (),
}


@dataclass
class _Call:
    """A call of a convolution or linear layer."""

    function: Callable[..., Tensor]
    x: Tensor
    weight: Tensor
    bias: Tensor | None
    settings: dict[str, Any]
    output: Tensor


class _Calls(TorchFunctionMode):
    """Records the calls of convolutions and linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[_Call] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in _LAYERS:
            names = ("input", "weight", "bias", *_LAYERS[func])
            given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **(kwargs or {})}
            x, weight, bias = given.pop("input"), given.pop("weight"), given.pop("bias", None)
            self.calls.append(_Call(func, x, weight, bias, given, output))
        return output


def with_constant_weights(network: nn.Module, example: Tensor) -> dict[str, str]:
    """Replace layers that compute their weights only from parameters by plain layers, in place.

    Autograd tells which weights depend on the image, since only the image requires a gradient. A layer is replaced if
    its output is exactly one convolution or linear layer of its input, possibly zero-padded (TensorFlow's padding).

    Args:
        network: in eval mode.
        example: an input of the final size, (1, C, H, W).

    Returns:
        Types of the replaced modules, by path.
    """
    kept = set(network.parameters()) | set(network.buffers())
    replaced: dict[str, str] = {}
    needed = {parameter: parameter.requires_grad for parameter in network.parameters()}
    network.requires_grad_(False)
    try:
        found = _found(network, example, kept)
    finally:
        for parameter, wanted in needed.items():
            parameter.requires_grad_(wanted)
    for parent_path, parent in list(network.named_modules()):
        for name, child in list(parent._modules.items()):  # named_children() skips modules that occur twice
            if child in found:
                setattr(parent, name, found[child].eval())
                replaced[f"{parent_path}.{name}".lstrip(".")] = type(child).__name__
    return replaced


def _found(network: nn.Module, example: Tensor, kept: set[Tensor]) -> dict[nn.Module, nn.Module]:
    """Return a plain layer for each module that can be replaced."""
    found: dict[nn.Module, nn.Module] = {}
    others: set[nn.Module] = set()  # modules that act as different layers in different calls
    starts: list[int] = []

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        starts.append(len(calls.calls))

    def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        # Compare now, since later layers may change the input in place.
        of_module, count = calls.calls[starts.pop() :], len(calls.calls)
        layer = None
        if len(inputs) == 1 and isinstance(inputs[0], Tensor) and not found.keys() & set(module.modules()) - {module}:
            layer = found.get(module) or _layer(inputs[0], of_module, output, kept)
        if layer is None or not _same(layer, inputs[0], output):
            others.add(module)
        else:
            found[module] = layer
        del calls.calls[count:]  # calls from the comparison itself

    modules = list(network.modules())[1:]
    hooks = [module.register_forward_pre_hook(before) for module in modules]
    hooks += [module.register_forward_hook(after) for module in modules]
    try:
        with torch.enable_grad(), _Calls() as calls:
            network(example.detach().clone().requires_grad_(True) * 1)  # not a leaf, which can't be changed in place
    finally:
        for hook in hooks:
            hook.remove()
    return {module: layer for module, layer in found.items() if module not in others}


def _same(layer: nn.Module, x: Tensor, output: Tensor) -> bool:
    with torch.no_grad():
        return torch.allclose(layer(x), output, rtol=1e-4, atol=1e-6)


def _layer(x: Tensor, calls: list[_Call], output: Tensor, kept: set[Tensor]) -> nn.Module | None:
    """Return the plain layer equivalent to a module's call, if its weights come only from parameters."""
    if len(calls) != 1 or calls[0].output is not output:
        return None
    call = calls[0]
    constant = [each for each in (call.weight, call.bias) if each is not None]
    if call.weight in kept or any(each.requires_grad for each in constant):
        return None
    weight = call.weight.detach().clone()
    layer: nn.Module
    if call.function is F.linear:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=call.bias is not None)
    else:
        inputs, outputs = weight.shape[1] * call.settings.get("groups", 1), weight.shape[0]
        kind: Any = nn.Conv1d if call.function is F.conv1d else nn.Conv2d
        layer = kind(inputs, outputs, weight.shape[2:], bias=call.bias is not None, **call.settings)
    layer.weight = nn.Parameter(weight)
    if call.bias is not None:
        layer.bias = nn.Parameter(call.bias.detach().clone())
    if call.x is x:
        return layer
    edges = _edges(x, call.x)
    return None if edges is None else nn.Sequential(nn.ZeroPad2d(edges), layer)


def _edges(x: Tensor, padded: Tensor) -> tuple[int, int, int, int] | None:
    """Return the zero padding of `x` in `padded`: left, right, top, bottom; None if it is not zero padding."""
    high, wide = (padded.shape[axis] - x.shape[axis] for axis in (-2, -1))
    if x.ndim != 4 or high < 0 or wide < 0:
        return None
    for top in range(high + 1):
        for left in range(wide + 1):
            edges = (left, wide - left, top, high - top)
            if torch.equal(F.pad(x, edges), padded):
                return edges
    return None
