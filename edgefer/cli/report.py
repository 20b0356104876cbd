"""`edgefer report`: shows finished benches as tables, a page, Markdown and CSV, from their `result.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Data, Json, Markdown, check_printed
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.bench.result import BenchResult
    from edgefer.data.dataset import Dataset


def command(
    results: Annotated[list[Path], typer.Argument(metavar="RESULT", help="A result.json, or a bench's folder.")],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write an HTML page; further results as FILE-2, ...")
    ] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write one line per network.")] = None,
    markdown: Markdown = False,
    with_faces: Annotated[
        bool, typer.Option("--with-faces", help="Show the most misclassified faces (real people).")
    ] = False,
    with_claims: Annotated[bool, typer.Option("--claims", help="Add papers' claims to the page.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show finished benches as tables, a page, Markdown or CSV. --data is for faces and claims."""
    from edgefer import data as datasets
    from edgefer import paths
    from edgefer.bench.result_file import read
    from edgefer.cli import output
    from edgefer.report.table import tables

    check_printed(markdown, as_json)
    if html is None and (with_faces or with_claims or data is not None):
        raise InputError("--with-faces, --claims and --data need --html FILE")
    found = [read(path) for path in results]
    files = {}
    if csv is not None:
        paths.check_table(csv, "--csv")
    if html is not None:
        dataset = datasets.find(data) if with_faces or with_claims else None
        for place, path, result in zip(_places(html, len(found)), results, found, strict=True):
            text = _page(path, result, dataset, faces=with_faces, claims=with_claims)
            with paths.write_atomically(place.resolve()) as part:
                part.write_text(text, encoding="utf-8")
            files[place.stem] = str(place)
    if csv is not None:
        from edgefer.report import spreadsheet

        spreadsheet.write(found, csv)
        files["csv"] = str(csv)
    if as_json:
        output.print_json(
            {"command": "report", "files": files, "results": [each.model_dump(mode="json") for each in found]}
        )
        return
    for result in found:
        if markdown:
            from edgefer.report import markdown as printed

            output.print_text(printed.render_markdown(result))
        else:
            output.screen().print(tables(result))
    if files and not markdown:
        output.print_rows("written", files)


def _places(html: Path, count: int) -> Sequence[Path]:
    """Return the pages' paths: the given one, then numbered ones.

    Raises:
        InputError: a page cannot be written there.
    """
    from edgefer import paths

    places = [html, *(html.with_stem(f"{html.stem}-{number}") for number in range(2, count + 1))]
    for place in places:
        paths.check_file(place, "--html")
        if place.exists() and place.resolve().suffix.lower() != ".html":
            raise InputError(f"--html {place} exists and is not an .html file; name another file")
    return places


def _page(path: Path, result: BenchResult, dataset: Dataset | None, *, faces: bool, claims: bool) -> str:
    """Return a result's page.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    from edgefer import public
    from edgefer.cli import claims as deciding
    from edgefer.report import html

    more = deciding.section(deciding.decided([(public.place(path), result)], dataset)) if claims else None
    return html.render_html(result, dataset if faces else None, more)
