"""Tables of pixels: the challenge's fer2013.csv (emotion,pixels,Usage) and icml_face_data.csv, and others like them.

Others have no Usage (Kaggle's train.csv), words for labels, ``;`` between columns, lists of pixels, UTF-16, or CR
alone.

They are read as a stream, with one block of rows in memory.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgefer import console, limits
from edgefer.data.contents import Contents, ImageBlock, reading
from edgefer.data.dataset import SPLITS, USAGES
from edgefer.data.listed import split_named
from edgefer.data.text import encoding_of
from edgefer.errors import InputError
from edgefer.labels import LABELS, MAX_LABELS, is_number, label_of, possible
from edgefer.lines import printable

NAMES = ("fer2013.csv", "icml_face_data.csv")
SIDE = 48
_PIXELS = ("pixels", "pixel", "image_pixels")
_LABELS = ("emotion", "label", "labels", "expression", "class", "target", "category", "y")
_SPLITS = ("usage", "split", "set", "subset", "partition")
_LONGEST_LINE = 1 << 16  # characters; a row of the challenge has at most 9,300
_CHUNK = 1 << 18
_ROWS_IN_BLOCK = 512
_MEGABYTE = 1_000_000
_MAX_PROBLEMS = 1000


@dataclass(frozen=True)
class Columns:
    """Columns of a table of pixels.

    Attributes:
        label: index of the label.
        pixels: index of the pixels.
        split: index of the split; None if there is none.
        usage: splits are the challenge's words.
        emotion: numbers are the challenge's, 0 to 6.
    """

    label: int
    pixels: int
    split: int | None
    usage: bool
    emotion: bool

    @property
    def last(self) -> int:
        """Index after which a row may end."""
        return max(self.label, self.pixels, self.split or 0)


def read(
    stream: IO[bytes],
    name: str,
    size: int,
    layout: str,
    label_column: str | None = None,
    numbers: bool = False,
    problems: list[str] | None = None,
) -> Contents:
    """Return the contents of a table of pixels.

    Args:
        stream: the table, from its first byte.
        name: its name in messages.
        size: in bytes, for the progress bar.
        layout: for `Dataset.layout`.
        label_column: the column of labels; by default guessed.
        numbers: keep numbered labels, even if they look like the challenge's.
        problems: collects messages on rows, instead of an error for the first one.

    Raises:
        InputError: it is empty, or has no such columns.
    """
    shown: list[Callable[[int], None]] = [lambda count: None]
    with reading(name):
        text = _lines(stream, name, lambda count: shown[0](count))
        header = next(text, None)
        if header is None:
            raise InputError(f"{name} is empty")
        delimiter = delimiter_of(header)
        lines = csv.reader(itertools.chain([header], text), delimiter=delimiter)
        columns = _columns(next(_rows(lines, name), []), name, label_column)
        rows = _numbered(lines, name)
        first = next(rows, None)
    if first is None:
        raise InputError(f"{name} has a header and no rows")
    challenge = columns.emotion and columns.usage
    side = SIDE
    if len(first[1]) > columns.pixels and not challenge:
        count = len(_separated(first[1][columns.pixels]).split())
        side = math.isqrt(count)
        if not count or side * side != count:
            raise InputError(f"{name}, row 0 (line {first[0]}): {count:,} pixels, which is not a square")
    said = first[1][columns.label].strip() if len(first[1]) > columns.label else ""
    words = not is_number(said) and not (challenge and said == "")
    if columns.emotion and not numbers and not words:
        found: list[str] = list(LABELS)
        place = _emotion
    else:
        found = []
        place = _Labels(found, words)
    blocks = _blocks(itertools.chain([first], rows), name, size, columns, place, side, shown, problems)
    return Contents(
        layout if challenge else layout.replace("FER2013 table", "table of pixels"),
        found,
        (side, side),
        usage=columns.usage,
        blocks=blocks,
        carved=() if columns.split is not None else SPLITS[1:],
        groups="a table does not identify people" if columns.split is None else "",
        by_appearance=place is not _emotion,
    )


class _Labels:
    """Numbers for labels, in the order in which they appear."""

    def __init__(self, found: list[str], words: bool) -> None:
        self._found, self._words = found, words
        self._places: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        name = label_of(text) if self._words else text
        if self._words == is_number(name) or not possible(name):
            kind = "words" if self._words else "numbers"
            raise ValueError(f"label {text[:20]!r}, while others are {kind}")
        place = self._places.get(name)
        if place is None:
            if len(self._found) == MAX_LABELS:
                raise ValueError(f"more than {MAX_LABELS} different labels; give another column with --label-column")
            place = self._places[name] = len(self._found)
            self._found.append(name)
        return place


def _blocks(
    rows: Iterator[tuple[int, list[str]]],
    name: str,
    size: int,
    columns: Columns,
    place: Callable[[str], int],
    side: int,
    shown: list[Callable[[int], None]],
    problems: list[str] | None,
) -> Iterator[ImageBlock]:
    images = np.empty((_ROWS_IN_BLOCK, side * side), dtype=np.uint8)
    labels = np.empty(_ROWS_IN_BLOCK, dtype=np.int64)
    splits = np.zeros(_ROWS_IN_BLOCK, dtype=np.uint8)
    numbers = np.empty(_ROWS_IN_BLOCK, dtype=np.int64)
    total = 0

    def block(n: int) -> ImageBlock:
        taken = images[:n].reshape(n, side, side).copy()
        files = [] if columns.split is not None else [_hash(image) for image in taken]
        return ImageBlock(taken, labels[:n].copy(), splits[:n].copy(), numbers[:n].copy(), files)

    with reading(name), console.progress(f"reading {name} (MB)", -(-size // _MEGABYTE)) as advance:
        shown[0] = advance
        for row, (line, fields) in enumerate(rows):
            try:
                if len(fields) <= columns.last:
                    raise ValueError(f"{len(fields)} columns, but the header has more")
                labels[total] = place(fields[columns.label].strip())
                if columns.split is not None:
                    splits[total] = _split(fields[columns.split].strip(), columns.usage)
                images[total] = _pixels(fields[columns.pixels].strip(), side * side)
            except ValueError as error:
                found = f"{name}, row {row} (line {line}): {error}"
                if problems is None:
                    raise InputError(found) from None
                if len(problems) < _MAX_PROBLEMS:
                    problems.append(found)
                continue
            numbers[total] = row
            total += 1
            if total == _ROWS_IN_BLOCK:
                yield block(total)
                total = 0
    if total:
        yield block(total)


def _hash(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _numbered(lines: Any, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the non-empty rows, with the line in which each ends."""
    blank = 0
    for fields in _rows(lines, name):
        if not fields:
            blank += 1
            if blank > limits.BLANK_LINES:
                raise InputError(f"{name}, line {lines.line_num}: {blank:,} empty lines before it; remove them")
            continue
        blank = 0
        yield lines.line_num, fields


