"""A plain residual network (He et al. 2016, basic blocks) for small grey images, designed for quantization.

It uses only convolutions, BatchNorm, ReLU, additions, one average pool and one linear layer. All of them have INT8
kernels in ONNX Runtime and TensorRT.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def _conv(inputs: int, outputs: int, side: int, stride: int) -> nn.Sequential:
    padding = side // 2 if side % 2 else 0
    return nn.Sequential(nn.Conv2d(inputs, outputs, side, stride, padding, bias=False), nn.BatchNorm2d(outputs))


class ResidualBlock(nn.Module):
    """relu(bn(conv3x3(relu(bn(conv3x3(x))))) + skip(x)): (N, inputs, H, W) -> (N, outputs, H/stride, W/stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.conv2 = _conv(outputs, outputs, 3, 1)
        self.relu1 = nn.ReLU()
        self.relu2 = nn.ReLU()
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else _conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the class's formula."""
        out: Tensor = self.relu2(self.conv2(self.relu1(self.conv1(x))) + self.skip(x))
        return out


class PlainResNet(nn.Module):
    """Stem, stages of blocks, pool, linear layer: (N, channels, H, W) float32 -> (N, classes) logits.

    Args:
        classes: number of classes.
        channels: channels of the input.
        widths: channels of each stage; each stage except the first halves the resolution.
        blocks: blocks per stage.
        stem_stride: stride of the first convolution.
        stem_side: its kernel size, 2 or more. An even one is not padded: 4 turns 44 pixels into 41 positions,
            which halve to 21, 11 and 6, as `edgefer.models.mirroring` needs.
        dropout: dropout rate of the pooled features.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        widths: Sequence[int] = (24, 48, 96, 192),
        blocks: Sequence[int] = (2, 2, 2, 2),
        stem_stride: int = 1,
        dropout: float = 0.0,
        stem_side: int = 3,
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks) or not widths or min(*widths, *blocks) < 1:
            raise ValueError("widths and blocks must have the same length and be positive")
        if stem_side < 2:
            raise ValueError("stem_side must be 2 or more")
        self.stem = nn.Sequential(*_conv(channels, widths[0], stem_side, stem_stride), nn.ReLU())
        stages: list[nn.Module] = []
        inputs = widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
                stages.append(ResidualBlock(inputs, width, stride=2 if stage > 0 and block == 0 else 1))
                inputs = width
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        x = self.pool(self.stages(self.stem(x)))
        logits: Tensor = self.head(self.dropout(torch.flatten(x, 1)))
        return logits

    def get_classifier(self) -> nn.Linear:
        """Return the last layer, like timm's networks."""
        return self.head
