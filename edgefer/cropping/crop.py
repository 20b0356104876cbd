"""Reads each picture, detects its faces, crops them as `predict` does, and writes them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer import console, paths
from edgefer.cropping import sheet
from edgefer.cropping.journal import Cut, Done, Journal
from edgefer.cropping.sources import CropSource
from edgefer.data.trees import OURS
from edgefer.errors import InputError
from edgefer.faces import crop
from edgefer.faces.face import Detector, Face
from edgefer.predictor import needs_detector

WITHOUT_FACE, DAMAGED = "without-face.txt", "damaged.txt"
_LONGEST = 255  # bytes of a file name


@dataclass(frozen=True)
class Settings:
    """How faces are cropped.

    Attributes:
        every_face: all faces of a picture, not only the first.
        min_face: side of the smallest face, in pixels; None: the detector's default.
        size: longest side of written faces, in pixels.
    """

    every_face: bool = False
    min_face: int | None = None
    size: int = 256


@dataclass(frozen=True)
class CropResult:
    """Result of a run.

    Attributes:
        pictures: read, including earlier runs into the same folder.
        resumed: those of earlier runs.
        faces: cropped.
        folders: number of faces per folder.
        without_face: names of the pictures without a face.
        damaged: one message per unreadable picture.
        detector: its name.
        sheet: the overview page.
        seconds: of this run.
    """

    pictures: int
    resumed: int
    faces: int
    folders: dict[str, int]
    without_face: list[str]
    damaged: list[str]
    detector: str
    sheet: Path
    seconds: float

    def as_dict(self) -> dict[str, object]:
        """Return the attributes as plain JSON values."""
        return {**asdict(self), "sheet": str(self.sheet)}


def cut(
    sources: Iterable[CropSource], folder: Path, detector: Detector, settings: Settings, total: int | None = None
) -> CropResult:
    """Crop the faces out of pictures; files are written atomically.

    Args:
        sources: the pictures.
        folder: for the faces. What an earlier run has cut is left as it is: a face that a person has removed stays
            removed.
        detector: that finds them.
        settings: how.
        total: how many pictures there are; None where that is not known before.

    Raises:
        InputError: the folder has other files, or another process writes it; or no picture has a face.
        KeyboardInterrupt: Ctrl-C, if `total` is known; cropped faces are kept.
    """
    started = time.monotonic()
    with (
        paths.alone(_made(folder), "DST"),
        Journal(folder, {**asdict(settings), "detector": detector.title}) as journal,
    ):
        resumed = len(journal.done)
        owners = {face.file.lower(): each.key for each in journal.done.values() for face in each.faces}
        left = (source for source in sources if source.key not in journal.done)
        with console.progress("cropping faces", total or 0, resumed if total else 0) as advance:
            try:
                for source in left:
                    done = _one(source, folder, detector, settings, owners)
                    owners.update({face.file.lower(): done.key for face in done.faces})
                    journal.add(done)
                    advance(1, f"{len(owners):,} faces")
            except KeyboardInterrupt:
                if total is not None:
                    raise
                # otherwise Ctrl-C is how a camera ends
        every = [*journal.done.values()]
        if not any(each.faces for each in every):
            raise InputError(_nothing(every, detector))
        return _finished(every, folder, detector, resumed, time.monotonic() - started)


def _made(folder: Path) -> Path:
    if not folder.is_dir():
        paths.check_empty(folder, "DST")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _one(source: CropSource, folder: Path, detector: Detector, settings: Settings, owners: dict[str, str]) -> Done:
    try:
        picture = source.read()
    except InputError as error:
        return Done(source.key, source.name, problem=str(error))
    faces = []
    for number, (face, pixels) in enumerate(_faces(picture, detector, settings), 1):
        ending = f"-face{number}" if number > 1 else ""
        file, more = _file(source.target, f"{ending}.png"), 1
        while owners.get(file.lower(), source.key) != source.key:  # from another picture, of an earlier run
            more += 1
            file = _file(source.target, f"{ending}-other{more}.png")
        with paths.write_atomically(folder / file) as part:
            _small(pixels, settings.size).save(part, "PNG")
        side = round(face.crop_side) if face else max(picture.shape[:2])
        score = None if face is None or face.score is None else round(face.score, 3)
        faces.append(Cut(file, side, score, round(face.roll, 1) if face else 0.0))
    return Done(source.key, source.name, tuple(faces))


def _file(target: str, ending: str) -> str:
    """Return a file's path; names too long for a file system are truncated."""
    folder, slash, name = target.rpartition("/")
    while len(os.fsencode(f"{name}{ending}")) > _LONGEST:
        name = name[:-1]
    return f"{folder}{slash}{name}{ending}"


def _faces(
    picture: NDArray[np.uint8], detector: Detector, settings: Settings
) -> list[tuple[Face | None, NDArray[np.uint8]]]:
    """Return the faces that `predict` would classify, and the network's input pixels."""
    if not needs_detector(picture, "auto"):
        blank = (picture == picture[0, 0]).all()
        return [] if blank else [(None, picture)]
    found = detector.find(picture, settings.min_face)
    return [(face, crop.of(picture, face)) for face in (found if settings.every_face else found[:1])]


def _small(pixels: NDArray[np.uint8], size: int) -> Image.Image:
    image = Image.fromarray(pixels)
    longest = max(image.size)
    if longest <= size:
        return image
    sides = tuple(max(1, round(side * size / longest)) for side in image.size)
    return image.resize((sides[0], sides[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _nothing(every: list[Done], detector: Detector) -> str:
    damaged = [each.problem for each in every if each.problem]
    if damaged and len(damaged) == len(every):
        return f"none of {len(every):,} pictures can be read: {damaged[0]}"
    return f"{detector.title} found no face in {len(every):,} pictures; try a smaller --min-face or other pictures"


def _finished(every: list[Done], folder: Path, detector: Detector, resumed: int, seconds: float) -> CropResult:
    without = [each.name for each in every if not each.faces and not each.problem]
    damaged = [each.problem for each in every if each.problem]
    for name, lines in ((WITHOUT_FACE, without), (DAMAGED, damaged)):
        file = folder / OURS / name
        with paths.write_atomically(file) as part:
            part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        if not lines:
            file.unlink()
    # Exclude faces that were deleted since.
    faces = [(face, each.name) for each in every for face in each.faces if (folder / face.file).is_file()]
    page = folder / OURS / "sheet.html"
    with paths.write_atomically(page) as part:
        part.write_text(sheet.html(faces, without, damaged, detector.title), encoding="utf-8")
    folders = Counter(face.file.rpartition("/")[0] or "." for face, _ in faces)
    return CropResult(
        len(every),
        resumed,
        len(faces),
        dict(sorted(folders.items())),
        without,
        damaged,
        detector.title,
        page,
        round(seconds, 1),
    )