def _lines(stream: IO[bytes], name: str, advance: Callable[[int], None]) -> Iterator[str]:
    """Yield the lines as text; none is longer than `_LONGEST_LINE`, whatever the file is."""
    decoder: io.IncrementalNewlineDecoder | None = None
    number = taken = shown = 0
    rest = ""
    while True:
        chunk = stream.read(_CHUNK)
        if decoder is None:
            kind = codecs.getincrementaldecoder(encoding_of(chunk))
            decoder = io.IncrementalNewlineDecoder(kind("replace"), translate=True)
        taken += len(chunk)
        if taken - shown >= _MEGABYTE:
            advance((taken - shown) // _MEGABYTE)
            shown = taken // _MEGABYTE * _MEGABYTE
        lines = (rest + decoder.decode(chunk, final=not chunk)).split("\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            _check_line(line, name, number)
            yield f"{line}\n"
        _check_line(rest, name, number + 1)
        if not chunk:
            if rest:
                yield rest
            return


def _check_line(line: str, name: str, number: int) -> None:
    if len(line) >= _LONGEST_LINE:
        raise InputError(f"{name}, line {number} is longer than {_LONGEST_LINE:,} bytes: this is not a FER2013 table")


def delimiter_of(header: str) -> str:
    """Return the column separator of a table: a comma, or if its header has none ``;``, a tab or ``|``."""
    return next((each for each in (",", ";", "\t", "|") if each in header), ",")


def _rows(lines: Iterator[list[str]], name: str) -> Iterator[list[str]]:
    try:
        yield from lines
    except csv.Error as error:
        raise InputError(f"{name} is not a CSV file ({error})") from error


def _columns(header: list[str], name: str, label_column: str | None) -> Columns:
    """Find the columns of a table of pixels.

    Raises:
        InputError: it has no pixels, or no labels.
    """
    found = [column.strip().lower() for column in header]
    shown = printable(", ".join(header)[:60])
    pixels = next((found.index(column) for column in _PIXELS if column in found), None)
    if pixels is None:
        raise InputError(f"{name} has no column 'pixels' (it has: {shown}); emotion and pixels are required")
    names = _LABELS if label_column is None else (label_column.strip().lower(),)
    label = next((found.index(column) for column in names if column in found), None)
    if label is None:
        wanted = "emotion" if label_column is None else printable(label_column[:40])
        raise InputError(
            f"{name} has no column '{wanted}' (it has: {shown}); give the labels' column with --label-column"
        )
    split = next((found.index(column) for column in _SPLITS if column in found), None)
    return Columns(
        label, pixels, split, usage=split is not None and found[split] == "usage", emotion=found[label] == "emotion"
    )


def _emotion(text: str) -> int:
    if text not in ("0", "1", "2", "3", "4", "5", "6"):
        raise ValueError(f"label {text[:20]!r} is not 0 to {len(LABELS) - 1}")
    return int(text)


def _split(text: str, usage: bool) -> int:
    if not usage:
        found = split_named(text)
        if found is None:
            raise ValueError(f"split {text[:20]!r} is not one of {', '.join(SPLITS)}")
        return SPLITS.index(found)
    if text not in USAGES:
        raise ValueError(f"Usage {text[:20]!r} is not one of {', '.join(USAGES)}")
    return USAGES.index(text)


def _separated(text: str) -> str:
    """Return pixels separated by blanks; lists like ``[70, 80, 82]`` have brackets and commas."""
    return text.strip("[]() ").replace(",", " ").replace(";", " ") if text[:1] in ("[", "(") or "," in text else text


def _pixels(text: str, count: int) -> NDArray[np.int64]:
    """Return the numbers of a row, int64, (count,), each 0 to 255."""
    text = _separated(text)
    if not text.encode().translate(None, b"0123456789 "):
        # With only digits and blanks, numpy's parser cannot stop early. It takes half the time.
        values = np.fromstring(text, dtype=np.int64, sep=" ")
        if values.size == count and values.max() <= 255:
            return values
    numbers = text.split()
    for position, number in enumerate(numbers):
        if not (number.isascii() and number.isdigit()):
            raise ValueError(f"pixel {position} is {number[:20]!r}, not a number from 0 to 255")
        if len(number.lstrip("0")) > 3 or int(number) > 255:
            raise ValueError(f"pixel {position} is {number[:20]}, more than 255")
    if len(numbers) != count:
        raise ValueError(f"{len(numbers):,} pixels instead of {count:,}")
    return np.array(numbers, dtype=np.int64)
