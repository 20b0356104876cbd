"""Run the batch on Ray Data: one predictor per actor, one shard at a time. Telemetry and dashboard stay off."""

from __future__ import annotations

import io
import os
import pickle
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict
from typing import Any

from edgefer import console, muted
from edgefer.batch import remote
from edgefer.batch.sources import Shard
from edgefer.batch.work import BatchJob, BatchWorker
from edgefer.errors import EdgeferError, InputError, MissingExtra, MissingRequirement
from edgefer.lines import one_line

_LEVEL = b"Set ray log level"  # printed by its C++ part when its log level is lowered
_STORE = 100 << 20  # bytes of Ray's local object store: it holds names and counts, no pixels


class ShardActor:
    """The work of an actor. edgefer's errors are returned as values: raised ones would be wrapped by Ray."""

    def __init__(self, job: dict[str, Any], folder: str) -> None:
        with suppress(OSError):  # the folder need not exist on another machine: URLs still work there
            os.chdir(folder)
        self._job = BatchJob(**job)
        self._worker: BatchWorker | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Write the rows of shards; return the number of pictures and the error that ended the work, if any."""
        pictures, failed, missing = [], [], []
        for shard in map(pickle.loads, batch["shard"]):
            error: EdgeferError | None = None
            count = 0
            try:
                if self._worker is None:
                    self._worker = BatchWorker(self._job)
                count = sum(self._worker.write(shard))
            except EdgeferError as raised:
                error = raised
            pictures.append(count)
            failed.append(str(error or ""))
            missing.append(isinstance(error, MissingRequirement))
        return {"pictures": pictures, "failed": failed, "missing": missing}


class _RayNews(io.TextIOBase):
    """Replaces Ray's long messages about dead workers with one line on the restart. The rest is in Ray's logs."""

    def write(self, text: str) -> int:
        """Print the line."""
        if "worker died" in text:
            console.say("a worker died and is started again; logs: /tmp/ray/session_latest/logs")
        return len(text)


def written(left: Sequence[Shard], job: BatchJob, workers: int) -> Iterator[int]:
    """Process shards; yield the number of pictures written per shard, in any order.

    ``RAY_ADDRESS`` selects a cluster; by default a local one is started for this process.

    Raises:
        MissingRequirement: Ray is not installed, cannot start, or workers die repeatedly.
        InputError: a worker cannot use the bundle.
    """
    ray = _imported()
    cluster = os.environ.get("RAY_ADDRESS")
    try:
        with muted.lines_with(_LEVEL):
            _start(ray, cluster, workers * job.threads)
    except Exception as error:
        raise MissingRequirement(f"Ray does not start: {one_line(error, 200)}") from None
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        least = 1 if cluster else workers
        counts = ray.data.from_items(
            [{"shard": pickle.dumps(shard)} for shard in left], override_num_blocks=len(left)
        ).map_batches(
            ShardActor,
            fn_constructor_args=(asdict(job), os.getcwd()),  # noqa: PTH109
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(min_size=least, max_size=workers, max_tasks_in_flight_per_actor=2),
            num_cpus=job.threads,
        )
        with redirect_stdout(_RayNews()):
            for row in counts.iter_rows():
                if row["failed"]:
                    raise (MissingRequirement if row["missing"] else InputError)(row["failed"])
                yield int(row["pictures"])
    except ray.exceptions.RayError as error:
        said = one_line(error, 200)
        raise MissingRequirement(f"Ray gave up: {said}; the same command goes on with what is missing") from error
    finally:
        ray.shutdown()


def _imported() -> Any:
    """Import Ray, which reads its settings on import."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # the rest is in Ray's own logs
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    if not os.environ.get("RAY_ADDRESS") and "ray" not in sys.modules:
        # Ray listens on every interface and executes what it receives from anyone who knows this token.
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error, remote.EXTRA) from None
    return ray


def _start(ray: Any, cluster: str | None, cpus: int) -> None:
    """Start Ray, or connect to a cluster."""
    quiet = {"log_to_driver": False, "logging_level": "error", "configure_logging": True}
    if cluster:
        ray.init(address=cluster, **quiet)
    else:
        ray.init(address="local", num_cpus=cpus, object_store_memory=_STORE, include_dashboard=False, **quiet)
    console.say_once(f"Ray {ray.__version__} has {ray.cluster_resources().get('CPU', 0):.0f} CPUs for predictors")
