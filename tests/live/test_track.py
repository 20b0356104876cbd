"""One identity per face: it moves, is missed for a moment, leaves, and another one comes."""

from __future__ import annotations

import json

from edgefer.faces.face import Face
from edgefer.live.track import Tracker


def face(x: float, y: float = 100, side: float = 60) -> Face:
    return Face(x, y, side, side, 0.9)


def numbers(tracker: Tracker, time: float) -> list[tuple[int, float]]:
    return [(track.number, track.face.x) for track in tracker.shown(time)]


def test_faces_that_move_keep_their_numbers_whatever_their_order() -> None:
    tracker = Tracker()
    for step in range(20):
        faces = [face(100 + 15 * step), face(500 - 15 * step, y=250)]
        tracker.update(faces[:: 1 if step % 2 else -1], step / 10)
    assert {(number, x) for number, x in numbers(tracker, 1.9)} in ({(1, 385), (2, 215)}, {(2, 385), (1, 215)})
    assert len(tracker.known()) == 2


def test_the_nearer_of_two_faces_is_the_same_one() -> None:
    tracker = Tracker()
    tracker.update([face(100), face(150)], 0)
    tracker.update([face(152), face(103)], 0.1)
    assert sorted(numbers(tracker, 0.1)) == [(1, 103), (2, 152)]


def test_a_face_that_is_missed_for_a_moment_stays_and_one_that_left_does_not() -> None:
    tracker = Tracker()
    tracker.update([face(100)], 0)
    tracker.update([], 0.4)
    assert numbers(tracker, 0.4) == [(1, 100)]
    tracker.update([], 1.0)
    assert numbers(tracker, 1.0) == []
    tracker.update([face(110)], 2.0)  # the person had turned away
    assert numbers(tracker, 2.0) == [(1, 110)]
    tracker.update([], 10.0)
    tracker.update([face(110)], 10.1)  # whoever it is
    assert numbers(tracker, 10.1) == [(2, 110)]
    assert tracker.numbered == 2


def test_a_restored_tracker_knows_all_faces() -> None:
    tracker = Tracker()
    tracker.update([Face(100, 100, 60, 50, 0.9, ((1.5, 2.0), (3.0, 4.0)), 12.5), face(300)], 0.3)
    again = Tracker.restored(json.loads(json.dumps(tracker.state())))
    assert again.shown(0.3) == tracker.shown(0.3)
    again.update([face(600)], 0.4)
    assert again.numbered == 3
