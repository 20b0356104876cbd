"""What `train --from edgefer-base` gains on a few pictures with custom labels.

python benchmarks/training/own_classes.py [--data fer2013.zip] [--seeds 3] [--out FILE]

Three labels, negative (FER2013's angry, disgust, fear, sad), neutral and positive (happy), of which edgefer-base knows
neutral by name; 300 pictures of PublicTest, 100 a label, of which an eighth validates. No network of edgefer's trained
on PublicTest, which chose its checkpoint. Tested on 500 pictures a label of PrivateTest without copies in Training or
among the 300. `from` is `edgefer train --from edgefer-base` as it is, `scratch` edgefer-base's recipe from random
weights in batches of 16 for 30 epochs, 480 steps. Other seeds draw other pictures too. FP32, one crop. All pictures are
FER2013's, as those that edgefer-base learned from are: on pictures of another kind the start is worth less.

Killed and started again, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

from benchmarks.common import FER2013, command, protocol
from edgefer import data, paths, versions
from edgefer.cli.main import app
from edgefer.devices import machine
from edgefer.learning import checkpoint, evaluate
from tests.helpers import sources

OUT = Path(__file__).parents[1] / "results" / "own_classes.json"
OWN = {"negative": ("angry", "disgust", "fear", "sad"), "neutral": ("neutral",), "positive": ("happy",)}
TRAINED, TESTED = 100, 500  # pictures per label
_SCRATCH = ["--epochs", "30", "--set", "train.batch_size=16", "--set", "phases.0.lr=0.02"]
WAYS = {"from": ["--from", "edgefer-base"], "scratch": ["edgefer-base", *_SCRATCH]}


def write(folder: Path, fer2013: data.Dataset, seed: int) -> None:
    """Write a data set like a user's."""
    random = np.random.default_rng(seed)
    seen = {image.tobytes() for image in fer2013.images[fer2013.splits == 0]}
    for split, name, count in ((1, "train", TRAINED), (2, "test", TESTED)):
        for own, labels in OWN.items():
            these = np.isin(fer2013.labels, [fer2013.classes.index(label) for label in labels])
            rows = random.permutation(np.flatnonzero((fer2013.splits == split) & these))
            written = 0
            for row in rows:
                image = np.asarray(fer2013.images[row])
                if image.tobytes() in seen:
                    continue
                seen.add(image.tobytes())
                sources.write_picture(folder / name / own / f"{row}.png", image)
                written += 1
                if written == count:
                    break


def main() -> None:
    """Train both ways with each seed and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    fer2013 = data.load(arguments.data)
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    if arguments.out.exists():
        found = json.loads(arguments.out.read_text(encoding="utf-8"))["runs"]
    for seed in range(arguments.seeds):
        for way in WAYS:
            if not any(run["seed"] == seed for run in found[way]):
                found[way].append(_run(way, fer2013, seed))
                print(way, found[way][-1], flush=True)
                paths.write_json(arguments.out, _tree(fer2013, found), 1)


def _run(way: str, fer2013: data.Dataset, seed: int) -> dict[str, Any]:
    """Return the result of a training."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        own, run = Path(folder) / "own", Path(folder) / "run"
        write(own, fer2013, seed)
        options = ["--data", own, "--seed", seed, "--threads", 1, "--no-page", "--out", run, "--json"]
        done = CliRunner().invoke(app, ["train", *WAYS[way], *map(str, options)])
        if done.exit_code:
            raise SystemExit(done.stderr or done.stdout)
        said, head = json.loads(done.stdout), checkpoint.read(run)
        judged = data.split(data.as_recorded(data.load(own), head.data), "test")
        logits = evaluate.logits(checkpoint.build(head), judged, head.recipe.preprocessing)
        right = logits.argmax(1) == judged.labels
        return {
            "seed": seed,
            "accuracy": float(right.mean()),
            "recall": {name: float(right[judged.labels == k].mean()) for k, name in enumerate(head.classes)},
            "val_accuracy": said["val_accuracy"],
            "epochs": said["epochs"],
            "best_epoch": said["best_epoch"],
            "seconds": round(time.monotonic() - started, 1),
            "images": {"trained": 3 * TRAINED, "tested": len(judged)},
        }


def _tree(fer2013: data.Dataset, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "protocol": protocol((__doc__ or "").rpartition("\n\n")[0]),
        "command": command(),
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed("edgefer", "torch", "timm", "numpy"),
        "data": {"name": fer2013.name, "digest": fer2013.digest},
        "ways": {way: ["edgefer", "train", *words] for way, words in WAYS.items()},
        "runs": found,
    }


if __name__ == "__main__":
    main()
