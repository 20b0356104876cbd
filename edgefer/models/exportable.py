"""Prepares a trained network for export and quantization."""

from __future__ import annotations

from torch import Tensor, nn

from edgefer.models.constant_weights import with_constant_weights
from edgefer.models.creation import merged
from edgefer.models.padding import fix_padding
from edgefer.models.pooling import fix_pooling


def as_exportable(network: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy with merged branches and constant weights, padding and pooling.

    Args:
        network: in eval mode.
        example: one input, float32, (1, C, H, W).
    """
    network = merged(network)
    with_constant_weights(network, example)
    fix_padding(network, example)
    fix_pooling(network, example)
    return network
