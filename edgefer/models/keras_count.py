"""Counts parameters like Keras's `summary`, to compare with papers that quote it."""

from __future__ import annotations

from torch import nn

NORMALIZATION = 7  # in Keras's EfficientNets: mean and variance of three channels, and a counter


def count_like_keras(network: nn.Module, normalization: bool = True) -> tuple[int, int]:
    """Return the numbers of trainable and non-trainable parameters.

    Keras counts BatchNorm's running means and variances as non-trainable parameters; torch calls them buffers.

    Args:
        network: any network.
        normalization: add the Normalization layer of Keras's EfficientNets, which edgefer does in `Preprocessing`.
    """
    learning = sum(parameter.numel() for parameter in network.parameters())
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    running = sum(2 * norm.num_features for norm in norms if norm.track_running_stats)
    return learning, running + (NORMALIZATION if normalization else 0)
