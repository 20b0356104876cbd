"""Augmentation's share of a training step: network and batch of the default recipe, both timed in turn.

python benchmarks/training/augmentation.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from edgefer import data, models, paths, recipes
from edgefer.devices import machine
from edgefer.learning import augmentation, images, loss, optimizer
from edgefer.training import precision

OUT = Path(__file__).parents[1] / "results" / "augmentation.json"
ROUNDS = 15


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    recipe = recipes.load("compact")
    training = data.split(data.builtin(), "train")
    count = recipe.train.batch_size
    pixels = images.load(training, recipe.preprocessing)[:count]
    labels = torch.from_numpy(training.labels[:count])
    model = models.create(recipe.model.name, 7, recipe.preprocessing.channels, recipe.model.args)
    model = model.to(memory_format=torch.channels_last).train()
    criterion = loss.cross_entropy(recipe.train, training.labels, 7)
    stepper = optimizer.make_optimizer(model, recipe.phases[0])

    def augmented() -> torch.Tensor:
        x = augmentation.augment(pixels, recipe.augment, recipe.preprocessing)
        return x.contiguous(memory_format=torch.channels_last)

    chosen = precision.choose(model, augmented(), labels)

    def rest_of_step(x: torch.Tensor) -> None:
        with precision.autocast("cpu", chosen):
            step_loss = criterion(model(x), labels)
        stepper.zero_grad()
        step_loss.backward()
        stepper.step()

    x = augmented()
    augmenting, rest = [], []
    for _ in range(ROUNDS):
        augmenting.append(seconds(augmented))
        rest.append(seconds(lambda: rest_of_step(x)))
    share = statistics.median(a / (a + r) for a, r in zip(augmenting, rest, strict=True))
    result = {
        "what": "augmentation's share of a training step; milliseconds are medians over the rounds",
        "recipe": recipe.name,
        "batch": count,
        "precision": chosen,
        "threads": torch.get_num_threads(),
        "rounds": ROUNDS,
        "augmentation_ms": round(1e3 * statistics.median(augmenting), 2),
        "rest_of_step_ms": round(1e3 * statistics.median(rest), 2),
        "share": round(share, 4),
        "load": machine.load_average(),
        "torch": torch.__version__,
        "machine": machine.describe().model_dump(mode="json"),
    }
    paths.write_json(OUT, result, indent=2)
    print(f"augmentation takes {100 * share:.1f} % of a step: {OUT}")


if __name__ == "__main__":
    main()
