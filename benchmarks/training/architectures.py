"""Plain residual networks that are small, fast in INT8 and accurate on this machine: depths, widths, resolutions.

python benchmarks/training/architectures.py [--out FILE.json] [--seconds 2] [--train FER2013.zip] [--only nano]

File size and latency are those of random weights, on which they do not depend; all candidates are timed in turn, batch
1, one thread. With --train each learns for a few epochs too (--epochs), by the recipe of its size but for
`train.mirror`, and PublicTest says how well: enough to compare candidates, not what they reach. Trainings are kept in
--work, and one that was interrupted goes on. Without --train the accuracies that FILE.json has are kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from edgefer import console, data, models, paths, recipes, versions
from edgefer.backends import onnxruntime
from edgefer.compression import export, quantization, targets
from edgefer.data.dataset import Dataset
from edgefer.devices import machine
from edgefer.evaluation import timing
from edgefer.graph import count
from edgefer.training.trainer import train

RESULTS = Path(__file__).parents[1] / "results"


class Candidate(NamedTuple):
    """The shape of a plain residual network."""

    side: int  # pixels
    widths: list[int]  # per stage
    blocks: list[int]
    stem_side: int = 3  # first kernel


CANDIDATES = {
    "nano": [
        Candidate(44, [16, 32, 48], [1, 2, 1]),
        Candidate(44, [16, 32, 64], [1, 1, 1]),
        Candidate(44, [24, 40, 48], [1, 1, 1]),
        Candidate(44, [24, 32, 40], [1, 2, 1]),
        Candidate(36, [16, 32, 48], [1, 2, 1]),
        Candidate(48, [16, 32, 48], [1, 2, 1]),
        Candidate(44, [16, 32, 32, 48], [1, 1, 1, 1]),
        Candidate(44, [16, 24, 32, 48], [1, 1, 1, 1]),
    ],
    "small": [
        Candidate(44, [24, 48, 80, 96], [1, 2, 2, 1]),
        Candidate(44, [24, 48, 96], [1, 2, 2]),
        Candidate(44, [16, 32, 64, 96], [2, 2, 2, 2]),
        Candidate(44, [32, 64, 96], [2, 2, 1]),
    ],
    "base": [
        Candidate(44, [32, 64, 144, 160], [1, 2, 3, 1], 4),
        Candidate(44, [24, 48, 96, 192], [1, 2, 2, 2]),
        Candidate(44, [24, 48, 96, 192], [2, 2, 2, 2]),
        Candidate(44, [32, 64, 128, 160], [1, 2, 2, 2]),
        Candidate(44, [32, 64, 144, 160], [1, 2, 3, 1]),
        Candidate(44, [48, 96, 144], [2, 2, 2]),
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
                learned[size, titled(candidate)] = accuracy(size, candidate, dataset, arguments.epochs, arguments.work)
    random = np.random.default_rng(0)
    found, sessions, images = [], [], []
    for size, candidates in CANDIDATES.items():
        for candidate in candidates:
            title, side = titled(candidate), candidate.side
            console.say(f"{size}: {title}")
            network = random_network(candidate)
            given = [random.normal(size=(1, 1, side, side)).astype(np.float32) for _ in range(32)]
            example = torch.from_numpy(given[0])
            quantized = quantization.quantize(network, torch.from_numpy(np.concatenate(given[:8])), "minmax", False)
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
            sessions.append(onnxruntime.open_model(content, 1))
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
    """Return the candidates' training results by size and title, from an earlier run's file."""
    if not file.exists():
        return {}
    entries = json.loads(file.read_text(encoding="utf-8"))["candidates"]
    return {(entry["size"], entry["title"]): entry.get("learned") for entry in entries}


def titled(candidate: Candidate) -> str:
    """Return a candidate's name: widths and blocks of its stages, and other deviations from the common settings."""
    stages = ["-".join(map(str, each)) for each in (candidate.widths, candidate.blocks)]
    pixels = [] if candidate.side == 44 else [f"{candidate.side} px"]
    stem = [] if candidate.stem_side == 3 else [f"first kernel {candidate.stem_side} x {candidate.stem_side}"]
    return ", ".join([*stages, *pixels, *stem])


def model_args(candidate: Candidate) -> dict[str, Any]:
    """Return a candidate's model settings."""
    return {key: getattr(candidate, key) for key in ("widths", "blocks", "stem_side")}


def accuracy(size: str, candidate: Candidate, dataset: Dataset, epochs: int, work: Path) -> dict[str, Any]:
    """Return a candidate's accuracy on PublicTest after a few epochs; resumes from `work`."""
    args = ", ".join(f"{key} = {value}" for key, value in model_args(candidate).items())
    settings = [f"model.args={{ {args} }}", f"preprocessing.size={candidate.side}", "train.mirror=false"]
    run = work / f"{size}-{titled(candidate).replace(', ', '_').replace(' ', '')}-{epochs}"
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


def random_network(candidate: Candidate) -> nn.Module:
    """Return a network with non-initial BatchNorm, so that quantizers and folding are as after training."""
    torch.manual_seed(0)
    network = models.create("plain-resnet", 7, 1, model_args(candidate))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return network.eval()


if __name__ == "__main__":
    main()
