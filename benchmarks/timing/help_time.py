"""Run time of `edgefer --help`, from process start to end, compared with a bare typer program's `--help`.

python benchmarks/timing/help_time.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from edgefer import paths
from edgefer.devices import machine
from edgefer.evaluation import timing

OUT = Path(__file__).parents[1] / "results" / "help_time.json"
ROUNDS = 40
BARE = """
import typer
app = typer.Typer()
@app.command()
def hello(name: str) -> None:
    "Say hello."
app()
"""
COMMANDS = {
    "edgefer": [sys.executable, "-m", "edgefer", "--help"],
    "bare_typer": [sys.executable, "-c", BARE, "--help"],
}


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    for command in COMMANDS.values():
        seconds(command)  # reads the files into the page cache
    samples: dict[str, list[list[float]]] = {name: [] for name in COMMANDS}
    for number in range(ROUNDS):
        for name in sorted(COMMANDS, reverse=number % 2 == 1):
            samples[name].append([seconds(COMMANDS[name])])
    ours, bare = np.array(samples["edgefer"]), np.array(samples["bare_typer"])
    ratio = timing.ratio(ours, bare)
    result = {
        "what": "seconds from process start to end of --help, run in turn",
        "rounds": ROUNDS,
        "edgefer": {"p50": float(np.median(ours)), "fastest": float(ours.min()), "slowest": float(ours.max())},
        "bare_typer": {"p50": float(np.median(bare)), "fastest": float(bare.min()), "slowest": float(bare.max())},
        "ratio": {"estimate": ratio.estimate, "low": ratio.low, "high": ratio.high},
        "load": machine.load_average(),
        "machine": machine.describe().model_dump(),
    }
    paths.write_json(OUT, result, indent=2)
    print(f"edgefer {np.median(ours):.3f} s, bare typer {np.median(bare):.3f} s, ratio {ratio.estimate:.2f}: {OUT}")


if __name__ == "__main__":
    main()
