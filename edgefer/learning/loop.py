"""The loop shared by training and fine-tuning: counts steps, saves regularly, and stops between steps.

The caller writes the step itself::

    with loop.running("compact", epochs, 224, progress, save, "edgefer train --resume run") as running:
        while progress.epoch < epochs:
            for step in running.steps():
                ...
                progress.loss_sum += loss
            ...
            progress.next_epoch(line)
            running.save()
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from edgefer import console
from edgefer.errors import Interrupted
from edgefer.learning import distributed, interrupt

SECONDS_BETWEEN_SAVES = 120.0


@dataclass
class Progress:
    """Progress of a training; part of the saved state.

    Attributes:
        epoch: epochs done.
        step: steps done in the current epoch.
        loss_sum: over those steps.
        seconds_in_epoch: time of those steps.
        best_epoch: epoch of the kept weights.
        best_accuracy: its validation accuracy.
        history: a dict per epoch.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds_in_epoch: float = 0.0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def next_epoch(self, line: dict[str, Any]) -> None:
        """Add an epoch's log line and begin the next epoch."""
        self.history.append(line)
        self.epoch, self.step, self.loss_sum, self.seconds_in_epoch = self.epoch + 1, 0, 0.0, 0.0


class Running:
    """A running training, from `running`.

    Args:
        progress: counts the steps.
        steps: per epoch.
        save: writes the state.
        go_on: the command to resume.
        advance: advances the progress bar.
        stop_asked: returns whether to stop.
    """

    def __init__(
        self,
        progress: Progress,
        steps: int,
        save: Callable[[], None],
        go_on: str,
        advance: Callable[..., None],
        stop_asked: Callable[[], bool],
    ) -> None:
        self._progress, self._steps, self._save, self._go_on = progress, steps, save, go_on
        self._advance, self._stop_asked = advance, stop_asked
        self._saved = self._clock = time.monotonic()

    def steps(self) -> Iterator[int]:
        """Yield the remaining step numbers of the epoch, from 0; save and stop between steps.

        Raises:
            Interrupted: Ctrl-C; the state is saved.
        """
        progress = self._progress
        while progress.step < self._steps:
            yield progress.step
            progress.step += 1
            progress.seconds_in_epoch += self.seconds()
            self._advance(1, f"epoch {progress.epoch + 1}, loss {progress.loss_sum / progress.step:.3f}")
            if any(distributed.total(self._stop_asked())):  # so all processes stop after the same step
                self.save()
                raise Interrupted(f"interrupted; resume with: {self._go_on}")
            if self._clock - self._saved > SECONDS_BETWEEN_SAVES:
                self.save()

    def seconds(self) -> float:
        """Return the seconds since the last call."""
        before, self._clock = self._clock, time.monotonic()
        return self._clock - before

    def save(self) -> None:
        """Write the state now, in the first process only."""
        if distributed.is_first():
            self._save()
        self._saved = time.monotonic()


@contextmanager
def running(
    title: str, epochs: int, steps: int, progress: Progress, save: Callable[[], None], go_on: str
) -> Iterator[Running]:
    """Show a progress bar, and delay Ctrl-C until a step is done.

    Args:
        title: of the progress bar.
        epochs: total.
        steps: per epoch.
        progress: the progress so far.
        save: writes the state; called between steps and by `Running.save`.
        go_on: the command to resume, for the interrupt's message.
    """
    done = progress.epoch * steps + progress.step
    with interrupt.wish_to_stop() as stop_asked, console.progress(title, epochs * steps, done=done) as advance:
        yield Running(progress, steps, save, go_on, advance, stop_asked)


def are_numbers(whole: list[Any], parts: list[Any]) -> bool:
    """Return whether saved numbers are valid for `Progress`: counts in `whole`, any numbers in `parts`."""
    return all(type(number) is int and 0 <= number < 1 << 31 for number in whole) and all(
        type(number) in (int, float) and math.isfinite(number) for number in parts
    )
