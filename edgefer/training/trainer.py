"""From recipe to checkpoint: setup, then phases, epochs and steps.

The saved state has everything that a step depends on. On a CPU with the same number of threads, a resumed run gives
bit-identical weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from edgefer import console, models, versions
from edgefer.data.dataset import Dataset, Split
from edgefer.errors import Diverged
from edgefer.learning import checkpoint, distributed, evaluate, images, loop, optimizer
from edgefer.lines import mark, shell
from edgefer.recipes import Recipe
from edgefer.training import log
from edgefer.training.setup import PACKAGES, TrainSetup, prepare


@dataclass(frozen=True)
class TrainResult:
    """Result of a finished training.

    Attributes:
        run: the folder, with ``best.json``, ``last.json``, ``recipe.json`` and ``log.csv``.
        epochs: epochs done.
        best_epoch: epoch of the weights in ``best.json``, from 1.
        val_accuracy: of those weights on the validation split, 0 to 1.
        parameters: number of trained parameters.
        seconds: training time, including validation.
        world_size: number of processes.
        precision: ``bf16`` or ``fp32``, as used.
        data: the data set's name.
        digest: the data set's SHA-256.
        synthetic: True if trained on the built-in faces.
        division: how edgefer split validation and test images from the training images; None if it didn't.
        history: the log, a dict per epoch.
        recipe: all settings as used, with names instead of paths.
        initial_weights: the initial weights (`edgefer.learning.initial_weights`).
        sources: see `Checkpoint.sources`.
        versions: of the packages that affect the result.
    """

    run: Path
    epochs: int
    best_epoch: int
    val_accuracy: float
    parameters: int
    seconds: float
    world_size: int
    precision: str
    data: str
    digest: str
    synthetic: bool
    division: dict[str, Any] | None
    history: list[dict[str, Any]]
    recipe: dict[str, Any]
    initial_weights: dict[str, str] | None
    sources: dict[str, Any] | None
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return {**asdict(self), "run": str(self.run)}


def train(
    recipe: Recipe,
    dataset: Dataset,
    run: Path,
    resume: bool = False,
    tensorboard: bool = False,
    device: str | None = None,
    after_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> TrainResult:
    """Train a network and keep the checkpoint with the best validation accuracy, or loss (`recipe.train.best`).

    Args:
        recipe: all settings.
        dataset: its `train` split trains, its `val` split selects; `test` is never used.
        run: folder for the results.
        resume: resume from ``last.json`` in `run`.
        tensorboard: write event files too.
        device: ``cpu`` or ``cuda``; by default cuda if available.
        after_epoch: called with each epoch's log line after saving; an exception ends the training.

    Raises:
        InputError: settings don't fit the network or the data, or the run can't be resumed.
        Diverged: the loss is not finite; `run` holds the best checkpoint so far.
        Interrupted: Ctrl-C; the state is saved and the run can be resumed.
    """
    job = prepare(recipe, dataset, run, resume, device)
    settings, progress, model, targets = recipe.train, job.progress, job.model, job.targets
    classes, steps = len(job.dataset.classes), job.steps
    board = log.TensorBoard(run) if tensorboard and distributed.is_first() else None
    _say_what_begins(job)

    targets.ask_teachers(job.precision)
    distributed.wait()

    def save() -> None:
        job.save(stepper, schedule)

    go_on = distributed.command(f"edgefer train --resume {shell(run)}")
    with loop.running(recipe.name, recipe.epochs, steps, progress, save, go_on) as running:
        job.restore_randomness()
        for phase in job.phases_left():
            stepper, schedule = job.begin(phase)
            if not (run / f"{checkpoint.LAST}.json").exists():
                running.save()  # so a run killed in its first minutes can be resumed too
            while not progress.is_at_end_of(recipe):
                model.train()
                if phase.freeze_batchnorm:
                    _freeze_batchnorm(model)
                targets.begin_epoch(progress.epoch)
                order = images.order(len(job.training), settings.seed, progress.epoch)
                for step in running.steps():
                    done = progress.epoch * steps + step
                    schedule.step(done - progress.first_epoch * steps)
                    rows = order[step * settings.batch_size :][: settings.batch_size]
                    batch = targets.take(rows, job.precision)
                    logits, step_loss = job.forward(batch)
                    value, *counts = distributed.total(step_loss.item(), batch.right(logits[:, :classes]), len(batch.y))
                    if not math.isfinite(value):
                        raise _diverged(job, job.training.rows[rows])
                    stepper.zero_grad()
                    distributed.backward(step_loss)
                    if settings.clip_gradient:
                        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_gradient)
                    stepper.step()
                    distributed.average_statistics(model)
                    if job.channel_pairs:
                        models.mirror(model, job.channel_pairs)
                    if job.averaged:
                        job.averaged.update(model, step=done)
                    progress.note(value, *counts)

                val_loss, val_accuracy = _validate(job.selected, job.validation, recipe, classes)
                if not math.isfinite(val_loss):
                    raise _diverged(job, None)
                line = {
                    "epoch": progress.epoch + 1,
                    "phase": phase.name,
                    "lr": float(f"{stepper.param_groups[0]['lr']:.3g}"),
                    "train_loss": round(progress.loss_sum / steps, 4),
                    # None if an older edgefer, which didn't count, did the whole epoch
                    "train_accuracy": round(progress.right / progress.seen, 5) if progress.seen else None,
                    "val_loss": round(val_loss, 4),
                    "val_accuracy": round(val_accuracy, 5),
                    "seconds": round(progress.seconds_in_epoch + running.seconds(), 1),
                }
                schedule.epoch(val_loss)
                progress.end_epoch(line, settings.best)
                if distributed.is_first():
                    if progress.best_epoch == progress.epoch:
                        checkpoint.write(run, job.checkpoint(val_accuracy))
                    log.write_csv(run, progress.history)  # before the state, which may mark the run as finished
                running.save()
                if board:
                    board.add(line)
                console.say(_sentence(line, recipe.epochs, progress.best_epoch == progress.epoch, dataset.synthetic))
                if after_epoch:
                    after_epoch(line)
    if distributed.is_first():
        checkpoint.finish(run, progress.epoch)
    return _result(job)


def _say_what_begins(job: TrainSetup) -> None:
    recipe, dataset = job.recipe, job.dataset
    console.say(
        f"training {recipe.name} on {dataset.name}: {len(job.training):,} images, {recipe.epochs} epochs of "
        f"{job.steps} steps, {_where(job)}, {job.precision}, into {job.run}"
    )
    weights = job.targets.criterion.weight
    if weights is not None:
        shares = zip(dataset.classes, weights.tolist(), strict=True)
        console.say(f"class weights: {', '.join(f'{name} {weight:.2f}' for name, weight in shares)}")


def _where(job: TrainSetup) -> str:
    return job.device if distributed.world_size() == 1 else f"{distributed.world_size()} processes on {job.device}"


def _result(job: TrainSetup) -> TrainResult:
    progress, dataset, kept = job.progress, job.dataset, job.kept()
    return TrainResult(
        run=job.run,
        epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        val_accuracy=progress.best_accuracy,
        parameters=sum(kept[name].numel() for name, _ in job.model.named_parameters()),
        seconds=round(sum(line["seconds"] for line in progress.history), 1),
        world_size=distributed.world_size(),
        precision=job.precision,
        data=dataset.name,
        digest=dataset.digest,
        synthetic=dataset.synthetic,
        division=asdict(dataset.division) if dataset.division else None,
        history=progress.history,
        recipe=job.metadata["recipe"],
        initial_weights=job.metadata["initial_weights"],
        sources=job.sources,
        versions=versions.installed(*PACKAGES),
    )


def _freeze_batchnorm(model: nn.Module) -> None:
    for module in optimizer.batchnorms(model):
        module.eval()


def _validate(model: nn.Module, validation: Split, recipe: Recipe, classes: int) -> tuple[float, float]:
    logits = evaluate.shared_logits(model, validation, recipe.preprocessing)[:, :classes]
    mean_loss = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(validation.labels)).item()
    accuracy = float((logits.argmax(axis=1) == validation.labels).mean())
    return distributed.from_first(lambda: (mean_loss, accuracy))  # bit-identical, since a schedule may depend on it


def _diverged(job: TrainSetup, rows: NDArray[np.int64] | None) -> Diverged:
    """Return the error for a loss that is not finite: of the step on `rows`, or else of the validation."""
    progress, weight = job.progress, job.targets.criterion.weight
    kept = f"the best checkpoint, of epoch {progress.best_epoch}, stays in {job.run}" if progress.best_epoch else ""
    lighter = "" if weight is None else f", or train.class_weight_clip under the {weight.max().item():.2f} of now"
    return Diverged(
        (
            f"the validation loss is not finite after epoch {progress.epoch + 1}"
            if rows is None
            else f"the loss is not finite at epoch {progress.epoch + 1}, step {progress.step + 1} "
            f"(batch of rows {', '.join(map(str, rows[:4]))}, ...)"
        )
        + "; try a lower phases.0.lr or train.clip_gradient=1"
        + lighter
        + (f"; {kept}" if kept else "")
    )


def _sentence(line: dict[str, Any], epochs: int, best: bool, synthetic: bool) -> str:
    return (
        f"epoch {line['epoch']} of {epochs}: train loss {line['train_loss']:.3f}, val loss {line['val_loss']:.3f}, "
        f"val accuracy {100 * line['val_accuracy']:.2f} %{mark(synthetic)}, "
        f"{console.duration(line['seconds'])}" + (" (best)" if best else "")
    )
