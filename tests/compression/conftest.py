"""A small data set on disk and a network trained on it, once for all compression tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgefer import data
from edgefer.training.trainer import train
from tests.helpers.stripes import small_recipe, stripes


@pytest.fixture(scope="session")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the stripes to a fer2013.csv and return it."""
    images = stripes(train=448, others=140)
    usage = ("Training", "PublicTest", "PrivateTest")
    lines = ["emotion,pixels,Usage"]
    for pixels, label, split in zip(images.images, images.labels, images.splits, strict=True):
        lines.append(f"{label},{' '.join(map(str, pixels.ravel()))},{usage[split]}")
    path = tmp_path_factory.mktemp("data") / "fer2013.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def trained(csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run's folder."""
    torch.set_num_threads(1)
    recipe = small_recipe("phases.0.lr=0.1", "train.ema=0.8", epochs=8)
    result = train(recipe, data.load(csv), tmp_path_factory.mktemp("trained") / "run")
    assert result.val_accuracy > 0.8
    return result.run
