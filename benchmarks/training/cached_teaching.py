"""What a teacher costs a student: images a second without one, with cached predictions, and with a live teacher.

python benchmarks/training/cached_teaching.py fer2013.zip [--recipe edgefer-nano] [--teacher edgefer-base] [--rounds 25]

The same student on the same images three times, one thread: labels alone (bare); `teaching.views`, asked before the
first step (cached); a teacher asked about every batch (live). A round is a few training steps of each, in turn; shares
are medians over rounds of bare's seconds divided by the other's. Asking about the views is timed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.common import FER2013, command, protocol
from edgefer import console, data, paths, recipes, versions
from edgefer.devices import machine
from edgefer.learning import images
from edgefer.recipes import Recipe
from edgefer.training.setup import PACKAGES, TrainSetup, prepare

OUT = Path(__file__).parents[1] / "results" / "cached_teaching.json"
KINDS = ("bare", "cached", "live")


def main() -> None:
    """Measure and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=FER2013)
    parser.add_argument("--recipe", default="edgefer-nano")
    parser.add_argument("--teacher", default="edgefer-base", help="as for edgefer train --teacher")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--steps", type=int, default=4, help="of each kind in a round")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    console.enable()
    torch.set_num_threads(1)
    teachers = f"teaching.teachers={json.dumps([arguments.teacher])}"
    dataset = data.load(arguments.data)
    with tempfile.TemporaryDirectory() as name:
        os.environ["EDGEFER_CACHE"] = name  # so that the teacher's predictions are timed
        settings = {"bare": [], "cached": [teachers, "teaching.views=1"], "live": [teachers]}
        jobs = {
            kind: Student(
                recipes.load(arguments.recipe, [*settings[kind], "train.precision=fp32"], None, 0), kind, name
            )
            for kind in KINDS
        }
        for job in jobs.values():
            job.begin(dataset)
        started = time.perf_counter()
        jobs["cached"].job.targets.ask_teachers("fp32")
        asking = time.perf_counter() - started
        bytes_on_disk = sum(file.stat().st_size for file in Path(name).rglob("view-*.npy"))
        seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
        with console.progress("training in turn", arguments.rounds) as advance:
            for turn in range(arguments.rounds + 1):
                for kind in KINDS:
                    spent = jobs[kind].run(arguments.steps)
                    if turn:  # the first is a warm-up
                        seconds[kind].append(spent)
                advance()
    count = arguments.steps * jobs["bare"].job.recipe.train.batch_size
    result = {
        "kind": "edgefer cached teaching",
        "command": command(),
        "protocol": protocol(__doc__),
        "recipe": arguments.recipe,
        "teacher": arguments.teacher,
        "precision": "fp32",
        "threads": 1,
        "rounds": arguments.rounds,
        "images_a_second": {kind: round(count / statistics.median(seconds[kind]), 1) for kind in KINDS},
        "share_of_bare": {
            kind: round(statistics.median(a / b for a, b in zip(seconds["bare"], seconds[kind], strict=True)), 4)
            for kind in KINDS
        },
        "seconds_to_ask_about_a_view": round(asking, 1),
        "bytes_of_a_view": bytes_on_disk,
        "images": len(jobs["bare"].job.training),
        "load": machine.load_average(),
        "versions": versions.installed(*PACKAGES),
        "machine": machine.describe().model_dump(mode="json"),
    }
    paths.write_json(arguments.out, result, indent=1)
    for kind in KINDS:
        print(f"{kind:>7}: {result['images_a_second'][kind]} images a second, {result['share_of_bare'][kind]:.1%}")


class Student:
    """A training that runs a few steps at a time."""

    job: TrainSetup

    def __init__(self, recipe: Recipe, kind: str, folder: str) -> None:
        self._recipe, self._run = recipe, Path(folder) / kind

    def begin(self, dataset: data.Dataset) -> None:
        """Prepare the first step, without the teacher's predictions."""
        self.job = prepare(self._recipe, dataset, self._run, False, "cpu")
        self._stepper, _ = self.job.begin(self._recipe.phases[0])
        self._order = images.order(len(self.job.training), 0, 0)
        self._done = 0
        self.job.model.train()

    def run(self, steps: int) -> float:
        """Return the seconds of the next steps."""
        job, size = self.job, self._recipe.train.batch_size
        if not self._done:
            job.targets.begin_epoch(0)
        started = time.perf_counter()
        for step in range(self._done, self._done + steps):
            batch = job.targets.take(self._order[step * size :][:size], job.precision)
            _, loss = job.forward(batch)
            self._stepper.zero_grad()
            loss.backward()
            self._stepper.step()
            if job.averaged:
                job.averaged.update(job.model, step=step)
        self._done += steps
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
