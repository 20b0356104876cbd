"""Picture files through a predictor: which files, what it says of each, and how that is shown."""

from __future__ import annotations

import cmath
import csv
import glob
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edgefer import console, inputs, paths
from edgefer.errors import InputError, MissingRequirement
from edgefer.faces import crop
from edgefer.faces.face import Box
from edgefer.lines import cell, printable
from edgefer.predictor import Faces, Prediction, Predictor, needs_detector

if TYPE_CHECKING:
    from rich.table import Table

UNSURE = "unsure"
_MAX_DRAWN = 10_000_000  # pixels of an annotated copy
_MIN_WIDTH = 200  # of one: a label must be readable
_LONGEST_STEM = 60  # letters, of four bytes at most: file systems take names of 255
_COLOUR = (255, 196, 0)


class Labelled(Protocol):
    """A face with a label: a `Prediction`, or a live face."""

    @property
    def label(self) -> str:
        """What it shows."""

    @property
    def confidence(self) -> float:
        """Probability of the label, 0 to 1."""

    @property
    def box(self) -> Box | None:
        """Square around the face in its picture; None where the picture is the face."""

    @property
    def roll(self) -> float:
        """Degrees that it is turned clockwise."""


@dataclass(frozen=True)
class PicturePrediction:
    """What the predictor says of one file.

    Attributes:
        file: the picture: a path, an address or a data URI.
        faces: a prediction for each face, sorted by score times size; empty where none was found, or the file not read.
        milliseconds: reading the file, finding and judging all of its faces.
        error: why the file could not be read, in one line; None where it could.
        annotated: the copy with boxes and labels; None where none was asked for.
    """

    file: Path | str
    faces: list[Prediction]
    milliseconds: float
    error: str | None = None
    annotated: Path | None = None

    def as_dict(self, min_confidence: float = 0.0) -> dict[str, Any]:
        """Return plain JSON values."""
        faces = [
            {
                "label": shown(face, min_confidence),
                "confidence": round(face.confidence, 4),
                "probabilities": {label: round(value, 4) for label, value in face.probabilities.items()},
                "box": face.box._asdict() if face.box else None,
                "score": None if face.score is None else round(face.score, 4),
                "roll": round(face.roll, 1),
                "landmarks": [[round(x, 1), round(y, 1)] for x, y in face.landmarks],
                "notes": list(face.notes),
                "milliseconds": round(face.milliseconds, 3),
            }
            for face in self.faces
        ]
        return {
            "file": named(self.file),
            "faces": faces,
            "milliseconds": round(self.milliseconds, 3),
            "error": self.error,
            "annotated": None if self.annotated is None else str(self.annotated),
        }


def named(file: Path | str) -> str:
    """Return what a picture is called: its path or address; of a data URI, which may be long, the beginning."""
    return str(file) if isinstance(file, Path) else inputs.shown(file)


def find(patterns: Sequence[str]) -> list[Path | str]:
    """Return the pictures that are meant, each once: files, all pictures in and below folders, patterns, addresses.

    Raises:
        InputError: something is not there or holds no picture.
    """
    found: dict[Path | str, Path | str] = {}
    for pattern in patterns:
        if inputs.is_remote(pattern):
            found.setdefault(pattern, pattern)
            continue
        try:
            for file in _meant(pattern):
                found.setdefault(file.resolve(), file)
        except OSError as error:  # a name that is too long, a folder that cannot be read
            where = printable(str(error.filename or pattern)[:200])
            raise InputError(f"{where} cannot be looked at: {error.strerror}") from None
    return list(found.values())


def _meant(pattern: str) -> list[Path]:
    found = places(pattern)
    if found == [Path(pattern)] and found[0].is_dir():
        files = _pictures_below(found[0])
        if not files:
            raise InputError(f"{printable(pattern)} contains no picture ({', '.join(inputs.ENDINGS)})")
        return files
    files = [file for path in found for file in ([path] if path.is_file() else _pictures_below(path))]
    if not files:
        raise InputError(f"there is no picture {printable(pattern)}")
    return files


def places(pattern: str) -> list[Path]:
    """Return the files that a name or a pattern means, or the folders where it means no file.

    Raises:
        InputError: there are none.
    """
    if not pattern:
        raise InputError("a picture's name is empty; give a file, a folder or a pattern")
    if inputs.is_base64(pattern):
        raise InputError(f"{inputs.shown(pattern)} is base64 text; give a file, or data:image/jpeg;base64,TEXT")
    path = Path(pattern)
    if path.is_dir() or path.is_file():
        return [path]
    if path.exists():
        raise InputError(f"{printable(pattern)} is a pipe or a device, not a picture file")
    found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    # Folders are looked into where a pattern means nothing else: `in/**` names each file already.
    found = [path for path in found if path.is_file()] or [path for path in found if path.is_dir()]
    if not found:
        raise InputError(f"there is no picture {printable(pattern)}")
    return found


