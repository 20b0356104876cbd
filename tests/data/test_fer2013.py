"""FER2013 itself, against the figures of its README; the project does not include it."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer import data
from edgefer.labels import LABELS

DIGEST = "c948a9ab252a92fda26c37bfb8b057563efb70e55c7da0fba5c4ec5f6206d29e"


@pytest.fixture(scope="module")
def dataset(fer2013: Path) -> data.Dataset:
    return data.load(fer2013)


def test_it_is_recognised(dataset: data.Dataset) -> None:
    assert (dataset.name, dataset.digest, dataset.classes) == ("FER2013", DIGEST, LABELS)
    assert dataset.images.shape == (35_887, 48, 48)
    assert np.array_equal(dataset.rows, np.arange(35_887))


def test_its_audit_says_what_is_known_of_it(dataset: data.Dataset) -> None:
    found = data.audit(dataset)

    assert [sum(counts.values()) for counts in found.counts.values()] == [28_709, 3_589, 3_589]
    assert found.counts["train"]["disgust"] == 436
    assert (round(found.mean[0], 4), round(found.std[0], 4)) == (0.5077, 0.2550)
    assert (found.identical.groups, found.identical.images) == (1516, 3369)
    assert found.identical.groups_train_and_rest == 531
    assert found.identical.test_in_train == 288
    assert found.identical.groups_with_two_labels == 57


def test_its_splits(dataset: data.Dataset) -> None:
    sizes = {
        name: len(data.split(dataset, name)) for name in ("train", "val", "test", "test-leak-free", "public+private")
    }
    stratified = {name: len(data.split(dataset, name, "stratified")) for name in ("train", "val")}

    assert sizes == {"train": 28_709, "val": 3_589, "test": 3_589, "test-leak-free": 3_301, "public+private": 7_178}
    assert sum(stratified.values()) == 28_709
    assert stratified["val"] == pytest.approx(28_709 / 8, abs=30)  # copies stay together


@pytest.mark.slow
def test_all_its_layouts_give_the_same_arrays(fer2013: Path, dataset: data.Dataset, tmp_path: Path) -> None:
    with zipfile.ZipFile(fer2013) as archive:
        archive.extractall(tmp_path / "folder")
    table = tmp_path / "fer2013.csv"
    script = fer2013.with_name("to_csv.py")  # beside the data, not written here
    if not script.exists():
        pytest.fail(f"{script} is not here; it comes with the data set")
    subprocess.run([sys.executable, script, fer2013, table], check=True)
    with tarfile.open(tmp_path / "fer2013.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(table, "fer2013/fer2013.csv")
    with table.open() as old, (tmp_path / "icml_face_data.csv").open("w") as new:
        new.write("emotion, Usage, pixels\n")
        new.writelines(f"{emotion},{usage},{pixels}\n" for emotion, pixels, usage in list(csv.reader(old))[1:])

    for path in (tmp_path / "folder", table, tmp_path / "fer2013.tar.gz", tmp_path / "icml_face_data.csv"):
        other = data.load(path)
        assert other.digest == DIGEST, path.name
        assert np.array_equal(other.images, dataset.images)
        assert np.array_equal(other.labels, dataset.labels)
        assert np.array_equal(other.splits, dataset.splits)
        assert np.array_equal(other.rows, dataset.rows)


def test_pixels_are_those_of_the_file(fer2013: Path, dataset: data.Dataset) -> None:
    with zipfile.ZipFile(fer2013) as archive:
        for row in (0, 28_709, 35_886):
            (name,) = (name for name in archive.namelist() if name.endswith(f"_{row:05}.png"))
            picture = np.asarray(Image.open(io.BytesIO(archive.read(name))))
            assert np.array_equal(dataset.images[row], picture)
            assert dataset.classes[dataset.labels[row]] == name.split("/")[1]
