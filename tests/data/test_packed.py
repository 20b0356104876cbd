"""Packed data: a subset that gives the full set's figures, and is refused once modified."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefer import bundle, data
from edgefer.bench.measurement import bench
from edgefer.data import packed
from edgefer.data.dataset import Dataset
from edgefer.errors import InputError
from edgefer.labels import LABELS
from tests.helpers import samples, sources


def packed_to(folder: Path, dataset: Dataset, split: str = "test") -> Path:
    folder.mkdir()
    packed.write(dataset, split, folder)
    return folder


def test_the_part_has_the_images_of_its_split_and_those_of_training_that_stand_in_it(tmp_path: Path) -> None:
    whole = samples.dataset()  # the first 10 of 70 test images also occur in training

    part = data.load(packed_to(tmp_path / "part", whole))

    assert len(part) == 80
    assert np.bincount(part.splits).tolist() == [10, 0, 70]
    for name in ("test", "test-leak-free"):
        here, there = data.split(part, name), data.split(whole, name)
        assert np.array_equal(here.rows, there.rows)
        assert np.array_equal(here.labels, there.labels)
        assert np.array_equal(here.take(slice(None)), there.take(slice(None)))
    assert (part.name, part.classes, part.synthetic) == ("greys", LABELS, True)
    assert isinstance(part.images, np.memmap)


@pytest.mark.parametrize("split", ["test", "public+private"])
def test_a_bench_over_the_part_has_the_figures_of_one_over_the_whole(split: str, tmp_path: Path) -> None:
    whole = samples.dataset(each=35)
    made = samples.write(tmp_path / "bundle")
    part = data.load(packed_to(tmp_path / "part", whole, split))

    here, there = (bench([made], dataset, split=split, seconds=0.01) for dataset in (part, whole))

    assert here.data.images == there.data.images
    assert here.data.leak_free_images == there.data.leak_free_images
    for one, other in zip(here.networks, there.networks, strict=True):
        assert one.quality == other.quality
        assert one.leak_free == other.leak_free
        assert one.confusion == other.confusion
    told = [
        [line for line in result.warnings if "accuracy" in line or "trained on" in line] for result in (here, there)
    ]
    assert told[0] == told[1]


def test_a_network_that_was_trained_on_something_else_is_told_so(tmp_path: Path) -> None:
    other = samples.write(tmp_path / "b", data=bundle.DataEntry(name="others", digest="f" * 64, synthetic=False))
    part = data.load(packed_to(tmp_path / "part", samples.dataset()))

    warnings = bench([other], part, seconds=0.01).warnings

    assert "grey was trained on others (ffffffff), but is evaluated on greys (dddddddd)" in warnings


@pytest.mark.parametrize("layout", ["csv", "folder"])
def test_what_was_read_from_a_source_is_packed(layout: str, tmp_path: Path) -> None:
    rows = sources.small()
    path = sources.write_csv(tmp_path / "a.csv", rows)
    whole = data.load(path if layout == "csv" else sources.write_folder(tmp_path / "faces", rows))

    part = data.load(packed_to(tmp_path / "part", whole))

    assert np.array_equal(part.images, rows.images[35:])
    assert part.rows.tolist() == list(range(35, 42))
    assert part.part is not None
    assert (part.part.whole, part.part.split, part.whole_digest) == (whole.digest, "test", whole.digest)


def test_colour_and_a_carved_split(tmp_path: Path) -> None:
    grey = samples.dataset(carved=("val",))
    whole = replace(grey, images=np.repeat(grey.images[..., None], 3, axis=3))

    part = data.load(packed_to(tmp_path / "part", whole, "public+private"))

    assert part.images.shape == (70, 12, 12, 3)
    assert np.array_equal(data.split(part, "public+private").rows, data.split(whole, "public+private").rows)


def test_all_images_packed_have_the_digest_of_the_whole(tmp_path: Path) -> None:
    rows = sources.small()
    rows.usages[:] = ["PrivateTest"] * len(rows.usages)
    rows.usages[0] = "Training"
    rows.images[1] = rows.images[0]
    whole = data.load(sources.write_csv(tmp_path / "a.csv", rows))
    if whole.carved:
        pytest.fail("this table must say of each image what it is for")

    assert data.load(packed_to(tmp_path / "part", whole)).digest == whole.digest


def test_fer2013_s_test_split_is_a_tenth_of_it(fer2013: Path, tmp_path: Path) -> None:
    folder = packed_to(tmp_path / "part", data.load(fer2013))

    part = data.load(folder)

    assert len(data.split(part, "test")) == 3_589
    assert len(data.split(part, "test-leak-free")) == 3_301
    assert part.name == "FER2013"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10e6


@pytest.mark.parametrize("name", ["train", "val", "public+private"])
def test_a_part_is_not_taken_for_the_whole(name: str, tmp_path: Path) -> None:
    part = data.load(packed_to(tmp_path / "part", samples.dataset()))

    with pytest.raises(InputError, match=r"holds only the split 'test'"):
        data.split(part, name)


def test_a_split_that_is_not_there_cannot_be_packed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown split 'holdout'"):
        packed.write(samples.dataset(), "holdout", tmp_path)
    assert list(tmp_path.iterdir()) == []


# Modified packed data


def told(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        known = json.loads((folder / "packed.json").read_text())
        (folder / "packed.json").write_text(json.dumps({**known, **changes}))

    return change


def flipped(name: str, place: int = -1) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(content)

    return change


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - 1)


def pickled(folder: Path) -> None:
    np.save(folder / "labels.npy", np.array([print] * 80, dtype=object), allow_pickle=True)


def piped(folder: Path) -> None:
    (folder / "rows.npy").unlink()
    os.mkfifo(folder / "rows.npy")


def mislabelled(folder: Path) -> None:
    whole = samples.dataset()
    whole.labels[150] = 7
    packed.write(whole, "test", folder)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "images cut": (cut("images.npy"), "images.npy has"),
    "labels cut": (cut("labels.npy"), "labels.npy has"),
    "a pixel changed": (flipped("images.npy"), "digest"),
    "a label changed": (flipped("labels.npy", -8), "digest"),
    "a row changed": (flipped("rows.npy", -8), "digest"),
    "a header changed": (flipped("splits.npy", 20), "type or shape"),
    "splits gone": (lambda folder: (folder / "splits.npy").unlink(), "no file splits.npy"),
    "a pipe": (piped, "no file rows.npy"),
    "pickled objects": (pickled, "labels.npy"),
    "a label of no class": (mislabelled, "no name"),
    "more images than there are": (told(shape=[2**31, 12, 12]), "images.npy has"),
    "more than memory has": (told(shape=[2**31, 2**31, 2**31]), "images.npy has"),
    "no images": (told(shape=[0, 12, 12]), "shape"),
    "a negative size": (told(shape=[80, -12, -12]), "shape"),
    "four colours": (told(shape=[80, 6, 6, 4]), "shape"),
    "another format": (told(format=2), "format"),
    "another kind": (told(kind="edgefer bench"), "kind"),
    "something more": (told(run="rm"), "run"),
    "a digest that is none": (told(whole="x"), "whole"),
    "a split that is none": (told(split="../test"), "split"),
    "two classes of one name": (told(classes=["happy"] * 7), "not unique"),
    "a name that moves the cursor": (told(name="\x1b[2J"), "unprintable"),
    "empty": (lambda folder: (folder / "packed.json").write_bytes(b""), "JSON"),
    "not text": (lambda folder: (folder / "packed.json").write_bytes(b"\xff\xfe\x00"), "packed.json"),
    "deep": (lambda folder: (folder / "packed.json").write_bytes(b"[" * 100_000), "packed.json"),
    "too large": (lambda folder: (folder / "packed.json").write_bytes(bytes(2 << 20)), "at most 1,048,576"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_and_hostile_folders_are_refused(damage: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    folder = packed_to(tmp_path / "part", samples.dataset())
    damage(folder)

    with pytest.raises(InputError) as caught:
        data.load(folder)

    message = str(caught.value)
    assert words in message
    assert "\n" not in message
    assert message.isprintable()
    assert str(folder) in message
