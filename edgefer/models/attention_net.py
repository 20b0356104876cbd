"""A timm network with spatial attention after its last layer and a head of dense layers.

Based on "Human Emotion Recognition" (Kausar, Farooq, Ahmed), which mentions "spatial attention layers" and "dropout
layers". Its Fig. 1 gives 6,438,787 trainable and 44,583 other parameters. With EfficientNet-B0 and 7 classes this
network matches both counts as Keras counts (`keras_count`); no other head in benchmarks/training/attention_head.py
does. CBAM's attention (Woo et al. 2018), a 7x7 convolution over two maps, has 98 weights and doesn't fit Fig. 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class SpatialAttention(nn.Module):
    """x * sigmoid(conv1x1(x)): (N, C, h, w) -> the same. Each position and channel has its own weight."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the class's formula."""
        out: Tensor = x * self.sigmoid(self.conv(x))
        return out


class AttentionNet(nn.Module):
    """Backbone, spatial attention, average pool, BatchNorm, dense layers: (N, channels, H, W) -> (N, classes) logits.

    Args:
        classes: number of classes.
        backbone: a timm network from `edgefer.models.from_timm.features`; its features are (N, inputs, h, w).
        inputs: channels of its features.
        attention: False omits the attention, as an ablation.
        widths: outputs of the dense layers between pool and classifier, each with ReLU.
        dropout: dropout rate of the dense layers.
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
        self.backbone: Any = backbone  # uses timm's forward_features
        self.attention = SpatialAttention(inputs) if attention else nn.Identity()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm = nn.BatchNorm2d(inputs)  # of one pixel: TensorRT needs four axes
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
        """Return the last layer, like timm's networks."""
        return self.head
