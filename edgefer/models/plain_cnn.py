"""A conventional CNN: convolutions with ReLU, max pools, dense layers; no normalization, no dropout.

The baseline of "Human Emotion Recognition" (Kausar, Farooq, Ahmed), section IV.H: over 15 million parameters, most of
them in the dense layers, and little regularization. The paper gives no widths; these are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainCNN(nn.Module):
    """Two 3x3 convolutions and a max pool for each width, then dense layers: (N, C, H, W) -> (N, classes) logits.

    Args:
        classes: number of classes.
        channels: channels of the input.
        widths: channels of the convolutions, each pair followed by a pool that halves the resolution.
        dense: outputs of the dense layers between the last pool and the classifier.
        grid: side of the last feature map: 3 for 48 px and four widths. Other sizes are pooled to it.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        widths: Sequence[int] = (64, 128, 256, 512),
        dense: Sequence[int] = (2048, 512),
        grid: int = 3,
    ) -> None:
        super().__init__()
        if not widths or min(*widths, *dense, grid) < 1:
            raise ValueError("widths, dense and grid must be positive")
        layers: list[nn.Module] = []
        for width in widths:
            for inputs in (channels, width):
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
            channels = width
        self.convolutions = nn.Sequential(*layers)
        self.grid = grid
        features = channels * grid * grid
        layers = []
        for width in dense:
            layers += [nn.Linear(features, width), nn.ReLU()]
            features = width
        self.dense = nn.Sequential(*layers)
        self.head = nn.Linear(features, classes)
        for module in self.modules():
            # torch's default init is too small for ten layers without normalization to learn (He et al. 2015).
            if isinstance(module, nn.Conv2d | nn.Linear) and module is not self.head:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        x = self.convolutions(x)
        if x.shape[-1] != self.grid or x.shape[-2] != self.grid:  # avoids an unneeded node in the exported graph
            x = F.adaptive_avg_pool2d(x, self.grid)
        logits: Tensor = self.head(self.dense(torch.flatten(x, 1)))
        return logits

    def get_classifier(self) -> nn.Linear:
        """Return the last layer, like timm's networks."""
        return self.head
