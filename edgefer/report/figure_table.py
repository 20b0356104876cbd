"""A table of figures, shared by terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FigureTable:
    """A table.

    Attributes:
        title: its heading.
        heads: column headings after the network's name.
        rows: a network's name and its cells; a network may have several rows.
        words: number of leading columns that hold text and are left-aligned.
        lines: notes below the table.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    words: int = 0
    lines: Sequence[str] = ()
