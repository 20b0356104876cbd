"""`edgefer data info`: a data set's content and problems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Groups, Json, Labels, Map

if TYPE_CHECKING:
    from rich.table import Table

    from edgefer.data import Audit


def info(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="FER2013, class folders, a table, ... (docs/data.md). Default: EDGEFER_DATA, else what is in ./data, "
            "else the built-in faces.",
            show_default=False,
        ),
    ] = None,
    groups: Groups = None,
    labels: Labels = None,
    renames: Map = None,
    path_column: Annotated[
        str | None, typer.Option(help="Column of a table with the paths of pictures.", show_default=False)
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of a table with the labels.", show_default=False)
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="Save these options to a file that --data accepts.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a data set's layout, classes, splits, duplicates and people in two splits."""
    from edgefer import data, paths
    from edgefer.cli import output
    from edgefer.errors import InputError

    reading = data.Reading(labels, renames, groups, path_column, label_column)
    if save is not None and (path is None or save.suffix != ".toml" or path.suffix == ".toml"):
        raise InputError("--save needs a .toml file name and a data set that is not one itself")
    try:
        dataset = data.find(path, groups, reading)
    except InputError as error:
        problems = data.problems(path, reading) if path is not None else []
        if len(problems) < 2:
            raise
        error.report = {"command": "data info", "damaged": problems}
        if not as_json:
            output.print_rows(
                f"{len(problems):,} files or rows cannot be read",
                {str(place): said for place, said in enumerate(problems, 1)},
            )
        raise
    if save is not None and path is not None:
        with paths.write_atomically(save) as part:
            part.write_text(data.description(path, reading, save), encoding="utf-8")
    found = data.audit(dataset)
    if as_json:
        from dataclasses import asdict

        output.print_json({"command": "data info", **asdict(found)})
        return
    output.print_rows(found.name, _facts(found))
    output.screen().print(_counts(found))
    output.print_rows("images with the same pixels", _identical(found))
    output.print_rows("near-duplicates, including images with the same pixels", _near(found))
    output.print_rows("people", _people(found))
    if found.numbered:
        output.print_rows("labels", {"numbered": found.numbered})


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
    if found.synthetic:
        facts["note"] = "synthetic faces: these figures say nothing about photographs"
    if found.carved:
        facts["splits"] = f"{' and '.join(found.carved)} taken from the training images"
    if found.division:
        facts["divided"] = found.division.sentence
    if found.division and found.division.cut:
        facts["cut"] = (
            f"{found.division.cut:,} images form near-duplicate groups over a third of the data set; these "
            "were split, so near-duplicates may be in two splits"
        )
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
    return {
        "groups": f"{same.groups:,}, with {same.images:,} images",
        "across splits": f"groups in {_across(same.groups_across)}",
        "in training too": f"{same.test_in_train:,} images of test, {same.val_in_train:,} of val; "
        f"{same.groups_train_and_rest:,} groups",
        "with two labels": f"{same.groups_with_two_labels:,} groups, with {same.images_with_two_labels:,} images",
    }


def _near(found: Audit) -> dict[str, str]:
    near = found.near_duplicates
    return {
        "groups": f"{near.groups:,}, with {near.images:,} images, {near.largest:,} in the largest",
        "across splits": f"groups in {_across(near.groups_across)}",
        "near training": f"{near.test_in_train:,} images of test, {near.val_in_train:,} of val",
    }


def _people(found: Audit) -> dict[str, str]:
    people = found.people
    if people is None:
        return {"not known": f"{found.unknown or 'the source does not say'}; give them with --groups"}
    return {
        "known": people.rule,
        "groups": f"{people.groups:,}, {people.largest:,} images in the largest",
        "across splits": f"groups in {_across(people.groups_across)}",
    }


def _across(counts: dict[str, int]) -> str:
    return ", ".join(f"{pair.replace('+', ' and ')} {count:,}" for pair, count in counts.items())
