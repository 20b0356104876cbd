"""What each of the papers' ingredients does, in short trainings on a quarter of the images.

python benchmarks/training/paper_ablations.py [--votes fer2013new.csv] [--data FER2013.zip] [--work FOLDER]
                                              [--only ROW ...] [--summary]

paper_ablations.toml has the reference and its rows. The JSON is written after each training, and the same command goes
on where it ended, also in another session or on another machine. SIGTERM stops it, and no step is lost. --summary only
computes the effects anew. The rows `votes` and `landmarks` need --votes, the latter the face detector too
(EDGEFER_DETECTOR).

Each row and its reference are trained with the same seeds on the same stratified 7,000 training images, of which
12.5 % choose the epoch. An effect is the row minus its reference on PublicTest, which no training saw, image by image
and seed by seed. Its 95 % interval adds two variances: that of the images (bootstrap of the paired predictions) and
that between seeds, pooled over all rows with several seeds (Student's t). PrivateTest is not opened.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import json
import math
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t

from benchmarks.common import FER2013, protocol
from benchmarks.training import landmark_head
from edgefer import console, data, paths, recipes, versions
from edgefer.data.cache import digest_of
from edgefer.data.dataset import SPLITS, Dataset
from edgefer.data.splits import stratified
from edgefer.devices import machine
from edgefer.errors import Diverged, Interrupted
from edgefer.evaluation import metrics
from edgefer.learning import checkpoint, evaluate
from edgefer.recipes import Recipe
from edgefer.recipes.schema import WHOLE
from edgefer.training import ablation, trainer, unfinished
from edgefer.training.setup import PACKAGES

HERE = Path(__file__).parent
RECIPE = HERE / "paper_ablations.toml"
OUT = HERE.parent / "results" / "ablations_lite.json"
SEEDS = (0, 1)
IMAGES = 7000
AGAINST = {"attention-head": "all-at-once", "attention": "attention-head", "landmarks": "no-mixup"}
_DRAWS = 500
Statistic = Callable[[NDArray[np.int64]], float]
STATISTICS: dict[str, Statistic] = {"accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1}


def main() -> None:
    """Train what is missing, and write the JSON after each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--votes", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/paper-ablations"))
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW")
    parser.add_argument("--summary", action="store_true")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    console.enable()
    torch.set_num_threads(1)
    whole = data.load(arguments.data)
    dataset = few(whole, arguments.images)
    study = Study(arguments.recipe, dataset, arguments.out)
    if not arguments.summary:
        arguments.work.mkdir(parents=True, exist_ok=True)
        with paths.alone(arguments.work, "--work"):
            study.train(arguments.only, arguments.votes, arguments.work)
    study.write()


def few(dataset: Dataset, count: int) -> Dataset:
    """Return a stratified part of the training images, and all of PublicTest; no image of PrivateTest."""
    training = np.flatnonzero(dataset.splits == SPLITS.index("train"))
    share = count / len(training)
    chosen = training[stratified(dataset.labels[training], (1 - share, share)) == 1]
    keep = np.sort(np.concatenate([chosen, np.flatnonzero(dataset.splits == SPLITS.index("val"))]))
    part = dataclasses.replace(
        dataset,
        name=f"{dataset.name}, {len(chosen):,} training images",
        images=np.asarray(dataset.images[keep]),
        labels=dataset.labels[keep],
        splits=dataset.splits[keep],
        rows=dataset.rows[keep],
        groups=None if dataset.groups is None else dataset.groups[keep],
        pictures="",
    )
    return dataclasses.replace(part, digest=digest_of(part, part.splits, ()))


