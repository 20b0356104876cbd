"""A data set small enough to train on in a test: the class is the stripe width."""

from __future__ import annotations

import hashlib

import numpy as np

from edgefer import recipes
from edgefer.data.dataset import Dataset
from edgefer.labels import LABELS
from edgefer.recipes import Recipe


def stripes(seed: int = 0, train: int = 224, others: int = 70) -> Dataset:
    rng = np.random.default_rng(seed)
    count = train + 2 * others
    labels = np.arange(count) % len(LABELS)
    rows = np.arange(48)[None, :, None]
    period = 3 + 2 * labels[:, None, None]
    waves = 60 * np.sin(2 * np.pi * (rows / period + rng.random((count, 1, 1))))
    noisy = 110 + waves + rng.normal(0, 20, (count, 48, 48))
    images = np.clip(noisy, 0, 255).astype(np.uint8)
    splits = np.repeat([0, 1, 2], [train, others, others]).astype(np.uint8)
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    return Dataset("stripes", "a test", images, labels, splits, np.arange(count), LABELS, digest)


def small_recipe(*settings: str, epochs: int = 2) -> Recipe:
    small = (
        "model.args.widths=[8, 16]",
        "model.args.blocks=[1, 1]",
        "model.args.stem_stride=2",
        "train.batch_size=32",
        "train.precision=fp32",
        "phases.0.lr=0.05",
    )
    return recipes.load("quickstart", (*small, *settings), epochs=epochs)
