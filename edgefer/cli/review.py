"""`edgefer review`: a training's results, as a page and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Data, Device, Json, Threads, check_device, prepare_torch

if TYPE_CHECKING:
    from edgefer.data.dataset import Dataset
    from edgefer.review.result import Review
    from edgefer.review.run import Run


def command(
    run: Annotated[
        Path | None,
        typer.Argument(help="A run's folder, finished or not. Default: the newest in runs/train.", show_default=False),
    ] = None,
    data: Data = None,
    split: Annotated[str, typer.Option(help="Images to evaluate: val, test, public+private.")] = "val",
    with_faces: Annotated[
        bool, typer.Option("--with-faces", help="Show training images, mistakes and maps over faces (real people).")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for run.html and run.json. Default: the run's folder.")
    ] = None,
    device: Device = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Write a page on a training. Shows classes, augmentation, curves, confusion and Grad-CAM."""
    from edgefer import bundle, console
    from edgefer import data as datasets
    from edgefer.cli import output
    from edgefer.data.splits import NAMES
    from edgefer.errors import InputError
    from edgefer.lines import mark

    check_device(device)
    if split not in NAMES:
        raise InputError(f"unknown split {split!r}; choose from {', '.join(NAMES)}")
    if run is not None and bundle.shipped(str(run)) and out is None:
        raise InputError(f"{run} comes with edgefer; name a folder for its page with --out")
    with output.needs_extra("train", "report"):
        from edgefer.review import run as runs
    prepare_torch(device, threads)
    read = runs.read(runs.find(run))
    dataset = datasets.as_recorded(datasets.find(data), read.data)
    if data is None and dataset.digest != read.info.data["digest"]:
        raise InputError(
            f"{read.folder} was trained on {read.info.data['name']}, not on the data found here; give "
            "that, or other data with the same classes, with --data"
        )
    found, files = write(read, dataset, out or read.folder, split, with_faces, device)
    if as_json:
        output.print_json({"command": "review", **files, **found.as_dict()})
        return
    synthetic = mark(found.data.synthetic)
    rows = {}
    if found.evaluation:
        evaluation = found.evaluation
        rows["accuracy"] = f"{100 * evaluation.accuracy:.2f} %{synthetic}, {evaluation.images:,} images of {split}"
        rows["macro F1"] = f"{evaluation.macro_f1:.3f}{synthetic}"
        for pair in evaluation.pairs[:3]:
            rows[f"{pair.label} -> {pair.predicted}"] = f"{pair.images:,} of {pair.of:,}{synthetic}"
    planned = sum(phase["epochs"] for phase in found.run.recipe["phases"])
    done = f", not finished: {found.run.epochs} of {planned} epochs" if found.run.finished is False else ""
    output.print_rows(f"{found.run.name}{done}", {**rows, **files})
    console.say("open it in a browser; it works offline")


def write(
    run: Run,
    dataset: Dataset,
    folder: Path,
    split: str = "val",
    with_faces: bool = False,
    device: str | None = None,
) -> tuple[Review, dict[str, str]]:
    """Review a run and write ``run.html`` and ``run.json``; return the review and the files' paths.

    Args:
        run: from `edgefer.review.run.read`.
        dataset: to evaluate.
        folder: for the files.
        split: see `edgefer.review.reviewing.review`.
        with_faces: likewise.
        device: likewise.

    Raises:
        InputError: the data don't fit the run.
        MissingExtra: a package of the extra `report` or `train` is missing.
    """
    import json

    from edgefer import paths
    from edgefer.review import page, reviewing

    found, pictures = reviewing.review(run, dataset, split, with_faces, device)
    texts = {
        "run.html": page.html(found, pictures),
        "run.json": json.dumps(found.as_dict(), indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        with paths.write_atomically(folder / name) as part:
            part.write_text(text, encoding="utf-8")
    return found, {"page": str(folder / "run.html"), "figures": str(folder / "run.json")}
