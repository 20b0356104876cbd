"""Cost of the papers' networks after compression, which the papers claim but do not measure.

python benchmarks/training/papers.py [--data FER2013.zip] [--work FOLDER] [--out FILE.json] [--only RECIPE ...]

Each recipe at its document's own size: one epoch on a few images and from random weights, calibration, then
`edgefer bench` on this CPU and the least times of Jetsons and RTX cards by roofline. Time, memory and size do not
depend on what a network has learned, so nothing here says how accurate it is. Networks are made once and kept in
FOLDER. edgefer-base is measured beside them each time, alone with a bare --only; what is not measured keeps the entry
that FILE.json has, with the machine and the versions of its day.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import FER2013
from edgefer import console, data, paths, versions
from edgefer.data.dataset import Dataset
from edgefer.devices import machine

HERE = Path(__file__).parents[1]
RECIPES = ("insideout-v2s", "b2-two-stage", "b0-mixup", "b0-attention", "cnn-15m", "vgg16-scratch", "resnet18-mixup")
OURS = "edgefer-base"
EACH = {"train": ("Training", 10), "val": ("PublicTest", 4), "test": ("PrivateTest", 4)}  # images per class
SHORT = (
    'phases=[{ name = "all", epochs = 1, optimizer = "adamw", lr = 1e-4 }]',
    "train.batch_size=16",
    "train.early_stopping=0",
)


def main() -> None:
    """Make the networks, measure them and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--work", type=Path, default=Path("runs/papers"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "papers.json")
    parser.add_argument("--only", nargs="*", choices=RECIPES, default=RECIPES)
    parser.add_argument("--make", action="store_true", help="make the networks and measure nothing")
    arguments = parser.parse_args()
    console.enable()
    arguments.work.mkdir(parents=True, exist_ok=True)
    few = arguments.work / "few.csv"
    if not few.exists():
        write_few(data.load(arguments.data), few)
    bundles = {recipe: made(recipe, few, arguments.work) for recipe in arguments.only}
    if arguments.make:
        return
    now = {
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("edgefer", "torch", "timm", "nncf", "onnxruntime", "numpy"),
    }
    entries = known(arguments.out)
    for name, bundle in {**bundles, OURS: OURS}.items():
        entries[name] = {**measured(name, bundle, few), **now}
    result = {
        "kind": "edgefer papers",
        "networks": [entries[name] for name in (*RECIPES, OURS) if name in entries],
        "protocol": {
            "images_of_each_class": {name: count for name, (_, count) in EACH.items()},
            "training": f"--no-pretrained, {', '.join(SHORT)}",
            "compression": "--ptq: calibration alone",
            "latency": "edgefer bench --device cpu: batch 1, 1 thread, a network's files timed in turn",
            "projected": "edgefer project --device jetson and rtx: roofline, batch 1; nothing ran there",
        },
    }
    paths.write_json(arguments.out, result, indent=1)


def known(file: Path) -> dict[str, dict[str, Any]]:
    """Return the networks of an earlier run, by name."""
    if not file.exists():
        return {}
    return {each["name"]: each for each in json.loads(file.read_text(encoding="utf-8"))["networks"]}


def write_few(dataset: Dataset, path: Path) -> None:
    """Write the first images of each class and split as a separate data set, in FER2013's layout."""
    with paths.write_atomically(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for name, (usage, count) in EACH.items():
            of_split = data.split(dataset, name)
            for label in range(len(dataset.classes)):
                for image in of_split.take(np.flatnonzero(of_split.labels == label)[:count]):
                    writer.writerow([label, " ".join(map(str, image.ravel())), usage])


def made(recipe: str, few: Path, work: Path) -> str:
    """Return the recipe's bundle; make it if it is missing."""
    bundle = work / f"{recipe}-bundle"
    if not bundle.exists():
        run, settings = work / f"{recipe}-run", [part for each in SHORT for part in ("--set", each)]
        if not (run / "best.json").exists():
            edgefer("train", recipe, "--no-pretrained", *settings, "--data", few, "--out", run, "--threads", 1)
        options = ("--ptq", "--max-drop", 100, "--allow-float")  # some of these networks use SiLU
        edgefer("compress", run, "--int8", *options, "--data", few, "--out", bundle, "--threads", 1)
    return str(bundle)


def measured(name: str, bundle: str, few: Path) -> dict[str, Any]:
    """Return the costs of a bundle's networks: measured on this machine, projected for the others."""

    def benched(device: str, command: str = "bench") -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "bench"
            return edgefer(command, bundle, "--device", device, "--data", few, "--out", out)

    bench = benched("cpu")
    entry = bench["bundles"][0]
    cpu = [
        {
            **{key: each[key] for key in ("network", "precision", "sha256", "file_bytes", "latency")},
            "network_bytes": each["memory"] and each["memory"]["peak"] - each["memory"]["baseline"],
            "peak_bytes": each["memory"] and each["memory"]["peak"],
            "cold_start_seconds": each["cold_start"] and each["cold_start"]["median"],
        }
        for each in bench["networks"]
    ]
    projected = [
        {**{key: each[key] for key in ("network", "precision", "projected_milliseconds")}, "name": each["device"]}
        for device in ("jetson", "rtx")
        for each in benched(device, "project")["projected"]
    ]
    return {
        "name": name,
        "parameters": entry["parameters"],
        "macs": entry["macs"],
        "size": entry["preprocessing"]["size"],
        "color": entry["preprocessing"]["color"],
        "cpu": cpu,
        "comparisons": [
            {key: each[key] for key in ("network", "against", "latency", "file_bytes")} for each in bench["comparisons"]
        ],
        "projected": projected,
        "warnings": bench["warnings"],
        "load": bench["conditions"]["load_before"],
    }


def edgefer(*arguments: object) -> dict[str, Any]:
    """Run an edgefer command and return its JSON."""
    command = [sys.executable, "-m", "edgefer", *map(str, arguments), "--json"]
    console.say(f"edgefer {' '.join(map(str, arguments))}")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    if done.returncode:
        raise SystemExit(f"edgefer {arguments[0]} ended with {done.returncode}: {done.stdout}")
    return found


if __name__ == "__main__":
    main()
