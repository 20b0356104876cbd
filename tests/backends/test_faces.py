"""Faces in pictures that are more than a face."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from bundle import samples
from PIL import Image

import edgefer
from edgefer import data
from edgefer.detector import Detector
from edgefer.errors import LackError, MissingExtra


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> edgefer.Predictor:
    return edgefer.load(samples.write(tmp_path_factory.mktemp("bundles") / "made").path, network="fp32")


@pytest.fixture(scope="module")
def faces(fer2013: Path) -> np.ndarray:
    """Return faces that the detector finds, each alone on a grey ground, uint8, (n, 48, 48)."""
    detector = Detector()
    happy = data.split(data.load(fer2013), "val")
    some = happy.take(np.flatnonzero(happy.labels == 3)[:20])
    return np.stack([face for face in some if len(detector.find(on_ground([(face, 200, 120)]))) == 1])


def on_ground(placed: list[tuple[np.ndarray, int, int]], side: int = 240) -> np.ndarray:
    """Return a picture of 640 x 480 with faces of `side` pixels at (left, top)."""
    picture = np.full((480, 640), 110, dtype=np.uint8)
    for face, left, top in placed:
        large = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
        picture[top : top + side, left : left + side] = np.asarray(large)
    return picture


def test_each_face_has_its_box_the_largest_first(predictor: edgefer.Predictor, faces: np.ndarray) -> None:
    assert len(faces) > 10
    two = on_ground([(faces[0], 30, 60)])
    two[200:320, 450:570] = np.asarray(Image.fromarray(faces[1]).resize((120, 120), Image.Resampling.BICUBIC))
    [found] = predictor.predict_faces(two)
    assert len(found) == 2
    wanted = [(30, 60, 240), (450, 200, 120)]
    for prediction, (left, top, side) in zip(found, wanted, strict=True):
        assert prediction.box is not None
        assert np.abs(np.subtract(prediction.box, (left, top, side, side))).max() < side / 8
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.confidence == max(prediction.probabilities.values())


def test_boxes_are_in_pixels_of_the_picture_however_large_it_is(
    predictor: edgefer.Predictor, faces: np.ndarray
) -> None:
    picture = on_ground([(faces[0], 200, 120)])
    large = np.asarray(Image.fromarray(picture).resize((2560, 1920), Image.Resampling.BICUBIC))
    [[prediction]] = predictor.predict_faces(np.stack([large] * 3, axis=-1))
    assert prediction.box is not None
    assert np.abs(np.subtract(prediction.box, (800, 480, 960, 960))).max() < 120


def test_a_picture_without_a_face_has_no_prediction(predictor: edgefer.Predictor) -> None:
    pytest.importorskip("cv2")
    assert predictor.predict_faces(np.full((300, 400), 90, dtype=np.uint8)) == [[]]


def test_small_pictures_are_faces_as_they_are_unless_faces_are_asked_for(predictor: edgefer.Predictor) -> None:
    small = np.tile(np.arange(48, dtype=np.uint8), (48, 1))
    [[prediction]] = predictor.predict_faces(small)
    assert prediction.box is None
    assert predictor.predict_faces(small, "always") == [[]]
    large = np.full((300, 400), 90, dtype=np.uint8)
    assert [len(found) for found in predictor.predict_faces([large, small], "never")] == [1, 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (65, 65), (3000, 20)])
def test_odd_shapes_are_looked_at_all_the_same(predictor: edgefer.Predictor, shape: tuple[int, int]) -> None:
    assert predictor.predict_faces(np.full(shape, 90, dtype=np.uint8), "always") == [[]]


def test_without_opencv_a_picture_is_one_face_and_looking_for_faces_names_the_extra(
    predictor: edgefer.Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr(predictor, "_detector", None)
    large = np.tile(np.arange(200, dtype=np.uint8), (300, 2))
    [[prediction]] = predictor.predict_faces(large)
    assert prediction.box is None
    with pytest.raises(MissingExtra, match=r"edgefer\[faces\]"):
        predictor.predict_faces(large, "always")


def test_an_opencv_that_does_not_load_is_not_taken_for_a_missing_one(
    predictor: edgefer.Predictor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.setattr(predictor, "_detector", None)
    with pytest.raises(LackError, match=r"does not load \(libGL"):
        predictor.predict_faces(np.full((300, 400), 90, dtype=np.uint8))
