"""A table of figures, as terminal, Markdown and page show it alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FigureTable:
    """A table.

    Attributes:
        title: above it.
        heads: of the columns behind the network's name.
        rows: a network's name and its cells; a network may have several rows.
        words: how many of the first columns hold words, which stand at the left.
        lines: below it.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    words: int = 0
    lines: Sequence[str] = ()
