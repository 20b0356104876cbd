"""The synthetic faces: reproducible everywhere, all different, each with a visible expression."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefer import data
from edgefer.data import faces
from edgefer.data.dataset import Dataset
from edgefer.errors import InputError
from edgefer.labels import LABELS


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEFER_CACHE", str(tmp_path_factory.mktemp("shared")))
        return data.builtin(train=1200, val=100, test=300)


def test_the_splits_hold_as_many_as_asked_for(drawn: Dataset) -> None:
    assert [len(data.split(drawn, name)) for name in ("train", "val", "test")] == [1200, 100, 300]
    assert drawn.images.shape == (1600, 48, 48)
    assert drawn.classes == LABELS
    assert drawn.synthetic


def test_every_split_has_every_expression_in_like_shares(drawn: Dataset) -> None:
    shares = [
        np.bincount(part.labels, minlength=7) / len(part)
        for part in (data.split(drawn, name) for name in ("train", "val", "test"))
    ]
    assert np.min(shares) > 0.05
    assert np.max(shares) < 0.25
    assert np.ptp(shares, axis=0).max() < 0.02


def test_no_two_pictures_are_alike(drawn: Dataset) -> None:
    pixels = drawn.images.reshape(len(drawn), -1)
    assert len(np.unique(pixels, axis=0)) == len(drawn)


def test_a_seed_gives_these_pixels_on_every_machine() -> None:
    digest = data.builtin(seed=3, train=70, val=7, test=7).digest
    known = "7f006af552dbd60b1563fee604ec516366ef49ab9a6e5f74b1c9c86b172e91bd"
    assert digest == known, "the faces have changed: raise faces.VERSION, or caches keep the old ones"


def test_the_processor_makes_no_difference(tmp_path: Path) -> None:
    """NumPy's code for the oldest CPUs gives the same faces as its code for this one."""
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    environment = {
        **os.environ,
        "EDGEFER_CACHE": str(tmp_path / "other"),
        "NPY_DISABLE_CPU_FEATURES": " ".join(found),
    }
    script = "from edgefer import data; print(data.builtin(seed=3, train=70, val=7, test=7).digest)"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == data.builtin(seed=3, train=70, val=7, test=7).digest


def test_another_seed_gives_other_faces(drawn: Dataset) -> None:
    other = data.builtin(seed=1, train=64, val=0, test=0)
    assert not (other.images == drawn.images[:64]).all(axis=(1, 2)).any()


def test_the_test_pictures_do_not_depend_on_how_many_train() -> None:
    few, more = data.builtin(train=10, val=5, test=40), data.builtin(train=90, val=20, test=40)
    few_test, more_test = data.split(few, "test"), data.split(more, "test")
    assert np.array_equal(few_test.take(slice(None)), more_test.take(slice(None)))
    assert np.array_equal(few_test.labels, more_test.labels)


def test_pixels_are_about_as_bright_and_as_spread_as_those_of_fer2013(drawn: Dataset) -> None:
    assert drawn.images.mean() / 255 == pytest.approx(0.51, abs=0.04)  # FER2013: 0.508 and 0.255
    assert drawn.images.std() / 255 == pytest.approx(0.255, abs=0.04)


def test_brightness_differs_far_less_between_pictures_than_a_wrong_mean_would_change_it(drawn: Dataset) -> None:
    assert drawn.images.mean(axis=(1, 2)).std() / 255 < 0.125  # of the mean of 0.5, which code could forget


def test_the_second_time_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.builtin(train=20, val=5, test=5)

    def no(*args: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(faces, "_draw", no)
    again = data.builtin(train=20, val=5, test=5)
    assert again.synthetic
    assert again.digest == first.digest
    with pytest.raises(AssertionError, match="drawn again"):
        data.builtin(seed=1, train=20, val=5, test=5)


def test_without_a_cache_they_are_drawn_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = data.builtin(train=20, val=5, test=5)
    no_folder = tmp_path / "file"
    no_folder.touch()
    monkeypatch.setenv("EDGEFER_CACHE", str(no_folder))
    held = data.builtin(train=20, val=5, test=5)
    assert held.synthetic
    assert held.digest == cached.digest
    assert np.array_equal(held.images, cached.images)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"train": -5}, {"train": 0, "val": 0, "test": 0}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="synthetic faces"):
        data.builtin(**wrong)


def test_an_expression_can_be_told_from_pixels(drawn: Dataset) -> None:
    """Even a linear classifier, fitted to a few pictures, is right much more often than chance, and sometimes wrong."""
    train, test = data.split(drawn, "train"), data.split(drawn, "test")
    most_frequent = np.bincount(test.labels).max() / len(test)
    accuracy = _linear_accuracy(_pixels(train), train.labels, _pixels(test), test.labels)
    assert 2 * most_frequent < accuracy < 0.95
    shuffled = np.random.default_rng(0).permutation(train.labels)
    assert _linear_accuracy(_pixels(train), shuffled, _pixels(test), test.labels) < 1.5 * most_frequent


def _pixels(part: data.Split) -> NDArray[np.float64]:
    """Return the mean of each 2x2 block, minus the picture's mean: float64, (n, 576)."""
    small = part.take(slice(None)).reshape(-1, 24, 2, 24, 2).mean(axis=(2, 4)).reshape(-1, 576) / 255
    centred: NDArray[np.float64] = small - small.mean(axis=1, keepdims=True)
    return centred


def _linear_accuracy(
    x: NDArray[np.float64], y: NDArray[np.int64], other_x: NDArray[np.float64], other_y: NDArray[np.int64]
) -> float:
    """Fit ridge regression to one-hot labels; return its accuracy on other pictures."""
    targets = np.eye(len(LABELS))[y]
    weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ (targets - targets.mean(axis=0)))
    return float(((other_x @ weights + targets.mean(axis=0)).argmax(axis=1) == other_y).mean())
