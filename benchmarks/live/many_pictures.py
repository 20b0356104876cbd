"""`edgefer predict --out` on many pictures: in one process, on Ray, and with workers and driver killed by SIGKILL.

python benchmarks/live/many_pictures.py [--pictures 100000] [--workers 2] [--kills] [--folder FOLDER] [--out FILE]

FER2013's training faces, repeated under other names, as PNG in zips and tars in turn; edgefer-nano, one thread, each
picture a face. The archives are halved. One process judges the first half, Ray both, one process the second: whole
commands are timed, with their start. Memory is the resident set (RSS), twice a second. Then Ray judges all of them once
more: one worker gets SIGKILL when a fifth of the files are written, the driver when three fifths are, and the same
command is typed again. Rows are compared with those of one process. --kills runs that alone, on synthetic faces.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset
from PIL import Image

from benchmarks.common import FER2013, command, protocol
from edgefer import data, paths, versions
from edgefer.devices import machine

OUT = Path(__file__).parents[1] / "results" / "many_pictures.json"
ROOT = Path(__file__).parents[2]
_ARCHIVE = 10_000  # pictures
_POINTS = 30  # memory samples that are written
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_GONE = 60.0  # seconds in which the processes of a killed driver must end


class Watched:
    """A running command, with the memory and CPU time of its processes.

    Args:
        words: arguments of ``edgefer predict``.
        folder: working directory.
    """

    def __init__(self, words: list[str], folder: Path) -> None:
        settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgefer", "predict", *words],
            cwd=folder,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.memory: dict[str, list[tuple[float, int]]] = defaultdict(list)  # MB by role; the largest worker
        self.cpu: dict[int, tuple[str, float]] = {}
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def processes(self, role: str) -> list[int]:
        """Return the process IDs of a role."""
        return [pid for pid in self.tree() if self.role(pid) == role]

    def tree(self) -> list[int]:
        """Return the process and its descendants."""
        parents = {pid: fields[1] for pid in _pids() if (fields := _stat(pid)) is not None}
        found = [self.process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if int(parent) == pid]
        return found

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait for a condition, or until the command ends."""
        while not happened() and self.process.poll() is None:
            time.sleep(0.05)

    def ended(self) -> dict[str, Any]:
        """Wait for the end; return the output and the resources used."""
        said, errors = self.process.communicate()
        seconds = time.monotonic() - self.started
        self._stop.set()
        self._sampler.join()
        done = self.process.returncode == 0
        if not done:
            print(f"ended by {self.process.returncode}: {said} {errors}", file=sys.stderr)
        cpu: dict[str, float] = defaultdict(float)
        for role, spent in self.cpu.values():
            cpu[role] += spent
        return {
            "seconds": round(seconds, 1),
            "cpu_seconds": {role: round(spent, 1) for role, spent in sorted(cpu.items())},
            "memory_mb": {role: _summary(series) for role, series in sorted(self.memory.items())},
            "said": json.loads(said) if done else None,
        }

    def _sample(self) -> None:
        while not self._stop.wait(0.5):
            now = time.monotonic() - self.started
            largest: dict[str, int] = defaultdict(int)
            for pid in self.tree():
                fields = _stat(pid)
                if fields is None:
                    continue
                role = self.role(pid)
                self.cpu[pid] = (role, (int(fields[11]) + int(fields[12])) / _TICKS)
                largest[role] = max(largest[role], int(fields[21]) * _PAGE)
            for role, size in largest.items():
                if size:
                    self.memory[role].append((round(now, 1), round(size / 1e6)))

    def role(self, pid: int) -> str:
        """Return the role of a process: ``driver``, ``worker`` or ``ray``."""
        if pid == self.process.pid:
            return "driver"
        return "worker" if b"ShardActor" in _read(Path(f"/proc/{pid}/cmdline")) else "ray"


