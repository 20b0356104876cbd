"""Selection bias: the share of a checkpoint's PublicTest accuracy that comes from selection on PublicTest.

python benchmarks/training/selection.py fer2013.zip RUN [RUN ...]

Of a training's epochs the one with the best accuracy on PublicTest is kept, so that figure is in part luck. The same
network sees the same images in views that chose nothing: mirrored, and cut two pixels wider or closer (FP32, one view
at a time). Luck does not come along; what the network knows does, as its loss shows, which hardly changes. Ensembles
(the mean of their networks' probabilities, all of them looking at the same view) bring their networks' luck along, so
they are asked in other views too: what they have more there is what a teacher has to teach. PrivateTest is not opened.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import protocol
from benchmarks.training.ensembles import scores, trained
from edgefer import data, paths
from edgefer.data.dataset import Split
from edgefer.devices import machine
from edgefer.evaluation import metrics
from edgefer.learning import checkpoint, evaluate

OUT = Path(__file__).parents[1] / "results" / "selection.json"
_BESIDE = 2  # pixels
_SCORES = ("accuracy", "fitted_loss")
View = tuple[int, bool, NDArray[np.float64]]  # crop side, mirrored or not, probabilities (n, classes)


def main() -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training, or of a checkpoint")
    arguments = parser.parse_args()
    dataset = data.load(arguments.data)
    split = data.split(dataset, "val")
    answers: dict[str, list[View]] = {}
    networks = {}
    for name, head, found in trained(arguments.runs, dataset):
        answers[name] = views(found, split)
        scored = [{"crop": crop, "mirrored": mirrored, **scores(each, split)} for crop, mirrored, each in answers[name]]
        networks[name] = {"sha256": paths.sha256(head), **compared(scored), "views": scored}
    ensembles = [
        {"of": list(names), **compared([scores(np.mean(view, axis=0), split) for view in zip(*asked, strict=True)])}
        for count in range(2, len(answers) + 1)
        for names in itertools.combinations(answers, count)
        for asked in [[[probabilities for *_, probabilities in answers[name]] for name in names]]
    ]
    ensembles.sort(key=lambda each: float(each["others"]["fitted_loss"]))
    result = {
        "kind": "edgefer selection",
        "protocol": protocol(__doc__),
        "images": len(split),
        "data": dataset.digest,
        "networks": networks,
        "ensembles": ensembles,
        "torch": torch.__version__,
        "machine": machine.describe().model_dump(mode="json"),
    }
    paths.write_json(OUT, result, indent=1)
    for name, each in [*networks.items(), *((" + ".join(each["of"]), each) for each in reversed(ensembles))]:
        chosen, others = each["chosen_by"], each["others"]
        print(f"{100 * chosen['accuracy']:.2f} %, in other views {100 * others['accuracy']:.2f} %  {name}")


def views(found: checkpoint.Checkpoint, split: Split) -> list[View]:
    """Return a network's output for each view, first the view that selected the checkpoint."""
    network, spec = checkpoint.build(found), found.recipe.preprocessing
    side = split.source.shape[1]
    chosen = spec.crop_side(side, side)
    answers = []
    for crop, mirrored in itertools.product((chosen, chosen - _BESIDE, chosen + _BESIDE), (False, True)):
        rows = dataclasses.replace(split, source=split.source[:, :, ::-1]) if mirrored else split
        cut = spec if crop == chosen else spec.model_copy(update={"crop": crop / side})
        answers.append((crop, mirrored, metrics.softmax(evaluate.logits(network, rows, cut))))
    return answers


def compared(scored: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the scores of the first view and the mean scores of the others."""
    first = {name: scored[0][name] for name in _SCORES}
    others = {name: round(float(np.mean([view[name] for view in scored[1:]])), 6) for name in _SCORES}
    return {"chosen_by": first, "others": others}


if __name__ == "__main__":
    main()
