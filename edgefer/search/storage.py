"""The study shared by workers: an Optuna database with heartbeats."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from edgefer.errors import InputError, MissingRequirement
from edgefer.lines import one_line

DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "latency": "minimize",
    "bytes": "minimize",
}
RETRIES = 3  # retries of a trial whose worker died: the trial may be the cause
_DESCRIPTION = "edgefer"  # among the study's attributes
_TRIES = 5  # attempts to create the tables: several workers may start at the same time
_WAIT = 60  # seconds to wait for a lock of SQLite


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's log and warnings about experimental features: edgefer reports progress itself."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def opened(address: str, heartbeat: int) -> RDBStorage:
    """Open a database, creating its tables if needed.

    Args:
        address: ``sqlite:///study.db`` or another SQLAlchemy URL.
        heartbeat: seconds between heartbeats of a trial's worker; after two missed ones, the trial is run again.

    Raises:
        InputError: it is not a database URL.
        MissingRequirement: the driver is not installed, or the database is unreachable.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise InputError(f"--storage takes sqlite:///study.db or another database's URL, not {address}") from None
    shown = url.render_as_string(hide_password=True)
    lite = url.get_backend_name() == "sqlite"
    if lite:
        if url.database in (None, "", ":memory:"):
            raise InputError(f"--storage {shown} names no file, so no other worker could join; try sqlite:///study.db")
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    for left in reversed(range(_TRIES)):
        try:
            return RDBStorage(
                address,
                engine_kwargs={"connect_args": {"timeout": _WAIT}} if lite else {"pool_pre_ping": True},
                heartbeat_interval=heartbeat,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=RETRIES),
            )
        except ImportError as error:
            raise MissingRequirement(f"{_driver(url, error)} is not installed, which --storage {shown} takes") from None
        except RuntimeError:  # tables of another version
            raise MissingRequirement(
                f"the database {shown} was made by another version of optuna than {optuna.__version__}; install that "
                "version, or name a new database with --storage"
            ) from None
        except SQLAlchemyError as error:
            if isinstance(error, ArgumentError):
                raise InputError(f"--storage {shown}: {one_line(error, 200)}") from None
            if not left:
                said = one_line(getattr(error, "orig", None) or error, 200)
                raise MissingRequirement(f"the database {shown} cannot be used: {said}") from None
            time.sleep(0.2)
    raise AssertionError


def _driver(url: URL, error: ImportError) -> str:
    cause = error.__cause__ or error
    return getattr(cause, "name", None) or url.get_driver_name()


def joined(
    storage: RDBStorage, name: str, description: Mapping[str, Any], first: Mapping[str, Any] | None
) -> optuna.Study:
    """Return the study with this name, creating it if needed.

    Args:
        storage: from `opened`.
        name: of the study.
        description: plain JSON values that must match across workers.
        first: parameters of the first trial, if known.

    Raises:
        InputError: the study was started with another description, or by another program.
    """
    sampler = optuna.samplers.TPESampler(constant_liar=True)  # several workers: none samples what another is trying
    common: dict[str, Any] = {"storage": storage, "sampler": sampler}
    try:
        study = optuna.create_study(**common, study_name=name, directions=list(DIRECTIONS.values()))
        if first:
            study.enqueue_trial(dict(first), user_attrs={"as_it_is": True})
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(**common, study_name=name)
    begun = study.user_attrs.get(_DESCRIPTION)
    directions = [each.name.lower() for each in study.directions]
    foreign = begun is None and any(not {"settings", "as_it_is"} & trial.user_attrs.keys() for trial in study.trials)
    if foreign or directions != [*DIRECTIONS.values()] or not isinstance(begun, dict | None):
        raise InputError(f"the study {name} was not begun by `edgefer search`; name a new one with --study")
    if begun is None:  # new, or its creator is about to write the same
        study.set_user_attr(_DESCRIPTION, dict(description))
        return study
    other = [key for key in description if begun.get(key) != description[key]]
    if other:
        raise InputError(f"the study {name} was begun with another {other[0]}; name a new one with --study")
    return study
