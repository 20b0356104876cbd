"""One trial: sample settings, train a network, make its INT8 file and measure it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from edgefer import console, data, models, paths, recipes
from edgefer.compression import calibrate, gate
from edgefer.compression.calibrate import Scheme
from edgefer.compression.config import SCHEME
from edgefer.data.dataset import Dataset, Split
from edgefer.devices import machine
from edgefer.errors import Diverged, InputError
from edgefer.learning import checkpoint as checkpoints
from edgefer.recipes import Recipe
from edgefer.search.halving import Standing, goes_on, rungs
from edgefer.search.int8 import CalibratedNetwork, calibrated
from edgefer.search.space import SearchSpace
from edgefer.training import trainer, unfinished

INT8_FILE = "int8.onnx"


class TrialRefused(Exception):
    """A trial's settings yield no network or a non-finite loss; the message says why."""


@dataclass(frozen=True)
class SearchJob:
    """Settings shared by all trials of a study.

    Attributes:
        recipe: a name or a TOML file.
        settings: fixed in all trials.
        epochs: per trial; None: the recipe's.
        seed: for each training; None: the recipe's.
        dataset: `train` is used for training and calibration, `val` for evaluation.
        space: the search space.
        out: folder with a subfolder per trial.
        device: ``cpu`` or ``cuda``, for training.
        prunes: whether trials may stop early.
        plan: INT8 calibration settings.
        half_range: see `quantization.quantize`.
    """

    recipe: str
    settings: tuple[str, ...]
    epochs: int | None
    seed: int | None
    dataset: Dataset
    space: SearchSpace
    out: Path
    device: str | None
    prunes: bool = True
    plan: Scheme = field(default_factory=lambda: calibrate.load(SCHEME))
    half_range: bool = field(default_factory=lambda: machine.describe().saturates)

    def load(self, drawn: Sequence[str] = ()) -> Recipe:
        """Return the recipe with the settings sampled for a trial.

        Raises:
            InputError: the settings do not fit the recipe.
        """
        return recipes.load(self.recipe, [*self.settings, *drawn], self.epochs, self.seed)


def measure(trial: optuna.Trial, job: SearchJob) -> tuple[float, float, float]:
    """Train a trial; return INT8 validation accuracy (0 to 1), latency in milliseconds and file size in bytes.

    A trial whose worker was killed resumes from the last checkpoint if its folder is accessible.

    Raises:
        TrialPruned: stopped by `edgefer.search.halving`.
        TrialRefused: the settings yield no usable network.
        Interrupted: Ctrl-C; the training is saved.
    """
    started = time.monotonic()
    drawn = job.space.draw(trial)
    trial.set_user_attr("settings", drawn)
    console.say(f"trial {trial.number}: {', '.join(drawn)}")
    with _folder(trial, job.out) as run:
        trial.set_user_attr("folder", run.name)
        try:
            recipe = job.load(drawn)
            untrained = _calibrated(job, recipe, *_divided(job, recipe))
        except InputError as error:
            raise TrialRefused(str(error)) from None
        latency, size = untrained.speed.int8_ms, untrained.bytes
        trial.set_user_attr("before", {"latency": latency, "bytes": size})
        resume = unfinished.goes_on(run, recipe)
        marks = rungs(recipe.epochs) if job.prunes else []

        def compare(line: dict[str, Any]) -> None:
            epoch, accuracy = line["epoch"], line["val_accuracy"]
            if epoch in marks:
                trial.set_user_attr(f"accuracy_{epoch}", accuracy)
                if not goes_on(Standing(accuracy, latency, size), _others(trial, epoch)):
                    trial.set_user_attr("epochs", epoch)
                    trial.set_user_attr("seconds", round(time.monotonic() - started, 1))
                    raise optuna.TrialPruned

        try:
            trained = trainer.train(recipe, job.dataset, run, resume, device=job.device, after_epoch=compare)
            dataset, training, validation = _divided(job, recipe, run)
            int8 = _calibrated(job, recipe, dataset, training, validation, run)
        except (InputError, Diverged) as error:
            raise TrialRefused(str(error)) from None
        with paths.write_atomically(run / INT8_FILE) as part:
            part.write_bytes(int8.model.SerializeToString())
        found = gate.predictions(int8.model, recipe.preprocessing, validation, "checking INT8")
        accuracy = float((found == validation.labels).mean())
    if recipe.train.precision == "auto":  # timed here; another machine may choose otherwise
        trial.set_user_attr("settings", [*drawn, f"train.precision={trained.precision}"])
    for name, value in {
        "epochs": trained.epochs,
        "fp32_accuracy": trained.val_accuracy,
        "fp32_latency": int8.speed.fp32_ms,
        "parameters": trained.parameters,
        "cpu": int8.speed.cpu,
        "seconds": round(time.monotonic() - started, 1),
    }.items():
        trial.set_user_attr(name, value)
    return accuracy, int8.speed.int8_ms, int8.bytes


def first_number(trial: FrozenTrial | optuna.Trial) -> int:
    """Return the trial's number before its workers were killed."""
    number = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)  # type: ignore[arg-type]
    return trial.number if number is None else number


@contextmanager
def _folder(trial: optuna.Trial, out: Path) -> Iterator[Path]:
    """Yield the trial's folder: for a retry, the killed trial's, unless another process writes there."""
    frozen = trial.study.get_trials(deepcopy=False)[trial.number]
    with ExitStack() as stack:
        try:
            run = stack.enter_context(paths.run_folder(out / f"trial-{first_number(frozen):04d}", "search", ""))
        except InputError:  # its worker is alive: only its heartbeat was missed
            run = stack.enter_context(paths.run_folder(out / f"trial-{trial.number:04d}", "search", ""))
        yield run


def _divided(job: SearchJob, recipe: Recipe, run: Path | None = None) -> tuple[Dataset, Split, Split]:
    """Return the data set with its training and validation images, split as in training."""
    whole = job.dataset
    if run is not None:
        whole = data.as_recorded(whole, checkpoints.read(run).data)
    dataset = data.only(whole, recipe.data.classes)
    return dataset, data.split(dataset, "train", recipe.data.split), data.split(dataset, "val", recipe.data.split)


def _calibrated(
    job: SearchJob, recipe: Recipe, dataset: Dataset, training: Split, validation: Split, run: Path | None = None
) -> CalibratedNetwork:
    """Return a run's network in INT8; without a run, an untrained one, to measure its cost before training."""
    settings, spec = recipe.model, recipe.preprocessing
    if run is None:
        classes = len(dataset.classes)
        network = models.create(settings.name, classes, spec.channels, settings.args)
        models.check(network, settings.name, settings.args, classes, spec.channels, spec.size)
    else:
        network = checkpoints.build(checkpoints.read(run))
    images = calibrate.choose(job.plan, training, dataset)
    return calibrated(network, torch.from_numpy(spec.apply(images.take(slice(None)))), job.plan, job.half_range)


def _others(trial: optuna.Trial, epoch: int) -> Iterator[Standing]:
    """Yield the state of all other trials at an epoch, including running and stopped ones."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    for other in trial.study.get_trials(deepcopy=False, states=states):
        accuracy, cost = other.user_attrs.get(f"accuracy_{epoch}"), other.user_attrs.get("before")
        if other.number != trial.number and accuracy is not None and cost is not None:
            yield Standing(accuracy, **cost)
