"""Exports dense layers over positions (VGG, plain CNN) for other image sizes than they were made for.

Such a layer takes a fixed number of positions, e.g. VGG's 7 x 7 for 224 pixels. For other sizes the network pools to
that number, unevenly or even with repeats, which ONNX doesn't support. Pooling and layer are both linear, so at a
fixed size they merge into one layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.models.vgg import ConvMlp
from torch import Tensor, nn

from edgefer.models.plain_cnn import PlainCNN


def fix_pooling(network: nn.Module, example: Tensor) -> None:
    """Merge this pooling into the next layer, in place; other networks are unchanged.

    Args:
        network: in eval mode.
        example: an input of the final size, (1, C, S, S).
    """
    layers = [module for module in network.modules() if isinstance(module, ConvMlp | PlainCNN)]
    if not layers:
        return
    sides: dict[nn.Module, int] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...], *outputs: Tensor) -> None:
        sides[module] = (outputs or inputs)[0].shape[-1]

    hooks = [
        layer.register_forward_pre_hook(note)
        if isinstance(layer, ConvMlp)
        else layer.convolutions.register_forward_hook(note)
        for layer in layers
    ]
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    for layer in layers:
        if isinstance(layer, ConvMlp):
            side = sides[layer]
            if side < layer.input_kernel_size and isinstance(layer.fc1, nn.Conv2d):
                layer.fc1 = _convolution(layer.fc1, side)
                layer.input_kernel_size = side
        else:
            side = sides[layer.convolutions]
            if side % layer.grid:
                _first_dense(layer, side)


def _shares(side: int, positions: int) -> Tensor:
    """Return the pooling matrix along one axis, (positions, side)."""
    return F.adaptive_avg_pool1d(torch.eye(side)[None], positions)[0].T


def _merged(weight: Tensor, side: int) -> Tensor:
    """Return a layer's weights for (side, side) positions from its own, (outputs, inputs, K, K)."""
    share = _shares(side, weight.shape[-1])
    return torch.einsum("ocuv,ui,vj->ocij", weight.detach(), share, share)


def _convolution(conv: nn.Conv2d, side: int) -> nn.Conv2d:
    merged = nn.Conv2d(conv.in_channels, conv.out_channels, side)
    merged.weight = nn.Parameter(_merged(conv.weight, side))
    merged.bias = conv.bias
    return merged.train(conv.training)


def _first_dense(network: PlainCNN, side: int) -> None:
    first = network.dense[0] if len(network.dense) else network.head
    assert isinstance(first, nn.Linear)
    weight = first.weight.unflatten(1, (-1, network.grid, network.grid))
    first.weight = nn.Parameter(_merged(weight, side).flatten(1))
    first.in_features = first.weight.shape[1]
    network.grid = side
