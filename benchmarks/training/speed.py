"""Training speed of each paper's recipe here, for the hours of `edgefer claims --todo`.

python benchmarks/training/speed.py --data fer2013.zip [--only b2-two-stage]

Seconds are those of the processor on one thread, so that work beside it counts little. An image is forward, loss
and backward at the recipe's size and phase, of four at a time, in FP32, and its share of an optimizer's step at the
recipe's batch; each after one that is not timed. Augmentation is left out. No time depends on weights: they are random.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks import common
from edgefer import console, data, models, paths, recipes, versions
from edgefer.claims import ledger, todo
from edgefer.data.dataset import Dataset
from edgefer.devices import machine
from edgefer.learning import optimizer
from edgefer.recipes import Recipe

OUT = Path(__file__).parents[1] / "results" / "training_speed.json"
REPEAT = "python benchmarks/training/speed.py --data fer2013.zip"
MOST = 4  # images of a timed step: a recipe's own batch may take a minute


def seconds(work: Callable[[], object]) -> float:
    work()
    start = time.process_time()
    work()
    return time.process_time() - start


def measured(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """Return a recipe's images per second, in each phase and in validation, and its number of images."""
    chosen = data.only(dataset, recipe.data.classes)
    spec, batch = recipe.preprocessing, min(recipe.train.batch_size, MOST)
    classes = len(chosen.classes)
    model = models.create(recipe.model.name, classes, spec.channels, recipe.model.args)
    x, y = torch.randn(batch, spec.channels, spec.size, spec.size), torch.arange(batch) % classes
    phases = []
    for phase in recipe.phases:
        model.train()
        optimizer.choose_weights(model, phase)
        stepper = optimizer.make_optimizer(model, phase)

        gradients = seconds(lambda: F.cross_entropy(model(x), y).backward())
        an_image = gradients / batch + seconds(stepper.step) / recipe.train.batch_size
        phases.append({"name": phase.name, "epochs": phase.epochs, "images_a_second": 1 / an_image})
    model.eval()
    with torch.inference_mode():
        validation = batch / seconds(lambda: model(x))
    return {
        "size": spec.size,
        "batch": batch,
        "training_images": len(data.split(chosen, "train", recipe.data.split)),
        "validation_images": len(data.split(chosen, "val", recipe.data.split)),
        "phases": phases,
        "validation_images_a_second": validation,
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=common.FER2013)
    parser.add_argument("--only", action="append", help="a recipe; the others' figures are kept")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = data.load(arguments.data)
    siblings = [name for name in recipes.names() if name.endswith("-lite")]
    names = [*ledger.read().trainings, *siblings]
    kept = json.loads(OUT.read_text(encoding="utf-8"))["recipes"] if arguments.only and OUT.exists() else {}
    before = os.getloadavg()[0]
    for name in arguments.only or names:
        kept[name] = measured(recipes.load(name), dataset)
        console.say(f"{name}: {kept[name]['phases'][-1]['images_a_second']:.2f} images a second")
    result = {
        "kind": todo.KIND,
        "protocol": common.protocol(__doc__),
        "repeat": REPEAT,
        "machine": machine.describe().model_dump(mode="json"),
        "threads": 1,
        "load_before": before,
        "recipes": {name: kept[name] for name in names if name in kept},
        "versions": versions.installed("timm", "torch"),
    }
    with paths.write_atomically(OUT) as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
