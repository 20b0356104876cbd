"""One line of `edgefer doctor`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from edgefer import public

State = Literal["ok", "note", "missing", "broken"]

# A possibly personal path; paths common to all Linux machines occur in remedies and are kept.
_PATH = re.compile(r"(?<![\w.~*/\\-])(?!/(?:dev|etc|proc|sys|usr|var/lib)/)(?:~?/|[A-Za-z]:\\)[^\s'\",;()\[\]]*")


@dataclass(frozen=True)
class Line:
    """One finding.

    Attributes:
        part: what it belongs to: ``machine``, ``INT8 on the CPU``, ``TensorRT``, ``faces``, ``extras``, ``folders``.
        name: what was looked at.
        state: ``ok``; ``note`` if it affects measurements; ``missing`` if a feature needs it; ``broken`` if nothing
            works.
        found: its value.
        remedy: what to do; may be empty.
        place: its path, only for the terminal.
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
        """Return the finding for a bug report, as plain JSON values: paths are cut to their last part."""
        fields = {"part": self.part, "name": self.name, "state": self.state}
        return {**fields, "found": _without_folders(self.found), "remedy": _without_folders(self.remedy)}


def _without_folders(text: str) -> str:
    return _PATH.sub(lambda found: public.name(found[0]) if len(found[0]) > 1 else found[0], text)
