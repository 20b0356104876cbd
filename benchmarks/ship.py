"""Put a compressed network into edgefer/pretrained, with its checkpoint and a model card written from measurements.

edgefer bench BUNDLE --device cpu --data fer2013.zip --json > bench.json
python benchmarks/ship.py edgefer-base BUNDLE TRAINING bench.json
python benchmarks/ship.py edgefer-base [--asked bench.json ...]   # its model card alone, anew

PrivateTest accuracies of all that was ever shipped under the name, git's history too, and of what was measured and not
shipped (--asked), are kept in NAME-candidates.json: how often a test set was asked is part of what its answer is worth.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from edgefer import bundle, paths, recipes
from edgefer.bundle import NetworkFile
from edgefer.learning import checkpoint

HERE = Path(__file__).parent
PRETRAINED = HERE.parent / "edgefer" / "pretrained"
RESULTS = HERE / "results" / "pretrained"
_NETWORKS = ("int8-cpu", "int8-tensorrt", "int8-rtx", "fp16-tensorrt", "fp16-rtx")  # FP16: to hold INT8 against
_MAX_CHECKPOINT = 7_000_000
GOALS = {"edgefer-nano": 0.665, "edgefer-small": 0.70, "edgefer-base": 0.72}  # what INT8 is to have on PrivateTest

# The trainings that led to each, one after the other, by their logs in benchmarks/training; not those of its teachers.
LOGS = {
    "edgefer-nano": ("edgefer-nano-36",),
    "edgefer-small": ("edgefer-small-first", "edgefer-small", "edgefer-small-mirror"),
    "edgefer-base": (
        *("edgefer-base-wide-first", "edgefer-base-wide-second", "edgefer-base-wide-third", "edgefer-base-wide"),
        *("edgefer-base-wide-fifth-again", "edgefer-base-wide-sixth", "edgefer-base-mirror"),
    ),
}


def main() -> None:
    """Write edgefer/pretrained/NAME, and NAME.json and NAME-candidates.json in benchmarks/results/pretrained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=tuple(GOALS))
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("training", type=Path, nargs="?")
    parser.add_argument("bench", type=Path, nargs="?", help="what `edgefer bench --json` said of it on PrivateTest")
    parser.add_argument("--asked", type=Path, nargs="+", default=[], metavar="BENCH", help="of what is not shipped")
    arguments = parser.parse_args()
    asked = [json.loads(file.read_text(encoding="utf-8")) for file in arguments.asked]
    if not arguments.bundle:
        shipped = json.loads((RESULTS / f"{arguments.name}.json").read_text(encoding="utf-8"))
        paths.write_json(
            RESULTS / f"{arguments.name}-candidates.json", candidates(arguments.name, *asked, shipped), indent=2
        )
        with paths.write_atomically(PRETRAINED / arguments.name / "MODEL_CARD.md") as part:
            part.write_text(model_card(bundle.load(arguments.name).manifest, shipped), encoding="utf-8")
        return
    if not arguments.bench:
        parser.error("BUNDLE, TRAINING and BENCH go together")
    made, trained = bundle.load(arguments.bundle), checkpoint.read(arguments.training)
    bench = json.loads(arguments.bench.read_text(encoding="utf-8"))
    check(made.manifest, trained, bench)

    # An option gave it another shape than the recipe of that day described.
    described = {"description": recipes.load(arguments.name).description}
    description = made.manifest.description().model_copy(
        update={
            "name": arguments.name,
            "recipe": without_folders(made.manifest.recipe) | described,
            "compression": without_folders(made.manifest.compression),
        }
    )
    parts = {
        name: NetworkFile(entry.file, made.file(name), entry.precision, entry.target)
        for name, entry in made.manifest.networks.items()
        if name in _NETWORKS
    }
    paths.write_json(RESULTS / f"{arguments.name}-candidates.json", candidates(arguments.name, *asked, bench), indent=2)
    recipe = trained.recipe.model_validate(without_folders(trained.recipe.model_dump(mode="json")) | described)
    with tempfile.TemporaryDirectory(dir=HERE) as name:
        folder = Path(name) / arguments.name
        bundle.write(folder, description, parts)
        checkpoint.write(
            folder / "checkpoint",
            replace(trained, recipe=recipe, initial_weights=without_folders(trained.initial_weights)),
        )
        size = sum(file.stat().st_size for file in (folder / "checkpoint").iterdir())
        if size > _MAX_CHECKPOINT:
            raise SystemExit(f"the checkpoint has {size:,} bytes, more than {_MAX_CHECKPOINT:,}")
        (folder / "MODEL_CARD.md").write_text(model_card(bundle.load(folder).manifest, bench), encoding="utf-8")
        shutil.rmtree(PRETRAINED / arguments.name, ignore_errors=True)
        PRETRAINED.mkdir(exist_ok=True)
        folder.rename(PRETRAINED / arguments.name)
    paths.write_json(RESULTS / f"{arguments.name}.json", bench, indent=2)


