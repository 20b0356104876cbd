"""Commands killed at random moments: the same bits in the end, and no files left behind.

python benchmarks/reliability/kills.py [--kills 100] [--seed 0] [--out FILE]

Each command runs undisturbed first. Then, in turn, it is started in a folder of its own, gets SIGKILL or SIGTERM after
a random share of the time that it took undisturbed, and is typed again, as --resume where there is a state to resume.
It must then end well, leave the bits of the undisturbed run, and no file that the undisturbed run did not leave. All on
one thread, on synthetic faces, in processes forked from one that has imported everything, so that kills fall into the
work. A command that was done before its signal came is not counted. Of a bench the bits are the confusion matrices,
since no two measure the same latency; of engines the names, since no two builds are alike, and `load` checks their
digests.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from benchmarks.common import protocol
from edgefer import data, paths, versions
from edgefer.bundle import folder as bundles
from edgefer.cli.main import run_command as edgefer
from edgefer.compression.extension import load_extension
from edgefer.devices import machine
from edgefer.learning import state

OUT = Path(__file__).parents[1] / "results" / "kills.json"
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
_SETTLED = 3  # seconds after which edgefer considers a file complete and stores its digest
_GRACE = 300.0  # seconds after which a command that was asked to stop counts as hung
_TURN = (*("data", "train", "build", "compress"), "predict", *("data", "train", "build", "compress"), "bench")
_SMALL = ("model.args.widths=[8,16]", "model.args.blocks=[1,1]", "train.batch_size=32")


@dataclass(frozen=True)
class Step:
    """A command to kill.

    Attributes:
        command: the arguments of ``edgefer``.
        again: the arguments that resume it after a kill.
        bits: returns a digest for each result.
        given: its input files and folders, copied into its folder.
    """

    command: list[str]
    again: Callable[[Path], list[str]]
    bits: Callable[[Path], dict[str, str]]
    given: tuple[Path, ...] = ()


def steps(made: Path) -> dict[str, Step]:
    """Return the commands by name; each step's undisturbed run leaves the inputs of later steps in `made`.

    Args:
        made: folder with ``faces.csv`` and ``pictures``.
    """
    csv, run, bundle = (str(made / name) for name in ("faces.csv", "train/run", "compress/bundle"))
    small = [word for setting in _SMALL for word in ("--set", setting)]
    train = ["train", "quickstart", "--data", csv, "--out", "run", "--threads", "1", "--epochs", "3", "--no-page"]
    compress = ["compress", run, "--data", csv, "--out", "bundle", "--threads", "1", "--max-drop", "100", "--seed", "1"]
    bench = ["bench", bundle, "--data", csv, "--out", "result", "--seconds", "0.1"]
    predict = ["predict", str(made / "pictures"), "--bundle", bundle, "--annotate", "copies", "--csv", "faces.csv"]
    info = ["data", "info", csv]
    build = ["build", "bundle", "--sm", "86"]

    def resumed(state: str, folder: str, command: list[str]) -> Callable[[Path], list[str]]:
        def again(place: Path) -> list[str]:
            there = any((place / folder / f"{stem}.json").exists() for stem in (state, "relu"))
            return [command[0], "--resume", folder, "--data", csv, "--threads", "1"] if there else command

        return again

    def emptied(place: Path) -> list[str]:
        for copy in (place / "copies").glob("*"):  # as `rm copies/*` does, which leaves names that begin with a dot
            if not copy.name.startswith("."):
                copy.unlink()
        return predict

    resume_train = resumed("last", "run", [*train, *small])

    def train_again(place: Path) -> list[str]:
        again = resume_train(place)
        return [*again, "--no-page"] if "--resume" in again else again

    return {
        "data": Step(info, lambda place: info, _cache),
        "train": Step([*train, *small], train_again, _training),
        "compress": Step(compress, resumed("int8", "bundle.unfinished", compress), _networks),
        "bench": Step(bench, lambda place: bench, _confusions),
        "predict": Step(predict, emptied, _files),
        "build": Step(build, lambda place: build, _engines, given=(Path(bundle),)),
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _cache(place: Path) -> dict[str, str]:
    return {file.name: paths.sha256(file) for file in sorted((place / ".cache/data").glob("v*/*.npy"))}


def _training(place: Path) -> dict[str, str]:
    tree = state.read(place / "run" / "best.json")
    found = {name: _sha256(tensor.numpy().tobytes()) for name, tensor in tree["weights"].items()}
    lines = [line.rsplit(",", 1)[0] for line in (place / "run" / "log.csv").read_text().splitlines()]  # not the seconds
    return {**found, "log": _sha256("\n".join(lines).encode()), "epochs": str(tree["epochs"])}


def _networks(place: Path) -> dict[str, str]:
    return {name: network.sha256 for name, network in bundles.load(place / "bundle").manifest.networks.items()}


def _confusions(place: Path) -> dict[str, str]:
    result = json.loads((place / "result" / "result.json").read_text())
    return {each["network"]: _sha256(json.dumps(each["confusion"]).encode()) for each in result["networks"]}


def _files(place: Path) -> dict[str, str]:
    return {file.name: paths.sha256(file) for file in [*sorted((place / "copies").iterdir()), place / "faces.csv"]}


def _engines(place: Path) -> dict[str, str]:
    """Return the engine names of a bundle; `load` has checked their digests. Two builds differ in their bits."""
    return {engine.file: engine.network for engine in bundles.load(place / "bundle").manifest.engines}


def left(place: Path) -> list[str]:
    """Return all files and folders below `place`, with random parts of names replaced by ``*``."""
    found = []
    for path in sorted(place.rglob("*")):
        name = str(path.relative_to(place))
        for stem in ("best-", "last-"):
            if path.name.startswith(stem) and path.suffix == ".safetensors":
                name = str(path.parent.relative_to(place) / f"{stem}*.safetensors")
        found.append(name)
    return found


class Place:
    """A folder for one command, with its own caches and temporary files."""

    def __init__(self, folder: Path, step: Step) -> None:
        self.folder = folder
        (folder / ".tmp").mkdir(parents=True)
        for path in step.given:
            shutil.copytree(path, folder / path.name)

    def start(self, words: list[str]) -> int:
        """Start a command here and return its process ID."""
        process = os.fork()
        if process == 0:
            _become(words, self.folder)
        return process

    def run(self, words: list[str]) -> tuple[float, str]:
        """Run a command to its end.

        Returns:
            Seconds, and the problem, if any.
        """
        began = time.monotonic()
        status = _end(self.start(words))
        wrong = "" if status == 0 else f"edgefer {' '.join(words)}: {status}, {self._said()}"
        return time.monotonic() - began, wrong

    def kill(self, words: list[str], number: signal.Signals, after: float) -> tuple[int | None, list[str]]:
        """Start a command and send it a signal.

        Returns:
            Its exit status, and the problem with its end, if any.
        """
        process = self.start(words)
        time.sleep(after)
        os.kill(process, number)
        status = _end(process)
        if status == 0 or number == signal.SIGKILL:
            return status, []
        parts = [f"left by SIGTERM: {name}" for name in left(self.folder) if paths.is_part(Path(name).name)]
        # -15: the signal came before edgefer's first line
        ended = [] if status in (130, -signal.SIGTERM) else [f"{status} after SIGTERM: {self._said()}"]
        return status, [*parts, *ended]

    def _said(self) -> str:
        return self.folder.with_suffix(".stderr").read_text()[-500:]


def _become(words: list[str], folder: Path) -> NoReturn:
    """Make this process, a child, run an edgefer command and exit."""
    status = 1
    try:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 1)
        os.dup2(os.open(folder.with_suffix(".stderr"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
        os.environ.update(EDGEFER_CACHE=str(folder / ".cache"), TMPDIR=str(folder / ".tmp"))
        tempfile.tempdir = None
        sys.argv = ["edgefer", *words]
        edgefer()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        os._exit(status)


def _end(process: int) -> int | None:
    """Wait for a process; return its exit status, minus the signal that ended it, or None if it hangs."""
    until = time.monotonic() + _GRACE
    while time.monotonic() < until:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def prepare(made: Path) -> None:
    """Write the inputs of the commands: synthetic faces as a table and as pictures."""
    dataset = data.builtin(train=280, val=70, test=70)
    usage = ("Training", "PublicTest", "PrivateTest")
    rows = zip(dataset.images, dataset.labels, dataset.splits, strict=True)
    lines = [f"{label},{' '.join(map(str, np.ravel(image)))},{usage[split]}" for image, label, split in rows]
    made.mkdir(parents=True)
    (made / "faces.csv").write_text("emotion,pixels,Usage\n" + "\n".join(lines) + "\n")
    (made / "pictures").mkdir()
    for number in range(12):
        Image.fromarray(dataset.images[number]).resize((480, 480)).save(made / "pictures" / f"{number}.png")


def measure(kills: int, seed: int, work: Path, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Kill commands and return the outcome.

    Args:
        kills: how many, over all commands in turn.
        seed: for the moments and the signals.
        work: an empty folder.
        names: commands to kill; default: all. The others only run undisturbed, if later ones need their results.
    """
    random_ = random.Random(seed)
    load_extension()  # in all children too
    for module in (
        "edgefer.bench.measurement",
        "edgefer.report.html",
        "edgefer.compression.compressor",
        "tensorrt_rtx",
    ):
        importlib.import_module(module)
    made = work / "made"
    prepare(made)
    time.sleep(_SETTLED)
    asked = steps(made)
    wanted: dict[str, Mapping[str, str]] = {}
    files: dict[str, list[str]] = {}
    seconds: dict[str, float] = {}
    for name, step in asked.items():
        place = Place(made / name, step)
        seconds[name], wrong = place.run(step.command)
        if wrong:
            raise SystemExit(wrong)
        wanted[name], files[name] = step.bits(place.folder), left(place.folder)
        print(f"{name}: {seconds[name]:.1f} s, {len(wanted[name])} results", file=sys.stderr, flush=True)
    taken = [name for name in _TURN if not names or name in names]
    rows: list[dict[str, Any]] = []
    number = 0
    while len(rows) < kills:
        name = taken[number % len(taken)]
        number += 1
        step = asked[name]
        place = Place(work / f"{number}-{name}", step)
        sent, share = random_.choice(SIGNALS), random_.random()
        status, wrong_end = place.kill(step.command, sent, share * seconds[name])
        if status == 0:
            shutil.rmtree(place.folder)
            continue
        parts = sum(paths.is_part(Path(each).name) for each in left(place.folder))
        words = step.again(place.folder)
        _, wrong = place.run(words)
        wrongs = [*wrong_end, wrong] if wrong else wrong_end
        if not wrong:
            if step.bits(place.folder) != wanted[name]:
                wrongs.append("other bits")
            more = sorted(set(left(place.folder)) - set(files[name]))
            wrongs += [f"left behind: {each}" for each in more]
        rows.append(
            {
                "command": name,
                "signal": sent.name,
                "at": round(share, 4),
                "status": status,
                "parts": parts,
                "resumed": "--resume" in words,
                "wrong": wrongs,
            }
        )
        print(f"{len(rows)} of {kills}: {rows[-1]}", file=sys.stderr, flush=True)
        if not wrongs:
            shutil.rmtree(place.folder)
    return {
        "what": "commands of edgefer, killed at random moments and typed again",
        "protocol": protocol(__doc__),
        "seed": seed,
        "kills": len(rows),
        "seconds_undisturbed": {name: round(value, 1) for name, value in seconds.items()},
        "summary": {name: _summary([row for row in rows if row["command"] == name]) for name in dict.fromkeys(taken)},
        "rows": rows,
        "versions": versions.installed("edgefer", "torch", "nncf", "onnxruntime", "tensorrt_rtx"),
        "machine": machine.describe().model_dump(),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {
        "kills": len(rows),
        "sigkill": sum(row["signal"] == "SIGKILL" for row in rows),
        "left_parts": sum(row["parts"] > 0 for row in rows),
        "resumed": sum(row["resumed"] for row in rows),
        "wrong": sum(bool(row["wrong"]) for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgefer-kills-") as work:
        result = measure(asked.kills, asked.seed, Path(work))
    paths.write_json(asked.out, result, indent=1)
    wrong = [row for row in result["rows"] if row["wrong"]]
    print(f"{result['kills']} kills, {len(wrong)} wrong: {asked.out}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
