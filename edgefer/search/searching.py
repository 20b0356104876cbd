"""Run a search from its settings to its result."""

from __future__ import annotations

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from edgefer import data, paths, recipes
from edgefer.compression.extension import load_nncf
from edgefer.errors import InputError, MissingRequirement
from edgefer.lines import one_line
from edgefer.search import result, storage, worker
from edgefer.search.result import SearchResult
from edgefer.search.trials import SearchJob


def search(job: SearchJob, study: str, address: str, heartbeat: int, trials: int) -> SearchResult:
    """Work on a study until it has the requested number of trials, and write ``search.json``.

    Args:
        job: settings shared by all trials.
        study: its name; an existing one is resumed.
        address: URL of its database, see `storage.opened`.
        heartbeat: see `storage.opened`.
        trials: total number in the study, over all workers.

    Raises:
        InputError: the study was started with other settings, or no trial yielded a network.
        MissingRequirement: the database is unusable or the connection is lost.
        MissingExtra: the extra ``compress`` is not installed.
        Interrupted: Ctrl-C; finished trials are in ``search.json``, and the same call resumes.
    """
    load_nncf()
    recipe = job.load()
    validation = data.split(data.only(job.dataset, recipe.data.classes), "val", recipe.data.split)
    description = {
        "recipe": recipes.named(recipe).model_dump(mode="json", exclude_defaults=True),  # a newer edgefer may have more
        "space": job.space.as_dict(),
        "data": {"digest": job.dataset.digest},
        "calibration": job.plan.name,
    }
    with storage.quiet():
        database = storage.opened(address, heartbeat)
        begun = storage.joined(database, study, description, job.space.of(recipe))
        try:
            try:
                worker.work(begun, database, job, trials)
            finally:
                found = result.read(begun, job, recipe.name, len(validation))
                if found.trials:
                    paths.write_json(job.out / result.JSON_FILE, found.as_dict(), indent=1)
        except (SQLAlchemyError, StorageInternalError) as error:
            said = one_line(error.__cause__ or error, 200)
            raise MissingRequirement(f"the database was lost ({said}); the same command goes on") from None
    if not found.measured:
        why = next((f": trial {each.number}: {each.error}" for each in found.trials if each.error), "")
        raise InputError(f"no trial of the study {study} made a network{why}")
    return found
