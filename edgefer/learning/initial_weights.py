"""Records which initial weights a training used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from edgefer import data, models, paths, public
from edgefer.data.dataset import Dataset, Split
from edgefer.errors import InputError
from edgefer.learning import checkpoint
from edgefer.models import known_weights
from edgefer.recipes.schema import Model


def record(settings: Model, network: nn.Module) -> dict[str, str]:
    """Return the origin of a new network's weights.

    Args:
        settings: of the recipe.
        network: as built.

    Returns:
        ``kind``: ``run``, ``file``, ``package``, ``hub`` or ``random``; except for the last, ``name``; for the first
        three, ``sha256``; for a file of ImageNet weights with a known digest, ``known``: their publisher.
    """
    if settings.initial_weights:
        checkpoint_path = checkpoint.find(Path(settings.initial_weights))
        return {"kind": "run", "name": public.name(settings.initial_weights), "sha256": paths.sha256(checkpoint_path)}
    if settings.weights:
        file = Path(settings.weights)
        digest = paths.sha256(file)
        known = known_weights.named(file, digest)
        more = {"known": known} if known else {}
        return {"kind": "file", "name": public.name(settings.weights), "sha256": digest, **more}
    if settings.pretrained and (lite := models.find_lite(str(settings.args.get("backbone", settings.name)))):
        return {"kind": "package", "name": lite.package, "sha256": paths.sha256(lite.file)}
    if settings.pretrained:
        return {"kind": "hub", "name": models.hub_id(network) or f"timm's weights of {settings.name}"}
    return {"kind": "random"}


def check_disjoint(what: str, learned: Split, validation: Split) -> None:
    """Refuse a network trained on images that select the checkpoint: its accuracy there would be biased.

    Args:
        what: the network, for the message.
        learned: its training images.
        validation: of the same data set.

    Raises:
        InputError: some images are in both.
    """
    shared = np.isin(validation.indices, learned.indices).sum()
    if shared:
        raise InputError(
            f"{what} was trained on {shared:,} of the {len(validation):,} images that select the checkpoint; "
            "train with its data.split and data.classes, or from other weights"
        )


def check_divided_alike(what: str, said: Mapping[str, Any], dataset: Dataset) -> None:
    """Refuse a network trained on images that validate or test here because its data set was split differently.

    Args:
        what: the network, for the message.
        said: record of its data (`edgefer.data.provenance`).
        dataset: the whole data set of this training.

    Raises:
        InputError: it was trained on such images.
    """
    theirs = data.splits_of(dataset, said)
    if theirs is not None and ((theirs == 0) & np.isin(dataset.splits, (1, 2))).any():
        raise InputError(
            f"{what} was trained on another split of these pictures, including some for validation "
            "or test here; give its labels and --groups, or use other weights"
        )


def sentence(begun_with: dict[str, str]) -> str:
    """Return the record as text."""
    if begun_with["kind"] == "random":
        return "random"
    digest = f" ({begun_with['sha256'][:8]})" if "sha256" in begun_with else ""
    return f"{begun_with['name']}{digest}" + (", from the hub" if begun_with["kind"] == "hub" else "")
