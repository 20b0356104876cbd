"""What the papers' recipes give on the edge: finished trainings of the siblings, compressed and benchmarked.

python benchmarks/training/siblings.py RUN [RUN ...] [--data FER2013.zip] [--work FOLDER] [--out FILE.json]

RUN is the folder of `edgefer train b0-mixup-lite`, say. Bundle and bench are made once and kept in FOLDER; the same
command goes on where it ended. The other siblings in FILE.json keep their entries.

Each network was trained by its paper's recipe on a network made for INT8, at fewer pixels. `edgefer compress --int8`
fine-tunes it and refuses nothing (--max-drop 100 --allow-float), since what INT8 costs is the question. `edgefer bench`
measures both networks on the paper's own test images, which it sees once; neither training nor fine-tuning saw them.
INT8 minus FP32: on the same images, Tango's score interval. Projected: least time by roofline; nothing ran there.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import FER2013, SIBLINGS, protocol
from benchmarks.training.papers import edgefer, write_few
from edgefer import bundle, console, data, lines, paths, recipes
from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.bench.result import BenchResult, BundleEntry, NetworkEntry
from edgefer.bundle import Bundle
from edgefer.claims import as_written, figures, findings, ledger
from edgefer.claims.ledger import Ledger
from edgefer.compression import gate, unfinished
from edgefer.data.dataset import Dataset
from edgefer.evaluation import predict
from edgefer.learning import checkpoint
from edgefer.learning.checkpoint import Checkpoint

OUT = Path(__file__).parents[1] / "results" / "siblings.json"
FP32, INT8 = "fp32", "int8-cpu"


def main() -> None:
    """Measure each finished training, and write the JSON after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished training")
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--work", type=Path, default=Path("runs/siblings"))
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    console.enable()
    arguments.work.mkdir(parents=True, exist_ok=True)
    with paths.alone(arguments.work, "--work"):
        for run in arguments.runs:
            entry = measured(run, arguments.data, arguments.work)
            entries = {each["name"]: each for each in known(arguments.out)} | {entry["name"]: entry}
            result = {
                "kind": "edgefer siblings",
                "protocol": protocol(__doc__),
                "siblings": [entries[name] for name in SIBLINGS if name in entries],
            }
            paths.write_json(arguments.out, result, indent=1)


def known(file: Path) -> list[dict[str, Any]]:
    """Return the siblings of an earlier command."""
    return json.loads(file.read_text(encoding="utf-8"))["siblings"] if file.exists() else []


def measured(run: Path, data_path: Path, work: Path) -> dict[str, Any]:
    """Return a sibling's entry.

    Raises:
        SystemExit: the training is not finished, or is none of a sibling.
    """
    found = checkpoint.read(run)
    name = found.recipe.name
    if name not in SIBLINGS:
        raise SystemExit(f"{run} is a training of {name}; the siblings are {', '.join(SIBLINGS)}")
    if found.epochs is None:
        raise SystemExit(f"{run} is not finished; continue it with: edgefer train --resume {lines.shell(run)}")
    claims = ledger.read()
    split = claims.trainings[SIBLINGS[name]].splits[-1]
    folder, bench_folder, projection = (work / f"{name}-{part}" for part in ("bundle", "bench", "projection"))
    few = work / "few.csv"
    dataset = data.load(data_path)
    if not folder.exists():
        begun = unfinished.resumable(folder)
        begins = ("--resume", begun) if begun else (run, "--int8", "--max-drop", 100, "--allow-float")
        edgefer("compress", *begins, "--data", data_path, "--out", folder, "--threads", 1)
    made = bundle.load(folder)
    if made.manifest.compression["checkpoint"] | {"sources": None} != {
        "epoch": found.epoch,
        "epochs": found.epochs,
        "val_accuracy": found.val_accuracy,
        "initial_weights": found.initial_weights,
        "sources": None,
    }:
        raise SystemExit(f"{folder} is of another training; move it, {bench_folder} and {projection} away")
    if not bench_folder.exists():
        words = ("--data", data_path, "--split", split, "--threads", 1, "--out", bench_folder)
        edgefer("bench", folder, "--device", "cpu", *words)
    bench = BenchResult.model_validate_json((bench_folder / "result.json").read_text(encoding="utf-8"))
    if not few.exists():
        write_few(dataset, few)
    if not projection.exists():
        edgefer("project", folder, "--device", "jetson", "--data", few, "--split", "val", "--out", projection)
    projected = json.loads((projection / "projection.json").read_text(encoding="utf-8"))["projected"]
    return entry_of(run, found, made, bench, projected, dataset, claims)


