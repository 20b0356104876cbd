"""Load time of FER2013 in each layout: the first time, from the second time on, and in between.

python benchmarks/timing/data_loading.py [FER2013.zip]

Each figure is from a process of its own; imports are not in it. `first` starts with an empty cache of edgefer. `warm`
is from the second time on, `warm_read` with all pixels read once besides. `rehashed` is the second time for a file
that edgefer has not seen under this name, so that its content is hashed. The operating system's own cache holds the
files in all cases, and the machine's load stands beside each figure; `cpu` tells what is the program's own.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from benchmarks.common import FER2013, protocol
from edgefer import paths, versions
from edgefer.data import load
from edgefer.data.dataset import USAGES
from edgefer.devices import machine

OUT = Path(__file__).parents[1] / "results" / "data_loading.json"
REPEATS = 7
BOUND = 2.0  # seconds, for all 35,887 images from the second time on

TIMED = """
import json, sys, time
import numpy as np
from edgefer.data import load
wall, cpu = time.perf_counter(), time.process_time()
dataset = load(sys.argv[1])
took = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
total = sum(int(block.sum(dtype=np.int64)) for block in np.array_split(dataset.images, 64))
took |= {"seconds_read": time.perf_counter() - wall, "images": len(dataset), "digest": dataset.digest, "sum": total}
print(json.dumps(took))
"""


def timed(path: Path, cache: Path) -> dict[str, float]:
    environment = {**os.environ, "EDGEFER_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", TIMED, str(path)], env=environment, capture_output=True, text=True, check=True
    )
    return {**json.loads(done.stdout), "load": os.getloadavg()[0]}


def layouts(source: Path, folder: Path) -> dict[str, Path]:
    """Write the four layouts of the same images."""
    files = {
        "class folders in a zip": folder / "fer2013.zip",
        "fer2013.csv": folder / "fer2013.csv",
        "fer2013.tar.gz": folder / "fer2013.tar.gz",
        "class folders": folder / "faces",
    }
    shutil.copyfile(source, files["class folders in a zip"])
    with zipfile.ZipFile(source) as archive:
        archive.extractall(files["class folders"])
    dataset = load(source)
    with files["fer2013.csv"].open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("emotion", "pixels", "Usage"))
        for image, label, split in zip(dataset.images, dataset.labels, dataset.splits, strict=True):
            table.writerow((label, " ".join(map(str, image.ravel())), USAGES[split]))
    with tarfile.open(files["fer2013.tar.gz"], "w:gz") as tar:
        tar.add(files["fer2013.csv"], "fer2013/fer2013.csv")
    return files


def measure(path: Path, scratch: Path) -> dict[str, object]:
    cache = Path(tempfile.mkdtemp(dir=scratch))
    first = timed(path, cache)
    timed(path, cache)  # stores the hash, if the file was too new the first time
    warm = [timed(path, cache) for _ in range(REPEATS)]
    assert {run["digest"] for run in warm} == {first["digest"]}
    found: dict[str, object] = {
        "bytes": path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*.png")),
        "images": first["images"],
        "digest": first["digest"],
        "first": {key: round(first[key], 3) for key in ("seconds", "cpu", "load")},
        "warm": summary(warm, "seconds"),
        "warm_read": summary(warm, "seconds_read"),
    }
    if path.is_file():
        rehashed = []
        for _ in range(REPEATS):
            shutil.rmtree(cache / "data" / "hashes", ignore_errors=True)
            rehashed.append(timed(path, cache))
        found["rehashed"] = summary(rehashed, "seconds")
    shutil.rmtree(cache)
    return found


def summary(runs: list[dict[str, float]], key: str) -> dict[str, float]:
    values = [run[key] for run in runs]
    return {
        "median": round(statistics.median(values), 4),
        "most": round(max(values), 4),
        "cpu": round(statistics.median(run["cpu"] for run in runs), 4),
        "load": round(statistics.median(run["load"] for run in runs), 2),
    }


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else FER2013
    with tempfile.TemporaryDirectory(prefix="edgefer-benchmark-") as folder:
        scratch = Path(folder)
        found = {name: measure(path, scratch) for name, path in layouts(source, scratch).items()}
    assert len({each["digest"] for each in found.values()}) == 1
    result = {
        "what": "seconds until all images of FER2013 are ready (memory-mapped), imports apart",
        "protocol": protocol(__doc__),
        "repeats": REPEATS,
        "bound_seconds_warm": BOUND,
        "layouts": found,
        "machine": machine.describe().model_dump(),
        "versions": versions.installed("numpy", "pillow"),
    }
    OUT.parent.mkdir(exist_ok=True)
    paths.write_json(OUT, result, indent=2)
    for name, each in found.items():
        print(f"{name}: {each}")
    print(OUT)


if __name__ == "__main__":
    main()
