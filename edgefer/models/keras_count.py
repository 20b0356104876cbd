"""Parameters as Keras's `summary` counts them, for figures of papers that quote it."""

from __future__ import annotations

from torch import nn

NORMALIZATION = 7  # in Keras's EfficientNets: mean and variance of three channels, and a counter


def count_like_keras(network: nn.Module, normalization: bool = True) -> tuple[int, int]:
    """Return how many numbers of a network learn and how many do not.

    Keras counts BatchNorm's running means and variances as non-trainable parameters; torch calls them buffers.

    Args:
        network: any.
        normalization: add the layer that Keras's EfficientNets begin with, where edgefer has `Preprocessing`.
    """
    learning = sum(parameter.numel() for parameter in network.parameters())
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    running = sum(2 * norm.num_features for norm in norms if norm.track_running_stats)
    return learning, running + (NORMALIZATION if normalization else 0)
