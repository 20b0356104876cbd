"""A worker: reads a shard, predicts its pictures and writes their rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from edgefer import limits, paths
from edgefer.backends.base import Closing
from edgefer.batch import remote, table
from edgefer.batch.deaths import DeathWatch
from edgefer.batch.sources import IN_ORDER, BatchPicture, Shard, ShardReader
from edgefer.errors import InputError, MissingRequirement
from edgefer.lines import printable
from edgefer.predictions import PicturePrediction
from edgefer.predictor import Faces, Predictor

_END = "-end"  # suffix of the last file of a source whose length is known only at its end


@dataclass(frozen=True)
class BatchJob:
    """Settings shared by all workers; plain values, for other processes and machines.

    Attributes:
        out: folder or URL of the files.
        rows: maximum per file.
        bundle, device, threads, detector: see `Predictor.load`.
        faces, min_face: see `Predictor.predict_faces`.
        min_confidence: see `edgefer.predictions.shown`.
    """

    out: str
    rows: int
    bundle: str | None = None
    device: str = "auto"
    threads: int = 1
    detector: str | None = None
    faces: Faces = "auto"
    min_face: int | None = None
    min_confidence: float = 0.0


class LocalFolder:
    """A local output folder; files are renamed when complete."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> set[str]:
        """Return the names of its files without hidden ones."""
        return {file.name for file in self._folder.iterdir() if not file.name.startswith(".")}

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""
        with paths.write_atomically(self._folder / name) as part:
            part.write_bytes(content)

    def note(self, name: str) -> bytes | None:
        """Return a small file's content, or None if it is missing."""
        file = self._folder / name
        return limits.read_bytes(file, limits.NOTE) if file.exists() else None

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """Open a file."""
        with limits.opened(self._folder / name) as file:
            yield file


def folder(out: str) -> LocalFolder | remote.RemoteFolder:
    """Return the output folder for a path or URL."""
    return remote.RemoteFolder(out) if remote.is_address(out) else LocalFolder(Path(out))


def is_whole(shard: Shard, names: set[str]) -> bool:
    """Return whether all rows of a shard are written."""
    if shard.kind not in IN_ORDER:
        return f"{shard.name}{table.ENDING}" in names
    return any(name.startswith(shard.name) and name.endswith(f"{_END}{table.ENDING}") for name in names)


class BatchWorker(Closing):
    """A predictor for shards. Use it as a context manager, or call `close`."""

    def __init__(self, job: BatchJob) -> None:
        self._job = job
        self._predictor = Predictor.load(job.bundle, None, job.threads, job.device, job.detector)
        self._reader = ShardReader()
        self._folder = folder(job.out)

    def write(self, shard: Shard) -> Iterator[int]:
        """Write the missing rows of a shard; yield the number of pictures per file.

        Raises:
            MissingRequirement: the machine lacks something unrelated to a picture: a detector, a
                connection, disk space.
        """
        names = self._folder.names()
        if is_whole(shard, names):
            return
        in_order, number = shard.kind in IN_ORDER, 0
        while in_order and _numbered(shard, number) + table.ENDING in names:
            number += 1
        index = number * self._job.rows
        pictures = islice(self._reader.pictures(shard), index, None)
        watch = DeathWatch(self._folder, shard.name)
        rows: list[dict[str, Any]] = []
        while True:
            deadly = watch.is_deadly(index)
            if deadly and in_order:  # the rest is unreachable
                rows.append(self._row(BatchPicture.of_source(shard, _deadly(shard.source))))
                break
            watch.before(index)
            picture = next(pictures, None)
            if picture is None:
                break
            if in_order and len(rows) == self._job.rows:
                yield self._put(_numbered(shard, number), rows)
                rows, number = [], number + 1
            if deadly:
                picture = picture.failing(_deadly(picture.member or picture.source))
            rows.append(self._row(picture))  # before the next picture: a stream is read only once
            index += 1
        yield self._put(_numbered(shard, number) + _END if in_order else shard.name, rows)
        watch.end()

    def close(self) -> None:
        """Free the network's memory and close the open archive."""
        self._reader.close()
        self._predictor.close()

    def _put(self, name: str, rows: list[dict[str, Any]]) -> int:
        self._folder.put(f"{name}{table.ENDING}", table.parquet(rows, self._predictor.labels))
        return len(rows)

    def _row(self, picture: BatchPicture) -> dict[str, Any]:
        started = time.perf_counter()
        faces, problem = [], None
        try:
            pixels = picture.read()
        except remote.LostConnection:
            raise
        except (InputError, MissingRequirement) as error:  # the latter: HEIC without its reader installed
            problem = str(error)
        except MemoryError:
            problem = f"{printable(picture.member or picture.source)} needs more memory than is free; make it smaller"
        else:
            [faces] = self._predictor.predict_faces([pixels], self._job.faces, self._job.min_face)
        milliseconds = (time.perf_counter() - started) * 1e3
        found = PicturePrediction(picture.source, faces, milliseconds, problem).as_dict(self._job.min_confidence)
        where = {"source": picture.source, "member": picture.member, "frame": picture.frame, "time": picture.time}
        return {**where, "faces": found["faces"], "milliseconds": found["milliseconds"], "error": found["error"]}


def _deadly(name: str) -> InputError:
    return InputError(f"{printable(name)} ends the process that reads it; look at it with another program")


def _numbered(shard: Shard, number: int) -> str:
    return f"{shard.name}-{number:05}"
