"""Reads an unfinished training: its progress, its settings, and whether it can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefer import recipes
from edgefer.errors import InputError
from edgefer.learning import checkpoint, loop, private
from edgefer.learning import state as states
from edgefer.lines import shell
from edgefer.recipes import Recipe
from edgefer.training import log


@dataclass
class TrainingProgress(loop.Progress):
    """Progress of a training; part of the saved state.

    Attributes:
        phase: index of the current phase.
        first_epoch: epochs done when the phase began; fewer than planned if an earlier phase stopped early.
        right: correctly classified images among those `seen`.
        seen: images of the current epoch.
        best_loss: validation loss of the best epoch.
    """

    phase: int = 0
    first_epoch: int = 0
    right: int = 0
    seen: int = 0
    best_loss: float | None = None

    def note(self, loss: float, right: float, seen: float) -> None:
        """Add a step's loss, and the numbers of correct and seen images."""
        self.loss_sum += loss
        self.right += int(right)
        self.seen += int(seen)

    def end_epoch(self, line: dict[str, Any], by: str) -> None:
        """Add an epoch's log line, and record whether it is the best by ``accuracy`` or ``loss``."""
        self.next_epoch(line)
        self.right = self.seen = 0
        loss, accuracy = line["val_loss"], line["val_accuracy"]
        if accuracy > self.best_accuracy if by == "accuracy" else self.best_loss is None or loss < self.best_loss:
            self.best_epoch, self.best_accuracy, self.best_loss = self.epoch, accuracy, loss

    def is_at_end_of(self, recipe: Recipe) -> bool:
        """Return whether the current phase is done or stops early."""
        patience, planned = recipe.train.early_stopping, self.first_epoch + recipe.phases[self.phase].epochs
        stopped = 0 < patience <= self.epoch - max(self.best_epoch, self.first_epoch)
        return self.step == 0 and (self.epoch >= planned or stopped)


def resumed_recipe(run: Path) -> Recipe:
    """Return the recipe of an unfinished run, with the original paths of teachers and votes.

    Raises:
        InputError: `run` has no saved state.
    """
    recipe = recipes.parse(read_state(run)["recipe"], str(run))
    teaching = recipe.teaching
    lay = {"teachers": private.texts(run, "teachers"), "votes": private.text(run, "votes")}
    found = {key: place for key, place in lay.items() if place}
    return recipe.model_copy(update={"teaching": teaching.model_copy(update=found)})


def data_of(run: Path) -> Path | None:
    """Return the data path of an unfinished run, or None if it is unknown or no longer exists.

    `train` checks that the data are the same.
    """
    place = private.text(run, "data")
    return Path(place) if place and Path(place).exists() else None


def is_finished(recipe: Recipe, progress: TrainingProgress) -> bool:
    """Return whether the last phase is done or stopped early."""
    return progress.phase == len(recipe.phases) - 1 and progress.is_at_end_of(recipe)


def goes_on(run: Path, recipe: Recipe) -> bool:
    """Return whether a folder holds a training to resume; False if a new one can begin there.

    Raises:
        InputError: the folder holds something else, or a training of another recipe.
    """
    if not (run / f"{checkpoint.LAST}.json").is_file():
        check_new(run)
        return False
    if recipes.named(resumed_recipe(run)) != recipes.named(recipe):
        raise InputError(f"{run} began with other settings; give another folder with --out")
    return True


def check_new(run: Path) -> None:
    """Refuse a folder that is in use. Remains of a training killed in its first second don't count.

    Raises:
        InputError: the folder is not empty.
    """
    if run.exists() and not _is_unbegun(run):
        raise InputError(f"{run} is not empty; continue with --resume {shell(run)}, or name another folder with --out")


def _is_unbegun(run: Path) -> bool:
    return run.is_dir() and states.is_unbegun(run, [checkpoint.LAST], ["recipe.json", private.FILE, "tensorboard"])


def read_state(run: Path) -> dict[str, Any]:
    """Return the state of an unfinished training.

    Raises:
        InputError: the state is missing or damaged.
    """
    if _is_unbegun(run):
        raise InputError(
            f"{run} contains no training, or one interrupted before its first step; start it again: "
            f"edgefer train RECIPE --out {shell(run)} with the same options"
        )
    saved = states.read(run / f"{checkpoint.LAST}.json")
    if "recipe" not in saved:
        raise InputError(f"{run} contains no training; give a folder that `edgefer train` wrote")
    damage = _damage(saved)
    if damage:
        raise InputError(
            f"{run} is from another version of edgefer, or its {checkpoint.LAST}.json is damaged ({damage}); start "
            f"from its best weights with --from {shell(run)}"
        )
    return saved


def _damage(saved: dict[str, Any]) -> str:
    """Return which part of a state has a wrong type, or an empty string."""
    kinds = {"phase": int, "precision": str, "progress": dict, "random": dict, "schedule": dict}
    kinds |= {"model": dict, "selected": dict, "optimizer": dict}
    wrong = [name for name, kind in kinds.items() if type(saved.get(name)) is not kind]
    threads, channel_pairs = saved.get("threads", 1), saved.get("channel_pairs")
    if type(threads) is not int or threads < 1:
        wrong.append("threads")
    if not checkpoint.is_origin(saved.get("data")):
        wrong.append("data")
    if not checkpoint.is_initial_weights(saved.get("initial_weights")):
        wrong.append("initial_weights")
    if not isinstance(channel_pairs, list | dict | tuple | None):
        wrong.append("channel_pairs")
    if saved.get("precision") not in ("bf16", "fp32"):
        wrong.append("precision")
    if "progress" not in wrong and not _is_progress(saved["progress"]):
        wrong.append("progress")
    return ", ".join(dict.fromkeys(wrong))


def _is_progress(said: dict[str, Any]) -> bool:
    """Return whether a state contains a valid progress."""
    try:
        progress = TrainingProgress(**said)
        counts = ("phase", "first_epoch", "epoch", "step", "right", "seen", "best_epoch")
        parts = [progress.loss_sum, progress.seconds_in_epoch, progress.best_accuracy, progress.best_loss or 0.0]
        parts += [line[name] for line in progress.history for name in ("epoch", "val_loss", "val_accuracy", "seconds")]
        return (
            loop.are_numbers([getattr(progress, name) for name in counts], parts)
            and progress.right <= progress.seen
            and max(progress.best_epoch, progress.first_epoch) <= progress.epoch == len(progress.history)
            and all(line.keys() <= {*log.COLUMNS} for line in progress.history)
        )
    except (KeyError, TypeError, AttributeError, IndexError):
        return False


@contextmanager
def of_this_version(run: Path) -> Iterator[None]:
    """Restore a part of a saved state; a part that doesn't fit was saved by other code."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, OverflowError):
        raise InputError(
            f"{run} is from another version of edgefer, torch or timm and cannot be resumed; "
            f"use that version, or start from its best weights with --from {shell(run)}"
        ) from None
