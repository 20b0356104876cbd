"""How much of a checkpoint's accuracy on PublicTest is owed to being chosen there.

python benchmarks/selection.py fer2013.zip RUN [RUN ...]

Of a training's epochs the one with the best accuracy on PublicTest is kept, so that figure is in part luck. The same
network sees the same images in views that chose nothing: mirrored, and cut two pixels wider or closer (FP32, one view
at a time). Luck does not come along; what the network knows does, as its loss shows, which hardly changes.
PrivateTest is not opened.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import protocol
from ensembles import scores, trained

from edgefer import data, paths
from edgefer.data.dataset import Split
from edgefer.devices import machine
from edgefer.evaluation import metrics
from edgefer.learning import checkpoint, evaluate

OUT = Path(__file__).parent / "results" / "selection.json"
_BESIDE = 2  # pixels


def main() -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a training, or of a checkpoint")
    arguments = parser.parse_args()
    dataset = data.load(arguments.data)
    split = data.split(dataset, "val")
    networks = {
        name: {"sha256": paths.sha256(head), **seen(found, split)}
        for name, head, found in trained(arguments.runs, dataset)
    }
    result = {
        "kind": "edgefer selection",
        "protocol": protocol(__doc__),
        "images": len(split),
        "data": dataset.digest,
        "networks": networks,
        "torch": torch.__version__,
        "machine": machine.describe().model_dump(mode="json"),
    }
    paths.write_json(OUT, result, indent=1)
    for name, each in networks.items():
        chosen, others = each["chosen_by"], each["others"]
        print(f"{100 * chosen['accuracy']:.2f} %, in other views {100 * others['accuracy']:.2f} %  {name}")


def seen(found: checkpoint.Checkpoint, split: Split) -> dict[str, Any]:
    """Return accuracy and loss of the view that chose the checkpoint, and the means over those that did not."""
    network, spec = checkpoint.build(found), found.recipe.preprocessing
    side = split.source.shape[1]
    chosen = spec.crop_side(side, side)
    views = []
    for crop, mirrored in itertools.product((chosen, chosen - _BESIDE, chosen + _BESIDE), (False, True)):
        rows = dataclasses.replace(split, source=split.source[:, :, ::-1]) if mirrored else split
        cut = spec if crop == chosen else spec.model_copy(update={"crop": crop / side})
        logits = evaluate.logits(network, rows, cut)
        views.append({"crop": crop, "mirrored": mirrored, **scores(metrics.softmax(logits), split)})
    others = {
        name: round(float(np.mean([view[name] for view in views[1:]])), 6) for name in ("accuracy", "fitted_loss")
    }
    return {"chosen_by": views[0], "others": others, "views": views}


if __name__ == "__main__":
    main()
