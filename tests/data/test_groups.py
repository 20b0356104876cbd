"""Splits made by edgefer never share a person, a film or a picture."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from edgefer import data
from edgefer.data import near_duplicates, new_splits
from edgefer.data.dataset import SPLITS
from edgefer.data.groups import from_names
from edgefer.errors import InputError
from tests.helpers import lab, sources


def sides(dataset: data.Dataset, known: dict[bytes, int]) -> dict[int, set[str]]:
    """Return the splits of each person."""
    found: dict[int, set[str]] = {}
    for image, split in zip(dataset.images, dataset.splits, strict=True):
        found.setdefault(known[image.tobytes()], set()).add(SPLITS[split])
    return found


def shares(dataset: data.Dataset) -> NDArray[np.float64]:
    table = np.zeros((3, len(dataset.classes)))
    np.add.at(table, (dataset.splits, dataset.labels), 1)
    return table / table.sum(axis=0)


_SUBJECTS = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM", "AB", "CD")
NAMES: dict[str, lab.Name] = {
    "CK+ file names": lambda p, e, f: f"S{p + 5:03}_{lab.EXPRESSIONS.index(e) + 1:03}_{f + 1:08}",
    "KDEF file names": lambda p, e, f: f"{'AB'[f % 2]}F{p + 1:02}{e[:2].upper()}{('S', 'HL', 'HR', 'FL')[f]}",
    "JAFFE file names": lambda p, e, f: f"{_SUBJECTS[p]}.{e[:2].upper()}{f + 1}.{10 * p + f}",
    "RaFD file names": lambda p, e, f: f"Rafd{45 * f:03}_{p + 1:02}_Caucasian_female_{e}_frontal",
    "numbers of people in file names": lambda p, e, f: f"subject_{p}_{e}_{f:04}",
    "a folder for each person": lambda p, e, f: f"anyone {p}/{f}",
}


@pytest.mark.parametrize("rule", NAMES)
def test_nobody_is_on_two_sides_where_names_tell_who_is_in_a_picture(rule: str, tmp_path: Path) -> None:
    known = lab.write(tmp_path, NAMES[rule])

    dataset = data.load(tmp_path)

    assert dataset.division is not None
    assert (dataset.division.by, dataset.division.rule) == ("person", rule)
    assert dataset.division.groups == lab.PEOPLE
    assert all(len(splits) == 1 for splits in sides(dataset, known).values())
    assert shares(dataset)[1:] == pytest.approx(0.125, abs=0.05)  # of each class; a person is 8 %
    assert f"{lab.PEOPLE} people, by {rule}" in dataset.division.sentence


def test_a_folder_of_each_person_may_stand_above_the_classes_and_in_a_zip(tmp_path: Path) -> None:
    known = lab.write(tmp_path / "a", lambda p, e, f: f"P{p:03}/{f}")
    for person in range(lab.PEOPLE):
        for expression in lab.EXPRESSIONS:
            (tmp_path / "b" / f"P{person:03}").mkdir(parents=True, exist_ok=True)
            shutil.move(tmp_path / "a" / expression / f"P{person:03}", tmp_path / "b" / f"P{person:03}" / expression)

    dataset = data.load(sources.write_zip(tmp_path / "b.zip", tmp_path / "b"))

    assert dataset.division is not None
    assert dataset.division.rule == "a folder for each person"
    assert all(len(splits) == 1 for splits in sides(dataset, known).values())
    assert (dataset.images == data.load(tmp_path / "b").images).all()


def test_films_stay_whole_by_their_names_and_people_may_be_in_both(tmp_path: Path) -> None:
    lab.write(tmp_path, lambda p, e, f: f"rec{'abcdefghijkl'[p]}_{e}_{f:03}")

    dataset = data.load(tmp_path)

    assert dataset.division is not None
    assert dataset.division.by == "sequence"
    assert "a person may occur in training and test" in dataset.division.sentence
    films = {image.tobytes(): (p, e) for p in range(lab.PEOPLE) for e in lab.EXPRESSIONS for image in lab.film(p, e)}
    where: dict[tuple[int, str], set[int]] = {}
    for image, split in zip(dataset.images, dataset.splits.tolist(), strict=True):
        where.setdefault(films[image.tobytes()], set()).add(split)
    assert all(len(splits) == 1 for splits in where.values())


def test_without_names_neighbouring_frames_stay_together_and_the_division_says_what_it_is(tmp_path: Path) -> None:
    order = np.random.default_rng(0).permutation(1000)
    lab.write(tmp_path, lambda p, e, f: f"{order[p * 50 + lab.EXPRESSIONS.index(e) * 10 + f]}")

    dataset = data.load(tmp_path)

    assert dataset.division is not None
    assert dataset.division.by == "picture"
    assert "a person may occur in training and test" in dataset.division.sentence
    split = dict(zip((image.tobytes() for image in dataset.images), dataset.splits.tolist(), strict=True))
    films = [lab.film(person, expression) for person in range(lab.PEOPLE) for expression in lab.EXPRESSIONS]
    apart = sum(split[a.tobytes()] != split[b.tobytes()] for each in films for a, b in pairwise(each))
    assert apart <= 1  # of 108 pairs; splitting by single pictures gives about 40
    assert {*split.values()} == {0, 1, 2}


def test_a_table_or_a_pattern_says_who_is_who(tmp_path: Path) -> None:
    known = lab.write(tmp_path / "set", lambda p, e, f: f"{f}{e[:2]}-q{(p * 7) % 12}x")
    table = tmp_path / "people.csv"
    paths = sorted(path.relative_to(tmp_path / "set").as_posix() for path in (tmp_path / "set").rglob("*.png"))
    table.write_text("path,person\n" + "".join(f"{path},{path.rpartition('q')[2]}\n" for path in paths))

    plain = data.load(tmp_path / "set")
    by_table = data.load(tmp_path / "set", groups=table)
    by_pattern = data.load(tmp_path / "set", groups=r"-q(\d+)x")

    for dataset in (by_table, by_pattern):
        assert dataset.division is not None
        assert (dataset.division.by, dataset.division.groups) == ("person", lab.PEOPLE)
        assert all(len(splits) == 1 for splits in sides(dataset, known).values())
    assert plain.division is not None
    assert plain.division.by == "picture"
    assert plain.digest != by_pattern.digest
    assert plain.pictures == by_pattern.pictures


def test_other_groups_never_meet_the_cache_of_these(tmp_path: Path) -> None:
    lab.write(tmp_path / "set", lambda p, e, f: f"{f}{e[:2]}-q{p}x")
    table = tmp_path / "people.csv"

    def write(shift: int) -> data.Dataset:
        table.write_text("".join(f"{f}{e[:2]}-q{p}x.png,{(p + shift) // 2}\n" for p in range(lab.PEOPLE)
                                 for e in lab.EXPRESSIONS for f in range(lab.FRAMES)))  # fmt: skip
        return data.load(tmp_path / "set", groups=table)

    first, second, again = write(0), write(1), write(0)

    assert first.digest == again.digest
    assert (first.splits == again.splits).all()
    assert (first.splits != second.splits).any()
    assert first.digest != second.digest


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (lambda p, e, f: f"S{p * 50 + lab.EXPRESSIONS.index(e) * 10 + f:03}_001_00000001", "its own group"),
        (lambda p, e, f: f"S001_001_{p * 50 + lab.EXPRESSIONS.index(e) * 10 + f:08}", "too few for train, val"),
        (lambda p, e, f: f"subject_{p % 2}_{e}_{p}_{f}z", "2 groups, too few"),
        (lambda p, e, f: f"S{p:03}_001_{f:08}z" if p else f"extra {e} {f}z", "most pictures have CK+ file names, but"),
        (lambda p, e, f: f"{e}_{p}{f:02}", "do not identify people"),
        (lambda p, e, f: f"aug_{e}_{p}{f:02}", "do not identify people"),
    ],
)
def test_names_that_only_look_like_codes_are_not_taken_for_people(name: lab.Name, said: str, tmp_path: Path) -> None:
    lab.write(tmp_path, name)

    dataset = data.load(tmp_path)

    assert dataset.division is not None
    assert dataset.division.by == "picture"
    assert said in dataset.division.rule
    assert "a person may occur in training and test" in dataset.division.sentence


def test_folders_of_copies_are_not_taken_for_people(tmp_path: Path) -> None:
    """Else a picture is in test, and its brighter copy, as another person, in train."""
    for kind, gain in (("plain", 1.0), ("bright", 1.1), ("dark", 0.8)):
        lab.write(tmp_path / "all", lambda p, e, f, kind=kind: f"{kind}/{p}-{f}x")  # type: ignore[misc]
        for expression in lab.EXPRESSIONS:
            for file in (tmp_path / "all" / expression / kind).iterdir():
                Image.open(file).point(lambda value, gain=gain: min(255, int(gain * value))).save(file)

    dataset = data.load(tmp_path / "all")

    assert dataset.division is not None
    assert dataset.division.by == "picture"
    assert "100 % of the pictures have a near-duplicate in another group" in dataset.division.rule
    assert dataset.groups is None
    numbers = near_duplicates.linked(near_duplicates.describe(dataset.images))
    assert all(len(set(dataset.splits[numbers == number].tolist())) == 1 for number in np.unique(numbers))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (r"q\d+", "has 0 capture groups instead of one"),
        (r"(q)(\d)", "has 2 capture groups"),
        (r"(q", "is not a pattern"),
        ("(a{99999999999})", "is not a pattern"),
        (r"zz(\d+)", r"does not match --groups.*every picture needs a group"),
        (r"(happy|sad|surprise)/0ha-q0x|(?:.)", "needs a group"),
        (r"(.*)", "nearly every picture would be its own group"),
        (r"(.png)", "1 group, too few"),
        ("nowhere.csv", "nowhere.csv"),
    ],
)
def test_groups_that_make_no_sense_are_refused_in_a_line(groups: str, message: str, tmp_path: Path) -> None:
    lab.write(tmp_path, lambda p, e, f: f"{f}{e[:2]}-q{p}x", people=3)

    with pytest.raises(InputError, match=message) as caught:
        data.load(tmp_path, groups=groups)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "has no rows"),
        ("a.png\n", "line 1: expected a picture's path and its group"),
        ("a.png,\n", "line 1"),
        ("a.png,1\na.png,2\n", "line 2: a.png has two groups"),
        ("path,group\na.png,1\n", "has no row in --groups people.csv"),
        ("\x00,1\n", "people.csv"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_in_a_line(table: str, message: str, tmp_path: Path) -> None:
    lab.write(tmp_path / "set", lambda p, e, f: f"{f}{e[:2]}-q{p}x", people=3)
    (tmp_path / "people.csv").write_text(table)

    with pytest.raises(InputError, match=message):
        data.load(tmp_path / "set", groups=tmp_path / "people.csv")


def test_a_table_of_pixels_has_no_names_for_groups(tmp_path: Path) -> None:
    table = sources.write_csv(tmp_path / "a.csv", sources.small())

    with pytest.raises(InputError, match="is a table without picture names"):
        data.load(table, groups=r"(\d)")


def test_pictures_that_are_all_the_same_cannot_be_divided(tmp_path: Path) -> None:
    for folder in ("happy", "sad"):
        for i in range(30):
            sources.write_picture(tmp_path / folder / f"{i}.png", seed=0)

    dataset = data.load(tmp_path)

    assert (dataset.splits == 0).all()
    with pytest.raises(InputError, match="of 1 groups of pictures that stay together, too few to divide"):
        data.split(dataset, "test")


def test_a_person_with_most_of_the_pictures_trains_and_the_others_are_divided(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for person, count in enumerate([60, 5, 5, 5, 5, 5]):
        for folder in ("happy", "sad"):
            for i in range(count):
                image = rng.integers(0, 256, (16, 16), dtype=np.uint8)
                sources.write_picture(tmp_path / folder / f"subject_{person}_{i}.png", image)

    dataset = data.load(tmp_path)

    assert dataset.groups is not None
    for person in range(6):
        assert len(set(dataset.splits[dataset.groups == person].tolist())) == 1
    assert (dataset.splits[dataset.groups == np.bincount(dataset.groups).argmax()] == 0).all()
    assert np.bincount(dataset.splits).tolist() == [130, 20, 20]  # 12.5 % are 21


def test_a_chain_of_near_duplicates_is_cut_before_it_swallows_the_data_set(tmp_path: Path) -> None:
    """A slow morph from one face to the next: each picture resembles the one before, and no starting face the next."""
    faces = [lab.film(person, "happy")[0].astype(float) for person in range(5)]
    steps = [(1 - t) * a + t * b for a, b in pairwise(faces) for t in np.linspace(0, 1, 40)]
    for i, image in enumerate(steps):
        sources.write_picture(tmp_path / ("happy", "sad")[i % 2] / f"{i * 7919 % 997}.png", image.astype(np.uint8))

    dataset = data.load(tmp_path)

    assert dataset.division is not None
    assert dataset.division.cut > len(dataset) / 2
    assert np.bincount(dataset.splits, minlength=3).min() >= 10
    assert "that were split" in dataset.division.sentence


def test_a_source_with_splits_of_its_own_keeps_them_and_its_people_are_known(tmp_path: Path) -> None:
    lab.write(tmp_path / "train", NAMES["KDEF file names"], people=8)
    lab.write(tmp_path / "val", NAMES["KDEF file names"], people=4)
    lab.write(tmp_path / "test", NAMES["KDEF file names"], people=2)

    dataset = data.load(tmp_path)
    found = data.audit(dataset)

    assert dataset.division is None
    assert found.people is not None
    assert found.people.rule == "by person: KDEF file names"
    assert found.people.groups_across == {"train+val": 4, "train+test": 2, "val+test": 2}
    train, val = (data.split(dataset, name, "stratified") for name in ("train", "val"))
    assert not {*dataset.groups[train.indices].tolist()} & {*dataset.groups[val.indices].tolist()}


def test_the_validation_images_of_an_own_test_split_are_taken_by_person(tmp_path: Path) -> None:
    known = lab.write(tmp_path / "train", NAMES["CK+ file names"], people=10)
    shutil.move(tmp_path / "train", tmp_path / "a")
    (tmp_path / "set" / "test").mkdir(parents=True)
    shutil.move(tmp_path / "a", tmp_path / "set" / "train")
    lab.write(tmp_path / "set" / "test", lambda p, e, f: f"S{p + 90:03}_001_{f:08}", people=1)

    dataset = data.load(tmp_path / "set")

    assert dataset.carved == ("val",)
    split: dict[int, set[int]] = {}
    for image, number in zip(dataset.images[dataset.splits < 2], dataset.splits[dataset.splits < 2], strict=True):
        split.setdefault(known[image.tobytes()], set()).add(int(number))
    assert all(len(each) == 1 for each in split.values())


units = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), min_size=1, max_size=300)


@settings(max_examples=200, deadline=None)
@given(units, st.sampled_from([("val",), ("val", "test")]))
def test_whatever_the_groups_are_none_is_divided_and_training_has_every_class(
    pictures: Sequence[tuple[int, int]], carved: tuple[str, ...]
) -> None:
    labels, unit = np.array(pictures).T
    _, unit = np.unique(unit, return_inverse=True)
    before = np.zeros(len(labels), dtype=np.uint8)

    splits = new_splits.carve(labels, before, unit, carved)

    assert (splits == new_splits.carve(labels, before, unit, carved)).all()
    for number in np.unique(unit):
        assert len(set(splits[unit == number].tolist())) == 1
    assert {*labels.tolist()} == {*labels[splits == 0].tolist()}
    assert {*splits.tolist()} <= {0, *(SPLITS.index(name) for name in carved)}
    order = np.random.default_rng(len(labels)).permutation(len(labels))
    assert (new_splits.carve(labels[order], before, unit[order], carved) == splits[order]).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_single_pictures_are_divided_to_the_image(counts: Sequence[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)

    splits = new_splits.carve(labels, np.zeros(len(labels), np.uint8), np.arange(len(labels)), ("val", "test"))

    for label, count in enumerate(counts):
        wanted = max(1, int(count * 0.125 + 0.5)) if count >= 3 else 0
        assert np.bincount(splits[labels == label], minlength=3).tolist() == [count - 2 * wanted, wanted, wanted]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=3, max_size=40))
def test_groups_of_any_size_leave_none_of_the_splits_empty(sizes: Sequence[int]) -> None:
    unit = np.repeat(np.arange(len(sizes)), sizes)

    splits = new_splits.carve(np.zeros(len(unit), int), np.zeros(len(unit), np.uint8), unit, ("val", "test"))

    assert np.bincount(splits, minlength=3).min() > 0


def test_a_hundred_thousand_pictures_and_groups_are_divided() -> None:
    labels, unit = np.arange(100_000) % 7, np.arange(100_000) // 2
    splits = new_splits.carve(labels, np.zeros(100_000, np.uint8), unit, ("val", "test"))

    assert np.bincount(splits).tolist() == pytest.approx([75_000, 12_500, 12_500], abs=20)
    assert from_names([f"a/{i}.png" for i in range(100_000)], [None] * 100_000, labels) != ""


changes = {
    "smaller": lambda image: image.resize((36, 36)).resize((48, 48)),
    "brighter": lambda image: image.point(lambda value: min(255, int(value * 0.9 + 20))),
    "cut": lambda image: image.crop((1, 1, 47, 47)).resize((48, 48)),
    "cut at a corner": lambda image: image.crop((2, 0, 48, 46)).resize((48, 48)),
}


@pytest.mark.parametrize("change", changes)
def test_a_picture_that_was_changed_a_little_is_a_near_duplicate_and_no_other_is(change: str) -> None:
    faces = np.asarray(data.builtin(train=150, val=1, test=0).images)[:150]
    changed = np.stack([np.asarray(changes[change](Image.fromarray(image))) for image in faces])

    numbers = near_duplicates.linked(near_duplicates.describe(np.concatenate([faces, changed])))

    assert (numbers[:150] == numbers[150:]).mean() > 0.98
    assert len(np.unique(numbers[:150])) > 145


def test_near_duplicates_are_found_in_colour_and_at_any_size() -> None:
    rng = np.random.default_rng(0)
    for side in (8, 30, 224):
        coarse = rng.integers(0, 256, (6, 8, 8), dtype=np.uint8)
        grey = np.stack([np.asarray(Image.fromarray(each).resize((side, side))) for each in coarse])
        colour = np.repeat(grey[..., None], 3, axis=3)
        colour[3:] = np.clip(colour[:3].astype(int) + 9, 0, 255)

        numbers = near_duplicates.linked(near_duplicates.describe(colour))

        assert numbers.tolist() == [0, 1, 2, 0, 1, 2]


def test_flat_pictures_are_no_near_duplicates_of_each_other() -> None:
    images = np.full((4, 48, 48), 128, dtype=np.uint8)
    images[1, 0, 0], images[2, 5, 5] = 129, 127

    assert near_duplicates.linked(near_duplicates.describe(images)).tolist() == [0, 1, 2, 3]
