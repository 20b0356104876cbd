"""Variation of a pretrained model's accuracy over seeds: the same training and compression.

edgefer bench BUNDLE --device cpu --data fer2013.zip --json > bench.json
python benchmarks/training/seeds.py edgefer-nano --run BUNDLE TRAINING BENCH.json --run BUNDLE TRAINING BENCH.json

The trainings have the same recipe but for the seed and the run that they went on from; which of the networks is shipped
is decided on PublicTest. A machine may have trained in another precision, which is written down. Writes
benchmarks/results/pretrained/NAME-seeds.json, which the card and README quote.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from edgefer import bundle, paths, recipes
from edgefer.learning import checkpoint

RESULTS = Path(__file__).parents[1] / "results" / "pretrained"


def main() -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["edgefer-nano", "edgefer-small", "edgefer-base"])
    parts = ("BUNDLE", "TRAINING", "BENCH.json")
    parser.add_argument("--run", nargs=3, type=Path, action="append", required=True, metavar=parts)
    arguments = parser.parse_args()
    runs, settings = [], []
    for folder, training, file in arguments.run:
        manifest = bundle.load(folder).manifest
        runs.append(figures(manifest, checkpoint.read(training), json.loads(file.read_text(encoding="utf-8"))))
        settings.append(without_seed(manifest.recipe))
    if any(each != settings[0] for each in settings):
        raise SystemExit("the runs' recipes differ in more than their seed")
    if len({run["seed"] for run in runs}) < len(runs):
        raise SystemExit("two runs have the same seed")
    result = {"kind": "edgefer seeds", "network": arguments.name, "says": said(runs), "runs": runs}
    paths.write_json(RESULTS / f"{arguments.name}-seeds.json", result, indent=2)


def figures(manifest: bundle.Manifest, trained: checkpoint.Checkpoint, bench: dict[str, Any]) -> dict[str, Any]:
    """Return one seed's results: accuracy of INT8 and FP32 on PrivateTest, as fractions."""
    measured = {network["network"]: network for network in bench["networks"]}
    if measured["int8-cpu"]["sha256"] != manifest.networks["int8-cpu"].sha256:
        raise SystemExit("a bench is of another bundle")
    if bench["data"]["split"] != "test":
        raise SystemExit("a bench is not of PrivateTest")
    if manifest.compression["checkpoint"]["val_accuracy"] != trained.val_accuracy:
        raise SystemExit("a bundle is of another training")
    chosen = next(score for score in manifest.scores if score.network == "int8-cpu")
    return {
        "seed": manifest.recipe["train"]["seed"],
        "sha256": measured["int8-cpu"]["sha256"],
        "precision": trained.precision,
        "val_accuracy": chosen.accuracy,
        "int8": {split: measured["int8-cpu"][split]["accuracy"] for split in ("quality", "leak_free")},
        "fp32": {split: measured["fp32"][split]["accuracy"] for split in ("quality", "leak_free")},
    }


def without_seed(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe without anything that differs between seeds, with today's settings and files by name."""
    rest = recipes.parse(recipe, "the run's recipe").model_dump(mode="json")
    rest["train"].pop("seed")
    rest["model"].pop("initial_weights")
    teaching = rest["teaching"]
    teaching["teachers"] = [Path(teacher).name for teacher in teaching["teachers"]]
    teaching["votes"] = teaching["votes"] and Path(teaching["votes"]).name
    return rest


def said(runs: list[dict[str, Any]]) -> str:
    """Return mean and range of INT8 over seeds, for the model card and README."""
    shares = [100 * run["int8"]["quality"] for run in runs]
    trained = sorted({run["precision"] for run in runs})
    how = f", trained in {' and '.join(trained)}" if len(trained) > 1 else ""
    return f"{sum(shares) / len(shares):.2f} % ({min(shares):.2f} to {max(shares):.2f}, {len(shares)} seeds{how})"


if __name__ == "__main__":
    main()
