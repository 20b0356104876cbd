"""What ensembles know beyond their networks: whether they are worth using as teachers.

python benchmarks/training/ensembles.py fer2013.zip RUN RUN [RUN ...] [--int8 BUNDLE ...] [--mirrored]

Each run's checkpoint, in FP32, answers PublicTest, one crop, no TTA; an ensemble's answer is the mean of its networks'
probabilities, as `edgefer train --teacher` takes it at temperature 1. A second loss is that at the temperature which
makes it least. With --mirrored each network answers for a picture and for its mirror image, as `teaching.mirrored` has
it: a figure of teachers, not of networks that ship. A bundle's INT8 network for CPUs answers alone: the least of these
losses decides what may be shipped.
PrivateTest is not opened.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import protocol
from edgefer import bundle, data, paths
from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.compression import confidence
from edgefer.data.dataset import Dataset, Split
from edgefer.devices import machine
from edgefer.evaluation import metrics, predict
from edgefer.learning import checkpoint, evaluate

OUT = Path(__file__).parents[1] / "results" / "ensembles.json"


def main() -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training, or of a checkpoint")
    parser.add_argument("--int8", nargs="+", type=Path, default=[], metavar="BUNDLE", help="folders, named as the runs")
    parser.add_argument("--mirrored", action="store_true", help="the mean over a picture and its mirror image")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    dataset = data.load(arguments.data)
    split = data.split(dataset, "val")
    answers: dict[str, NDArray[np.float64]] = {}
    networks = {}
    for name, head, found in trained(arguments.runs, dataset):
        network = checkpoint.build(found)
        answers[name] = metrics.softmax(evaluate.logits(network, split, found.recipe.preprocessing))
        if arguments.mirrored:
            mirrored = evaluate.logits(network, _mirrored(split), found.recipe.preprocessing)
            answers[name] = (answers[name] + metrics.softmax(mirrored)) / 2
        networks[name] = paths.sha256(head)
    ensembles = [
        {"of": list(names), **scores(np.mean([answers[name] for name in names], axis=0), split)}
        for count in range(1, len(answers) + 1)
        for names in itertools.combinations(answers, count)
    ]
    ensembles.sort(key=lambda each: -float(each["accuracy"]))
    int8 = {}
    for folder in arguments.int8:
        made = bundle.load(folder)
        with registry.open_network(made, "int8-cpu", options=Options(threads=torch.get_num_threads())) as session:
            logits = predict.logits(session.infer, made.manifest.preprocessing, split, description=folder.name)
        int8[folder.name] = {
            "sha256": made.manifest.networks["int8-cpu"].sha256,
            **scores(metrics.softmax(logits), split),
        }
    result = {
        "kind": "edgefer ensembles",
        "protocol": protocol(__doc__),
        "images": len(split),
        "mirrored": arguments.mirrored,
        "data": dataset.digest,
        "networks": networks,  # by name, the SHA-256 of their best.json
        "ensembles": ensembles,
        "int8": int8,
        "torch": torch.__version__,
        "machine": machine.describe().model_dump(mode="json"),
    }
    paths.write_json(arguments.out, result, indent=1)
    for each in ensembles:
        losses = f"loss {each['loss']:.4f}, at its temperature {each['fitted_loss']:.4f}"
        print(f"{100 * each['accuracy']:.2f} %  {losses}  {' + '.join(each['of'])}")
    for name, each in int8.items():
        print(f"{100 * each['accuracy']:.2f} %  in INT8, at its temperature {each['fitted_loss']:.4f}  {name}")


def trained(runs: Sequence[Path], dataset: Dataset) -> Iterator[tuple[str, Path, checkpoint.Checkpoint]]:
    """Yield each run's name, its ``best.json`` and the content; PublicTest selected it but was not trained on."""
    names = set()
    for run in runs:
        head = checkpoint.find(run)
        found = checkpoint.read(head)
        if found.data["digest"] != dataset.digest or found.recipe.data.split != "official":
            raise SystemExit(f"{run} was trained on other data or another split")
        folder = head.absolute().parent
        name = folder.parent.name if folder.name == "checkpoint" else folder.name  # the bundle's own checkpoint
        if name in names:
            raise SystemExit("two runs have the same name")
        names.add(name)
        yield name, head, found


def _mirrored(split: Split) -> Split:
    """Return a split of the mirror images."""
    flipped = np.ascontiguousarray(split.take(slice(None))[:, :, ::-1])
    return dataclasses.replace(split, source=flipped, indices=np.arange(len(flipped)))


def scores(probabilities: NDArray[np.float64], split: Split) -> dict[str, Any]:
    """Return accuracy and cross entropy in nats of probabilities (n, classes), as they are and at the best temperature.

    The last compares networks better than accuracy does: it ignores confidence and counts how near a miss was.
    """
    logits = np.log(probabilities)
    temperature = confidence.fit("ensemble", logits.astype(np.float32), split).temperature
    return {
        "accuracy": round(float((probabilities.argmax(1) == split.labels).mean()), 6),
        "macro_f1": round(
            metrics.macro_f1(metrics.confusion(split.labels, probabilities.argmax(1), probabilities.shape[1])), 4
        ),
        "loss": round(metrics.cross_entropy(logits, split.labels), 4),
        "fitted_loss": round(metrics.cross_entropy(logits / temperature, split.labels), 4),
    }


if __name__ == "__main__":
    main()
