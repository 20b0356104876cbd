"""`edgefer ablate`: trains a recipe and each of its ablations, and tabulates the results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import (
    Data,
    Device,
    Groups,
    Json,
    Pretrained,
    Threads,
    check_device,
    check_divided,
    prepare_torch,
    start_settings,
)

if TYPE_CHECKING:
    from edgefer.training.ablation import Ablations


def command(
    recipe: Annotated[str, typer.Argument(help="Recipe with ablations: a name or a TOML file.")],
    data: Data = None,
    groups: Groups = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for all runs; an existing one is resumed. Default: runs/ablate/<time>-<recipe>."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each run, instead of the recipe's.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**63 - 1, help="Seed of each run, instead of the recipe's.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting in all runs.")
    ] = None,
    pretrained: Pretrained = None,
    device: Device = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Train a recipe and each of its ablations. The same --out resumes."""
    from edgefer import data as datasets
    from edgefer import paths
    from edgefer.cli import output

    check_device(device)
    with output.needs_extra("train"):
        from edgefer.recipes.schema import WHOLE
        from edgefer.training import ablation
    prepare_torch(device, threads)
    changed = [*(settings or []), *start_settings(pretrained, None)]
    name = next(ablation.variants(recipe, changed, epochs, seed))[3].name.removesuffix(f"-{WHOLE}")
    dataset = datasets.find(data, groups)
    check_divided(dataset, groups)
    with paths.run_folder(out, "ablate", name) as folder:
        found = ablation.ablate(recipe, dataset, folder, changed, epochs, seed, device)
    file = folder / ablation.RESULT
    if as_json:
        output.print_json({"command": "ablate", "file": str(file), **found.as_dict()})
        return
    _print(found, dataset.synthetic)
    output.print_rows("written", {"ablations": str(file)})


def _print(found: Ablations, synthetic: bool) -> None:
    from edgefer.cli.output import print_line
    from edgefer.lines import mark

    width = max(len(row.name) for row in found.rows)
    print_line(f"{found.recipe} on {found.data}{mark(synthetic)}: best validation accuracy, one seed ({found.seed})")
    print_line(f"  {'':<{width}} {'accuracy':>9} {'points':>7} {'epoch':>8} {'parameters':>12}  what")
    for row in found.rows:
        if row.val_accuracy is None:
            print_line(f"  {row.name:<{width}} {'diverged':>9}  {row.cites}: {row.error}")
            continue
        points = "" if row is found.rows[0] or row.difference is None else f"{row.difference:+.2f}"
        epoch = f"{row.best_epoch} of {row.epochs}"
        print_line(
            f"  {row.name:<{width}} {100 * row.val_accuracy:>7.2f} % {points:>7} {epoch:>8} {row.parameters:>12,}"
            f"  {row.cites}"
        )
