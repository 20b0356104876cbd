"""Training in two processes compared with one: losses, accuracy and speed; and an estimate for eight GPUs.

python benchmarks/training/distributed.py [--out FILE]

Both by torchrun, one thread a process, Gloo, the same batches. `losses`: 20 steps of a network without BatchNorm
(timm's test_convnext on stripes, with mixup), and in `rows` how often an epoch took an image. `accuracies`: the
recipe quickstart in 24 epochs, whose network has BatchNorm, seed by seed, 700 validation images of 1,400 drawn faces
that train. `images_per_second`: the recipe compact on drawn faces, the median of 20 steps after the first four.
`paper`: eight GPUs by the assumptions beside it; nothing of it was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import command, protocol
from edgefer import data, paths, recipes, versions
from edgefer.devices import machine
from tests.helpers import together

RESULTS = Path(__file__).parents[1] / "results"
BEFORE, STEPS, EPOCHS = 4, 24, 24
NETWORKS = {"compact": "compact", "resnet18": "ResNet-18"}
# Assumptions for eight GPUs.
GPUS, IMAGES_EACH = 8, 128
OPERATIONS_PER_SECOND = 312e12 / 10
SECONDS_PER_MESSAGE = 10e-6
HOST_SECONDS = 10e-3
LINKS = {"NVLink, 600 GB/s both ways": 300e9, "PCIe 4.0 x16": 25e9, "10 Gb/s Ethernet": 1.25e9}  # bytes a second
ASSUMED = {
    "gpu": "NVIDIA A100: 312e12 operations a second in bf16 by its data sheet, of which a network reaches a tenth",
    "operations_per_image": "6 x multiply-accumulates: forward, and twice that backward",
    "host": "10 ms a step of Python and kernel launches, beside the GPU's work: a step takes the longer of both",
    "gradients": "float32, of the whole network, once a step",
    "exchange": "a ring: 2 (n - 1) / n of the gradients' bytes leave each GPU, none of it beside the backward pass",
    "messages": "2 (n - 1), each 10 microseconds",
    "left_out": "BatchNorm's statistics, augmentation, validation",
}


def worker(folder: Path, seeds: int) -> None:
    """Train as one of torchrun's processes, and write this one's record."""
    exact = together.noted(together.trainings()["mixed"], together.images(), folder / "exact")
    faces = data.builtin(train=1400, val=700, test=7)
    accuracies = [
        together.noted(recipes.load("quickstart", epochs=EPOCHS, seed=seed), faces, folder / f"faces-{seed}")[
            "val_accuracy"
        ]
        for seed in range(seeds)
    ]
    one_epoch = recipes.load("compact", ["train.precision=fp32"], epochs=1)
    size = one_epoch.train.batch_size
    timed = together.noted(one_epoch, data.builtin(train=STEPS * size, val=70, test=7), folder / "timed")
    seconds = np.diff(timed["clock"])[BEFORE - 1 :]
    seen = {
        "world_size": exact["world_size"],
        "losses": exact["losses"],
        "rows": exact["rows"],
        "accuracies": accuracies,
        "images_per_second": size / float(np.median(seconds)),
    }
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(seen))


def run(processes: int, seeds: int) -> dict[str, Any]:
    """Return the record of a training with a number of processes."""
    launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    root = Path(__file__).parents[2]
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    with tempfile.TemporaryDirectory() as folder:
        module = ["-m", "benchmarks.training.distributed", "--worker", folder, "--seeds", str(seeds)]
        subprocess.run([sys.executable, "-m", *launcher, *module], env=settings, check=True)
        ranks = [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(processes)]
    taken = [[row for each in ranks for row in each["rows"][step]] for step in range(len(ranks[0]["rows"]))]
    half = len(taken) // 2
    epochs = [Counter(row for step in steps for row in step) for steps in (taken[:half], taken[half:])]
    return {
        **{name: value for name, value in ranks[0].items() if name != "rows"},
        "rows": [{"images": len(epoch), "most_often": max(epoch.values())} for epoch in epochs],
    }


def paper(name: str) -> dict[str, Any]:
    """Return the estimate for a network on eight GPUs."""
    bench = json.loads((RESULTS / "fer2013" / name / "bench.json").read_text(encoding="utf-8"))["bundles"][0]
    compute = max(IMAGES_EACH * 6 * bench["macs"] / OPERATIONS_PER_SECOND, HOST_SECONDS)
    gradients = 4 * bench["parameters"]
    links = {}
    for link, rate in LINKS.items():
        exchange = 2 * (GPUS - 1) / GPUS * gradients / rate + 2 * (GPUS - 1) * SECONDS_PER_MESSAGE
        links[link] = {
            "exchange_ms": 1e3 * exchange,
            "speedup": GPUS * compute / (compute + exchange),
            "images_per_second": GPUS * IMAGES_EACH / (compute + exchange),
        }
    return {"network": NETWORKS[name], "gradient_bytes": gradients, "compute_ms": 1e3 * compute, "links": links}


def main() -> None:
    """Run both and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "distributed.json")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--worker", type=Path)
    parser.add_argument("--busy", action="store_true", help="note that other work ran at the same time")
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker, arguments.seeds)
        return
    load = os.getloadavg()[0]
    one, two = (run(processes, arguments.seeds) for processes in (1, 2))
    apart = [abs(a - b) / abs(a) for a, b in zip(one["losses"], two["losses"], strict=True)]
    tree = {
        "protocol": protocol(__doc__),
        "command": command(),
        "machine": machine.describe().model_dump(mode="json"),
        "load_before": round(load, 2),
        "busy": arguments.busy,
        "versions": versions.installed("torch", "timm", "numpy"),
        "runs": {"1": one, "2": two},
        "largest_relative_difference_of_losses": max(apart),
        "mean_accuracies": {"1": statistics.mean(one["accuracies"]), "2": statistics.mean(two["accuracies"])},
        "speedup": two["images_per_second"] / one["images_per_second"],
        "paper": {
            "gpus": GPUS,
            "images_each": IMAGES_EACH,
            "links": LINKS,
            "assumed": ASSUMED,
            "networks": [paper(name) for name in NETWORKS],
        },
    }
    paths.write_json(arguments.out, tree, 1)


if __name__ == "__main__":
    main()
