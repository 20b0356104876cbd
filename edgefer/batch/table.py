"""Parquet rows, one per picture with a list of faces. Names and values match `edgefer predict --json`."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any, BinaryIO

from edgefer.errors import InputError, MissingExtra
from edgefer.lines import one_line, printable

ENDING = ".parquet"
_COUNTS = b"edgefer"  # key in the file's metadata


def arrow() -> Any:
    """Import pyarrow and its Parquet part.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow, which writes Parquet,", "arrow") from None
    return pyarrow


def parquet(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> bytes:
    """Return the content of a Parquet file.

    Args:
        rows: ``source``, ``member``, ``frame``, ``time``, ``faces``, ``milliseconds`` and ``error`` per picture.
        labels: class names; each is a column of a face's probabilities.
    """
    pyarrow = arrow()
    counted = {
        "pictures": len(rows),
        "faces": sum(len(row["faces"]) for row in rows),
        "without_face": sum(not row["faces"] and row["error"] is None for row in rows),
        "unread": sum(row["error"] is not None for row in rows),
    }
    schema = _schema(pyarrow, labels).with_metadata({_COUNTS: json.dumps(counted)})
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema), out, compression="zstd")
    return out.getvalue()


def counts(file: BinaryIO, label: str) -> dict[str, int]:
    """Return the counts that `parquet` stored in a file: ``pictures``, ``faces``, ``without_face``, ``unread``.

    Raises:
        InputError: the file was not written by edgefer, or is damaged.
    """
    pyarrow = arrow()
    try:
        noted = pyarrow.parquet.read_schema(file).metadata[_COUNTS]
        return {str(key): int(value) for key, value in json.loads(noted).items()}
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{printable(label)} is damaged ({one_line(error, 80)}); remove it") from None


def first_error(file: BinaryIO) -> str:
    """Return why the first unreadable picture of a file that `counts` accepts was not read; empty if all were."""
    errors = arrow().parquet.read_table(file, columns=["error"]).column("error").drop_null()
    return str(errors[0]) if len(errors) else ""


def _schema(pyarrow: Any, labels: Sequence[str]) -> Any:
    number, text = pyarrow.float64(), pyarrow.string()
    face = [
        ("label", text),
        ("confidence", number),
        ("probabilities", pyarrow.struct([(label, number) for label in labels])),
        ("box", pyarrow.struct([(side, pyarrow.int32()) for side in ("left", "top", "width", "height")])),
        ("score", number),
        ("roll", number),
        ("landmarks", pyarrow.list_(pyarrow.list_(number))),
        ("notes", pyarrow.list_(text)),
        ("milliseconds", number),
    ]
    return pyarrow.schema(
        [
            ("source", text),
            ("member", text),
            ("frame", pyarrow.int64()),
            ("time", number),
            ("faces", pyarrow.list_(pyarrow.struct(face))),
            ("milliseconds", number),
            ("error", text),
        ]
    )
