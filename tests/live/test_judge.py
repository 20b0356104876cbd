"""Faces stay visible, however few frames are classified and however rarely the detector runs."""

from __future__ import annotations

import numpy as np
import pytest

import edgefer
from edgefer.faces.face import Face
from edgefer.live.judge import Judge, JudgeSettings


class OneFace:
    """A detector that always finds one face."""

    title = "one face"
    looks = 0

    def find(self, picture: np.ndarray, min_face: int | None = None) -> list[Face]:
        self.looks += 1
        return [Face(80, 60, 60, 60, 0.9)]


@pytest.mark.parametrize(("rate", "every", "looks"), [(2, 3, 20), (4, 3, 20), (30, 90, 20), (30, 3, 100)])
def test_a_face_that_is_there_is_shown_in_each_frame(
    rate: int, every: int, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds at `rate` frames a second; a slow device classifies two or four."""
    detector = OneFace()
    pixels = np.full((120, 160, 3), 90, np.uint8)
    with edgefer.load("edgefer-nano", device="cpu") as predictor:
        monkeypatch.setattr(predictor, "start_detector", lambda: detector)
        judge = Judge(predictor, JudgeSettings(every=every))
        found = [judge.faces(pixels, number / rate) for number in range(10 * rate)]
    assert [[face.track for face in faces] for faces in found] == [[1]] * (10 * rate)
    assert detector.looks <= looks  # no more than needed
