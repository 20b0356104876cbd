"""Makes a network's weights mirror-symmetric, so an image and its mirror image get the same prediction.

Each channel is paired with another or with itself. A channel's response to the mirror image is its counterpart's
mirrored response to the image: group-equivariant convolutions (Cohen & Welling, arXiv:1602.07576) of the reflection
group. Pairs are that paper's layers; channels paired with themselves have symmetric filters. Up to half of the
weights follow from the others. The layers stay the same, so nothing else changes for users of the network.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgefer.errors import InputError
from edgefer.models.plain_resnet import PlainResNet, ResidualBlock

ChannelPairs = dict[str, list[int]]  # per layer, each output channel's counterpart

_TRIED = 16


@dataclass(frozen=True)
class ConvolutionLayer:
    """A convolution and its norm.

    Attributes:
        reads: key in `ChannelPairs` of its input channels; None for the image's.
        writes: key of its output channels.
        shows: the module with this output; None if a parallel branch of the block gives the same.
    """

    convolution: nn.Conv2d
    norm: nn.modules.batchnorm._BatchNorm
    reads: str | None
    writes: str
    shows: nn.Module | None


def pair_halves(network: nn.Module, images: Tensor) -> ChannelPairs:
    """Return the pairing of each layer's first half of channels with its second half, for an untrained network.

    No channel is its own counterpart (the regular representation in the paper's terms), so a file can store half
    of each convolution's weights (`edgefer.graph.mirrored`). Of an odd number of channels, the last is its own.

    Args and errors: as `find_channel_pairs`.
    """
    _check(network, images)
    assert isinstance(network, PlainResNet)
    widths = {layer.writes: layer.convolution.out_channels for layer in layers(network)}
    found: ChannelPairs = {}
    for name, width in widths.items():
        half = width // 2
        found[name] = [*range(half, 2 * half), *range(half), *range(2 * half, width)]
    return found


def find_channel_pairs(network: nn.Module, images: Tensor) -> ChannelPairs:
    """Return the pairing of channels that respond most alike to images and their mirror images.

    It maximizes the sum of correlations over images and positions, among all pairings with another channel or
    with itself. If the network is symmetric by `pair_halves` already, it is that pairing.

    Args:
        network: a trained ``plain-resnet``.
        images: its input, float32, (N, C, S, S).

    Raises:
        InputError: another network, or an image size that doesn't halve symmetrically.
    """
    halves = pair_halves(network, images)
    assert isinstance(network, PlainResNet)
    if is_mirrored(network, halves):
        return halves
    streams: dict[str, list[nn.Module]] = {}  # layers that are added up must share their pairs
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
    """Make a network's weights symmetric in place, as the least-squares nearest symmetric weights.

    After an SGD step from symmetric weights, this equals a step with the gradient's symmetric part.

    Args:
        network: the network passed to `find_channel_pairs`.
        channel_pairs: the result of `find_channel_pairs` or `pair_halves`.
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


def is_mirrored(network: PlainResNet, channel_pairs: ChannelPairs) -> bool:
    """Return whether a network's weights are symmetric by these pairs already, but for rounding."""
    mirrored = copy.deepcopy(network)
    mirror(mirrored, channel_pairs)
    weights = zip(network.state_dict().values(), mirrored.state_dict().values(), strict=True)
    return all(torch.allclose(one, other, rtol=1e-4, atol=1e-6) for one, other in weights)


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
    """Return the correlations between the channels of two outputs, float64, (channels, channels)."""
    rows = [each.transpose(0, 1).flatten(1).double() for each in (one, other)]
    rows = [each - each.mean(1, keepdim=True) for each in rows]
    a, b = (each / each.norm(dim=1, keepdim=True).clamp(min=1e-9) for each in rows)
    found: Tensor = a @ b.T
    return found


def _pair(agreement: Tensor) -> list[int]:
    """Return each channel's pair, from its `_TRIED` best candidates: for 512 channels 2 s instead of 25 s."""
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


def _check(network: nn.Module, images: Tensor) -> None:
    """Refuse other networks, and a size where a stride samples other positions from the left than from the right."""
    if not isinstance(network, PlainResNet):
        raise InputError("train.mirror is for plain-resnet: other networks may not be symmetric")
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
        if side == 1:  # parallel to the strided convolution
            continue
        if (size + 2 * padding - side) % stride:
            return False
        size = (size + 2 * padding - side) // stride + 1
    return size > 0
