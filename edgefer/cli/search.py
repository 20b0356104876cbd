"""`edgefer search`: many trainings of a recipe with other settings, and the Pareto front of their INT8 networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Data, Device, Groups, Json, Threads, check_device, check_divided, prepare_torch
from edgefer.lines import shell

if TYPE_CHECKING:
    from edgefer.search.result import SearchResult


def command(
    recipe: Annotated[str, typer.Argument(help="A recipe's name (see `edgefer recipes`) or a TOML file.")],
    space: Annotated[Path, typer.Option(help="What to try: a TOML file (docs/scale.md).", show_default=False)],
    trials: Annotated[int, typer.Option(min=1, help="Trials of the study, by all workers together.")],
    data: Data = None,
    groups: Groups = None,
    study: Annotated[str | None, typer.Option(help="Its name. Default: the recipe's.")] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="URL", help="Database: sqlite:///study.db. Default: in --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for all runs. Default: runs/search/<study>.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each trial, instead of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of each training.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting in all trials.")
    ] = None,
    prune: Annotated[bool, typer.Option(help="Stop trials early that others beat.")] = True,
    heartbeat: Annotated[
        int, typer.Option(min=1, max=86_400, help="Seconds; after two of them a worker counts as gone.")
    ] = 60,
    device: Device = None,
    threads: Threads = None,
    page: Annotated[bool, typer.Option(help="Write search.html into the folder.")] = True,
    as_json: Json = False,
) -> None:
    """Search a recipe's settings. The same command, typed again or elsewhere, joins the study."""
    from edgefer import data as datasets
    from edgefer import paths, recipes
    from edgefer.cli import output
    from edgefer.errors import InputError

    check_device(device)
    changed = settings or []
    name = study or recipes.load(recipe, changed, epochs, seed).name
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise InputError(f"--study takes letters, digits, dots and dashes, not {name}")
    with output.needs_extra("search", "compress", "train"):
        from edgefer.search import result as results
        from edgefer.search import searching
        from edgefer.search import space as spaces
        from edgefer.search import trials as of_trials
    prepare_torch(device, threads)
    tried = spaces.read(space, recipe, changed, epochs)
    folder = out or paths.RUNS / "search" / name
    if not folder.is_dir():  # else its trials go on
        paths.check_empty(folder, "--out")
    dataset = datasets.find(data, groups)
    datasets.check_named(dataset)
    check_divided(dataset, groups)
    job = of_trials.SearchJob(recipe, tuple(changed), epochs, seed, dataset, tried, folder, device, prune)
    found = searching.search(job, name, storage or f"sqlite:///{folder / 'study.db'}", heartbeat, trials)
    files = {"result": str(folder / results.JSON_FILE)}
    if page and (made := _page(found, folder)):
        files["page"] = made
    if as_json:
        output.print_json({"command": "search", "files": files, **found.as_dict()})
        return
    _print(found)
    output.print_rows("written", files)
    best = max(found.front, key=lambda each: each.accuracy or 0)
    chosen = " ".join(f"--set {shell(each)}" for each in (*changed, *best.settings))
    output.print_next(f"edgefer train {shell(recipe)} {chosen}{output.with_data(data)}")


def _page(found: SearchResult, folder: Path) -> str | None:
    from edgefer import console
    from edgefer.errors import MissingExtra

    try:
        from edgefer.search import page
    except MissingExtra as error:
        console.say(f"no search.html: {error}")
        return None
    return str(page.write(found, folder))


def _print(found: SearchResult) -> None:
    from edgefer.cli.output import print_line
    from edgefer.lines import counted, mark

    kinds = [each.kind for each in found.trials]
    said = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    print_line(f"{found.study}: {counted(len(kinds), 'trial')} on {found.data}{mark(found.synthetic)} ({said})")
    print_line("Pareto front of INT8, calibrated and not fine-tuned; accuracy on the validation split")
    print_line(f"  {'trial':>5} {'accuracy':>9} {'ms':>8} {'bytes':>10}  settings")
    for each in found.front:
        figures = f"{100 * (each.accuracy or 0):>7.2f} % {each.latency:>8.3f} {each.bytes:>10,}"
        print_line(f"  {each.number:>5} {figures}  {' '.join(each.settings)}")