def entry_of(
    run: Path,
    found: Checkpoint,
    made: Bundle,
    bench: BenchResult,
    projected: list[dict[str, Any]],
    dataset: Dataset,
    claims: Ledger,
) -> dict[str, Any]:
    """Return the JSON of one sibling.

    Args:
        run: the training's folder.
        found: its checkpoint.
        made: the bundle.
        bench: of the bundle, on the paper's test images.
        projected: the least times of Jetsons, from `edgefer project`.
        dataset: all of FER2013.
        claims: the ledger.
    """
    name, paper = found.recipe.name, recipes.load(SIBLINGS[found.recipe.name])
    (of_bundle,) = bench.bundles
    networks = {each.network: each for each in bench.networks}
    training = of_bundle.training
    assert training is not None
    differences = as_written.differences(training, of_bundle.trained_on)
    with (run / "log.csv").open(encoding="utf-8") as file:
        seconds = [float(line["seconds"]) for line in csv.DictReader(file)]
    return {
        "name": name,
        "paper": paper.name,
        "reductions": reductions(found, paper),
        "differences": [each for each in differences if not each.startswith("from the weights of a package")],
        "size": found.recipe.preprocessing.size,
        "parameters": of_bundle.parameters,
        "macs": of_bundle.macs,
        "training": {
            "epochs": found.epochs,
            "of": found.recipe.epochs,
            "best_epoch": found.epoch,
            "hours": round(sum(seconds) / 3600, 2),
            "validation_accuracy": training.validation_accuracy,
            "validation_images": training.validation_images,
            "precision": found.precision,
            "initial_weights": found.initial_weights,
            "versions": found.versions,
        },
        "compression": {key: made.manifest.compression[key] for key in ("method", "observer", "activation")}
        | {"versions": made.manifest.versions},
        "test": {"split": bench.data.split, "images": bench.data.images, "classes": list(bench.data.classes)},
        "networks": [_network(each) for each in bench.networks],
        "int8_over_fp32": [
            {key: each.model_dump(mode="json")[key] for key in ("network", "against", "latency", "file_bytes")}
            for each in bench.comparisons
        ],
        "int8_minus_fp32": _change(made, networks, bench, dataset),
        "projected": [
            {key: each[key] for key in ("device", "network", "precision", "projected_milliseconds")}
            for each in projected
        ],
        "claims": _claims(of_bundle, networks, bench, paper.name, claims),
        "machine": bench.machine.model_dump(mode="json"),
        "load": bench.conditions.load_before,
        "repeat": bench.repeat,
        "warnings": bench.warnings,
    }


def reductions(found: Checkpoint, paper: recipes.Recipe) -> list[str]:
    """Return what the sibling changes: its network and its pixels."""
    mine, theirs = found.recipe, paper
    networks = [str(each.model.args.get("backbone", each.model.name)) for each in (mine, theirs)]
    return [
        f"{networks[0].removeprefix('tf_')} instead of {networks[1].removeprefix('tf_')}",
        f"{mine.preprocessing.size} px instead of {theirs.preprocessing.size}",
    ]


def _network(each: NetworkEntry) -> dict[str, Any]:
    keys = ("network", "precision", "runtime", "sha256", "file_bytes", "quality", "leak_free", "per_class", "confusion")
    tree = each.model_dump(mode="json")
    return {
        **{key: tree[key] for key in keys},
        "latency": tree["latency"],
        "network_bytes": each.memory and each.memory.peak - each.memory.baseline,
        "peak_bytes": each.memory and each.memory.peak,
        "energy": tree["energy"],
    }


def _change(made: Bundle, networks: dict[str, NetworkEntry], bench: BenchResult, dataset: Dataset) -> dict[str, Any]:
    """Return INT8 minus FP32 on the test images, as `edgefer compress` has it of the validation images."""
    split = data.split(data.only(dataset, bench.data.classes), bench.data.split)
    said: dict[str, NDArray[np.int64]] = {}
    for name in (FP32, INT8):
        with registry.open_network(made, name, options=Options(threads=1)) as session:
            logits = predict.logits(session.infer, made.manifest.preprocessing, split, description=name)
        said[name] = np.asarray(logits.argmax(1), np.int64)
        if abs(float((said[name] == split.labels).mean()) - networks[name].quality.accuracy) > 1e-9:
            raise SystemExit(f"{name} says something else than in its bench; bench it again")
    classes = len(bench.data.classes)
    change = gate.change(INT8, split.labels, said[FP32], said[INT8], classes, networks[INT8].runtime)
    return change.model_dump(mode="json")


def _claims(
    of_bundle: BundleEntry, networks: dict[str, NetworkEntry], bench: BenchResult, paper: str, claims: Ledger
) -> list[dict[str, Any]]:
    """Return each of the paper's claims that a training decides, beside the sibling's figures: shares, or epochs."""
    found = []
    for claim in claims.claim:
        if claim.test is None or claim.test.recipe != paper or of_bundle.training is None:
            continue
        of = {
            name: figures.measure(claim.test, of_bundle.training, networks[name], bench.data.classes)
            for name in (FP32, INT8)
        }
        if claim.test.what in ("validation-accuracy", "best-epoch"):
            of[INT8] = None  # of the training, so of FP32 alone
        found.append(
            {
                "id": claim.id,
                "place": claim.place,
                "metric": claim.metric,
                "what": claim.test.what,
                "label": claim.test.label,
                "claimed": findings.written(claim),
                **{
                    name: figure and {"value": figure.value, "low": figure.low, "high": figure.high}
                    for name, figure in of.items()
                },
            }
        )
    return found


if __name__ == "__main__":
    main()
