"""The whole: pictures are listed, what has no file yet is judged, here or on Ray, and counted."""

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
from edgefer.errors import InputError, MissingExtra
from edgefer.lines import printable
from edgefer.predictor import Predictor

ROWS = 1000  # of a file: what a killed worker does again, and few enough for its memory
_CPUS = ("cpu", "litert", "openvino")  # devices of which each worker has its own
_OURS = re.compile(r".+-[0-9a-f]{16}(-\d{5}(-end)?)?\.parquet", re.ASCII)


@dataclass(frozen=True)
class BatchSummary:
    """What stands in a folder of Parquet files.

    Attributes:
        out: the folder.
        files: in it.
        pictures: rows: one for each picture.
        faces: found in them.
        without_face: pictures in which none was found.
        unread: pictures that could not be read; their rows have an error.
        resumed: pictures whose rows an earlier process had written.
        workers: predictors that worked at a time; 0 where nothing was left to do.
        engine: ``ray``, or ``one process``.
    """

    out: str
    files: int
    pictures: int
    faces: int
    without_face: int
    unread: int
    resumed: int
    workers: int
    engine: str

    def as_dict(self) -> dict[str, object]:
        """Return the attributes as plain JSON values."""
        return asdict(self)


def predict_many(names: Sequence[str], job: BatchJob, workers: int | None = None) -> BatchSummary:
    """Judge pictures and write a row for each, as Parquet. What an earlier process wrote is left as it is.

    Args:
        names: see `edgefer.batch.sources.shards`.
        job: where to, and how.
        workers: predictors at a time; more than one need Ray. By default one for each `job.threads` CPUs where Ray is
            installed; else, and on a GPU, one.

    Raises:
        InputError: nothing is meant, or the folder has other files.
        MissingRequirement: pyarrow, or something else that is needed, is not there.
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
            workers = 1  # another process has another memory
        total = max(1, sum(shard.count or 1 for shard in left))
        with console.progress("judging", total) as advance, closing(_written(left, job, workers)) as written:
            for pictures in written:
                advance(pictures)
        files = folder.names()
        engine = "ray" if workers > 1 else "one process"
        counts = _counts(folder, job.out, files)
        return BatchSummary(out=job.out, files=len(files), resumed=resumed, workers=workers, engine=engine, **counts)


def _written(left: Sequence[Shard], job: BatchJob, workers: int) -> Generator[int]:
    """Yield how many pictures were written, file by file."""
    if workers > 1:
        from edgefer.batch import on_ray

        yield from on_ray.written(left, job, workers)
    elif workers:
        with BatchWorker(job) as worker:
            for shard in left:
                yield from worker.write(shard)


def _settings(job: BatchJob) -> dict[str, object]:
    """Return what changes the rows: files that were made with other settings are other files."""
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
    """Refuse a folder with other files: of them, and of rows that would stand in it twice.

    Raises:
        InputError: there are some.
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
    """Return what all files have together; see `table.counts`."""
    found = dict.fromkeys(("pictures", "faces", "without_face", "unread"), 0)
    for name in names:
        with folder.opened(name) as file:
            for key, count in table.counts(file, f"{out}/{name}").items():
                found[key] += count
    return found


def _has_ray() -> bool:
    return find_spec("ray") is not None


def _usual_workers(threads: int) -> int:
    if not _has_ray():
        return 1
    if os.environ.get("RAY_ADDRESS"):  # as many as the cluster has room for
        return sys.maxsize
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cpus // threads)
