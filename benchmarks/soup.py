"""The mean of several trainings' weights as a checkpoint: networks that began with one another's lie in one valley.

python benchmarks/soup.py fer2013.zip OUT RUN RUN [RUN ...]

As in model soups (Wortsman et al., ICML 2022). Of the first run are the recipe, the shape and all that is said of the
training; the others' weights are taken into that shape, as `edgefer train --from` takes them. PublicTest says how
accurate the mean is; PrivateTest is not opened.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from ensembles import scores, trained

from edgefer import data, models
from edgefer.evaluation import metrics
from edgefer.learning import checkpoint, evaluate


def main() -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the checkpoint")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training, or of a checkpoint")
    arguments = parser.parse_args()
    dataset = data.load(arguments.data)
    split = data.split(dataset, "val")
    first, *others = [found for _, _, found in trained(arguments.runs, dataset)]
    spec, taken = first.recipe.preprocessing, [first.weights]
    for other in others:
        asked = first.recipe.model
        network = models.create(asked.name, len(first.classes), spec.channels, asked.args)
        models.take(network, models.grown(network, other.weights), "a run")
        taken.append(network.state_dict())
    mean = {
        name: torch.stack([weights[name].double() for weights in taken]).mean(0).to(value.dtype)
        for name, value in first.weights.items()
    }
    soup = replace(first, weights=mean)
    found = scores(metrics.softmax(evaluate.logits(checkpoint.build(soup), split, spec)), split)
    arguments.out.mkdir(parents=True, exist_ok=True)
    checkpoint.write(arguments.out, replace(soup, val_accuracy=found["accuracy"]))
    print(found)


if __name__ == "__main__":
    main()