def _pids() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit()]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third on, see proc(5); None if the process is gone."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
    return None if not fields or fields[0] == b"Z" else [field.decode() for field in fields]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _summary(series: list[tuple[float, int]]) -> dict[str, Any]:
    """Return the peak of a memory series, the medians of its second and last quarters, and some samples."""
    values = [value for _, value in series]
    quarter = max(1, len(values) // 4)
    return {
        "peak": max(values),
        "second_quarter": statistics.median(values[quarter : 2 * quarter] or values),
        "last_quarter": statistics.median(values[-quarter:]),
        "over_time": series[:: max(1, len(series) // _POINTS)],
    }


def write_archives(folder: Path, pictures: int, real: bool) -> list[str]:
    """Write the pictures into zips and tars in turn; return the archives' names."""
    dataset = data.load(FER2013) if real else data.builtin(train=350)
    contents = []
    for row in np.flatnonzero(np.asarray(dataset.splits) == 0)[:pictures]:
        pixels = dataset.images[row]
        out = io.BytesIO()
        Image.fromarray(np.asarray(pixels)).save(out, "PNG")
        contents.append(out.getvalue())
    names = []
    size = min(_ARCHIVE, pictures // 4)
    for number, start in enumerate(range(0, pictures, size)):
        members = [
            (f"{at % 7}/{at:06}.png", contents[at % len(contents)]) for at in range(start, min(start + size, pictures))
        ]
        name = f"faces{number:02}.{'tar' if number % 2 else 'zip'}"
        names.append(name)
        if number % 2:
            with tarfile.open(folder / name, "w") as tar:
                for path, content in members:
                    entry = tarfile.TarInfo(path)
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))
        else:
            with zipfile.ZipFile(folder / name, "w") as archive:
                for path, content in members:
                    archive.writestr(path, content)
    return names


def words(archives: list[str], out: str, workers: int) -> list[str]:
    options = ["--bundle", "edgefer-nano", "--faces", "never", "--device", "cpu", "--json"]
    return [*archives, "--out", out, "--workers", str(workers), *options]


def measured(folder: Path, archives: list[str], out: str, workers: int) -> dict[str, Any]:
    """Run the command once without interruption."""
    result = Watched(words(archives, out, workers), folder).ended()
    said = result.pop("said")
    result["pictures_a_second"] = round(said["pictures"] / result["seconds"])
    result["pictures_a_cpu_second"] = round(said["pictures"] / sum(result["cpu_seconds"].values()))
    kept = {key: said[key] for key in ("engine", "workers", "pictures", "files", "unread")}
    print(out, {**kept, **{key: value for key, value in result.items() if key != "memory_mb"}}, flush=True)
    return {**kept, **result}


def killed(folder: Path, archives: list[str], workers: int) -> dict[str, Any]:
    """Run the command, kill a worker and the driver, and run it again."""
    out, files = folder / "killed", -(-sum(_counts(folder, archives)) // 1000)

    def share(least: float) -> Callable[[], bool]:
        return lambda: out.is_dir() and len(list(out.glob("*.parquet"))) >= least * files

    command = Watched(words(archives, "killed", workers), folder)
    command.until(share(0.2))
    worker = next(iter(command.processes("worker")), None)
    if worker is not None:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    at_worker = len(list(out.glob("*.parquet")))
    command.until(share(0.6))
    there = {pid: command.role(pid) for pid in command.tree()}
    alive = command.process.poll() is None
    command.process.kill()
    command.ended()
    at_driver = sorted(file.name for file in out.glob("*.parquet"))
    end = time.monotonic() + _GONE
    while (left := [pid for pid in there if _stat(pid) is not None]) and time.monotonic() < end:
        time.sleep(0.2)
    before = pyarrow.dataset.dataset([str(out / name) for name in at_driver]).count_rows()
    again = Watched(words(archives, "killed", workers), folder).ended()
    said = again.pop("said")
    return {
        "files": files,
        "files_when_a_worker_was_killed": at_worker,
        "files_when_the_driver_was_killed": len(at_driver),
        "both_were_alive": worker is not None and alive,
        "rows_before_the_second_run": before,
        "left_by_the_driver_after_a_minute": sorted(there[pid] for pid in left),
        "resumed": said["resumed"],
        "engine": said["engine"],
        "hidden_files_left": len([each for each in out.iterdir() if each.name.startswith(".")]),
        "second_run": again,
    }


def _counts(folder: Path, archives: list[str]) -> list[int]:
    return [len(members(folder / name)) for name in archives]


def members(archive: Path) -> list[str]:
    """Return the file names in an archive."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    with tarfile.open(archive) as tar:
        return tar.getnames()


def read(folder: Path, out: list[str]) -> tuple[dict[tuple[str, str], str], int]:
    """Return the label of each picture, and the number of rows."""
    labels: dict[tuple[str, str], str] = {}
    count = 0
    for batch in pyarrow.dataset.dataset(
        [str(file) for name in out for file in (folder / name).glob("*.parquet")]
    ).to_batches(columns=["source", "member", "faces"]):
        for row in batch.to_pylist():
            labels[row["source"], row["member"]] = row["faces"][0]["label"]
            count += 1
    return labels, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", action="store_true")
    parser.add_argument("--folder", type=Path, help="for the archives; default: a temporary one")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    load = [machine.load_average()]
    with tempfile.TemporaryDirectory(prefix="edgefer-many-", dir=options.folder) as name:
        folder = Path(name)
        archives = write_archives(folder, options.pictures, real=not options.kills)
        halves = archives[: len(archives) // 2], archives[len(archives) // 2 :]
        runs = []
        if not options.kills:
            for half, workers in ((0, 1), (0, options.workers), (1, options.workers), (1, 1)):
                out = f"{'ray' if workers > 1 else 'one'}{half}"
                runs.append({"half": half, **measured(folder, halves[half], out, workers)})
        kills = killed(folder, archives, options.workers)
        expected = {(archive, member) for archive in archives for member in members(folder / archive)}
        found, count = read(folder, ["killed"])
        checks = {
            "pictures": len(expected),
            "rows": count,
            "missing": len(expected - found.keys()),
            "twice": count - len(found),
            "unknown": len(found.keys() - expected),
        }
        if not options.kills:
            single, _ = read(folder, ["one0", "one1"])
            ray, ray_count = read(folder, ["ray0", "ray1"])
            checks["other_labels_than_one_process"] = sum(found[each] != single[each] for each in expected)
            checks["other_labels_on_ray"] = sum(ray[each] != single[each] for each in expected)
            checks["rows_on_ray"] = ray_count
    load.append(machine.load_average())
    result = {
        "command": command(),
        "protocol": protocol(__doc__),
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("ray", "pyarrow"),
        "load_before_and_after": load,
        "busy_machine": max(each or 0 for each in load) > options.workers + 0.5,
        "archives": len(archives),
        "runs": runs,
        "kills": kills,
        "checks": checks,
    }
    with paths.write_atomically(options.out) as part:
        part.write_text(json.dumps(result) + "\n", encoding="utf-8")
    print(json.dumps({key: result[key] for key in ("kills", "checks", "load_before_and_after")}, indent=2))


if __name__ == "__main__":
    main()
