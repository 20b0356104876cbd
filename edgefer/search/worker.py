"""A worker: runs trials until the study has enough. Any number of workers can run at once."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from edgefer import console
from edgefer.errors import Interrupted
from edgefer.lines import counted
from edgefer.search.storage import RETRIES, quiet
from edgefer.search.trials import SearchJob, TrialRefused, measure

_LOOK = 2.0  # seconds between checks on other workers


class _Surplus(Exception):
    """Another worker took the last trial at the same time."""


def work(study: optuna.Study, storage: RDBStorage, job: SearchJob, trials: int) -> None:
    """Run trials until the study has the requested number, over all workers.

    Trials of killed workers are run again, including those of the last workers: this returns when no trial is running.

    Raises:
        Interrupted: Ctrl-C; the interrupted trial waits for the next worker.
    """
    with quiet(), console.progress(f"search {study.study_name}", trials, done=(shown := _done(study))) as advance:
        while True:
            optuna.storages.fail_stale_trials(study)
            done = _done(study)
            advance(done - shown) if done > shown else None
            shown = done
            if done >= trials:
                return
            running = _running(study, storage)
            if done + running < trials or study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                _take(study, job, trials)
            else:
                console.say_once(f"waiting for {counted(running, 'trial')} of other workers")
                time.sleep(_LOOK)


def is_done(trial: FrozenTrial) -> bool:
    """Return whether a trial counts: measured, stopped early, or without a network."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or "error" in trial.user_attrs


def _done(study: optuna.Study) -> int:
    return sum(map(is_done, study.get_trials(deepcopy=False)))


def _running(study: optuna.Study, storage: RDBStorage) -> int:
    """Return the number of running trials. One without settings after a while lost its worker before a heartbeat."""
    patience = timedelta(seconds=4 * (storage.heartbeat_interval or 0))
    return sum(
        "settings" in trial.user_attrs or datetime.now() - (trial.datetime_start or datetime.min) < patience
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    )


def _take(study: optuna.Study, job: SearchJob, trials: int) -> None:
    """Run one trial."""
    taken: list[int] = []

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        before = study.get_trials(deepcopy=False)[: trial.number]
        if sum(each.state != TrialState.FAIL or is_done(each) for each in before) >= trials:
            raise _Surplus
        taken.append(trial.number)
        try:
            return measure(trial, job)
        except TrialRefused as error:
            console.say(f"trial {trial.number} makes no network: {error}")
            trial.set_user_attr("error", str(error))
            raise

    try:
        # Called each time, because it detects trials of dead workers.
        study.optimize(objective, n_trials=1, catch=(_Surplus, TrialRefused))
    except BaseException as error:
        if taken and _was_given_away(study, taken[0]):
            console.say(f"trial {taken[0]} was given to another worker, as this one was not heard of in time")
            return
        interrupted = isinstance(error, KeyboardInterrupt | Interrupted)
        for number in taken:
            _hand_back(study, study.get_trials()[number], None if interrupted else RETRIES)
        if interrupted:
            raise Interrupted("interrupted; the same command goes on with the study") from None
        raise
    for number in taken:
        _say(study.get_trials(deepcopy=False)[number])


def _was_given_away(study: optuna.Study, number: int) -> bool:
    return any(
        number in RetryHeartbeatStaleTrialCallback.retry_history(each) for each in study.get_trials(deepcopy=False)
    )


def _hand_back(study: optuna.Study, trial: FrozenTrial, most: int | None) -> None:
    """Queue an unfinished trial for a retry, up to the limit."""
    if trial.state == TrialState.FAIL and not is_done(trial):
        RetryHeartbeatStaleTrialCallback(max_retry=most)(study, trial)


def _say(trial: FrozenTrial) -> None:
    if trial.state == TrialState.PRUNED:
        epoch = trial.user_attrs["epochs"]
        console.say(f"trial {trial.number} stopped after epoch {epoch}: others that cost no more do better")
    elif trial.state == TrialState.COMPLETE:
        accuracy, latency, size = trial.values
        console.say(f"trial {trial.number}: {100 * accuracy:.2f} % in INT8, {latency:.3f} ms, {size:,.0f} bytes")
