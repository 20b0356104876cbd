"""Attribute tables, matched to a data set's pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer import data
from edgefer.data import attributes
from edgefer.errors import InputError
from tests.helpers import samples


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> data.Dataset:
    """Return class folders in ``faces``; each file name below test also occurs in train."""
    monkeypatch.chdir(tmp_path)
    for split, seed in (("train", 1), ("test", 2)):
        images = samples.pictures(np.repeat(np.arange(2), 10).astype(np.int64), seed=seed)
        for place, image in enumerate(images):
            folder = Path("faces", split, ("happy", "sad")[place // 10])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{place}.png")
    return data.load("faces")


def read(text: str, dataset: data.Dataset) -> attributes.Attributes:
    Path("people.csv").write_bytes(text.encode() if text.isascii() else text.encode("utf-16"))
    return attributes.read(Path("people.csv"), dataset, data.split(dataset, "test"))


@pytest.mark.parametrize(
    "name", ["test/happy/3.png", "faces/test/happy/3.png", "./test/happy/3.png", "/home/me/faces/test/happy/3.png"]
)
def test_a_picture_is_named_by_the_end_of_its_path(dataset: data.Dataset, name: str) -> None:
    found = read(f"path,sex\n{name},f\n{name.replace('/', chr(92))},f\n", dataset)
    assert (found.matched, found.unmatched, found.unused) == (1, 19, 0)
    assert found.columns["sex"][3] == "f"


def test_what_may_be_one_picture_or_another_is_none(dataset: data.Dataset) -> None:
    found = read("path,sex\ntest/sad/12.png,m\nhappy/3.png,f\n4.png,f\nother/test/happy/3.png,f\n", dataset)
    assert (found.matched, found.unused) == (1, 3)  # train also has happy/3.png and 4.png


def test_a_number_is_a_row_of_the_source(dataset: data.Dataset) -> None:
    rows, other = data.split(dataset, "test").rows, data.split(dataset, "train").rows[0]
    for head in ("index", "whatever"):
        found = read(f"{head};camera;person\n{rows[5]};a;p1\n{rows[6]};b;p1\n{other};a;p2\n", dataset)
        assert (found.matched, found.unused) == (2, 1)
        assert found.columns == {"camera": ["", "", "", "", "", "a", "b", *[""] * 13]}
        assert found.people is not None
        assert found.people[5:7] == ["p1", "p1"]
        again = read(found.table(data.split(dataset, "test")), dataset)
        assert (again.columns, again.people, again.matched) == (found.columns, found.people, 20)


def test_many_numbers_become_ranges_and_many_names_no_groups(dataset: data.Dataset) -> None:
    names = [f"test/{('happy', 'sad')[n // 10]}/{n}.png" for n in range(20)]
    lines = [f"{n},{name},{20 + 3 * n},{n / 7:.3f},n{n},ü" for n, name in enumerate(names)]
    found = read("\n".join(["id,image,age,score,note,word", *lines]), dataset)
    assert found.key == "image"
    assert [*dict.fromkeys(found.columns["age"])] == [f"{n} to {n + 9}" for n in (20, 30, 40, 50, 60, 70)]
    assert found.columns["score"][:4] == ["0 to <0.5"] * 4
    assert {*found.columns["word"]} == {"ü"}
    assert len({*found.columns["note"]}) == 20


def test_ranges_have_what_their_names_say(dataset: data.Dataset) -> None:
    rows = data.split(dataset, "test").rows
    lines = [f"{row},{n % 11 / 10},{1_700_000_000.5 + n},1.{n * '0'}" for n, row in enumerate(rows)]
    found = read("\n".join(["row,share,time,one", *lines]), dataset).columns
    assert [found["share"][n] for n in (5, 6, 7)] == ["0.4 to <0.6", "0.6 to <0.8", "0.6 to <0.8"]
    assert found["time"][0] == "1700000000 to <1700000005"
    assert len({*found["time"]}) == 4
    assert len({*found["one"]}) == 20  # one number, twenty texts: no ranges


def test_another_machine_takes_the_same_column_for_people(dataset: data.Dataset) -> None:
    rows = data.split(dataset, "test").rows
    for head in ("person,subject", "subject,person"):
        found = read(f"row,{head}\n" + "\n".join(f"{row},p{row % 4},q{row % 3}" for row in rows), dataset)
        again = read(found.table(data.split(dataset, "test")), dataset)
        assert (again.columns, again.people) == (found.columns, found.people)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no rows"),
        ("path,sex\n", "has no rows"),
        ("path\ntest/happy/1.png\n", "its first line must have 2 to 20 unique column names"),
        ("path,sex,sex\ntest/happy/1.png,f,m\n", "unique column names"),
        ("path,sex\ntest/happy/1.png,f,m\n", "row 2 has 3 cells, but the header has 2"),
        ("path,sex\ntest/happy/1.png,f\ntest/happy/1.png,m\n", "row 3: test/happy/1.png occurs twice"),
        ("path,sex\nelsewhere.png,f\n", "its column path has elsewhere.png, while pictures there look like faces/t"),
        ("path,person\ntest/happy/1.png,anna\n", "there are only pictures and people"),
        ("path,sex\ntest/happy/1.png,\n", "column sex has no value for any picture"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_a_line(dataset: data.Dataset, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(text, dataset)
    assert "\n" not in str(caught.value)
