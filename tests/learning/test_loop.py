"""Shared by training and fine-tuning: step counts, autosave between steps, and Ctrl-C that waits for a step."""

from __future__ import annotations

import inspect
import signal

import pytest

from edgefer.compression.compressor import compress
from edgefer.errors import Interrupted
from edgefer.learning import loop
from edgefer.learning.loop import Progress
from edgefer.training.trainer import train


def test_an_epoch_goes_on_where_it_stopped_and_is_saved_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    progress, saved = Progress(epoch=1, step=2, loss_sum=2.0), list[int]()
    with loop.running("a test", 3, 5, progress, lambda: saved.append(progress.step), "go on") as running:
        assert list(running.steps()) == [2, 3, 4]
        assert (progress.step, saved) == (5, [])
        progress.next_epoch({"epoch": 2})
        assert (progress.epoch, progress.step, progress.loss_sum, progress.seconds_in_epoch) == (2, 0, 0.0, 0.0)
        monkeypatch.setattr(loop, "SECONDS_BETWEEN_SAVES", -1.0)
        assert list(running.steps()) == [0, 1, 2, 3, 4]
        assert saved == [1, 2, 3, 4, 5]
        assert list(running.steps()) == []


def test_ctrl_c_ends_the_step_saves_and_says_how_to_go_on() -> None:
    progress, saved, done = Progress(), list[int](), list[int]()

    def run() -> None:
        with loop.running("a test", 1, 9, progress, lambda: saved.append(progress.step), "edgefer train") as running:
            for step in running.steps():
                if step == 3:
                    signal.raise_signal(signal.SIGINT)  # os.kill may reach another thread, a step later
                done.append(step)

    with pytest.raises(Interrupted, match="resume with: edgefer train"):
        run()
    assert done == [0, 1, 2, 3]
    assert (saved, progress.step) == ([4], 4)


@pytest.mark.parametrize(
    ("whole", "parts", "are"),
    [
        ([0, 7], [0.5, 3, -1.0], True),
        ([-1], [], False),
        ([True], [], False),
        ([1 << 31], [], False),
        ([1.0], [], False),
        ([], [float("nan")], False),
        ([], ["1"], False),
    ],
)
def test_numbers_of_a_state_that_cannot_be_are_told(whole: list[object], parts: list[object], are: bool) -> None:
    assert loop.are_numbers(whole, parts) is are


@pytest.mark.parametrize("function", [train, compress])
def test_the_way_through_is_read_in_one_go(function: object) -> None:
    assert len(inspect.getsource(function).splitlines()) < 120  # type: ignore[arg-type]
