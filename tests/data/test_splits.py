"""Which images are used for training, validation and test."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from edgefer import data
from edgefer.data.dataset import SPLITS, spread
from edgefer.data.splits import stratified
from edgefer.errors import InputError
from tests.helpers import sources


@pytest.fixture
def dataset(tmp_path: Path) -> data.Dataset:
    """Return a small FER2013: two PrivateTest images also occur in Training, one of them in PublicTest."""
    rows = sources.small()
    rows.images[35] = rows.images[3]
    rows.images[37] = rows.images[3]
    rows.images[30] = rows.images[3]
    rows.images[31] = rows.images[36]  # only in PublicTest and PrivateTest
    return data.load(sources.write_csv(tmp_path / "a.csv", rows))


def test_official_splits_are_the_usages(dataset: data.Dataset) -> None:
    assert data.split(dataset, "train").rows.tolist() == list(range(28))
    assert data.split(dataset, "val").rows.tolist() == list(range(28, 35))
    assert data.split(dataset, "test").rows.tolist() == list(range(35, 42))
    assert data.split(dataset, "public+private").rows.tolist() == list(range(28, 42))
    assert data.split(dataset, "all").rows.tolist() == list(range(42))


def test_a_split_has_its_own_images_and_labels(dataset: data.Dataset) -> None:
    rows = sources.small()
    val = data.split(dataset, "val")

    assert np.array_equal(val.labels, rows.emotions[28:35])
    assert np.array_equal(val.take(np.array([1, 0])), dataset.images[[29, 28]])
    assert [len(labels) for _, labels in val.batches(3)] == [3, 3, 1]


@pytest.mark.parametrize("protocol", ["official", "stratified"])
def test_the_leak_free_test_split_has_no_image_of_training(
    protocol: Literal["official", "stratified"], dataset: data.Dataset
) -> None:
    clean = data.split(dataset, "test-leak-free", protocol)

    assert clean.rows.tolist() == [36, 38, 39, 40, 41]


def test_stratified_leaves_public_test_alone(dataset: data.Dataset) -> None:
    train, val = (data.split(dataset, name, "stratified") for name in ("train", "val"))

    assert sorted([*train.rows, *val.rows]) == list(range(28))
    assert np.bincount(val.labels).tolist() == [1] * 7
    assert data.split(dataset, "test", "stratified").rows.tolist() == list(range(35, 42))
    assert len(data.split(dataset, "public+private", "stratified")) == 14


def test_stratified_of_a_source_that_was_divided_already(tmp_path: Path) -> None:
    """If the 12.5 % were chosen on loading, they are the same images; no image is held out twice."""
    counts = {"train/happy": 160, "train/sad": 40, "test/happy": 10, "test/sad": 10}
    dataset = data.load(sources.class_folders(tmp_path, counts, (8, 8)))

    for name in ("train", "val"):
        official, again = data.split(dataset, name), data.split(dataset, name, "stratified")
        assert np.array_equal(official.rows, again.rows)
    assert len(data.split(dataset, "public+private")) == 20


def test_copies_of_an_image_are_never_on_both_sides_of_a_division(tmp_path: Path) -> None:
    """Nor if some of them have another label."""
    sources.class_folders(tmp_path / "a", {"happy": 60, "sad": 60}, (8, 8))
    for i in range(60):
        shutil.copy(tmp_path / "a" / "happy" / f"{i}.png", tmp_path / "a" / "happy" / f"copy {i}.png")
    shutil.copy(tmp_path / "a" / "happy" / "7.png", tmp_path / "a" / "sad" / "seven.png")

    dataset = data.load(tmp_path / "a")

    pixels = {name: {image.tobytes() for image in dataset.images[dataset.splits == i]} for i, name in enumerate(SPLITS)}
    assert not pixels["train"] & pixels["val"]
    assert not pixels["train"] & pixels["test"]
    assert not pixels["val"] & pixels["test"]
    assert np.bincount(dataset.splits).tolist() == pytest.approx([135, 23, 23], abs=4)


def test_stratified_keeps_copies_together(tmp_path: Path) -> None:
    rows = sources.small()
    rows.images[14:28] = rows.images[:14]
    dataset = data.load(sources.write_csv(tmp_path / "a.csv", rows))

    train, val = (data.split(dataset, name, "stratified") for name in ("train", "val"))

    assert len(train) + len(val) == 28
    copies = {image.tobytes() for image in train.take(np.arange(len(train)))}
    assert not copies & {image.tobytes() for image in val.take(np.arange(len(val)))}


def test_shares_hold_for_each_class() -> None:
    labels = np.repeat(np.arange(4), (1000, 100, 33, 3))

    parts = stratified(labels, (0.75, 0.125, 0.125))

    table = [np.bincount(parts[labels == label], minlength=3).tolist() for label in range(4)]
    assert table == [[750, 125, 125], [74, 13, 13], [25, 4, 4], [1, 1, 1]]


def test_the_division_never_changes() -> None:
    """Published results depend on this selection, so the test fixes it."""
    labels = np.repeat(np.arange(2), 16)

    parts = stratified(labels, (0.875, 0.125), seed=42)

    assert np.flatnonzero(parts).tolist() == [0, 1, 18, 22]
    assert np.flatnonzero(stratified(labels, (0.875, 0.125), seed=43)).tolist() != [0, 1, 18, 22]


def test_unknown_names(dataset: data.Dataset) -> None:
    with pytest.raises(InputError, match=r"'validation'.*test-leak-free"):
        data.split(dataset, "validation")
    with pytest.raises(InputError, match=r"'random'.*stratified"):
        data.split(dataset, "train", "random")  # type: ignore[arg-type]


def test_places_are_spread_from_the_first_to_the_last_and_all_where_there_are_few() -> None:
    assert spread(101, 5).tolist() == [0, 25, 50, 75, 100]
    assert spread(3, 64).tolist() == [0, 1, 2]
    assert spread(0, 64).tolist() == []
    for count in range(1, 200):
        places = spread(count, 64)
        assert len(set(places.tolist())) == min(count, 64)
        assert (places[0], places[-1]) == (0, count - 1)
