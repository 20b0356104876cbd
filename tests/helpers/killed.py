"""edgefer, whose second process kills itself in the middle of an epoch, once: -m tests.helpers.killed train ..."""

from __future__ import annotations

import os
import signal
from typing import Any

from edgefer.cli.main import run_command
from edgefer.training.unfinished import TrainingProgress

_note = TrainingProgress.note


def note(self: TrainingProgress, *of_step: Any) -> None:
    _note(self, *of_step)
    if (self.epoch, self.step) == (1, 3) and (os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]) == (
        "1",
        "0",
    ):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    TrainingProgress.note = note  # type: ignore[method-assign, assignment]
    run_command()
