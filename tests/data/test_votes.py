"""FER+ votes for FER2013."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgefer import data
from edgefer.data import votes
from edgefer.errors import InputError

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.fixture
def dataset() -> data.Dataset:
    drawn = data.builtin(train=70, val=7, test=7)
    return dataclasses.replace(drawn, rows=np.arange(len(drawn)))


def table(dataset: data.Dataset, path: Path, lines: dict[int, str] | None = None) -> Path:
    usage = ("Training", "PublicTest", "PrivateTest")
    text = [HEADER]
    place = {"angry": 4, "disgust": 5, "fear": 6, "happy": 1, "sad": 3, "surprise": 2, "neutral": 0}
    for row, (split, label) in enumerate(zip(dataset.splits, dataset.labels, strict=True)):
        seen = ",".join("10" if kind == place[dataset.classes[label]] else "0" for kind in range(10))
        text.append(f"{usage[split]},fer{row:07}.png,{(lines or {}).get(row, seen)}")
    path.write_text("\n".join(text) + "\n")
    return path


def test_votes_become_shares_and_single_votes_count_for_nothing(dataset: data.Dataset, tmp_path: Path) -> None:
    lines = {0: "6,0,0,3,1,0,0,0,0,0", 1: "1,1,0,0,0,0,0,0,0,0", 2: "0,0,0,0,0,0,0,0,0,0"}
    shares = votes.read(table(dataset, tmp_path / "votes.csv", lines), dataset)
    assert shares.shape == (len(dataset), 10)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[0], [2 / 3, 0, 0, 1 / 3, 0, 0, 0, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(shares[1], [0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0])  # only single votes
    np.testing.assert_allclose(shares[2], 0.1)  # no votes


def test_images_keep_their_votes_whatever_order_the_data_have(dataset: data.Dataset, tmp_path: Path) -> None:
    path = table(dataset, tmp_path / "votes.csv", {3: "0,0,0,0,0,0,0,10,0,0"})
    back = {key: getattr(dataset, key)[::-1] for key in ("rows", "splits", "labels")}
    turned = dataclasses.replace(dataset, **back)
    assert np.flatnonzero(votes.read(path, turned)[:, 7]) == [len(dataset) - 1 - 3]


def test_votes_that_do_not_fit_the_labels_are_those_of_other_images(dataset: data.Dataset, tmp_path: Path) -> None:
    path = table(dataset, tmp_path / "votes.csv")
    moved = dataclasses.replace(dataset, labels=(dataset.labels + 1) % 7)
    with pytest.raises(InputError, match=r"its votes fit 0% of the labels"):
        votes.read(path, moved)


def test_fer2013_and_its_votes_fit(fer2013: Path) -> None:
    shares = votes.read(fer2013.with_name("fer2013new.csv"), data.load(fer2013))
    assert shares.shape == (35_887, 10)
    assert np.isfinite(shares).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not there"),
        ("", "not a table of FER"),
        ("emotion,pixels,Usage\n0,1 2 3,Training\n", "not a table of FER"),
        (HEADER + "\nTraining,fer0000000.png,6,0,zero,3,1,0,0,0,0,0\n", "not a table of FER"),
        (HEADER + "\nTraining,fer0000000.png,6,0\n", "not a table of FER"),
        (HEADER + "\nTraining,fer0000000.png,-6,0,0,3,1,0,0,0,0,0\n", "not a table of FER"),
        (HEADER + "\nTraining,fer0000000.png,6,0,0,3,1,0,0,0,0,0\n", "does not belong to"),
        ("\0\n" + HEADER, "not a table of FER"),
        (HEADER + "\nTraining,fer0000000.png,99999999999999999999999,0,0,3,1,0,0,0,0,0\n", "not a table of FER"),
        (HEADER + "\nTraining,fer0000000.png," + "9" * 6000 + ",0,0,3,1,0,0,0,0,0\n", "not a table of FER"),
    ],
)
def test_another_file_is_refused_in_one_line(
    dataset: data.Dataset, tmp_path: Path, text: str | None, said: str
) -> None:
    path = tmp_path / "votes.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        votes.read(path, dataset)
    assert "\n" not in str(caught.value)


def test_votes_of_other_splits_are_refused(dataset: data.Dataset, tmp_path: Path) -> None:
    path = table(dataset, tmp_path / "votes.csv")
    other = dataclasses.replace(dataset, splits=dataset.splits[::-1])
    with pytest.raises(InputError, match="other splits"):
        votes.read(path, other)
