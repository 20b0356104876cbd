"""Frames in, results out: the newest frame wins, nothing queues up, and a lost source is retried."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event
from time import perf_counter, sleep

import numpy as np
import pytest

import edgefer
from edgefer.errors import InputError
from edgefer.faces.face import Face
from edgefer.live import pipeline
from edgefer.live.judge import JudgeSettings
from edgefer.live.pipeline import Live
from edgefer.predictor import Predictor


@dataclass
class Picture:
    """A frame of noise that arrived now."""

    time: float | None = None
    arrived: float = field(default_factory=perf_counter)

    def pixels(self) -> np.ndarray:
        return np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)


class Frames:
    """A source of `count` frames, `seconds` apart; after `breaks` frames the connection is lost, once."""

    title = "frames"

    def __init__(self, count: int, seconds: float = 0.0, breaks: int | None = None) -> None:
        self.count, self.seconds, self.breaks = count, seconds, breaks
        self.returns = breaks is not None

    def frames(self, stopped: Event) -> Iterator[Picture]:
        while self.count and not stopped.is_set():
            if self.breaks == 0:
                self.breaks = -1
                raise InputError("the connection was reset")
            self.count -= 1
            if self.breaks is not None:
                self.breaks -= 1
            yield Picture()
            stopped.wait(self.seconds)
        if self.returns:
            stopped.wait()


class OneFace:
    """A detector that finds one face at the same position; a call takes `seconds`."""

    title = "one face"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def find(self, picture: np.ndarray, min_face: int | None = None) -> list[Face]:
        sleep(self.seconds)
        return [Face(80, 60, 60, 60, 0.9)]


class FarBehind(OneFace):
    """A detector that runs until the source has given 50 more frames, or its last."""

    def __init__(self, source: Frames) -> None:
        super().__init__()
        self.source = source

    def find(self, picture: np.ndarray, min_face: int | None = None) -> list[Face]:
        rest = max(0, self.source.count - 50)
        while self.source.count > rest:
            sleep(0.001)
        return super().find(picture, min_face)


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Predictor]:
    """Return nano with a detector that finds one face and takes the requested time."""

    def opened(seconds: float = 0.0) -> Predictor:
        found = edgefer.load("edgefer-nano", device="cpu")
        monkeypatch.setattr(found, "start_detector", lambda: OneFace(seconds))
        return found

    return opened


def test_a_slow_network_gets_the_newest_frame_and_nothing_queues_up(
    predictor: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty times as many frames arrive as can be classified."""
    queues = []
    source, nano = Frames(400, 0.002), predictor()
    monkeypatch.setattr(nano, "start_detector", lambda: FarBehind(source))
    with Live(source, nano, JudgeSettings(every=1)) as live, live.subscribe() as answers:
        frames = []
        for _, frame in answers:
            frames.append(frame)
            queues.append(live.figures().queue)
        figures = live.figures()
    assert figures.captured == 400
    assert figures.judged < 200  # on a busy machine fewer frames arrive in the meantime
    assert figures.judged + figures.dropped + max(queues) >= 400 - 1
    assert max(queues) <= 1
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    assert frames[-1].index > 390  # the newest frame, not a queued one


def test_one_face_keeps_its_number_and_its_answer(predictor: Callable[..., Predictor]) -> None:
    with Live(Frames(30, 0.01), predictor()) as live, live.subscribe(size=30) as answers:
        frames = [frame for _, frame in answers]
    faces = [face for frame in frames for face in frame.faces]
    assert {face.track for face in faces} == {1}
    assert len({face.label for face in faces}) == 1
    assert all(abs(sum(face.probabilities.values()) - 1) < 1e-6 for face in faces)
    assert all(frame.latency_ms > 0 for frame in frames)
    assert [frame.time for frame in frames] == sorted(frame.time for frame in frames)


def test_a_lost_source_is_tried_again_and_said_once(
    predictor: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_BACKOFF", (0.01,))
    said: list[str] = []
    with Live(Frames(20, 0.005, breaks=10), predictor(), say=said.append) as live, live.subscribe() as answers:
        while live.figures().captured < 20:
            assert answers.get(60)
        figures = live.figures()
    assert said == ["frames was lost (the connection was reset); reconnecting", "frames is back"]
    assert figures.reconnects == 1
    assert figures.connected


def test_a_source_that_cannot_be_opened_is_an_error_at_the_start(predictor: Callable[..., Predictor]) -> None:
    with pytest.raises(InputError, match="reset"), Live(Frames(1, breaks=0), predictor()):
        pass


def test_stop_ends_a_source_that_waits(predictor: Callable[..., Predictor]) -> None:
    live = Live(Frames(1, breaks=5), predictor())
    with live, live.subscribe() as answers:
        assert answers.get(60)
    assert not live.running
    assert answers.ended


class Silent(Frames):
    """A source that gives a frame and then blocks, ignoring stop requests, like a pipe."""

    def __init__(self) -> None:
        super().__init__(1)
        self.more, self.ended = Event(), Event()

    def frames(self, stopped: Event) -> Iterator[Picture]:
        yield from super().frames(stopped)
        self.more.wait()
        self.ended.set()


def test_stop_leaves_a_source_alone_that_cannot_be_stopped(predictor: Callable[..., Predictor]) -> None:
    source = Silent()
    with Live(source, predictor()) as live, live.subscribe() as answers:
        assert answers.get(60)
    assert answers.ended
    assert not source.ended.is_set()
    source.more.set()
    assert source.ended.wait(60)
