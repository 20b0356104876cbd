"""One line of `edgefer doctor`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from edgefer import public

State = Literal["ok", "note", "missing", "broken"]

# A path that may be a person's: those of every Linux machine stand in remedies, to be typed as they are.
_PATH = re.compile(r"(?<![\w.~*/\\-])(?!/(?:dev|etc|proc|sys|usr|var/lib)/)(?:~?/|[A-Za-z]:\\)[^\s'\",;()\[\]]*")


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    Attributes:
        part: what it belongs to: ``machine``, ``INT8 on the CPU``, ``TensorRT``, ``faces``, ``extras``, ``folders``.
        name: what was looked at.
        state: ``ok``; ``note`` where it decides a measurement; ``missing`` where something cannot be done without it;
            ``broken`` where nothing works.
        found: what it is.
        remedy: what to do; empty where nothing needs to be done.
        place: its path, for the terminal alone.
    """

    part: str
    name: str
    state: State
    found: str
    remedy: str = ""
    place: str = ""

    @property
    def shown(self) -> str:
        """What was found, with its path."""
        return ", ".join(filter(None, (self.place, self.found)))

    def as_dict(self) -> dict[str, Any]:
        """Return what a bug report has of it, as plain JSON values: a path in an error's text keeps its last part."""
        fields = {"part": self.part, "name": self.name, "state": self.state}
        return {**fields, "found": _without_folders(self.found), "remedy": _without_folders(self.remedy)}


def _without_folders(text: str) -> str:
    return _PATH.sub(lambda found: public.name(found[0]) if len(found[0]) > 1 else found[0], text)
