"""The detection benchmark's pictures: the face is at the stated place, and boxes on it count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer.faces import crop, file, search
from edgefer.faces.face import Face
from tests.helpers import scripts


def test_a_composite_has_its_face_where_it_says_and_is_the_same_each_time() -> None:
    composites = scripts.load("composites").composites
    random = np.random.default_rng(0)
    faces = np.stack([np.asarray(Image.fromarray(random.integers(0, 256, (6, 6), np.uint8)).resize((48, 48)))] * 4)
    photos = [Image.new("RGB", (800, 600), (10, 90, 200))]
    made = list(composites(faces, photos, seed=3, rolls=(-40, 40)))
    for each, again in zip(made, composites(faces, photos, seed=3, rolls=(-40, 40)), strict=True):
        np.testing.assert_array_equal(each.picture, again.picture)
        assert each.picture.shape == (480, 640, 3)
        left, top, side = each.square
        cut = Image.fromarray(crop.square(each.picture, left, top, side, each.roll)).convert("L").resize((48, 48))
        assert np.corrcoef(np.asarray(cut)[6:42, 6:42].ravel(), faces[each.row][6:42, 6:42].ravel())[0, 1] > 0.95


def test_a_box_beside_the_face_or_of_another_size_is_false() -> None:
    found = scripts.load("faces").found
    square = (100.0, 100.0, 80.0)
    assert found(Face(104, 96, 60, 80), square)
    for wrong in (Face(140, 100, 80, 80), Face(100, 100, 20, 20), Face(100, 100, 160, 160)):
        assert not found(wrong, square)


def test_the_figures_are_of_the_detector_s_settings_that_are_shipped() -> None:
    result = json.loads((Path(__file__).parents[2] / "benchmarks" / "results" / "faces.json").read_text())
    assert result["data"]["split"] == "test"
    assert result["threshold"] == search.THRESHOLD
    assert result["detector"]["sha256"] == file.SHA256


def test_a_note_s_precision_is_of_the_noted_and_its_recall_of_the_wrong_faces() -> None:
    noted = np.array([True, True, True, False, False, True])
    first = np.array([True, True, True, True, True, False])  # the last one was not found: it is not counted
    right = np.array([False, False, True, True, False, False])
    figures = scripts.load("faces")._note(noted, first, right)
    assert figures == {
        "faces": 3,
        "right": 1 / 3,
        "right_of_others": 1 / 2,
        "precision": 2 / 3,
        "recall": 2 / 3,
    }


def test_a_cut_is_compared_with_the_shipped_one_on_the_same_faces() -> None:
    shipped = np.array([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.4, 0.6]])
    other = np.array([[0.8, 0.2], [0.4, 0.6], [0.8, 0.2], [0.8, 0.2]])
    figures = scripts.load("framing").figures({"shipped": shipped, "other": other}, np.array([0, 0, 0, 0]))
    assert figures["shipped"]["right"] == 0.5
    against = figures["other"]["against"]
    assert (figures["other"]["right"], against["only_this_right"], against["only_shipped_right"]) == (0.75, 2, 1)
    assert against["p"] == 1
    assert against["loss"] == pytest.approx(figures["other"]["loss"] - figures["shipped"]["loss"])
    assert against["loss"] == pytest.approx(-np.log(2) / 4)