def _pictures_below(folder: Path) -> list[Path]:
    """Return the pictures in a folder and in those below it, sorted, and say how many files are none.

    Raises:
        OSError: one of the folders cannot be read.
    """
    files = files_below(folder)
    pictures = sorted(file for file in files if file.suffix.lower() in inputs.ENDINGS and file.is_file())
    others = sorted(set(files) - set(pictures))
    if others and pictures:
        such = printable(str(others[0]))
        console.say(
            f"skipped, because edgefer reads only {', '.join(inputs.ENDINGS)}: {len(others):,} files such as {such}"
        )
    return pictures


def files_below(folder: Path) -> list[Path]:
    """Return what lies in a folder and in those below it, hidden files left out.

    Raises:
        OSError: one of the folders cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    files: list[Path] = []
    seen = {folder.resolve()}  # a link may lead back
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        there = {name: (Path(place) / name).resolve() for name in sorted(folders) if not name.startswith(".")}
        closed = [name for name, real in there.items() if (Path(place) / name).is_symlink() and not _opens(real)]
        if closed:
            console.say(f"links to unreadable folders are skipped, such as {printable(closed[0])}")
        folders[:] = [name for name, real in there.items() if real not in seen and name not in closed]
        seen |= set(there.values())
        files += [Path(place) / name for name in names if not name.startswith(".")]  # macOS puts ._a.png beside a.png
    return files


def _opens(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def predict_files(
    network: Predictor,
    files: Sequence[Path | str],
    faces: Faces = "auto",
    annotated: Path | None = None,
    min_confidence: float = 0.0,
    min_face: int | None = None,
) -> Iterator[PicturePrediction]:
    """Yield an each for each file, in order; one that cannot be read has its error in the each.

    Args:
        network: from `edgefer.load`.
        files: from `find`.
        faces: see `Predictor.predict_faces`.
        annotated: folder for copies of the pictures, as PNG, with a box and a label for each face.
        min_confidence: see `shown`.
        min_face: see `Predictor.predict_faces`.

    Raises:
        InputError: the file that was named for the detector is none.
        MissingRequirement: a picture's faces are to be found, and there is no detector.
    """
    names: dict[str, int] = {}
    for file in files:
        started = time.perf_counter()
        found: list[Prediction] | str
        pixels = _read(file)
        if isinstance(pixels, str):
            found = pixels
        else:
            if needs_detector(pixels, faces):
                reading = time.perf_counter() - started
                network.start_detector()  # which takes no picture's time
                started = time.perf_counter() - reading
            try:
                [found] = network.predict_faces(pixels, faces, min_face)
            except (InputError, MemoryError) as error:
                found = _why(file, error)
        milliseconds = (time.perf_counter() - started) * 1e3
        if isinstance(found, str):
            yield PicturePrediction(file, [], milliseconds, found)
            continue
        copy = None
        if annotated is not None and not isinstance(pixels, str):
            copy = annotated / _unused(_stem(file), names)
            with paths.write_atomically(copy) as part:
                annotate(Image.fromarray(pixels), found, min_confidence).save(part, format="PNG")
        yield PicturePrediction(file, found, milliseconds, annotated=copy)


def _read(file: Path | str) -> NDArray[np.uint8] | str:
    """Return a picture's pixels, or why there are none."""
    try:
        return inputs.read(file)
    except (InputError, MemoryError, MissingRequirement) as error:
        return _why(file, error)


