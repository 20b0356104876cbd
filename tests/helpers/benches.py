"""Results like a bench of a paper's network, made from a small network's: nobody trains for weeks here."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefer import data, recipes
from edgefer.bench.result import BenchResult, Training
from edgefer.claims import images
from edgefer.evaluation import metrics
from edgefer.labels import LABELS

SUPPORTS = {"angry": 958, "disgust": 111, "fear": 1024, "happy": 1774, "sad": 1247, "surprise": 831, "neutral": 1233}
HUB, RANDOM = {"kind": "hub", "name": "timm/a-network"}, {"kind": "random"}


def training(name: str, settings: list[str] | None = None, planned: int | None = None, **changes: Any) -> Training:
    """Return a bundle's record of a finished training, by default with the recipe's values."""
    recipe = recipes.load(name, settings or [], planned)
    fields = {
        "recipe": recipe.model_dump(mode="json"),
        "initial_weights": HUB if recipe.model.pretrained else RANDOM,
        "epochs": recipe.epochs,
        "best_epoch": recipe.epochs,
        "validation_images": 3589,
        "validation_accuracy": 0.7,
    }
    return Training.model_validate({**fields, **changes})


def of(
    small: BenchResult, trained: Training, share: float, split: str = "public+private", digest: str = ""
) -> BenchResult:
    """Return a bench on FER2013's images of a network that is right for a fraction of each class, and else one off.

    Args:
        small: a bench of one bundle, whose latency, files and memory stay.
        trained: how the network was trained.
        share: fraction of each class that FP32 gets right; other networks get everything wrong.
        split: tested split.
        digest: of the data; default: FER2013's.
    """
    digest = digest or images.DIGEST
    classes = tuple(name for name in LABELS if name in (trained.recipe["data"]["classes"] or LABELS))
    networks = []
    for entry in small.networks:
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        for row, name in enumerate(classes):
            right = round(share * SUPPORTS[name]) if entry.network == "fp32" else 0
            matrix[row, row], matrix[row, row - 1] = right, SUPPORTS[name] - right
        count = int(matrix.sum())
        low, high = metrics.wilson(int(np.trace(matrix)), count)
        quality = entry.quality.model_copy(
            update={"accuracy": metrics.accuracy(matrix), "low": low, "high": high, "images": count}
        )
        networks.append(entry.model_copy(update={"quality": quality, "confusion": matrix.tolist(), "leak_free": None}))
    bundle = small.bundles[0].model_copy(
        update={
            "trained_on": small.bundles[0].trained_on.model_copy(update={"digest": digest, "synthetic": False}),
            "training": trained,
        }
    )
    tested = {"split": split, "digest": digest, "classes": classes, "images": sum(SUPPORTS[name] for name in classes)}
    return small.model_copy(
        update={
            "bundles": [bundle],
            "networks": networks,
            "comparisons": [],
            "data": small.data.model_copy(update={**tested, "synthetic": False, "leak_free_images": None}),
        }
    )


def fer2013_has_these(source: data.Dataset) -> dict[str, int]:
    """Return the images of each class in PublicTest and PrivateTest together."""
    rows = data.split(source, "public+private")
    return {name: int((rows.labels == place).sum()) for place, name in enumerate(source.classes)}
