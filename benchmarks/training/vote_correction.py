"""What vote-corrected teachers know and how much they have memorized: which ensemble, and which power.

python benchmarks/training/vote_correction.py fer2013.zip fer2013new.csv RUN [RUN ...] [--images 4000]

Every ensemble of the runs' checkpoints (FP32, one crop) is put together with P(label | votes), fitted to the training
images, as `edgefer train --teacher --votes --set teaching.votes_power=P` does it at its temperature, 2; what is scored
is what a student answers at temperature 1 that has learned it well. On PublicTest, which taught them nothing, that
tells what they know, and whether they are too sure: then the loss at the best temperature is far less. On as many
training images, where the votes' most likely label is not the label, it tells how far they follow a label that they
know: as far on both would be best. PrivateTest is not opened.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import protocol
from benchmarks.training.ensembles import scores, trained
from edgefer import data, paths
from edgefer.data import votes as fer_plus
from edgefer.data.dataset import Split, spread
from edgefer.devices import machine
from edgefer.learning import checkpoint, evaluate
from edgefer.recipes.schema import Teaching
from edgefer.training.vote_correction import label_model, vote_corrected

OUT = Path(__file__).parents[1] / "results" / "vote_correction.json"
POWERS = (0.0, 0.2, 0.4, 0.6)
TEMPERATURE = Teaching().temperature


def main() -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("votes", type=Path, metavar="VOTES")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training, or of a checkpoint")
    parser.add_argument("--images", type=int, default=4000, help="of the training images")
    arguments = parser.parse_args()
    dataset = data.load(arguments.data)
    votes = torch.from_numpy(fer_plus.read(arguments.votes, dataset))
    training, unseen = data.split(dataset, "train"), data.split(dataset, "val")
    model = label_model(votes[training.indices], torch.from_numpy(training.labels), len(dataset.classes))
    known = training.subset(spread(len(training), arguments.images))
    likely = {split.name: model(votes[split.indices]) for split in (known, unseen)}
    answers: dict[str, dict[str, torch.Tensor]] = {}
    networks = {}
    for name, head, found in trained(arguments.runs, dataset):
        network, spec = checkpoint.build(found), found.recipe.preprocessing
        answers[name] = {
            split.name: (torch.from_numpy(evaluate.logits(network, split, spec)) / TEMPERATURE).softmax(1)
            for split in (known, unseen)
        }
        networks[name] = paths.sha256(head)
    teachers = [
        {"of": list(names), "power": power, **told([answers[name] for name in names], likely, power, known, unseen)}
        for count in range(1, len(answers) + 1)
        for names in itertools.combinations(answers, count)
        for power in POWERS
    ]
    teachers.sort(key=lambda each: float(each["loss"]))
    result = {
        "kind": "edgefer vote correction",
        "protocol": protocol(__doc__),
        "temperature": TEMPERATURE,
        "images": {"PublicTest": len(unseen), "training": len(known)},
        "data": dataset.digest,
        "votes": paths.sha256(arguments.votes),
        "networks": networks,  # by name, the SHA-256 of their best.json
        "teachers": teachers,
        "torch": torch.__version__,
        "machine": machine.describe().model_dump(mode="json"),
    }
    paths.write_json(OUT, result, indent=1)
    for each in teachers:
        print(
            f"{100 * each['accuracy']:.2f} %, loss {each['loss']:.4f}, at its temperature {each['fitted_loss']:.4f}; "
            f"P(label) against votes {each['against_votes']:.3f}, where it is known {each['against_votes_known']:.3f}  "
            f"power {each['power']}, {' + '.join(each['of'])}"
        )


def told(
    answers: list[dict[str, torch.Tensor]], likely: dict[str, torch.Tensor], power: float, known: Split, unseen: Split
) -> dict[str, Any]:
    """Return the scores on unseen images, and the mean P(label) on both sets where the votes contradict the label."""
    said, label = {}, {}
    for split in (known, unseen):
        mean = torch.stack([each[split.name] for each in answers]).mean(0)
        target = vote_corrected(mean, likely[split.name], power / TEMPERATURE)
        said[split.name] = (target.log() * TEMPERATURE).softmax(1).double().numpy()
        label[split.name] = against(said[split.name], likely[split.name].numpy(), split.labels)
    return {
        **scores(said[unseen.name], unseen),
        "against_votes": label[unseen.name],
        "against_votes_known": label[known.name],
    }


def against(said: NDArray[np.float64], likely: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the mean probability of the label where the votes favour another one."""
    rows = likely.argmax(1) != labels
    return round(float(said[rows, labels[rows]].mean()), 4)


if __name__ == "__main__":
    main()
