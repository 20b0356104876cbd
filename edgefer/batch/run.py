"""Run a batch: list pictures, process those without output, locally or on Ray, and count the results."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from edgefer import console, paths
from edgefer.batch import remote, table, work
from edgefer.batch.sources import Shard, shards
from edgefer.batch.work import BatchJob, BatchWorker
from edgefer.devices import machine
from edgefer.errors import InputError, MissingExtra
from edgefer.lines import printable
from edgefer.predictor import Predictor

ROWS = 1000  # pictures per file: limits repeated work after a kill, and memory
_CPUS = ("cpu", "litert", "openvino")  # devices that each worker has to itself
_OURS = re.compile(r".+-[0-9a-f]{16}(-\d{5}(-end)?)?\.parquet", re.ASCII)


@dataclass(frozen=True)
class BatchSummary:
    """Contents of a folder of Parquet files.

    Attributes:
        out: the folder.
        files: number of files.
        pictures: number of rows, one per picture.
        faces: number of faces.
        without_face: pictures without a face.
        unread: unreadable pictures; their rows have an error.
        first_error: of one of them, or empty.
        resumed: pictures written by an earlier process.
        workers: predictors at a time; 0 if nothing was left to do.
        engine: ``ray``, or ``one process``.
    """

    out: str
    files: int
    pictures: int
    faces: int
    without_face: int
    unread: int
    first_error: str
    resumed: int
    workers: int
    engine: str

    def as_dict(self) -> dict[str, object]:
        """Return the attributes as plain JSON values."""
        return asdict(self)


def predict_many(names: Sequence[str], job: BatchJob, workers: int | None = None) -> BatchSummary:
    """Predict the faces in pictures and write a row for each as Parquet. Output of earlier processes is kept.

    Args:
        names: see `edgefer.batch.sources.shards`.
        job: output and settings.
        workers: number of predictors; more than one requires Ray. By default, one per `job.threads` CPUs if Ray is
            installed; one on a GPU or without Ray.

    Raises:
        InputError: there are no pictures, or the folder has other files.
        MissingRequirement: pyarrow or another requirement is missing.
    """
    table.arrow()
    if workers is not None and workers > 1 and not _has_ray():
        raise MissingExtra("ray, which runs several workers,", remote.EXTRA)
    with ExitStack() as stack:
        if not remote.is_address(job.out):
            _make(Path(job.out))
            stack.enter_context(paths.alone(Path(job.out)))
        folder = work.folder(job.out)
        settings = _settings(job)
        every = shards(names, settings, job.rows)
        there = folder.names()
        _check(job.out, there, every)
        left = [shard for shard in every if not work.is_whole(shard, there)]
        resumed = _counts(folder, job.out, there)["pictures"]
        on_cpu = settings["device"] in _CPUS
        workers = min(workers or (_usual_workers(job.threads) if on_cpu else 1), len(left))
        if workers > 1 and any(name.startswith("memory://") for name in (*names, job.out)):
            workers = 1  # memory is not shared with other processes
        total = max(1, sum(shard.count or 1 for shard in left))
        with console.progress("judging", total) as advance, closing(_written(left, job, workers)) as written:
            for pictures in written:
                advance(pictures)
        files = folder.names()
        engine = "ray" if workers > 1 else "one process"
        counts = _counts(folder, job.out, files)
        return BatchSummary(
            out=job.out,
            files=len(files),
            first_error=_first_error(folder, files) if counts["unread"] else "",
            resumed=resumed,
            workers=workers,
            engine=engine,
            **counts,
        )


def _written(left: Sequence[Shard], job: BatchJob, workers: int) -> Generator[int]:
    """Yield the number of pictures written, file by file."""
    if workers > 1:
        from edgefer.batch import on_ray

        yield from on_ray.written(left, job, workers)
    elif workers:
        with BatchWorker(job) as worker:
            for shard in left:
                yield from worker.write(shard)


def _settings(job: BatchJob) -> dict[str, object]:
    """Return the settings that affect rows: other settings lead to other files."""
    with Predictor.load(job.bundle, None, job.threads, job.device, job.detector) as predictor:
        return {
            "network": predictor.bundle.manifest.networks[predictor.network].sha256,
            "device": predictor.device,
            "detector": str(job.detector or ""),
            "faces": job.faces,
            "min_face": job.min_face,
            "min_confidence": job.min_confidence,
            "rows": job.rows,
        }


def _make(out: Path) -> None:
    if not out.is_dir():
        paths.check_empty(out, "--out")
        out.mkdir(parents=True, exist_ok=True)


def _check(out: str, names: set[str], every: Sequence[Shard]) -> None:
    """Reject a folder with files of other settings, or whose rows would be duplicated.

    Raises:
        InputError: there are such files.
    """
    shown = printable(remote.public(out))
    known = tuple(shard.name for shard in every)
    for name in sorted(names):
        if _OURS.fullmatch(name) is None:
            raise InputError(f"{shown} has other files, such as {printable(name)}; name another folder with --out")
        if not name.startswith(known):
            raise InputError(
                f"{shown} has rows of other pictures, or of another bundle or options ({printable(name)}); name "
                "another folder with --out"
            )


def _counts(folder: work.LocalFolder | remote.RemoteFolder, out: str, names: set[str]) -> dict[str, int]:
    """Return the totals over all files; see `table.counts`."""
    found = dict.fromkeys(("pictures", "faces", "without_face", "unread"), 0)
    for name in names:
        with folder.opened(name) as file:
            for key, count in table.counts(file, f"{out}/{name}").items():
                found[key] += count
    return found


def _first_error(folder: work.LocalFolder | remote.RemoteFolder, names: set[str]) -> str:
    for name in sorted(names):
        with folder.opened(name) as file:
            if found := table.first_error(file):
                return found
    return ""


def _has_ray() -> bool:
    return find_spec("ray") is not None


def _usual_workers(threads: int) -> int:
    if not _has_ray():
        return 1
    if os.environ.get("RAY_ADDRESS"):  # as many as fit into the cluster
        return sys.maxsize
    return max(1, machine.cores() // threads)
