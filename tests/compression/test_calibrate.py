"""Which images calibration accepts and refuses."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer import data
from edgefer.compression import calibrate
from edgefer.data.dataset import Dataset
from edgefer.errors import InputError
from tests.helpers.stripes import stripes


def scheme(tmp_path: Path, **changes: object) -> Path:
    settings = {"images": 100, "split": "train", "stratified": True, "seed": 1, "observer": "minmax", **changes}
    path = tmp_path / "mine.toml"
    lines = (
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in settings.items()
    )
    path.write_text("\n".join(lines).replace("'", '"'))
    return path


def chosen(tmp_path: Path, dataset: Dataset, **changes: object) -> data.Split:
    plan = calibrate.load(str(scheme(tmp_path, **changes)))
    return calibrate.choose(plan, data.split(dataset, "train"), dataset)


def test_the_shipped_scheme_is_found_by_name_and_takes_300_training_images() -> None:
    dataset = stripes(train=700)
    images = calibrate.choose(calibrate.load("stratified-300"), data.split(dataset, "train"), dataset)
    assert len(images) == len(set(images.rows)) == 300
    assert (dataset.splits[images.indices] == 0).all()
    assert (np.bincount(images.labels) >= 42).all()  # 300 / 7


def test_the_same_scheme_chooses_the_same_rows_and_another_seed_others(tmp_path: Path) -> None:
    first, again = chosen(tmp_path, stripes()), chosen(tmp_path, stripes())
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, chosen(tmp_path, stripes(), seed=2).rows)
    assert (np.diff(first.rows) > 0).all()


def test_classes_keep_their_share_and_a_rare_one_is_there(tmp_path: Path) -> None:
    dataset = stripes()
    labels = dataset.labels.copy()
    train = np.flatnonzero(dataset.splits == 0)
    labels[train] = np.where(np.arange(len(train)) < 2, 1, np.where(np.arange(len(train)) % 4 == 0, 3, 4))
    images = chosen(tmp_path, Dataset(**{**vars(dataset), "labels": labels}), images=40)
    counts = np.bincount(images.labels, minlength=7)
    assert counts[1] == 1
    assert counts.sum() == 40
    assert 8 <= counts[3] <= 11  # a quarter


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9).filter(any), st.integers(1, 400))
def test_shares_add_up_and_stay_within_what_there_is(available: list[int], wanted: int) -> None:
    have = np.array(available)
    counts = calibrate._shares(have, min(wanted, have.sum()))
    assert (counts <= have).all()
    assert (counts[have > 0] >= 1).all()
    assert counts.sum() == max(min(wanted, have.sum()), (have > 0).sum())


def test_a_small_data_set_is_taken_whole(tmp_path: Path) -> None:
    assert len(chosen(tmp_path, stripes(train=70), images=100)) == 70


@pytest.mark.parametrize("name", ["val", "test", "public+private"])
def test_images_of_an_evaluation_split_are_refused(tmp_path: Path, name: str) -> None:
    plan, dataset = calibrate.load(str(scheme(tmp_path))), stripes()
    with pytest.raises(InputError, match=f"not of {name.replace('+', '.')}"):
        calibrate.choose(plan, data.split(dataset, name), dataset)


def test_evaluation_images_under_the_name_of_the_train_split_are_refused(tmp_path: Path) -> None:
    plan, dataset = calibrate.load(str(scheme(tmp_path))), stripes()
    disguised = data.split(dataset, "val").subset(np.arange(20), "train")
    with pytest.raises(InputError, match=r"row \d+ is in an evaluation split"):
        calibrate.choose(plan, disguised, dataset)


def test_the_stratified_protocols_validation_images_are_left_alone(tmp_path: Path) -> None:
    dataset = stripes(train=700)
    plan = calibrate.load(str(scheme(tmp_path, images=600)))
    images = calibrate.choose(plan, data.split(dataset, "train", "stratified"), dataset)
    assert not set(images.rows) & set(data.split(dataset, "val", "stratified").rows)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "val"}, "evaluation images"),
        ({"stratified": False}, "random sampling"),
        ({"images": 0}, "images"),
        ({"observer": "guess"}, "observer"),
        ({"imagse": 3}, "imagse"),
    ],
)
def test_a_scheme_that_asks_for_the_wrong_thing_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        calibrate.load(str(scheme(tmp_path, **changes)))


def test_an_unknown_scheme_names_those_there_are() -> None:
    with pytest.raises(InputError, match="stratified-300"):
        calibrate.load("random")


def test_a_scheme_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("images = = 3")
    with pytest.raises(InputError, match="not valid TOML"):
        calibrate.load(str(path))


def test_the_record_lets_anyone_check_the_images(tmp_path: Path) -> None:
    dataset = stripes()
    images = chosen(tmp_path, dataset)
    record = calibrate.record(calibrate.load(str(scheme(tmp_path))), images)
    pixels = dataset.images[np.searchsorted(dataset.rows, record.rows)]
    assert record.digest == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert record.scheme == "mine"
