"""Which plain residual networks are small and fast in INT8 on this machine: size and latency, before any training.

python benchmarks/architectures.py [--out FILE.json] [--seconds 2]

Weights are random, so this says nothing of accuracy; what is quantized, how large the file is and how long an
inference takes do not depend on them. All candidates are timed in turn, batch 1, one thread.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgefer import console, models, paths, versions
from edgefer.compression import export, quantize, targets
from edgefer.devices import machine
from edgefer.evaluation import timing
from edgefer.graph import count
from edgefer.runtimes import onnxruntime

RESULTS = Path(__file__).parent / "results"
SIDE = 44
CANDIDATES = {  # widths and blocks of the stages
    "nano": {
        "16-32-48, 1-2-1": ([16, 32, 48], [1, 2, 1]),
        "16-32-64, 1-1-1": ([16, 32, 64], [1, 1, 1]),
        "16-24-32-40, 2-2-2-1": ([16, 24, 32, 40], [2, 2, 2, 1]),
        "24-32-48, 3-1-1": ([24, 32, 48], [3, 1, 1]),
    },
    "small": {
        "24-48-80-96, 1-2-2-1": ([24, 48, 80, 96], [1, 2, 2, 1]),
        "24-48-96, 1-2-2": ([24, 48, 96], [1, 2, 2]),
        "16-32-64-96, 2-2-2-2": ([16, 32, 64, 96], [2, 2, 2, 2]),
        "32-64-96, 2-2-1": ([32, 64, 96], [2, 2, 1]),
    },
    "base": {
        "24-48-96-192, 1-2-2-2": ([24, 48, 96, 192], [1, 2, 2, 2]),
        "24-48-96-192, 2-2-2-2": ([24, 48, 96, 192], [2, 2, 2, 2]),
        "32-64-128-160, 1-2-2-2": ([32, 64, 128, 160], [1, 2, 2, 2]),
        "48-96-144, 2-2-2": ([48, 96, 144], [2, 2, 2]),
    },
}


def main() -> None:
    """Measure the candidates and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "architectures.json")
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    console.enable()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    images = [random.normal(size=(1, 1, SIDE, SIDE)).astype(np.float32) for _ in range(32)]
    found, sessions = [], []
    for size, candidates in CANDIDATES.items():
        for title, (widths, blocks) in candidates.items():
            console.say(f"{size}: {title}")
            network = random_network(widths, blocks)
            example = torch.from_numpy(images[0])
            quantized = quantize.quantize(network, torch.from_numpy(np.concatenate(images[:8])), "minmax", False)
            content = targets.lowered(export.int8(quantized, example))["int8-cpu"].model.SerializeToString()
            found.append(
                {
                    "size": size,
                    "title": title,
                    "parameters": sum(parameter.numel() for parameter in network.parameters()),
                    "macs": count.macs(export.fp32(network, example)),
                    "file_bytes": len(content),
                }
            )
            sessions.append(onnxruntime.activate(content, 1))
    samples = timing.in_turn(
        [session.infer for session in sessions], [images] * len(sessions), percentile=90, seconds=arguments.seconds
    )
    for entry, times in zip(found, samples, strict=True):
        entry["latency"] = timing.latency(times).p50
    result = {
        "kind": "edgefer architectures",
        "candidates": found,
        "protocol": {
            "side": SIDE,
            "batch": 1,
            "threads": 1,
            "seconds": arguments.seconds,
            "untimed": timing.UNTIMED,
            "turn": timing.TURN,
        },
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("edgefer", "torch", "nncf", "onnxruntime", "numpy"),
    }
    with paths.write_atomically(arguments.out) as part:
        part.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


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
