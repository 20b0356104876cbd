"""Read a run's folder, finished or not."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefer import bundle, limits, public, recipes
from edgefer.errors import InputError
from edgefer.learning import checkpoint, state
from edgefer.learning.checkpoint import Checkpoint
from edgefer.recipes import Recipe
from edgefer.review.result import Epoch, RunInfo
from edgefer.training import unfinished

LOG = "log.csv"
_MAX_EPOCHS = 100_000
_LARGEST = 1e30  # a number in a log


@dataclass(frozen=True)
class Run:
    """The contents of a training folder.

    Attributes:
        folder: its path.
        recipe: all settings.
        info: see `edgefer.review.result.RunInfo`.
        history: the log; empty if there is none.
        checkpoint: the best weights; None before the first epoch is done.
        data: `edgefer.data.provenance` of the training data.
    """

    folder: Path
    recipe: Recipe
    info: RunInfo
    history: list[Epoch]
    checkpoint: Checkpoint | None
    data: dict[str, Any]


def find(path: Path | None) -> Path:
    """Return the folder of a run: `path`, a network shipped with edgefer, or by default the newest run.

    Raises:
        InputError: there is no run.
    """
    path = checkpoint.place(path)
    folder = path.parent if path.is_file() else path
    if not any((folder / f"{stem}.json").is_file() for stem in (checkpoint.BEST, checkpoint.LAST)):
        raise InputError(f"{path} contains no training; give a folder that `edgefer train` wrote")
    return folder


def read(folder: Path) -> Run:
    """Read a run's folder. For a run in progress, this is the state it saved last.

    Raises:
        InputError: the folder was not written by `edgefer train`, or a file in it is damaged.
    """
    best, last = (folder / f"{stem}.json" for stem in (checkpoint.BEST, checkpoint.LAST))
    kept = checkpoint.read(best) if best.is_file() else None
    saved = state.plain(last) if last.is_file() else None
    if kept is None and saved is None:
        raise InputError(f"{folder} contains no training; give a folder that `edgefer train` wrote")
    finished: bool | None = None
    history: list[Epoch] = []
    if saved is not None:
        try:
            recipe = recipes.parse(saved["recipe"], str(last))
            progress = unfinished.TrainingProgress(**saved["progress"])
            history = _epochs(progress.history)
            finished = unfinished.is_finished(recipe, progress)
            data, start, precision = saved["data"], saved.get("initial_weights"), str(saved["precision"])
            if not (checkpoint.is_origin(data) and checkpoint.is_initial_weights(start)):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{last} is damaged or was not written by `edgefer train`") from None
    else:
        assert kept is not None
        recipe, data, start, precision = kept.recipe, kept.data, kept.initial_weights, kept.precision
        history = _read_log(folder / LOG)
    info = RunInfo(
        name=_name(folder),
        recipe=recipes.named(recipe).model_dump(mode="json"),
        data={"name": data["name"], "digest": data["digest"], "synthetic": bool(data.get("synthetic"))},
        seed=recipe.train.seed,
        initial_weights=public.value(start),
        precision=precision,
        versions=kept.versions if kept else {},
        finished=finished,
        epochs=len(history) if history or finished is not None else None,
        best_epoch=kept.epoch if kept else None,
        val_accuracy=kept.val_accuracy if kept else None,
    )
    return Run(folder, recipe, info, history, kept, data)


def _name(folder: Path) -> str:
    """Return a run's name: its folder's, or that of the network shipped with edgefer."""
    ours = folder.name == "checkpoint" and folder.parent.name in bundle.pretrained()
    return folder.parent.name if ours else folder.resolve().name


def _read_log(file: Path) -> list[Epoch]:
    if not file.exists():
        return []
    content = limits.read_bytes(file, limits.LOG)
    try:
        return _epochs(csv.DictReader(content.decode().splitlines()))
    except (KeyError, TypeError, ValueError, csv.Error):
        raise InputError(
            f"{file} is damaged or was not written by `edgefer train`; delete it to continue without it"
        ) from None


def _epochs(lines: Iterable[Mapping[str, Any]]) -> list[Epoch]:
    """Return the validated lines of a log.

    Raises:
        KeyError, TypeError, ValueError: it is not a log.
    """
    found = [
        Epoch(
            epoch=int(line["epoch"]),
            phase=str(line["phase"]),
            lr=_number(line["lr"]),
            train_loss=_number(line["train_loss"]),
            train_accuracy=None if line.get("train_accuracy") in (None, "") else _number(line["train_accuracy"]),
            val_loss=_number(line["val_loss"]),
            val_accuracy=_number(line["val_accuracy"]),
            seconds=_number(line["seconds"]),
        )
        for line in lines
    ]
    if len(found) > _MAX_EPOCHS or [each.epoch for each in found] != list(range(1, len(found) + 1)):
        raise ValueError
    return found


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise ValueError
    return number
