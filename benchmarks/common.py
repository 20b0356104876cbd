"""Shared by the benchmarks: our copy of FER2013, the edge siblings, the command line, a script's protocol."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from edgefer import public

SIBLINGS = {  # the papers' recipes by their edge sibling's name
    "b0-mixup-lite": "b0-mixup",
    "b2-two-stage-lite": "b2-two-stage",
    "insideout-lite": "insideout-v2s",
    "b0-attention-lite": "b0-attention",
}
FER2013 = Path(__file__).parents[2] / "shared" / "data" / "fer2013" / "fer2013.zip"


def protocol(doc: str | None) -> str:
    """Return the last paragraph of a script's docstring as one line, for its JSON."""
    return " ".join((doc or "").split("\n\n")[-1].split())


def command() -> str:
    """Return the current command line for a JSON, without this machine's folders."""
    return shlex.join(["python", *(public.place(word) if public.is_absolute(word) else word for word in sys.argv)])
