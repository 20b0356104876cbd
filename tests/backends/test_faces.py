"""Pictures that show more than a face, through a predictor: with YuNet, with OpenCV's cascade, with neither."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgefer
from edgefer.errors import InputError, MissingExtra, MissingRequirement
from edgefer.faces import file
from tests.helpers import samples
from tests.helpers.pictures import happy, lay


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return samples.write(tmp_path_factory.mktemp("bundles") / "made").path


@pytest.fixture(scope="module")
def predictor(made: Path, yunet: Path) -> edgefer.Predictor:
    return edgefer.load(made, network="fp32", detector=yunet)


@pytest.fixture(scope="module")
def faces(fer2013: Path) -> np.ndarray:
    return happy(fer2013)


def _near(prediction: edgefer.Prediction, left: int, top: int, side: int) -> bool:
    assert prediction.box is not None
    return bool(np.abs(np.subtract(prediction.box, (left, top, side, side))).max() < side / 4)


def test_each_face_has_box_score_and_landmarks_the_highest_rank_first(
    predictor: edgefer.Predictor, faces: np.ndarray
) -> None:
    [found] = predictor.predict_faces(lay([(faces[0], 30, 60, 240), (faces[1], 450, 200, 120)]))
    assert len(found) == 2
    for prediction, wanted in zip(found, [(30, 60, 240), (450, 200, 120)], strict=True):
        assert _near(prediction, *wanted)
        assert prediction.score is not None
        assert 0.5 < prediction.score <= 1
        assert len(prediction.landmarks) == 5
        assert prediction.notes == ()
        assert sum(prediction.probabilities.values()) == pytest.approx(1)
        assert prediction.confidence == max(prediction.probabilities.values())


def test_boxes_are_in_pixels_of_the_picture_however_large_it_is(
    predictor: edgefer.Predictor, faces: np.ndarray
) -> None:
    picture = lay([(faces[0], 200, 120, 240)])
    large = np.asarray(Image.fromarray(picture).resize((2560, 1920), Image.Resampling.BICUBIC))
    [[prediction]] = predictor.predict_faces(np.stack([large] * 3, axis=-1))
    assert _near(prediction, 800, 480, 960)


def test_a_box_stays_within_the_picture_where_the_face_does_not(
    predictor: edgefer.Predictor, faces: np.ndarray
) -> None:
    picture = lay([(faces[0], 200, 120, 240)])[130:, 210:]
    [[prediction]] = predictor.predict_faces(picture)
    assert prediction.box is not None
    left, top, width, height = prediction.box
    assert min(left, top) >= 0
    assert (left + width <= picture.shape[1], top + height <= picture.shape[0]) == (True, True)


def test_pictures_without_a_face_have_no_prediction_and_those_under_48_pixels_are_one_face(
    predictor: edgefer.Predictor,
) -> None:
    for shape in ((300, 400), (100, 100), (64, 48), (500, 40)):
        assert predictor.predict_faces(np.full(shape, 90, dtype=np.uint8)) == [[]]
    stripes = np.tile(np.arange(44, dtype=np.uint8), (44, 1))
    [[prediction]] = predictor.predict_faces(stripes)
    assert (prediction.box, prediction.score) == (None, None)
    assert predictor.predict_faces(stripes, "always") == [[]]
    large = np.full((300, 400), 90, dtype=np.uint8)
    assert [len(found) for found in predictor.predict_faces([large, stripes], "never")] == [1, 1]
    with pytest.raises(InputError, match="min_face must be at least 1"):
        predictor.predict_faces(large, min_face=0)


def test_opencv_s_cascade_finds_faces_too_without_a_score(made: Path, faces: np.ndarray) -> None:
    pytest.importorskip("cv2")
    with edgefer.load(made, detector="cascade") as predictor:
        found = [predictor.predict_faces(lay([(face, 200, 120, 240)]))[0] for face in faces]
        assert predictor.predict_faces(np.full((300, 400), 90, dtype=np.uint8)) == [[]]
    right = [each[0] for each in found if each and _near(each[0], 200, 120, 240)]
    assert len(right) >= 2
    assert all((each.score, each.roll, each.landmarks) == (None, 0.0, ()) for each in right)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (65, 65), (3000, 20)])
def test_odd_shapes_are_looked_at_by_the_cascade_all_the_same(made: Path, shape: tuple[int, int]) -> None:
    pytest.importorskip("cv2")
    with edgefer.load(made, detector="cascade") as predictor:
        assert predictor.predict_faces(np.full(shape, 90, dtype=np.uint8), "always") == [[]]


def test_without_any_detector_small_pictures_are_answered_and_the_others_say_what_is_missing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setenv("EDGEFER_CACHE", str(tmp_path))
    monkeypatch.delenv("EDGEFER_DETECTOR")
    monkeypatch.setattr(file, "ADDRESS", "http://127.0.0.1:9/yunet_s_dynamic.onnx")
    with edgefer.load(made) as predictor:
        [[prediction]] = predictor.predict_faces(np.tile(np.arange(44, dtype=np.uint8), (44, 1)))
        assert prediction.box is None
        for _ in range(2):
            with pytest.raises(MissingRequirement, match="no face detector: http://127"):
                predictor.predict_faces(np.zeros((300, 400), np.uint8))
    with pytest.raises(MissingExtra, match=r"edgefer\[cascade\]"), edgefer.load(made, detector="cascade") as predictor:
        predictor.predict_faces(np.zeros((300, 400), np.uint8))


def test_an_opencv_that_does_not_load_is_not_taken_for_a_missing_one(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    with (
        edgefer.load(made, detector="cascade") as predictor,
        pytest.raises(MissingRequirement, match=r"does not load \(libGL"),
    ):
        predictor.predict_faces(np.full((300, 400), 90, dtype=np.uint8))