class Study:
    """The rows, and their trainings so far.

    Attributes:
        rows: name, citation and settings by name; the reference first.
        trainings: done, as in the JSON.
    """

    def __init__(self, recipe: Path, dataset: Dataset, out: Path) -> None:
        """Read the rows and the trainings that `out` has.

        Raises:
            SystemExit: `out` is of another reference or of other images.
        """
        self._recipe, self._dataset, self._out = str(recipe), dataset, out
        self._reference = recipes.named(recipes.load(self._recipe)).model_copy(update={"ablations": ()})
        self._test = data.split(dataset, "val", "official")
        self.rows = {name: (cites, list(change)) for name, cites, change, _ in ablation.variants(self._recipe)}
        self.trainings: list[dict[str, Any]] = []
        if out.exists():
            earlier = json.loads(out.read_text(encoding="utf-8"))
            same = recipes.parse(earlier["reference"], str(out)) == self._reference
            if not same or earlier["images"]["digest"] != dataset.digest:
                raise SystemExit(f"{out} is of another reference or of other images; name another file with --out")
            self.trainings = [
                each for each in earlier["trainings"] if each["set"] == self.rows.get(each["row"], (None, None))[1]
            ]

    def train(self, only: list[str], votes: Path | None, work: Path) -> None:
        """Train what is still to do, and write the JSON after each training; rows that need votes only with them."""
        for row, recipe in self.missing(only):
            if recipe.teaching.votes:
                if votes is None:
                    console.say(f"{row} is skipped: it needs --votes")
                    continue
                teaching = recipe.teaching.model_copy(update={"votes": str(votes)})
                recipe = recipe.model_copy(update={"teaching": teaching})
            try:
                self.add(row, recipe, work)
            except Interrupted as error:
                raise SystemExit(f"{error}") from None
            self.write()

    def missing(self, only: list[str]) -> Iterator[tuple[str, Recipe]]:
        """Yield row and recipe of each training that is still to do, in order; all, or those of some rows."""
        unknown = set(only) - set(self.rows)
        if unknown:
            raise SystemExit(f"no row is called {', '.join(sorted(unknown))}; choose from {', '.join(self.rows)}")
        done = {(each["row"], each["seed"]) for each in self.trainings}
        recipes_of = {seed: {name: each for name, *_, each in self._variants(seed)} for seed in SEEDS}
        for row in only or self.rows:
            for seed in SEEDS:
                if (row, seed) not in done:
                    yield row, recipes_of[seed][row]

    def _variants(self, seed: int) -> Iterator[tuple[str, str, tuple[str, ...], Recipe]]:
        return ablation.variants(self._recipe, seed=seed)

    def add(self, row: str, recipe: Recipe, work: Path) -> None:
        """Train a row with a seed, and note what its network says of PublicTest.

        Its folder in `work` is removed afterwards.

        Raises:
            Interrupted: SIGTERM or Ctrl-C; its folder stays, to go on.
        """
        seed = recipe.train.seed
        run = work / f"{row}-{seed}"
        console.say(f"{row}, seed {seed}")
        try:
            with landmark_head.landmarks_for_votes() if row == "landmarks" else nullcontext():
                trained = trainer.train(recipe, self._dataset, run, unfinished.goes_on(run, recipe))
        except Diverged as error:
            self.trainings.append(
                {"row": row, "seed": seed, "set": self.rows[row][1], "error": str(error).partition(";")[0]}
            )
            return
        found = checkpoint.read(run)
        logits = evaluate.logits(checkpoint.build(found), self._test, recipe.preprocessing)
        predicted = logits.argmax(1)
        matrix = metrics.confusion(self._test.labels, predicted, len(self._dataset.classes))
        self.trainings.append(
            {
                "row": row,
                "seed": seed,
                "set": self.rows[row][1],
                **{name: round(of(matrix), 6) for name, of in STATISTICS.items()},
                "chosen_on": round(trained.val_accuracy, 6),
                "best_epoch": trained.best_epoch,
                "epochs": trained.epochs,
                "parameters": trained.parameters,
                "seconds": trained.seconds,
                "load": machine.load_average(),
                "precision": trained.precision,
                "initial_weights": trained.initial_weights,
                "machine": machine.describe().model_dump(mode="json", exclude={"versions"}),
                "versions": versions.installed("edgefer", *PACKAGES),
                "predicted": packed(predicted),
            }
        )
        shutil.rmtree(run)

    def write(self) -> None:
        """Write the JSON, trainings in the order of the rows."""
        order = list(self.rows)
        self.trainings.sort(key=lambda each: (order.index(each["row"]), each["seed"]))
        training, choosing = (data.split(self._dataset, name, "stratified") for name in ("train", "val"))
        result = {
            "kind": "edgefer ablations_lite",
            "protocol": protocol(__doc__),
            "images": {
                "name": self._dataset.name,
                "digest": self._dataset.digest,
                "training": len(training),
                "choosing": len(choosing),
                "tested": len(self._test),
            },
            "reference": self._reference.model_dump(mode="json"),
            "rows": [{"row": row, "cites": cites, "set": change} for row, (cites, change) in self.rows.items()],
            "effects": effects(self.trainings, self._test.labels, len(self._dataset.classes)),
            "trainings": self.trainings,
        }
        paths.write_json(self._out, result, indent=1)


