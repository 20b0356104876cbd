"""`edgefer train`: trains a recipe on data, and keeps the best checkpoint."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.ending import resumable
from edgefer.cli.options import (
    Data,
    Device,
    Groups,
    Json,
    Labels,
    Map,
    Pretrained,
    Threads,
    check_device,
    check_divided,
    named,
    prepare_torch,
    start_settings,
)
from edgefer.lines import shell

if TYPE_CHECKING:
    from edgefer.data.dataset import Dataset
    from edgefer.recipes import Recipe


def command(
    recipe: Annotated[
        str | None, typer.Argument(help="A recipe's name (see `edgefer recipes`) or a TOML file.", show_default=False)
    ] = None,
    data: Data = None,
    labels: Labels = None,
    renames: Map = None,
    groups: Groups = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the run. Default: in runs/train.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Resume an unfinished run: its folder.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Total epochs, instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed, instead of the recipe's.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: train.batch_size=64.")
    ] = None,
    pretrained: Pretrained = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file, not the hub's: safetensors, torch, or Keras' .h5, .keras.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Network to start from, as wide or narrower: a run's folder, or edgefer-base."),
    ] = None,
    teacher: Annotated[
        list[Path] | None,
        typer.Option(help="Teacher network: a run's folder, or a bundle's for INT8. May be repeated."),
    ] = None,
    votes: Annotated[Path | None, typer.Option(help="FER+ votes (fer2013new.csv), a second target.")] = None,
    device: Device = None,
    threads: Threads = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard event files.")] = False,
    export_check: Annotated[
        bool,
        typer.Option(help="First check that the network can be compressed."),
    ] = True,
    page: Annotated[bool, typer.Option(help="Write run.html into the folder.")] = True,
    as_json: Json = False,
) -> None:
    """Train a network. Default recipe: compact, or quickstart on synthetic faces."""
    from edgefer import console, paths, recipes
    from edgefer import data as datasets
    from edgefer.cli import output
    from edgefer.errors import InputError
    from edgefer.lines import mark

    taught = {"teachers": tuple(map(named, teacher or ())), "votes": named(votes) if votes else None}
    begun = start or weights or pretrained is not None
    if resume is not None and (begun or recipe or out or epochs or seed is not None or settings):
        raise InputError("--resume uses the run's recipe and folder; omit RECIPE and settings")
    if weights and pretrained:
        raise InputError("--weights replaces the hub's weights; omit --pretrained")
    if start and (weights or pretrained):
        raise InputError("--from names the weights to start from; omit --weights and --pretrained")
    check_device(device)
    with output.needs_extra("train"):
        from edgefer.learning import checkpoint, distributed, initial_weights
        from edgefer.training import trainer, unfinished
    prepare_torch(device, threads)
    distributed.join(device)
    resumes = resume is not None
    if resume is not None:
        settled = unfinished.resumed_recipe(resume)
        # They may have moved; their content is checked.
        elsewhere = {key: value for key, value in taught.items() if value}
        settled = settled.model_copy(update={"teaching": settled.teaching.model_copy(update=elsewhere)})
        if groups is not None or labels is not None or renames is not None:
            raise InputError("--resume keeps the run's splits and labels; omit --groups, --labels and --map")
        data = data or unfinished.data_of(resume)
        dataset = distributed.first_then_others(lambda: datasets.find(data))
    else:
        # Report mistakes in the recipe before reading 300 MB of data.
        settings = settings or []
        settings += [
            f"teaching.{key}={json.dumps(value, ensure_ascii=False)}" for key, value in taught.items() if value
        ]
        settings += start_settings(pretrained, weights)
        if start and not recipe:
            settled = recipes.going_on(checkpoint.read(start).recipe, named(start), settings, epochs, seed)
        else:
            settings += [f"model.initial_weights={json.dumps(named(start), ensure_ascii=False)}"] if start else []
            settled = recipes.load(recipe or "compact", settings, epochs, seed)
        reading = datasets.Reading(labels, renames)
        dataset = distributed.first_then_others(lambda: datasets.find(data, groups, reading))
        if not start:
            datasets.check_named(dataset)
        check_divided(dataset, groups)
        if not recipe and not start and dataset.synthetic:
            settled = recipes.load("quickstart", settings, epochs, seed)
        if out is not None and distributed.launched():  # which restarts the same command
            resumes = distributed.from_first(lambda: unfinished.goes_on(out, settled))
        elif out is not None:
            unfinished.check_new(out)
        if export_check and distributed.is_first():
            check_export(settled, len(settled.data.classes or dataset.classes))
    with distributed.run_folder(resume or out, "train", settled.name) as run, resumable(partial(_resume, run)):
        result = trainer.train(settled, dataset, run, resumes, tensorboard, device)
    distributed.go_on_alone()
    if run.resolve().parent == paths.RUNS.resolve() / "train":
        paths.mark_latest(run)
    files = show(run, dataset, device) if page else {}
    if as_json:
        from edgefer.devices import machine

        output.print_json(
            {"command": "train", **result.as_dict(), **files, "machine": machine.describe().model_dump(mode="json")}
        )
        return
    synthetic = mark(result.synthetic)  # next to every figure
    output.print_rows(
        f"{settled.name}, trained on {result.data}",
        {
            "validation accuracy": f"{100 * result.val_accuracy:.2f} %{synthetic}, epoch {result.best_epoch}",
            **({"split": datasets.Division(**result.division).sentence} if result.division else {}),
            "parameters": f"{result.parameters:,}",
            **({"began with": initial_weights.sentence(result.initial_weights)} if result.initial_weights else {}),
            "time": console.duration(result.seconds),
            **({"processes": str(result.world_size)} if result.world_size > 1 else {}),
            "checkpoint": str(run / "best.json"),
            **{name: file for name, file in files.items() if name == "page"},
        },
    )
    which = "" if out is None and resume is None else f"{shell(run)} "
    output.print_next(f"edgefer compress {which}--int8{output.with_data(data)}")


def _resume(run: Path) -> str | None:
    """Return the command that resumes a training, if possible."""
    return f"edgefer train --resume {shell(run)}" if (run / "last.json").exists() else None


def check_export(recipe: Recipe, classes: int) -> None:
    """Refuse a timm network that could not be compressed after training; ours can.

    Raises:
        InputError: it cannot be compressed or built.
    """
    from edgefer import console, models
    from edgefer.errors import MissingExtra

    if recipe.model.name in models.OURS:
        return
    try:
        from edgefer.compression.rehearsal import rehearse

        rehearse(recipe, classes)
    except (MissingExtra, ModuleNotFoundError) as error:
        missing = error.package if isinstance(error, MissingExtra) else error.name
        console.say(f"cannot check whether {recipe.model.name} can be compressed: {missing} is not installed")


def show(run: Path, dataset: Dataset, device: str | None) -> dict[str, str]:
    """Write the page of a finished training, and return its files; if that fails, print one line.

    Raises:
        Interrupted: Ctrl-C.
    """
    from edgefer import console
    from edgefer.cli import review
    from edgefer.errors import EdgeferError, Interrupted

    try:
        from edgefer.review import run as runs

        return review.write(runs.read(run), dataset, run, device=device)[1]
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; the training is finished. For its page, run: edgefer review {shell(run)}"
        ) from None
    except EdgeferError as error:
        console.say(f"no run.html: {error}")
        return {}
