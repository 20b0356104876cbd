"""Trainings with recorded steps, in torchrun's processes: -m tests.helpers.together FOLDER."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import edgefer
from edgefer import recipes
from edgefer.data.dataset import Dataset
from edgefer.recipes import Recipe
from edgefer.training.targets import Batch, Targets
from edgefer.training.unfinished import TrainingProgress
from tests.helpers.stripes import stripes

IMAGES, BATCH = 220, 22  # 10 steps of 11 pairs: of two processes one takes ten images, the other twelve


def images() -> Dataset:
    """Return the training data."""
    return stripes(train=IMAGES)


def trainings() -> dict[str, Recipe]:
    """Return recipes of a network without BatchNorm, two epochs each."""
    plain = recipes.load(
        "quickstart",
        (
            "model.name=test_convnext",
            "model.args={}",
            f"train.batch_size={BATCH}",
            "train.ema=0.9",
            "train.clip_gradient=1",
            "phases.0.lr=0.02",
        ),
        epochs=2,
    )
    augment = plain.augment.model_copy(update={"mixup": 0.4, "erase": 0.3})
    phases = [plain.phases[0].model_copy(update={"epochs": 1, "train": names}) for names in (("head",), ("*",))]
    weighted = plain.train.model_copy(update={"class_weights": True})
    return {
        "mixed": plain.model_copy(update={"augment": augment}),
        "weighted": plain.model_copy(update={"train": weighted, "phases": tuple(phases)}),
    }


def noted(recipe: Recipe, dataset: Dataset, run: Path) -> dict[str, Any]:
    """Train; return the result, with this process's rows in each step, and the step's loss and time."""
    rows: list[list[int]] = []
    losses: list[float] = []
    clock: list[float] = []
    take, note, augmented = Targets.take, TrainingProgress.note, Targets.augmented

    def noting_take(self: Targets, *arguments: Any) -> Batch:
        def noting(taken: Any, *more: Any) -> Any:
            rows.append(taken.tolist())
            return augmented(self, taken, *more)

        self.augmented = noting  # type: ignore[method-assign, assignment]
        return take(self, *arguments)

    def noting_note(self: TrainingProgress, loss: float, *more: Any) -> None:
        losses.append(loss)
        clock.append(time.perf_counter())
        note(self, loss, *more)

    Targets.take, TrainingProgress.note = noting_take, noting_note  # type: ignore[method-assign, assignment]
    try:
        result = edgefer.train(recipe, dataset, run)
    finally:
        Targets.take, TrainingProgress.note = take, note  # type: ignore[method-assign]
    return {**dataclasses.asdict(result), "rows": rows, "losses": losses, "clock": clock}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    done = {name: noted(recipe, images(), folder / name) for name, recipe in trainings().items()}
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(done, default=str))