def effects(trainings: list[dict[str, Any]], labels: NDArray[np.int64], classes: int) -> list[dict[str, Any]]:
    """Return each row's difference from its reference, in points, over the seeds that both have.

    An interval needs the variance between seeds, so that some row must have two; without, it is None.
    """
    by_row: dict[str, dict[int, dict[str, Any]]] = {}
    for each in trainings:
        if "error" not in each:
            by_row.setdefault(each["row"], {})[each["seed"]] = each
    answers = {
        (row, seed): unpacked(each["predicted"], len(labels)) for row, of in by_row.items() for seed, each in of.items()
    }
    draws = np.random.default_rng(0).integers(0, len(labels), (_DRAWS, len(labels)))
    found = []
    for row in by_row:
        against = AGAINST.get(row, WHOLE)
        seeds = sorted(by_row[row].keys() & by_row.get(against, {}).keys())
        if row == WHOLE or not seeds:
            continue
        effect: dict[str, Any] = {"row": row, "against": against, "seeds": seeds}
        pairs = [(answers[row, seed], answers[against, seed]) for seed in seeds]
        for name, statistic in STATISTICS.items():
            between, freedom = seed_variance(by_row, name)
            estimate = _difference(statistic, pairs, labels, classes)
            effect[name] = {"points": round(100 * estimate, 3), "low": None, "high": None}
            if between is not None:
                drawn = [
                    _difference(statistic, [(a[rows], b[rows]) for a, b in pairs], labels[rows], classes)
                    for rows in draws
                ]
                by_images = metrics.Z95 * float(np.std(drawn, ddof=1))
                by_seeds = float(t.ppf(0.975, freedom)) * math.sqrt(2 * between / len(seeds))
                half = math.hypot(by_images, by_seeds)
                effect[name] |= {"low": round(100 * (estimate - half), 3), "high": round(100 * (estimate + half), 3)}
        found.append(effect)
    return found


def seed_variance(by_row: dict[str, dict[int, dict[str, Any]]], name: str) -> tuple[float | None, int]:
    """Return the variance between seeds of a figure, pooled over the rows, and its degrees of freedom."""
    several = [[each[name] for each in of.values()] for of in by_row.values() if len(of) > 1]
    freedom = sum(len(values) - 1 for values in several)
    if not freedom:
        return None, 0
    return sum(float(np.var(values)) * len(values) for values in several) / freedom, freedom


def packed(predicted: NDArray[np.int64]) -> str:
    """Return predictions, class by class, as compressed text: a byte each before compression."""
    return base64.b64encode(zlib.compress(predicted.astype(np.uint8).tobytes(), 9)).decode()


def unpacked(text: str, count: int) -> NDArray[np.int64]:
    """Return the predictions that `packed` wrote, (count,)."""
    found = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).astype(np.int64)
    if len(found) != count:
        raise SystemExit(f"a training has {len(found)} predictions, not {count}")
    return found


def _difference(
    statistic: Statistic,
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    labels: NDArray[np.int64],
    classes: int,
) -> float:
    """Return the mean over seeds of a row's figure minus its reference's."""
    return float(
        np.mean(
            [
                statistic(metrics.confusion(labels, row, classes))
                - statistic(metrics.confusion(labels, reference, classes))
                for row, reference in pairs
            ]
        )
    )


if __name__ == "__main__":
    main()
