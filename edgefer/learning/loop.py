"""What training and fine-tuning share: steps that are counted, saved now and then, and stopped between two of them.

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
    """How far a training is; part of the saved state.

    Attributes:
        epoch: epochs done.
        step: steps done of the epoch that runs.
        loss_sum: of those steps.
        seconds_in_epoch: spent on them.
        best_epoch: the one whose weights are kept.
        best_accuracy: its validation accuracy.
        history: a dict for each epoch.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds_in_epoch: float = 0.0
    best_epoch: int = 0
    best_accuracy: float = -1.0
    history: list[dict[str, Any]] = field(default_factory=list)

    def next_epoch(self, line: dict[str, Any]) -> None:
        """Note an epoch's line of the log and begin the next one."""
        self.history.append(line)
        self.epoch, self.step, self.loss_sum, self.seconds_in_epoch = self.epoch + 1, 0, 0.0, 0.0


class Running:
    """A training that runs; from `running`.

    Args:
        progress: counted up after each step.
        steps: of an epoch.
        save: writes the state.
        go_on: the command that resumes.
        advance: of the progress bar.
        stop_asked: whether someone wants it to stop.
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
        """Yield the number of each step that is left of the epoch, from 0; save and stop between two.

        Raises:
            Interrupted: Ctrl-C; the state is saved.
        """
        progress = self._progress
        while progress.step < self._steps:
            yield progress.step
            progress.step += 1
            progress.seconds_in_epoch += self.seconds()
            self._advance(1, f"epoch {progress.epoch + 1}, loss {progress.loss_sum / progress.step:.3f}")
            if any(distributed.total(self._stop_asked())):  # all of them after the same step
                self.save()
                raise Interrupted(f"interrupted; resume with: {self._go_on}")
            if self._clock - self._saved > SECONDS_BETWEEN_SAVES:
                self.save()

    def seconds(self) -> float:
        """Return the seconds since this was last asked."""
        before, self._clock = self._clock, time.monotonic()
        return self._clock - before

    def save(self) -> None:
        """Write the state now, in the first process."""
        if distributed.is_first():
            self._save()
        self._saved = time.monotonic()


@contextmanager
def running(
    title: str, epochs: int, steps: int, progress: Progress, save: Callable[[], None], go_on: str
) -> Iterator[Running]:
    """Show a progress bar and hold Ctrl-C back until a step is done.

    Args:
        title: of the bar.
        epochs: in all.
        steps: of an epoch.
        progress: how far it is.
        save: writes the state; called between two steps, and by `Running.save`.
        go_on: the command that resumes, for the message of an interrupt.
    """
    done = progress.epoch * steps + progress.step
    with interrupt.wish_to_stop() as stop_asked, console.progress(title, epochs * steps, done=done) as advance:
        yield Running(progress, steps, save, go_on, advance, stop_asked)


def are_numbers(whole: list[Any], parts: list[Any]) -> bool:
    """Return whether numbers of a saved state are such as `Progress` holds: counts in `whole`, any in `parts`."""
    return all(type(number) is int and 0 <= number < 1 << 31 for number in whole) and all(
        type(number) in (int, float) and math.isfinite(number) for number in parts
    )
