"""What `edgefer bench --claims` does: the ledger of the papers' claims as a table, `claims.json` and a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from edgefer.claims.result import Result


def run(data: Path | None, *, out: Path | None, given: Sequence[str], as_json: bool) -> None:
    """Decide the ledger as far as it can be here, print and write it.

    Args:
        data: FER2013; without it EDGEFER_DATA or what is in ./data, and without these claims that count it are not run.
        out: folder for the result.
        given: options of `edgefer bench` that came with --claims and have no meaning there.
        as_json: print one JSON object.

    Raises:
        InputError: `given` has any, the folder exists, or the ledger or the data cannot be read.
    """
    from edgefer import data as datasets
    from edgefer import paths
    from edgefer.claims import ledger
    from edgefer.claims.decide import decide
    from edgefer.cli import output
    from edgefer.data.find import named

    if given:
        raise InputError(f"--claims looks at papers and measures no network: leave {', '.join(given)} away")
    if out is not None:
        paths.check_unused(out)
    read = ledger.read()
    result = decide(read, datasets.find(data) if named(data) is not None else None)
    folder = out or paths.new_run("bench", "claims")
    files = write(result, folder)
    if as_json:
        output.print_json({"command": "bench", **files, **result.model_dump(mode="json")})
        return
    from rich.console import Console

    from edgefer.claims.table import tables

    Console(highlight=False).print(tables(result))
    output.print_rows("written", files)


def write(result: Result, folder: Path) -> dict[str, str]:
    """Write ``claims.json`` and where its extra is installed ``claims.html``; return their paths."""
    from edgefer import console, paths

    files = {"claims.json": result.model_dump_json(indent=1) + "\n"}
    try:
        from edgefer.claims import page

        files["claims.html"] = page.html(result)
    except MissingExtra as error:
        console.say(f"no claims.html: {error}")
    with paths.write_folder_atomically(folder) as part:
        for name, text in files.items():
            (part / name).write_text(text, encoding="utf-8")
    return {name.partition(".")[2]: str(folder / name) for name in files}