def candidates(name: str, *benches: dict[str, Any]) -> dict[str, Any]:
    """Return the INT8 networks that were measured on PrivateTest under this name, the oldest first."""
    file = RESULTS / f"{name}.json"
    known = RESULTS / f"{name}-candidates.json"
    found = json.loads(known.read_text(encoding="utf-8"))["candidates"] if known.exists() else []
    git = ["git", "-C", str(HERE)]
    history = subprocess.run([*git, "log", "--reverse", "--format=%H", "--", file], capture_output=True, text=True)
    for commit in history.stdout.split():
        show = [*git, "show", f"{commit}:./{file.relative_to(HERE)}"]
        past = subprocess.run(show, capture_output=True, text=True)
        if past.returncode == 0:
            found.append(_measured(json.loads(past.stdout)))
    by_file = {each["sha256"]: each for each in [*found, *map(_measured, benches)]}
    by_answers: dict[tuple[float, Any], dict[str, Any]] = {}  # a file that was only written anew is no other network
    for each in by_file.values():
        by_answers.setdefault((each["accuracy"], each.get("macro_f1", each["sha256"])), each)
    return {
        **{"kind": "edgefer candidates", "network": name, "goal": GOALS[name]},
        **{"candidates": list(by_answers.values()), "by_further_protocols": further_protocols(name)},
    }


def further_protocols(name: str) -> list[dict[str, Any]]:
    """Return what PrivateTest was asked of a network once it was shipped, by protocols that choose nothing."""
    bench = json.loads((HERE / "results" / "protocols.json").read_text(encoding="utf-8"))
    return [
        {"sha256": network["sha256"], "protocol": each["protocol"], "accuracy": each["quality"]["accuracy"]}
        for network in bench["networks"]
        if network["bundle"] == name
        for each in network["evaluations"]
    ]


def _measured(bench: dict[str, Any]) -> dict[str, Any]:
    small = next(network for network in bench["networks"] if network["network"] == "int8-cpu")
    return {"sha256": small["sha256"], **{key: small["quality"][key] for key in ("accuracy", "macro_f1")}}


def check(manifest: bundle.Manifest, trained: checkpoint.Checkpoint, bench: dict[str, Any]) -> None:
    """Refuse what does not belong together."""
    small = next(network for network in bench["networks"] if network["network"] == "int8-cpu")
    wrong = {
        "the bench is of another bundle": small["sha256"] != manifest.networks["int8-cpu"].sha256,
        "the bench is not of PrivateTest": bench["data"]["split"] != "test",
        "the bundle is of another training": [
            manifest.compression["checkpoint"][key] for key in ("epoch", "val_accuracy")
        ]
        != [trained.epoch, trained.val_accuracy],
        "bench, bundle and training are not of one data set": len(
            {bench["data"]["digest"], manifest.data.digest, trained.data["digest"]}
        )
        > 1,
        "the bundle has no fitted confidence; compress again": manifest.confidence is None,
        "INT8 did not pass its gate": not manifest.compression["gate"]["passed"],
    }
    for what, is_so in wrong.items():
        if is_so:
            raise SystemExit(what)


def without_folders(value: Any) -> Any:
    """Return a recipe whose paths are file names alone: where they lay is nobody's business."""
    if isinstance(value, dict):
        return {key: without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_folders(entry) for entry in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def training_time(name: str) -> dict[str, float]:
    """Return epochs and hours of the trainings that led to a network, as their logs have them."""
    rows = []
    for log in LOGS[name]:
        with (HERE / "training" / f"{log}-log.csv").open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    return {
        "trainings": len(LOGS[name]),
        "epochs": len(rows),
        "hours": sum(float(row["seconds"]) for row in rows) / 3600,
    }


def model_card(manifest: bundle.Manifest, bench: dict[str, Any]) -> str:
    """Return a network's model card, all its figures from its manifest, its bench and the audit of the data."""
    others = RESULTS / f"{manifest.name}-seeds.json"
    data = json.loads((HERE / "results" / "fer2013" / "data.json").read_text(encoding="utf-8"))
    full, small = (next(each for each in bench["networks"] if each["network"] == key) for key in ("fp32", "int8-cpu"))
    matrix, labels = small["confusion"], bench["data"]["classes"]
    confused = [
        (count / sum(row), labels[truth], labels[said])
        for truth, row in enumerate(matrix)
        for said, count in enumerate(row)
        if truth != said
    ]
    file = HERE / "results" / "faces.json"
    faces = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    if faces and faces["networks"].get(manifest.name) != manifest.networks["int8-cpu"].sha256:
        faces = None  # of the network that stood here before
    asked = json.loads((RESULTS / f"{manifest.name}-candidates.json").read_text(encoding="utf-8"))
    tried = [each["accuracy"] for each in asked["candidates"]]
    template = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return template.from_string((HERE / "model_card.md.j2").read_text(encoding="utf-8")).render(
        name=manifest.name,
        manifest=manifest,
        spec=manifest.preprocessing,
        sure=manifest.confidence,
        score=next(score for score in manifest.scores if score.network == "int8-cpu"),
        teaching=manifest.recipe.get("teaching", {}),
        bench=bench,
        data=data,
        full=full,
        small=small,
        confused=sorted(confused, reverse=True)[:5],
        faces=faces,
        seeds=json.loads(others.read_text(encoding="utf-8"))["says"] if others.exists() else None,
        asked=asked,
        time=training_time(manifest.name),
        by_protocol=[each for each in further_protocols(manifest.name) if each["sha256"] == small["sha256"]],
        first_at_goal=next((place for place, each in enumerate(tried, 1) if each >= asked["goal"]), None),
        percent=lambda share: f"{100 * share:.2f} %",
    )


if __name__ == "__main__":
    main()
