"""Journal of processed pictures, one line each, for resuming."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from edgefer import limits, paths
from edgefer.data.trees import OURS
from edgefer.errors import InputError

_FILE = "done.jsonl"
_FORM = 1


@dataclass(frozen=True)
class Cut:
    """A cropped face.

    Attributes:
        file: below the folder.
        side: of the square in the whole picture, in pixels.
        score: the detector's confidence; None if the whole picture is treated as a face.
        roll: rotation in degrees.
    """

    file: str
    side: int
    score: float | None
    roll: float


@dataclass(frozen=True)
class Done:
    """A processed picture.

    Attributes:
        key: see `edgefer.cropping.sources.CropSource`.
        name: for a person.
        faces: empty if none was found.
        problem: why it could not be read, or empty.
    """

    key: str
    name: str
    faces: tuple[Cut, ...] = ()
    problem: str = ""


class Journal:
    """The journal of a folder of faces; a context manager. A last line torn by a kill is dropped.

    A journal without any face is discarded if the settings changed.

    Args:
        folder: of the faces.
        settings: crop settings, plain JSON values.

    Raises:
        InputError: the folder has other files, or faces cropped with other settings.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.done: dict[str, Done] = {}
        self._file = folder / OURS / _FILE
        head = {"form": _FORM, "settings": settings}
        if not self._file.exists():
            if not _only_ours(folder):
                paths.check_empty(folder, "DST")
        else:
            before, lines = self._read()
            if before == head:
                self.done = {each.key: each for each in lines}
            elif any(each.faces for each in lines):
                said = ", ".join(f"{key} {value}" for key, value in (before.get("settings") or {}).items())
                raise InputError(f"{folder} has faces cropped with other settings ({said}); give another folder")
        with paths.write_atomically(self._file) as part:
            text = [json.dumps(head), *(json.dumps(asdict(each)) for each in self.done.values())]
            part.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
        self._out = self._file.open("a", encoding="utf-8")

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._out.close()

    def add(self, done: Done) -> None:
        """Record a picture after its faces are written."""
        self._out.write(json.dumps(asdict(done)) + "\n")
        self._out.flush()
        self.done[done.key] = done

    def _read(self) -> tuple[dict[str, Any], list[Done]]:
        lines = limits.read_bytes(self._file, limits.TABLE).decode("utf-8", "replace").splitlines()
        read: list[dict[str, Any]] = []
        for line in lines:
            try:
                read.append(json.loads(line))
            except ValueError:
                break  # the process was killed while writing it
        try:
            head, *rest = read
            return {**head}, [Done(**{**each, "faces": tuple(Cut(**face) for face in each["faces"])}) for each in rest]
        except (TypeError, KeyError, ValueError):
            raise InputError(f"{self._file} is not a crop journal; delete {self._file.parent}") from None


def _only_ours(folder: Path) -> bool:
    """Return whether a folder only has the remains of a process killed before its first line."""
    return folder.is_dir() and all(each.name == OURS for each in folder.iterdir())
