"""Effect of each change of a recipe, on PublicTest.

python benchmarks/training/steps.py RUN [RUN ...] [--data fer2013.zip] [--out FILE.json]

Each run's checkpoint, which PublicTest chose, answers PublicTest in FP32, one crop, no TTA: accuracy, macro F1, and the
loss at the temperature that makes it least, which is less of a lottery than accuracy. A change is a setting that is not
as in the recipe that the run names. One seed each unless runs differ in it. PrivateTest is not opened. Other runs that
FILE.json has keep their entries.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import FER2013, command, protocol
from benchmarks.training.ensembles import scores, trained
from edgefer import data, paths, recipes
from edgefer.devices import machine
from edgefer.evaluation import metrics
from edgefer.learning import checkpoint, evaluate
from edgefer.recipes import Recipe

OUT = Path(__file__).parents[1] / "results" / "training_steps.json"


def main() -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    dataset = data.load(arguments.data)
    split = data.split(dataset, "val")
    steps = []
    for (name, head, found), run in zip(trained(arguments.runs, dataset), arguments.runs, strict=True):
        network = checkpoint.build(found)
        logits = evaluate.logits(network, split, found.recipe.preprocessing)
        with (run / "log.csv").open(encoding="utf-8", newline="") as file:
            epochs = list(csv.DictReader(file))
        steps.append(
            {
                "run": name,
                "sha256": paths.sha256(head),
                "recipe": found.recipe.name,
                "changes": changes(found.recipe),
                "parameters": sum(each.numel() for each in network.parameters()),
                "epochs": len(epochs),
                "best_epoch": found.epoch,
                "hours": round(sum(float(row["seconds"]) for row in epochs) / 3600, 3),
                **scores(metrics.softmax(logits), split),
            }
        )
        print(f"{name}: {steps[-1]['accuracy']:.2%}, macro F1 {steps[-1]['macro_f1']}, {steps[-1]['fitted_loss']}")
    names = {each["run"] for each in steps}
    known = json.loads(arguments.out.read_text(encoding="utf-8"))["steps"] if arguments.out.exists() else []
    steps = [*(each for each in known if each["run"] not in names), *steps]
    result = {
        "kind": "edgefer training steps",
        "command": command(),
        "protocol": protocol(__doc__),
        "images": len(split),
        "data": dataset.digest,
        "steps": steps,
        "torch": torch.__version__,
        "machine": machine.describe().model_dump(mode="json"),
    }
    paths.write_json(arguments.out, result, indent=1)


def changes(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that differ from the recipe of the same name, by key; without epochs and paths."""
    mine, shipped = (flat(each.model_dump(mode="json")) for each in (recipe, recipes.load(recipe.name)))
    left_out = ("phases.0.epochs", "teaching.votes", "model.initial_weights", "description")
    return {key: value for key, value in mine.items() if shipped.get(key) != value and key not in left_out}


def flat(tree: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return a tree's leaves by dotted keys; a list of settings counts as one leaf, phases do not."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if key == "phases":
            value = {str(place): each for place, each in enumerate(value)}
        if isinstance(value, dict) and key != "args":
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


if __name__ == "__main__":
    main()
