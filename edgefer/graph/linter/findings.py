"""Lint's findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["refused", "fails", "misread"]


@dataclass(frozen=True)
class Finding:
    """One problem and its place.

    Attributes:
        node: name of the node; inside a function or a subgraph, with its path.
        problem: what is wrong and its effect.
        kind: ``refused``: the target does not load the file. ``fails``: it loads it but
            fails when running. ``misread``: it computes something else, or slower, than the file means.
    """

    node: str
    problem: str
    kind: Kind = "refused"
