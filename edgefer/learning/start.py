"""Which weights a training began with, as a record that travels with the results."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from edgefer import models, paths
from edgefer.data.dataset import Dataset
from edgefer.errors import InputError
from edgefer.learning import checkpoint
from edgefer.recipes.schema import Model


def record(settings: Model, network: nn.Module) -> dict[str, str]:
    """Return where a new network's weights are from.

    Args:
        settings: of the recipe.
        network: as it was built.

    Returns:
        ``kind``: ``run``, ``file``, ``hub`` or ``random``; but for the last, ``name``; for the first two, ``sha256``.
    """
    if settings.start:
        head = checkpoint.find(Path(settings.start))
        return {"kind": "run", "name": settings.start, "sha256": paths.sha256(head)}
    if settings.weights:
        return {"kind": "file", "name": settings.weights, "sha256": paths.sha256(Path(settings.weights))}
    if settings.pretrained:
        return {"kind": "hub", "name": models.hub_id(network) or f"timm's weights of {settings.name}"}
    return {"kind": "random"}


def check_split(what: str, digest: str, theirs: str, dataset: Dataset, ours: str) -> None:
    """Refuse what has learned images that are to choose the checkpoint: its accuracy there would be a memory.

    Args:
        what: the network that was trained, for the message.
        digest: of the data that it was trained on.
        theirs: `data.split` of its recipe.
        dataset: what is to be trained on.
        ours: `data.split` of the recipe that trains.

    Raises:
        InputError: the data are the same, and their training images are others.
    """
    if digest == dataset.digest and theirs != ours and "val" not in dataset.carved:
        raise InputError(
            f"{what} was trained with data.split={theirs}, so on images that choose the checkpoint with "
            f"data.split={ours}; use --set data.split={theirs}"
        )


def sentence(start: dict[str, str]) -> str:
    """Return the record as a person says it."""
    if start["kind"] == "random":
        return "random"
    digest = f" ({start['sha256'][:8]})" if "sha256" in start else ""
    return f"{start['name']}{digest}" + (", from the hub" if start["kind"] == "hub" else "")
