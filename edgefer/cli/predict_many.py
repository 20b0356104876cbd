"""`edgefer predict --out`: what it prints of many pictures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgefer.batch.work import BatchJob


def write(names: list[str], job: BatchJob, workers: int | None, as_json: bool) -> None:
    """Judge pictures into Parquet and print what was found.

    Raises:
        InputError: some could not be read; their rows say why.
    """
    from edgefer.batch import run
    from edgefer.cli import output
    from edgefer.cli.ending import resumable
    from edgefer.errors import InputError
    from edgefer.lines import counted, typed

    with resumable(lambda: typed(["edgefer", *sys.argv[1:]])):
        found = run.predict_many(names, job, workers)
    failed = None
    if found.unread:
        unread = f"{found.unread:,} of {found.pictures:,} pictures could not be read"
        failed = InputError(f"{unread} ({found.first_error}); the column error says why")
    if as_json:
        output.print_json({"command": "predict", **found.as_dict()}, failed)
        return
    rows = f"{counted(found.pictures, 'picture')} with {counted(found.faces, 'face')} in {counted(found.files, 'file')}"
    before = f", {found.resumed:,} of them before" if found.resumed else ""
    output.print_line(f"{found.out}: {rows}{before}")
    if failed:
        raise failed
