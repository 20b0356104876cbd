"""A search on edgefer-nano's architecture for smaller networks, 5 epochs a trial on FER2013.

python benchmarks/training/search.py [--trials 16] [--data FER2013.zip] [--out runs/search/nano]

Stopped by Ctrl-C, the same command goes on, and typed twice two workers share the work. What is done is written anyway.

Space: search.toml beside this script. Each trial trains 5 epochs in bfloat16, one thread, seed 0, and is calibrated to
INT8 with 300 training images. Accuracy is INT8's on PublicTest, which chose the epoch and the trials. Latency is the
median of INT8's, batch 1, one thread, timed in turn with FP32. Other programs ran on the machine all the while.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks import common
from edgefer import console, data, paths
from edgefer.devices import machine
from edgefer.search import page, searching
from edgefer.search import space as spaces
from edgefer.search.result import JSON_FILE
from edgefer.search.trials import SearchJob

HERE = Path(__file__).parent
OUT = HERE.parent / "results" / "search.json"
RECIPE, EPOCHS = "edgefer-nano", 5
SETTINGS = ("model.args.stem_stride=1", "train.precision=bf16")  # the first one as is, named because trials change it


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--data", type=Path, default=common.FER2013)
    parser.add_argument("--out", type=Path, default=paths.RUNS / "search" / "nano")
    asked = parser.parse_args()
    console.enable()
    torch.set_num_threads(1)
    space = spaces.read(HERE / "search.toml", RECIPE, SETTINGS, EPOCHS)
    job = SearchJob(RECIPE, SETTINGS, EPOCHS, None, data.find(asked.data), space, asked.out, "cpu")
    found = searching.search(job, RECIPE, f"sqlite:///{asked.out / 'study.db'}", 60, asked.trials)
    page.write(found, asked.out)
    result = {
        "what": "a search on edgefer-nano's shape",
        "protocol": common.protocol(__doc__),
        "command": common.command(),
        "load": machine.load_average(),
        "machine": machine.describe().model_dump(mode="json"),
        **found.as_dict(),
    }
    paths.write_json(OUT, result, indent=1)
    console.say(f"{OUT} and {asked.out / JSON_FILE}")


if __name__ == "__main__":
    main()
