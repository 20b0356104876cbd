"""What lint says of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["refused", "fails", "misread"]


@dataclass(frozen=True)
class Finding:
    """One thing wrong, and where.

    Attributes:
        node: name of the node; of one inside a function or a subgraph, with what it stands in.
        problem: what is wrong and what the target makes of it.
        kind: ``refused``: the target does not load the file. ``fails``: it loads it and stops when it runs.
            ``misread``: it runs it, and computes something else or slower than the file means.
    """

    node: str
    problem: str
    kind: Kind = "refused"