def _why(file: Path | str, error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"{printable(named(file))} needs more memory than available; make it smaller"
    return str(error)


def _stem(file: Path | str) -> str:
    if isinstance(file, Path):
        return file.stem
    stem = Path(urlsplit(file).path).stem if not file.startswith("data:") else ""
    return "".join(letter for letter in stem if letter.isalnum() or letter in "-_") or "picture"


def _unused(stem: str, names: dict[str, int]) -> str:
    """Return ``stem.png``, or the first ``stem-2.png`` and so on that is not among `names`, and add it to them.

    Args:
        stem: of the picture's file.
        names: in small letters, with how many of a name there have been.
    """
    stem = stem[:_LONGEST_STEM]
    number = names.get(stem.casefold(), 0) + 1
    while number > 1 and f"{stem}-{number}".casefold() in names:
        number += 1
    names[stem.casefold()] = number
    name = stem if number == 1 else f"{stem}-{number}"
    names.setdefault(name.casefold(), 1)
    return f"{name}.png"


def shown(face: Labelled, min_confidence: float) -> str:
    """Return the label, or that the network is not sure of it."""
    return face.label if face.confidence >= min_confidence else UNSURE


def annotate(picture: Image.Image, faces: Sequence[Labelled], min_confidence: float = 0.0) -> Image.Image:
    """Return an RGB copy with a box and a label for each face; a picture that is one face gets the label alone.

    Small pictures are made larger, so that the label can be read, and huge ones smaller.
    """
    pixels = picture.width * picture.height
    most = math.sqrt(_MAX_DRAWN / pixels)
    scale = min(most, max(1.0, _MIN_WIDTH / picture.width))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    copy = picture.convert("RGB")
    if size != copy.size:
        copy = copy.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
    draw = ImageDraw.Draw(copy)
    for face in faces:
        left, top, width, height = (value * scale for value in face.box or (0, 0, picture.width, picture.height))
        line = max(2, round(width / 80))
        if abs(face.roll) > crop.LEVEL:
            draw.polygon(_turned(left, top, width, height, face.roll), outline=_COLOUR, width=line)
        else:
            corner = (max(left, left + width - 1), max(top, top + height - 1))
            draw.rectangle((left, top, *corner), outline=_COLOUR, width=line)
        text = f"{shown(face, min_confidence)} {face.confidence:.0%}"
        font = ImageFont.load_default(size=max(12.0, min(width / 8, 48.0)))
        box = draw.textbbox((0, 0), text, font=font)
        place = (max(0, min(left, copy.width - box[2] - 8)), top - box[3] - 6 if top > box[3] + 6 else top)
        draw.rectangle((*place, place[0] + box[2] + 8, place[1] + box[3] + 6), fill=_COLOUR)
        draw.text((place[0] + 4, place[1] + 2), text, fill="black", font=font)
    return copy


def _turned(left: float, top: float, width: float, height: float, roll: float) -> list[tuple[float, float]]:
    """Return the corners of a rectangle turned clockwise around its middle."""
    middle, turn = complex(left + width / 2, top + height / 2), cmath.rect(1, math.radians(roll))
    corners = [complex(x, y) / 2 for x, y in ((-width, -height), (width, -height), (width, height), (-width, height))]
    return [((middle + turn * corner).real, (middle + turn * corner).imag) for corner in corners]


def write_csv(
    path: Path, found: Sequence[PicturePrediction], labels: Sequence[str], min_confidence: float = 0.0
) -> None:
    """Write a line for each face, and one without a label for each picture that has none or could not be read.

    Names that a spreadsheet would take for a formula begin with an apostrophe.
    """
    with (
        paths.write_atomically(path.resolve()) as part,  # of a link, what it leads to
        part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as out,  # names need not be UTF-8
    ):
        table = csv.writer(out)
        box = ("left", "top", "width", "height")
        found_by = ("score", "roll", "notes")
        table.writerow(
            ["file", "face", *box, *found_by, "label", "confidence", *map(cell, labels), "error", "annotated"]
        )
        for each in found:
            annotated = "" if each.annotated is None else cell(str(each.annotated))
            for number, face in enumerate(each.faces, 1):
                figures = [f"{face.probabilities[label]:.4f}" for label in labels]
                label = shown(face, min_confidence)
                table.writerow(
                    [
                        cell(named(each.file)),
                        number,
                        *(face.box or [""] * 4),
                        "" if face.score is None else f"{face.score:.4f}",
                        f"{face.roll:.1f}",
                        " ".join(face.notes),
                        cell(label),
                        f"{face.confidence:.4f}",
                        *figures,
                        "",
                        annotated,
                    ]
                )
            if not each.faces:
                error = cell(each.error or "")
                table.writerow([cell(named(each.file)), 0, *[""] * (9 + len(labels)), error, annotated])


def table(found: Sequence[PicturePrediction], min_confidence: float = 0.0) -> Table:
    """Return the predicted for a terminal."""
    from rich.table import Table
    from rich.text import Text

    out = Table(box=None, pad_edge=False, header_style="bold")
    out.add_column("picture", overflow="fold")
    out.add_column("face", no_wrap=True)
    out.add_column("expression", no_wrap=True)
    out.add_column("sure", justify="right", no_wrap=True)
    out.add_column("next likely", no_wrap=True)
    out.add_column("ms", justify="right", no_wrap=True)
    for each in found:
        name = named(each.file)
        for face in each.faces:
            where = f"{face.box.width} px at {face.box.left}, {face.box.top}" if face.box else "whole picture"
            second, probability = sorted(face.probabilities.items(), key=lambda item: -item[1])[1]
            label = shown(face, min_confidence)
            if label != face.label:
                label = f"{label} ({face.label})"
            if face.notes:
                label = f"{label} ({', '.join(face.notes)})"
            row = [label, f"{face.confidence:.0%}", f"{second} {probability:.0%}", f"{face.milliseconds:.2f}"]
            out.add_row(*(Text(printable(text)) for text in (name, where, *row)))  # Text: a name's [red] is no style
            name = ""
        if not each.faces:
            out.add_row(Text(printable(name)), "not read" if each.error else "none found", "", "", "", "")
    return out
