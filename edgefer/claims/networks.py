"""How many parameters networks have, counted from timm's own (extra `train`)."""

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
    """Return the number of parameters of a network and its head, of the kind that `network` names.

    Raises:
        InputError: timm has no network of that name.
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
    """Return the side of the images, in pixels, that a network's published weights take.

    Raises:
        InputError: timm has no network of that name, or does not say.
    """
    found = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if found is None:
        raise InputError(f"timm {timm.__version__} says nothing of a network {name}")
    return int(found.input_size[-1])


@cache
def _of_timm(name: str, classes: int) -> tuple[int, int]:
    """Return how many numbers are trained, and how many BatchNorm measures."""
    if not timm.is_model(name):
        raise InputError(f"timm {timm.__version__} has no network {name}")
    with torch.device("meta"):  # shapes alone: VGG16 takes neither memory nor time
        network = timm.create_model(name, pretrained=False, num_classes=classes)
    return count_like_keras(network, normalization=False)
