"""FER+ votes beside FER2013."""

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
    for row, split in enumerate(dataset.splits):
        text.append(f"{usage[split]},fer{row:07}.png,{(lines or {}).get(row, '10,0,0,0,0,0,0,0,0,0')}")
    path.write_text("\n".join(text) + "\n")
    return path


def test_votes_become_shares_and_single_votes_count_for_nothing(dataset: data.Dataset, tmp_path: Path) -> None:
    lines = {0: "6,0,0,3,1,0,0,0,0,0", 1: "1,1,0,0,0,0,0,0,0,0", 2: "0,0,0,0,0,0,0,0,0,0"}
    shares = votes.read(table(dataset, tmp_path / "votes.csv", lines), dataset)
    assert shares.shape == (len(dataset), 10)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares[0], [2 / 3, 0, 0, 1 / 3, 0, 0, 0, 0, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(shares[1], [0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0])  # nothing but single votes
    np.testing.assert_allclose(shares[2], 0.1)  # none at all


def test_images_keep_their_votes_whatever_order_the_data_have(dataset: data.Dataset, tmp_path: Path) -> None:
    path = table(dataset, tmp_path / "votes.csv", {3: "0,10,0,0,0,0,0,0,0,0"})
    turned = dataclasses.replace(dataset, rows=dataset.rows[::-1], splits=dataset.splits[::-1])
    assert np.flatnonzero(votes.read(path, turned)[:, 1]) == [len(dataset) - 1 - 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("", "no table of FER"),
        ("emotion,pixels,Usage\n0,1 2 3,Training\n", "no table of FER"),
        (HEADER + "\nTraining,fer0000000.png,6,0,zero,3,1,0,0,0,0,0\n", "no table of FER"),
        (HEADER + "\nTraining,fer0000000.png,6,0\n", "no table of FER"),
        (HEADER + "\nTraining,fer0000000.png,-6,0,0,3,1,0,0,0,0,0\n", "no table of FER"),
        (HEADER + "\nTraining,fer0000000.png,6,0,0,3,1,0,0,0,0,0\n", "does not belong to"),
        ("\0\n" + HEADER, "no table of FER"),
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
