"""A bundle on data with other classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgefer
from edgefer import data
from edgefer.errors import InputError
from edgefer.labels import LABELS


def folder(top: Path, classes: list[str]) -> Path:
    """Write test pictures of synthetic faces, and noise for a class that they lack."""
    faces = data.builtin(train=7, val=7, test=70)
    rows = data.split(faces, "test")
    for name in classes:
        chosen = np.flatnonzero(rows.labels == LABELS.index(name)) if name in LABELS else np.arange(4)
        for place in chosen[:8]:
            (top / "test" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(rows.take(chosen[:8])[list(chosen).index(place)]).save(top / "test" / name / f"{place}.png")
    return top


def test_a_bench_judges_on_the_classes_that_both_know_and_says_what_is_left_out(tmp_path: Path) -> None:
    found = edgefer.bench("edgefer-nano", folder(tmp_path, ["happy", "sad", "surprise", "bored"]), seconds=0.05)

    (network,) = found.networks
    assert network.shared is not None
    assert network.quality.images == network.shared.images == found.data.images == 24
    assert network.shared.accuracy >= network.quality.accuracy
    matrix = np.array(network.confusion)
    assert matrix.sum() == 24
    assert matrix[LABELS.index("angry")].sum() == 0
    (said,) = [each for each in found.warnings if "shared by network and data" in each]
    assert "happy, sad, surprise" in said
    assert "the data have no angry, disgust, fear, neutral" in said
    assert "4 images of bored are skipped" in said


def test_data_with_no_class_of_the_network_are_refused(tmp_path: Path) -> None:
    for name, error in (("12", "--labels"), ("ab", "--map --save")):
        place = tmp_path / name
        folder(place, [*name])
        with pytest.raises(InputError, match=error):
            edgefer.bench("edgefer-nano", place, seconds=0.05)
