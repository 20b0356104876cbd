"""Weights with which a network answers alike for a picture and for its mirror image.

Each channel is paired with another one or with itself. Its pair has on the mirror image what it has on the picture,
mirrored: group-equivariant convolutions (Cohen & Welling, arXiv:1602.07576) of the group that has one mirroring. Pairs
are that paper's layers; channels that are paired with themselves have symmetric filters. Up to half of the weights
follow from the others. For all that read it the network is as it was: no other layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgefer.errors import InputError
from edgefer.models.plain_resnet import PlainResNet, ResidualBlock

ChannelPairs = dict[str, list[int]]  # by layer whose output they are: of each channel the index of its counterpart

_TRIED = 16


@dataclass(frozen=True)
class ConvolutionLayer:
    """A convolution with its norm.

    Attributes:
        reads: name under which `ChannelPairs` has the channels that it reads; None: the picture's.
        writes: that of the channels that it writes.
        shows: the module whose output these are; None beside a block's other branch, which shows the same.
    """

    convolution: nn.Conv2d
    norm: nn.modules.batchnorm._BatchNorm
    reads: str | None
    writes: str
    shows: nn.Module | None


def find_channel_pairs(network: nn.Module, images: Tensor) -> ChannelPairs:
    """Return which channels of a network say most nearly the same of pictures and of their mirror images.

    Of the ways to pair channels, or pair a channel with itself, that with the largest sum of correlations over
    images and positions.

    Args:
        network: a ``plain-resnet``, trained or not.
        images: its input, float32, (N, C, S, S).

    Raises:
        InputError: it is another network, or `images` are of a size whose halving is not symmetric.
    """
    if not isinstance(network, PlainResNet):
        raise InputError("train.mirror is for plain-resnet: other networks may not be symmetric")
    _check_halving(network, images)
    streams: dict[str, list[nn.Module]] = {}  # what is added up must pair alike
    for layer in layers(network):
        if layer.shows:
            streams.setdefault(layer.writes, []).append(layer.shows)
    shown = [module for modules in streams.values() for module in modules]
    seen, mirrored = (_features(network, shown, each) for each in (images, images.flip(3)))
    found: ChannelPairs = {}
    for name, modules in streams.items():
        agreement = sum(_agreement(seen[module], mirrored[module].flip(3)) for module in modules)
        assert isinstance(agreement, Tensor)
        found[name] = _pair(agreement)
    return found


def mirror(network: nn.Module, channel_pairs: ChannelPairs) -> None:
    """Make a network's weights symmetric, in place: the nearest to those it has, by least squares.

    After a step of SGD from symmetric weights this is the step with the gradient's symmetric part.

    Args:
        network: the one that `find_channel_pairs` saw.
        channel_pairs: what that returned.
    """
    assert isinstance(network, PlainResNet)
    device = network.head.weight.device
    index = {name: torch.tensor(channels, device=device) for name, channels in channel_pairs.items()}
    found = layers(network)
    with torch.no_grad():
        for layer in found:
            writes, weight = index[layer.writes], layer.convolution.weight
            other = weight[writes] if layer.reads is None else weight[writes][:, index[layer.reads]]
            weight.copy_((weight + other.flip(3)) / 2)
            norm = layer.norm
            for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert values is not None
                values.copy_((values + values[writes]) / 2)
        last = index[found[-1].writes]
        network.head.weight.copy_((network.head.weight + network.head.weight[:, last]) / 2)


def layers(network: PlainResNet) -> list[ConvolutionLayer]:
    """Return all convolutions, in the order of the forward pass."""
    layers = [_layer(network.stem, None, "stem", network.stem)]
    stream = "stem"
    for number, block in enumerate(network.stages):
        assert isinstance(block, ResidualBlock)
        inner, before = f"stages.{number}.conv1", stream
        if isinstance(block.skip, nn.Sequential):
            stream = f"stages.{number}"
            layers.append(_layer(block.skip, before, stream, None))
        layers += [_layer(block.conv1, before, inner, block.relu1), _layer(block.conv2, inner, stream, block)]
    return layers


def _layer(layers: nn.Module, reads: str | None, writes: str, shows: nn.Module | None) -> ConvolutionLayer:
    assert isinstance(layers, nn.Sequential)
    convolution, norm = layers[0], layers[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    return ConvolutionLayer(convolution, norm, reads, writes, shows)


def _features(network: PlainResNet, modules: Sequence[nn.Module], images: Tensor) -> dict[nn.Module, Tensor]:
    """Return each module's output, (N, channels, H, W)."""
    found: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found[module] = output

    hooks = [module.register_forward_hook(keep) for module in modules]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(images)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return found


def _agreement(one: Tensor, other: Tensor) -> Tensor:
    """Return the correlation of each channel with each of the other's, float64, (channels, channels)."""
    rows = [each.transpose(0, 1).flatten(1).double() for each in (one, other)]
    rows = [each - each.mean(1, keepdim=True) for each in rows]
    a, b = (each / each.norm(dim=1, keepdim=True).clamp(min=1e-9) for each in rows)
    found: Tensor = a @ b.T
    return found


def _pair(agreement: Tensor) -> list[int]:
    """Return each channel's pair, where each has tried its `_TRIED` best: of 512 channels 2 s, not 25 with all."""
    import networkx

    alone = agreement.diagonal()
    gains = (agreement + agreement.T - alone[:, None] - alone).cpu()
    gains.fill_diagonal_(0)
    best = gains.topk(min(_TRIED, len(gains)), dim=1)
    graph = networkx.Graph()
    for channel, (values, others) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
        graph.add_weighted_edges_from(
            (channel, other, gain) for other, gain in zip(others, values, strict=True) if gain > 0
        )
    channel_pairs = list(range(len(gains)))
    for one, other in networkx.max_weight_matching(graph):
        channel_pairs[one], channel_pairs[other] = other, one
    return channel_pairs


def _check_halving(network: PlainResNet, images: Tensor) -> None:
    """Refuse a size of which a halving takes every other place from the left, which from the right are others."""
    size = images.shape[3]
    if not _halves_evenly(network, size):
        fits = next((size - less for less in range(1, size) if _halves_evenly(network, size - less)), None)
        raise InputError(
            f"train.mirror needs odd feature-map sides before each stride, which {size} pixels do not give; "
            + (f"use --set preprocessing.size={fits}" if fits else "use larger pictures")
        )


def _halves_evenly(network: PlainResNet, size: int) -> bool:
    for layer in layers(network):
        convolution = layer.convolution
        side, stride, padding = convolution.kernel_size[0], convolution.stride[0], convolution.padding[0]
        assert isinstance(padding, int)
        if side == 1:  # next to the one that halves
            continue
        if (size + 2 * padding - side) % stride:
            return False
        size = (size + 2 * padding - side) // stride + 1
    return size > 0
