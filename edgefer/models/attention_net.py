"""A network of timm's with spatial attention behind its last layer and a head of dense layers.

Built after "Human Emotion Recognition" (Kausar, Farooq, Ahmed), whose text says "spatial attention layers" and
"dropout layers", and whose Fig. 1 gives the counts: 6,438,787 parameters that learn and 44,583 that do not. With
EfficientNet-B0 at 7 classes this network has exactly these, counted as Keras does (`keras_count`); of the heads that
benchmarks/training/attention_head.py looks at, no other has. The attention of CBAM (Woo et al. 2018), a 7x7
convolution over two maps, has 98 weights and is not what Fig. 1 counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class SpatialAttention(nn.Module):
    """x * sigmoid(conv1x1(x)): (N, C, h, w) -> the same. Each place has a weight of its own, one for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Return what the class's formula says."""
        out: Tensor = x * self.sigmoid(self.conv(x))
        return out


class AttentionNet(nn.Module):
    """Backbone, spatial attention, average pool, BatchNorm, dense layers: (N, channels, H, W) -> (N, classes) logits.

    Args:
        classes: number of classes.
        backbone: timm's, from `edgefer.models.from_timm.features`; its features are (N, inputs, h, w).
        inputs: channels of its features.
        attention: False leaves the attention out, as an ablation.
        widths: outputs of the dense layers between pool and classifier, each with ReLU.
        dropout: share of each dense layer's outputs set to zero in training.
    """

    def __init__(
        self,
        classes: int,
        backbone: nn.Module,
        inputs: int,
        attention: bool = True,
        widths: Sequence[int] = (512, 256),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.backbone: Any = backbone  # its forward_features, which every network of timm's has
        self.attention = SpatialAttention(inputs) if attention else nn.Identity()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm = nn.BatchNorm2d(inputs)  # of one pixel: TensorRT wants four axes
        dense: list[nn.Module] = []
        for width in widths:
            dense += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
            inputs = width
        self.dense = nn.Sequential(*dense)
        self.head = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        x = self.norm(self.pool(self.attention(self.backbone.forward_features(x))))
        logits: Tensor = self.head(self.dense(torch.flatten(x, 1)))
        return logits

    def get_classifier(self) -> nn.Linear:
        """Return the last layer, as timm's networks do."""
        return self.head
