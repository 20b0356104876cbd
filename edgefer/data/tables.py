"""The challenge's tables: fer2013.csv (emotion,pixels,Usage) and icml_face_data.csv (emotion, Usage, pixels).

They are read as a stream: no more than a block of rows is in memory, wherever the table comes from.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from edgefer import console, limits
from edgefer.data.contents import Block, Contents, reading
from edgefer.data.dataset import USAGES
from edgefer.errors import InputError
from edgefer.labels import LABELS
from edgefer.lines import printable

NAMES = ("fer2013.csv", "icml_face_data.csv")
SIDE = 48
_COLUMNS = ("emotion", "pixels", "usage")
_LONGEST_LINE = 1 << 16  # bytes; a row of the challenge has at most 9,300
_ROWS_IN_BLOCK = 512
_MEGABYTE = 1_000_000


def read(stream: IO[bytes], name: str, size: int, layout: str) -> Contents:
    """Return the contents of a table.

    Args:
        stream: the table, from its first byte.
        name: what messages call it.
        size: its length in bytes, for the progress bar.
        layout: what `Dataset.layout` will say.
    """
    blocks = _blocks(stream, name, size)
    return Contents(layout, LABELS, (SIDE, SIDE), usage=True, blocks=blocks)


def _blocks(stream: IO[bytes], name: str, size: int) -> Iterator[Block]:
    images = np.empty((_ROWS_IN_BLOCK, SIDE * SIDE), dtype=np.uint8)
    labels = np.empty(_ROWS_IN_BLOCK, dtype=np.int64)
    splits = np.empty(_ROWS_IN_BLOCK, dtype=np.uint8)
    total = row = 0

    def block(n: int) -> Block:
        rows = np.arange(row - n, row, dtype=np.int64)
        return Block(images[:n].reshape(n, SIDE, SIDE).copy(), labels[:n].copy(), splits[:n].copy(), rows)

    with reading(name), console.progress(f"reading {name} (MB)", -(-size // _MEGABYTE)) as advance:
        lines = csv.reader(_lines(stream, name, advance))
        columns = _columns(lines, name)
        blank = 0
        for fields in _rows(lines, name):
            if not fields:  # an empty line
                blank += 1
                if blank > limits.BLANK_LINES:
                    raise InputError(f"{name}, line {lines.line_num}: {blank:,} lines before it are empty; remove them")
                continue
            blank = 0
            try:
                if len(fields) <= max(columns):
                    raise ValueError(f"{len(fields)} columns where the header has more")
                emotion, pixels, usage = (fields[column].strip() for column in columns)
                labels[total], splits[total] = _label(emotion), _split(usage)
                images[total] = _pixels(pixels)
            except ValueError as error:
                raise InputError(f"{name}, row {row} (line {lines.line_num}): {error}") from None
            total, row = total + 1, row + 1
            if total == _ROWS_IN_BLOCK:
                yield block(total)
                total = 0
    if not row:
        raise InputError(f"{name} has a header and no rows")
    if total:
        yield block(total)


def _lines(stream: IO[bytes], name: str, advance: Callable[..., None]) -> Iterator[str]:
    """Yield the lines as text; none is longer than `_LONGEST_LINE`, whatever the file is."""
    number = taken = shown = 0
    while line := stream.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE:
            raise InputError(f"{name}, line {number} is longer than {_LONGEST_LINE:,} bytes: this is no FER2013 table")
        taken += len(line)
        if taken - shown >= _MEGABYTE:
            advance((taken - shown) // _MEGABYTE)
            shown = taken // _MEGABYTE * _MEGABYTE
        yield (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).decode("ascii", "replace")


def _rows(lines: Iterator[list[str]], name: str) -> Iterator[list[str]]:
    try:
        yield from lines
    except csv.Error as error:
        raise InputError(f"{name} is no CSV file ({error})") from error


def _columns(lines: Iterator[list[str]], name: str) -> list[int]:
    """Return where the columns `_COLUMNS` are."""
    header = next(_rows(lines, name), None)
    if header is None:
        raise InputError(f"{name} is empty")
    found = [column.strip().lower() for column in header]
    for column in _COLUMNS:
        if column not in found:
            shown = printable(", ".join(header)[:60])
            raise InputError(f"{name} has no column '{column}' (it has: {shown}); needed are emotion, pixels and Usage")
    return [found.index(column) for column in _COLUMNS]


def _label(text: str) -> int:
    if text not in ("0", "1", "2", "3", "4", "5", "6"):
        raise ValueError(f"label {text[:20]!r} where 0 to {len(LABELS) - 1} is possible")
    return int(text)


def _split(text: str) -> int:
    if text not in USAGES:
        raise ValueError(f"Usage {text[:20]!r} is none of {', '.join(USAGES)}")
    return USAGES.index(text)


def _pixels(text: str) -> NDArray[np.int64]:
    """Return the numbers of a row, int64, (SIDE * SIDE,), each 0 to 255."""
    if not text.encode().translate(None, b"0123456789 "):
        # With nothing but digits and blanks in it, numpy's parser has no way to stop early. It takes half the time.
        values = np.fromstring(text, dtype=np.int64, sep=" ")
        if values.size == SIDE * SIDE and values.max() <= 255:
            return values
    numbers = text.split()
    for position, number in enumerate(numbers):
        if not (number.isascii() and number.isdigit()):
            raise ValueError(f"pixel {position} is {number[:20]!r}, not a number from 0 to 255")
        if len(number.lstrip("0")) > 3 or int(number) > 255:
            raise ValueError(f"pixel {position} is {number[:20]}, more than 255")
    if len(numbers) != SIDE * SIDE:
        raise ValueError(f"{len(numbers):,} pixels where {SIDE * SIDE:,} are needed")
    return np.array(numbers, dtype=np.int64)
