"""TensorFlow's padding at a fixed size, for networks from there: timm's ``tf_...``.

With a stride, TensorFlow's "same" padding depends on the image's size and is larger at the end. timm computes it in
each call, which would export as a chain of nodes with unknown shapes.
"""

from __future__ import annotations

import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn


class FixedPadding(nn.Conv2d):
    """A zero-padded convolution: (N, C, H, W) -> (N, outputs, ceil(H / stride), ceil(W / stride)).

    Args:
        conv: timm's convolution, whose weights it uses.
        height: input height.
        width: input width.
    """

    def __init__(self, conv: Conv2dSame, height: int, width: int) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(conv.__dict__)
        sides = zip((height, width), conv.kernel_size, conv.stride, conv.dilation, strict=True)
        high, wide = (int(get_same_padding(*side)) for side in sides)
        self.edges = (wide // 2, wide - wide // 2, high // 2, high - high // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same as timm's convolution for this input size."""
        padded = F.pad(x, self.edges)
        return F.conv2d(padded, self.weight, self.bias, self.stride, (0, 0), self.dilation, self.groups)


def fix_padding(network: nn.Module, example: Tensor) -> None:
    """Make the padding of a network's convolutions constant, in place.

    Args:
        network: in eval mode.
        example: an input of the final size, (1, C, H, W).
    """
    convs = {name: module for name, module in network.named_modules() if isinstance(module, Conv2dSame)}
    if not convs:
        return
    sizes: dict[nn.Module, tuple[int, int]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
        sizes[module] = (inputs[0].shape[-2], inputs[0].shape[-1])

    hooks = [conv.register_forward_pre_hook(note) for conv in convs.values()]
    network(example)
    for hook in hooks:
        hook.remove()
    for name, conv in convs.items():
        parent, _, attribute = name.rpartition(".")
        setattr(network.get_submodule(parent), attribute, FixedPadding(conv, *sizes[conv]))
