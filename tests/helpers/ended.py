"""edgefer under torchrun, interrupted once in the middle of an epoch: python -m tests.helpers.ended WAY train ...

WAY is ``kill`` (kills the second process in the second epoch) or ``ctrl-c`` (interrupts torchrun in the first).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from edgefer.cli.main import run_command
from edgefer.training.unfinished import TrainingProgress

_WAY = sys.argv.pop(1) if __name__ == "__main__" else ""
_PASSED_ON = (signal.SIGINT, signal.SIGTERM)
_note = TrainingProgress.note


def _call_too(number: int, noted: Callable[[int], None]) -> None:
    handler: Any = signal.getsignal(number)

    def both(number: int, frame: FrameType | None) -> None:
        noted(number)
        handler(number, frame)

    signal.signal(number, both)


def note(self: TrainingProgress, *of_step: Any) -> None:
    _note(self, *of_step)
    if (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) != ("1", "0"):
        return
    if _WAY == "kill" and (self.epoch, self.step) == (1, 3):
        os.kill(os.getpid(), signal.SIGKILL)
    if _WAY == "ctrl-c" and (self.epoch, self.step) == (0, 3):
        came: list[int] = []
        for number in _PASSED_ON:
            _call_too(number, came.append)
        os.kill(os.getppid(), signal.SIGINT)
        while not came:  # of torchrun: no step runs in the meantime
            time.sleep(0.01)


if __name__ == "__main__":
    TrainingProgress.note = note  # type: ignore[method-assign, assignment]
    run_command()
