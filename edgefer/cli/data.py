"""`edgefer data info`: what a data set is made of, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

    from edgefer.data import Audit


def info(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="FER2013 (csv, tar.gz, zip, folder) or class folders. Default: EDGEFER_DATA, else what is in ./data, "
            "else the built-in faces.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a data set's layout, classes and splits, and which images are in it more than once."""
    from edgefer import data
    from edgefer.cli import output

    found = data.audit(data.find(path))
    if as_json:
        from dataclasses import asdict

        output.print_json({"command": "data info", **asdict(found)})
        return
    output.print_rows(found.name, _facts(found))
    output.screen().print(_counts(found))
    output.print_rows("images with the same pixels", _identical(found))


def _facts(found: Audit) -> dict[str, str]:
    color = "grey" if found.color == "grey" else "RGB"
    training = "training images" if any(found.counts["train"].values()) else "images"
    facts = {
        "from": found.origin,
        "layout": found.layout,
        "images": f"{found.images:,}, {found.width} x {found.height} pixels, {color}, {len(found.classes)} classes",
        "pixels": f"mean {_channels(found.mean)}, std {_channels(found.std)} ({training}, 0 to 1)",
        "digest": found.digest,
    }
    if found.drawn:
        facts["note"] = "drawn faces: figures from them say nothing about photographs"
    if found.carved:
        facts["splits"] = f"{' and '.join(found.carved)} taken from the training images (stratified, seed 42)"
    return {name: fact for name, fact in facts.items() if fact}


def _channels(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def _counts(found: Audit) -> Table:
    from rich.table import Table

    table = Table("images")
    for split in found.counts:
        table.add_column(split, justify="right")
    table.add_column("all", justify="right")
    table.add_column("share", justify="right")
    for name in found.classes:
        row = [split[name] for split in found.counts.values()]
        table.add_row(name, *(f"{count:,}" for count in row), f"{sum(row):,}", f"{sum(row) / found.images:.1%}")
    sums = [sum(split.values()) for split in found.counts.values()]
    table.add_section()
    table.add_row("all", *(f"{count:,}" for count in sums), f"{found.images:,}", "100.0%")
    return table


def _identical(found: Audit) -> dict[str, str]:
    same = found.identical
    across = ", ".join(f"{pair.replace('+', ' and ')} {count:,}" for pair, count in same.groups_across.items())
    return {
        "groups": f"{same.groups:,}, with {same.images:,} images",
        "across splits": f"groups in {across}",
        "in training too": f"{same.test_in_train:,} images of test, {same.val_in_train:,} of val; "
        f"{same.groups_train_and_rest:,} groups",
        "with two labels": f"{same.groups_with_two_labels:,} groups, with {same.images_with_two_labels:,} images",
    }
