"""Which plain residual networks are small, fast in INT8 and accurate on this machine: depths, widths and resolutions.

python benchmarks/architectures.py [--out FILE.json] [--seconds 2] [--train FER2013.zip] [--only nano small base]

File size and latency are those of random weights, on which they do not depend; all candidates are timed in turn, batch
1, one thread. With --train each learns for a few epochs too (--epochs), by the recipe of its size, and PublicTest
says how well: enough to compare candidates, not what they reach. Trainings are kept in --work, and one that was
interrupted goes on. Without --train the accuracies that FILE.json has are kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgefer import console, data, models, paths, recipes, versions
from edgefer.compression import export, quantize, targets
from edgefer.data.dataset import Dataset
from edgefer.devices import machine
from edgefer.evaluation import timing
from edgefer.graph import count
from edgefer.runtimes import onnxruntime
from edgefer.training.train import train

RESULTS = Path(__file__).parent / "results"
CANDIDATES = {  # pixels, widths and blocks of the stages
    "nano": [
        (44, [16, 32, 48], [1, 2, 1]),
        (44, [16, 32, 64], [1, 1, 1]),
        (44, [24, 40, 48], [1, 1, 1]),
        (44, [24, 32, 40], [1, 2, 1]),
        (36, [16, 32, 48], [1, 2, 1]),
        (48, [16, 32, 48], [1, 2, 1]),
        (44, [16, 32, 32, 48], [1, 1, 1, 1]),
        (44, [16, 24, 32, 48], [1, 1, 1, 1]),
    ],
    "small": [
        (44, [24, 48, 80, 96], [1, 2, 2, 1]),
        (44, [24, 48, 96], [1, 2, 2]),
        (44, [16, 32, 64, 96], [2, 2, 2, 2]),
        (44, [32, 64, 96], [2, 2, 1]),
    ],
    "base": [
        (44, [24, 48, 96, 192], [1, 2, 2, 2]),
        (44, [24, 48, 96, 192], [2, 2, 2, 2]),
        (44, [32, 64, 128, 160], [1, 2, 2, 2]),
        (44, [32, 64, 144, 160], [1, 2, 3, 1]),
        (44, [48, 96, 144], [2, 2, 2]),
    ],
}


def main() -> None:
    """Measure the candidates and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "architectures.json")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--train", type=Path, metavar="FER2013", help="train each candidate too")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path("runs/architectures"))
    parser.add_argument("--only", nargs="+", choices=tuple(CANDIDATES), default=tuple(CANDIDATES))
    arguments = parser.parse_args()
    console.enable()
    torch.set_num_threads(1)
    learned = known(arguments.out)
    if arguments.train:
        dataset = data.load(arguments.train)
        for size in arguments.only:
            for candidate in CANDIDATES[size]:
                learned[size, titled(*candidate)] = accuracy(size, candidate, dataset, arguments.epochs, arguments.work)
    random = np.random.default_rng(0)
    found, sessions, images = [], [], []
    for size, candidates in CANDIDATES.items():
        for side, widths, blocks in candidates:
            title = titled(side, widths, blocks)
            console.say(f"{size}: {title}")
            network = random_network(widths, blocks)
            given = [random.normal(size=(1, 1, side, side)).astype(np.float32) for _ in range(32)]
            example = torch.from_numpy(given[0])
            quantized = quantize.quantize(network, torch.from_numpy(np.concatenate(given[:8])), "minmax", False)
            content = targets.lowered(export.int8(quantized, example))["int8-cpu"].model.SerializeToString()
            found.append(
                {
                    "size": size,
                    "title": title,
                    "side": side,
                    "parameters": sum(parameter.numel() for parameter in network.parameters()),
                    "macs": count.macs(export.fp32(network, example)),
                    "file_bytes": len(content),
                    "learned": learned.get((size, title)),
                }
            )
            sessions.append(onnxruntime.activate(content, 1))
            images.append(given)
    samples = timing.in_turn([session.infer for session in sessions], images, percentile=90, seconds=arguments.seconds)
    for entry, times in zip(found, samples, strict=True):
        entry["latency"] = timing.latency(times).p50
    result = {
        "kind": "edgefer architectures",
        "candidates": found,
        "protocol": {
            "batch": 1,
            "threads": 1,
            "seconds": arguments.seconds,
            "untimed": timing.UNTIMED,
            "turn": timing.TURN,
        },
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("edgefer", "torch", "nncf", "onnxruntime", "numpy"),
    }
    paths.write_json(arguments.out, result, indent=2)


def known(file: Path) -> dict[tuple[str, str], dict[str, Any] | None]:
    """Return what candidates learned, by size and title, as far as an earlier run wrote it."""
    if not file.exists():
        return {}
    entries = json.loads(file.read_text(encoding="utf-8"))["candidates"]
    return {(entry["size"], entry["title"]): entry.get("learned") for entry in entries}


def titled(side: int, widths: list[int], blocks: list[int]) -> str:
    """Return what a candidate is called: widths and blocks of its stages, and its pixels if they are not 44."""
    stages = ", ".join("-".join(map(str, each)) for each in (widths, blocks))
    return stages if side == 44 else f"{stages}, {side} px"


def accuracy(
    size: str, candidate: tuple[int, list[int], list[int]], dataset: Dataset, epochs: int, work: Path
) -> dict[str, Any]:
    """Return a candidate's accuracy on PublicTest after few epochs; goes on with what `work` has of it."""
    side, widths, blocks = candidate
    settings = [f"model.args={{ widths = {widths}, blocks = {blocks} }}", f"preprocessing.size={side}"]
    run = work / f"{size}-{titled(*candidate).replace(', ', '_').replace(' ', '')}-{epochs}"
    summary = run / "learned.json"
    if not summary.exists():
        recipe = recipes.load(f"edgefer-{size}", settings, epochs=epochs)
        done = train(recipe, dataset, run, resume=(run / "last.json").exists())
        with paths.write_atomically(summary) as part:
            part.write_text(
                json.dumps({"epochs": done.epochs, "seed": recipe.train.seed, "val_accuracy": done.val_accuracy}),
                encoding="utf-8",
            )
    learned: dict[str, Any] = json.loads(summary.read_text(encoding="utf-8"))
    return learned


def random_network(widths: list[int], blocks: list[int]) -> nn.Module:
    """Return a network whose BatchNorm is not that of a start: quantizers and folding are as after a training."""
    torch.manual_seed(0)
    network = models.create("plain-resnet", 7, 1, {"widths": widths, "blocks": blocks})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


if __name__ == "__main__":
    main()
