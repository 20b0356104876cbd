"""Counts parameters of timm networks (extra `train`)."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

from edgefer.claims.checks import TimmNetwork
from edgefer.errors import InputError, MissingExtra

try:
    import timm
    import torch

    from edgefer.models.keras_count import NORMALIZATION, count_like_keras
except ModuleNotFoundError as missing:
    raise MissingExtra.of(missing, "train") from None


def parameters(network: TimmNetwork) -> int:
    """Return the parameter count of a network and its head, of the kind `network.count`.

    Raises:
        InputError: timm has no such network.
    """
    trained, measured = _of_timm(network.name, network.classes)
    if network.head is not None:
        head = network.head
        if head.convolution is not None:
            inputs, outputs = head.convolution
            trained += inputs * outputs + outputs
        if head.norm is not None:
            trained, measured = trained + 2 * head.norm, measured + 2 * head.norm
        trained += sum(inputs * outputs + outputs for inputs, outputs in pairwise(head.dense))
    measured += NORMALIZATION if network.keras_inputs else 0
    return {"trained": trained, "measured": measured, "both": trained + measured}[network.count]


def side(name: str) -> int:
    """Return the input size in pixels of a network's published weights.

    Raises:
        InputError: timm has no such network, or no size for it.
    """
    found = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if found is None:
        raise InputError(f"timm {timm.__version__} says nothing of a network {name}")
    return int(found.input_size[-1])


@cache
def _of_timm(name: str, classes: int) -> tuple[int, int]:
    """Return the numbers of trainable parameters and of BatchNorm statistics."""
    if not timm.is_model(name):
        raise InputError(f"timm {timm.__version__} has no network {name}")
    with torch.device("meta"):  # shapes only, without memory for the weights
        network = timm.create_model(name, pretrained=False, num_classes=classes)
    return count_like_keras(network, normalization=False)
