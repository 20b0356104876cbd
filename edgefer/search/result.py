"""The result of a study: trials, Pareto front, and importance of the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from edgefer import public, recipes, versions
from edgefer.lines import typed
from edgefer.search.storage import DIRECTIONS, quiet
from edgefer.search.trials import SearchJob, first_number
from edgefer.search.worker import is_done

JSON_FILE, PAGE_FILE = "search.json", "search.html"
PACKAGES = ("optuna", "torch", "nncf", "onnx", "onnxruntime", "numpy")
_LEAST = 4  # minimum number of measured trials for importances
_KINDS = {TrialState.COMPLETE: "measured", TrialState.PRUNED: "stopped early", TrialState.FAIL: "no network"}


@dataclass(frozen=True)
class TrialRow:
    """One trial; None: not reached.

    Attributes:
        number: within the study.
        kind: ``measured``, ``stopped early`` or ``no network``.
        as_it_is: whether the settings are the recipe's own.
        settings: sampled settings, in the syntax of ``--set``.
        command: repeats its training.
        folder: name within the search's folder.
        on_front: whether the trial is Pareto-optimal in accuracy, latency and size.
        accuracy: INT8, on the validation split, 0 to 1.
        latency: INT8, in milliseconds, median, batch 1, one thread.
        bytes: size of the INT8 file.
        fp32_accuracy: at the best epoch, on the same split.
        fp32_latency: interleaved with INT8.
        parameters: number of trained parameters.
        epochs: completed.
        seconds: spent by the last worker.
        cpu: on which the latency was measured.
        retries: how often its worker was killed or stopped.
        error: why the settings yield no network.
    """

    number: int
    kind: str
    as_it_is: bool
    settings: list[str]
    command: str
    folder: str | None
    on_front: bool
    accuracy: float | None
    latency: float | None
    bytes: int | None
    fp32_accuracy: float | None
    fp32_latency: float | None
    parameters: int | None
    epochs: int | None
    seconds: float | None
    cpu: str | None
    retries: int
    error: str | None


@dataclass(frozen=True)
class SearchResult:
    """A study, as stored in ``search.json``.

    Attributes:
        study: its name.
        recipe: its name.
        data: the data set's name.
        digest: the data set's SHA-256.
        synthetic: True for the built-in faces.
        images: number of validation images.
        settings: fixed in all trials.
        space: the search space.
        calibration: scheme for INT8 ranges.
        trials: finished trials.
        unfinished: number of running or waiting trials.
        importances: per objective, the share of variance explained by each setting (fANOVA).
        versions: of the installed packages.
    """

    study: str
    recipe: str
    data: str
    digest: str
    synthetic: bool
    images: int
    settings: tuple[str, ...]
    space: dict[str, Any]
    calibration: str
    trials: list[TrialRow]
    unfinished: int
    importances: dict[str, dict[str, float]]
    versions: dict[str, str]

    @property
    def measured(self) -> list[TrialRow]:
        """Trials with all three figures."""
        return [each for each in self.trials if each.accuracy is not None]

    @property
    def front(self) -> list[TrialRow]:
        """The Pareto front, fastest first."""
        return sorted((each for each in self.trials if each.on_front), key=lambda each: each.latency or 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return asdict(self)


def read(study: optuna.Study, job: SearchJob, recipe: str, images: int) -> SearchResult:
    """Return the current result of a study.

    Args:
        study: from `edgefer.search.storage.joined`.
        job: the job of its workers.
        recipe: its name.
        images: number of validation images.
    """
    with quiet():
        trials = study.get_trials(deepcopy=False)
        front = {each.number for each in study.best_trials}
        words = _words(job)
        return SearchResult(
            study=study.study_name,
            recipe=recipe,
            data=job.dataset.name,
            digest=job.dataset.digest,
            synthetic=job.dataset.synthetic,
            images=images,
            settings=tuple(map(recipes.setting, job.settings)),
            space=job.space.as_dict(),
            calibration=job.plan.name,
            trials=[_row(each, words, each.number in front) for each in trials if is_done(each)],
            unfinished=sum(each.state in (TrialState.RUNNING, TrialState.WAITING) for each in trials),
            importances=_importances(study),
            versions=versions.installed(*PACKAGES),
        )


def _words(job: SearchJob) -> list[str]:
    """Return the command that trains the recipe with the settings shared by all trials."""
    recipe = Path(job.recipe)
    words = ["edgefer", "train", public.place(recipe) if recipe.exists() else job.recipe]
    if not job.dataset.synthetic:
        words += ["--data", public.place(job.dataset.origin)]
    words += [] if job.epochs is None else ["--epochs", str(job.epochs)]
    words += [] if job.seed is None else ["--seed", str(job.seed)]
    return words + _options(list(map(recipes.setting, job.settings)))


def _options(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _row(trial: FrozenTrial, words: Sequence[str], on_front: bool) -> TrialRow:
    said = trial.user_attrs
    accuracy, latency, size = trial.values if trial.state == TrialState.COMPLETE else (None, None, None)
    before = said.get("before", {})
    return TrialRow(
        number=trial.number,
        kind=_KINDS[trial.state],
        as_it_is=bool(said.get("as_it_is")),
        settings=list(said.get("settings", [])),
        command=typed([*words, *_options(said.get("settings", []))]),
        folder=said.get("folder"),
        on_front=on_front,
        accuracy=accuracy,
        latency=before.get("latency") if latency is None else latency,
        bytes=before.get("bytes") if size is None else int(size),
        fp32_accuracy=said.get("fp32_accuracy"),
        fp32_latency=said.get("fp32_latency"),
        parameters=said.get("parameters"),
        epochs=said.get("epochs"),
        seconds=said.get("seconds"),
        cpu=said.get("cpu"),
        retries=0 if first_number(trial) == trial.number else len(trial.system_attrs["retry_history"]),
        error=said.get("error"),
    )


def _importances(study: optuna.Study) -> dict[str, dict[str, float]]:
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < _LEAST:
        return {}
    found = {}
    for place, objective in enumerate(DIRECTIONS):
        try:
            shares = optuna.importance.get_param_importances(
                study,
                evaluator=FanovaImportanceEvaluator(seed=0),
                target=lambda trial, place=place: trial.values[place],  # type: ignore[misc]
            )
        except RuntimeError:  # identical in all trials: nothing to explain
            continue
        found[objective] = {key: round(share, 4) for key, share in shares.items()}
    return found
