"""`edgefer claims`: the ledger of the papers' claims, alone or compared with benches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Data, Json
from edgefer.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from edgefer.bench.result import BenchResult
    from edgefer.claims.result import ClaimsResult
    from edgefer.data.dataset import Dataset
    from edgefer.report.html import Section

JSON = "claims.json"


def command(
    data: Data = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(metavar="RESULT", help="A finished bench to check claims with. May be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the result. Default: runs/claims/<time>.")] = None,
    page: Annotated[
        Path | None, typer.Option(help="New folder for the page 'What FER papers claim', with JSON and CSV.")
    ] = None,
    todo: Annotated[
        bool, typer.Option("--todo", help="Print the command and the hours of each claim that is not run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check papers' claims. Recomputes them, counts networks and FER2013, compares with benches.

    Nothing is trained or measured; claims on FER2013 need it (--data, EDGEFER_DATA, ./data).
    """
    from edgefer import data as datasets
    from edgefer import paths
    from edgefer.cli import output
    from edgefer.data.default import named

    if todo and (out or page):
        raise InputError("--todo writes no file; omit --out and --page")
    for folder, option in ((out, "--out"), (page, "--page")):
        if folder is not None:
            paths.check_unused(folder, option)
    if out and page and out.resolve().is_relative_to(page.resolve()):
        raise InputError(f"--out {out} is written into a new folder of its own; name another one than --page {page}")
    finished = read(results or [])
    result = decided(finished, datasets.find(data) if named(data) is not None else None)
    if todo:
        _print_open(result, as_json)
        return
    folder = out or paths.new_run("claims", "claims")
    files = write(result, folder)
    if page is not None:
        files["page"] = publish(result, page)
    if as_json:
        output.print_json({"command": "claims", **files, **result.model_dump(mode="json")})
        return
    from edgefer.claims.table import tables

    output.screen().print(tables(result))
    output.print_rows("written", files)


def _print_open(result: ClaimsResult, as_json: bool) -> None:
    from edgefer.claims import ledger, todo
    from edgefer.cli import output

    found = todo.listed(ledger.read(), result)
    if as_json:
        output.print_json({"command": "claims", **found.model_dump(mode="json")})
    else:
        output.screen().print(todo.table(found))


def read(results: Sequence[Path]) -> list[tuple[str, BenchResult]]:
    """Return finished benches with their names.

    Raises:
        InputError: one is not a bench.
    """
    from edgefer import public
    from edgefer.bench.result_file import read as checked

    return [(public.place(path), checked(path)) for path in results]


def decided(benches: Sequence[tuple[str, BenchResult]], dataset: Dataset | None) -> ClaimsResult:
    """Return the ledger, compared with benches.

    Raises:
        InputError: a bench's figures are inconsistent.
    """
    from edgefer.claims import ledger
    from edgefer.claims.verdicts import decide

    return decide(ledger.read(), dataset, benches)


def section(result: ClaimsResult) -> Section:
    """Return the ledger as a section of a bench's report.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    from edgefer.claims import page
    from edgefer.report.html import Section

    return Section(page.section(result), page.style())


def write(result: ClaimsResult, folder: Path) -> dict[str, str]:
    """Write ``claims.json`` and, with its extra installed, ``claims.html``; return their paths."""
    from edgefer import console, paths

    files = {JSON: text(result)}
    try:
        from edgefer.claims import page

        files["claims.html"] = page.html(result)
    except MissingExtra as error:
        console.say(f"no claims.html: {error}")
    with paths.write_folder_atomically(folder) as part:
        for name, content in files.items():
            (part / name).write_text(content, encoding="utf-8")
    return {name.partition(".")[2]: str(folder / name) for name in files}


def publish(result: ClaimsResult, folder: Path) -> str:
    """Write the page "What FER papers claim" into a new folder; return the path of its HTML.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    from edgefer import paths
    from edgefer.claims import field_page

    files = field_page.write(result)
    with paths.write_folder_atomically(folder) as part:
        for name, content in files.items():
            (part / name).write_text(content, encoding="utf-8")
    return str(folder / field_page.PAGE)


def text(result: ClaimsResult) -> str:
    """Return the content of ``claims.json``."""
    return result.model_dump_json(indent=1) + "\n"
