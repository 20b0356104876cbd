"""End-to-end run of each data set layout: train, compress, bench, predict.

python benchmarks/reliability/layouts.py [--data fer2013.zip] [--out FILE] [LAYOUT ...]

Each layout is an imitation of 100 to 300 pictures with the names and columns of its data set's own page
(tests/helpers/handed_out.py), made of FER2013's training faces. On each: `data info`; `train` of quickstart's network
for one step; `compress --ptq` whose gate accepts any drop, since one step teaches nothing; `bench`; `predict` on three
pictures. Each command has to end with 0. Accuracies say nothing, and are not kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from benchmarks.common import FER2013, command, protocol
from edgefer import data, paths, versions
from edgefer.cli.main import app
from edgefer.devices import machine
from edgefer.labels import LABELS, ORDERS, canonical
from tests.helpers import handed_out, sources
from tests.helpers.handed_out import Lab, Made

OUT = Path(__file__).parents[1] / "results" / "layouts.json"
FEWEST = 100  # pictures
_OPTIONS = {  # if the source numbers its labels
    "numbered_folders": ["--labels", "raf-db"],
    "keras_npz": ["--labels", "bored,engaged"],
    "webdataset": ["--labels", "bored,engaged"],
}
_SPLITS = {"sfew": "val"}  # if the labels of the test split are not distributed
_STAND_IN = {"engaged": "happy", "bored": "neutral", "yes": "happy", "no": "sad", "0": "neutral", "1": "happy"}


class Faces(Lab):
    """Makes imitations from FER2013's training faces: faces with the label's expression, or a stand-in for it."""

    def __init__(self, dataset: data.Dataset, times: int) -> None:
        super().__init__(times)
        self._dataset, self._next = dataset, dict.fromkeys(LABELS, 0)

    def face(self, label: str) -> np.ndarray:
        """Return another face, uint8, (48, 48)."""
        name = canonical(label) or label.lower()
        name = name if name in LABELS else _STAND_IN.get(name, "neutral")
        rows = np.flatnonzero((self._dataset.splits == 0) & (self._dataset.labels == LABELS.index(name)))
        self._next[name] += 1
        return np.asarray(self._dataset.images[rows[self._next[name] - 1]])


def numbered_folders(top: Path, lab: Lab) -> Made:
    """Write RAF-DB's folders as found in copies: train/1 to train/7."""
    rows: list[tuple[str, str | None]] = []
    for split in ("test", "train"):
        for number in range(1, 8):
            for place in range(3 * lab.times):
                label = ORDERS["raf-db"][number]
                sources.write_picture(top / split / str(number) / f"{split}_{place}.png", lab.face(label))
                rows.append((str(number), split))
    return top, rows


def people(top: Path, lab: Lab) -> Made:
    """Write folders of user-defined labels, with a folder for each person."""
    rows: list[tuple[str, str | None]] = []
    for label in ("engaged", "neutral", "bored"):
        for person in ("anna", "ben", "cleo", "dan"):
            for place in range(2 * lab.times):
                sources.write_picture(top / label / person / f"{place}.png", lab.face(label))
                rows.append((label, None))
    return top, rows


def tried(make: Callable[[Path, Lab], Made], fer2013: data.Dataset) -> dict[str, Any]:
    """Return the commands' results on a layout."""
    started = time.monotonic()
    name = make.__name__
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        times = next(times for times in count(1) if _pictures(make, top / f"{times} times", times) >= FEWEST)
        (top / name).mkdir()
        path, _ = make(top / name, Faces(fer2013, times))
        options = _OPTIONS.get(name, [])
        info = _run("data", "info", path, *options)
        found: dict[str, Any] = {
            "pictures": info.get("images"),
            "layout": info.get("layout"),
            "classes": info.get("classes"),
            "divided_by": (info.get("division") or {}).get("by"),
            "options": options,
        }
        training = sum((info.get("counts") or {}).get("train", {}).values())
        batch = max(2, training // 2 * 2)  # one step
        settings = ("--set", f"train.batch_size={batch}", "--set", "train.ema=0.0")
        small: tuple[object, ...] = ("--epochs", 1, "--no-page", *settings)
        judged = ("--split", _SPLITS[name]) if name in _SPLITS else ()
        run, bundle = top / "run", top / "bundle"
        for place in range(3):
            sources.write_picture(top / "asked" / f"{place}.png", np.asarray(fer2013.images[place]))
        steps = {
            "train": (
                "train",
                "quickstart",
                "--data",
                path,
                *options,
                "--epochs",
                1,
                *small,
                "--no-page",
                "--out",
                run,
            ),
            "compress": ("compress", run, "--ptq", "--max-drop", 100, "--data", path, "--out", bundle),
            "bench": ("bench", bundle, "--data", path, "--seconds", 0.1, "--out", top / "bench", *judged),
            "predict": ("predict", top / "asked", "--bundle", bundle, "--faces", "never"),
        }
        failed = {"data info": info["error"]} if "error" in info else {}
        for step, words in steps.items():
            if failed:
                break
            said = _run(*words)
            if "error" in said:
                failed[step] = str(said["error"]).replace(folder, "")
        found["failed"] = failed
    return {**found, "seconds": round(time.monotonic() - started, 1)}


def _pictures(make: Callable[[Path, Lab], Made], top: Path, times: int) -> int:
    """Return the number of pictures in an imitation."""
    top.mkdir()
    return len(make(top, Lab(times))[1])


def _run(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    try:
        said = json.loads(done.stdout)
    except ValueError:
        said = {"error": done.stdout[-300:] or done.stderr[-300:]}
    if done.exit_code and "error" not in said:
        said["error"] = f"exit code {done.exit_code}"
    return dict(said)


def main() -> None:
    """Try all layouts, or only those given, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("layouts", nargs="*")
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    named = [numbered_folders, people, *handed_out.MADE]
    known = {make.__name__: make for make in (*named, *handed_out.LATER)}
    fer2013 = data.load(arguments.data)
    found = json.loads(arguments.out.read_text())["layouts"] if arguments.layouts and arguments.out.exists() else {}
    for name in arguments.layouts or known:
        found[name] = {"later": known[name] in handed_out.LATER, **tried(known[name], fer2013)}
        print(name, json.dumps(found[name]), flush=True)
    tree = {
        "protocol": protocol(__doc__),
        "command": command(),
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("edgefer", "torch", "nncf", "onnxruntime"),
        "data": {"name": fer2013.name, "digest": fer2013.digest},
        "layouts": found,
    }
    paths.write_json(arguments.out, tree, 1)


if __name__ == "__main__":
    main()
