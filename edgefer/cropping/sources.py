"""Sources of whole pictures: a data set in any layout, a folder without labels, a video or a camera."""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.data import pictures, whole
from edgefer.data.dataset import SPLITS
from edgefer.data.folders import Pictures
from edgefer.data.listed import Finder, walk
from edgefer.data.reading import NOTHING, Reading
from edgefer.data.trees import File, FolderTree, Tree, hidden
from edgefer.errors import InputError
from edgefer.labels import possible
from edgefer.lines import one_line, printable
from edgefer.live import sources as streams
from edgefer.live.video import is_video

_MAX_PIXELS = 120_000_000
_NO_NAME = re.compile(r'[/\\:*?"<>|\x00-\x1f]+')  # not allowed in file names on some system


@dataclass(frozen=True)
class CropSource:
    """A whole picture.

    Attributes:
        key: unique for each picture and version of it.
        name: for display.
        target: path of its face below the output folder, without suffix.
        read: returns its pixels, uint8, (H, W) or (H, W, 3) RGB; InputError if it is damaged.
    """

    key: str
    name: str
    target: str
    read: Callable[[], NDArray[np.uint8]]


@contextmanager
def of_data(path: Path, reading: Reading = NOTHING) -> Iterator[list[CropSource]]:
    """Yield the pictures of a data set in its own folders, or in folders by label if labels are in a list.

    Folders that are not data sets, such as pictures without labels, are kept too.

    Raises:
        InputError: there are no pictures.
    """
    origin = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]  # without folders of this machine
    context = whole.opened(path, reading)
    try:
        found = context.__enter__()
    except InputError as error:
        if not path.is_dir():
            raise
        tree = FolderTree(path)
        files = list(walk(Finder(tree), ""))
        if not files:
            raise
        console.say(f"labels are not read: {error}; folder names stay")
        yield _sources(tree, files, [file.path for file in files], origin)
        return
    try:
        files = found.pictures.files
        yield _sources(found.tree, files, _targets(found.pictures, found.listed), origin)
    finally:
        context.__exit__(None, None, None)


def of_video(source: str, label: str, every: float, seconds: float | None) -> Iterator[CropSource]:
    """Yield frames of a video, a stream or a camera; live sources yield the current frame.

    Args:
        source: as for `edgefer live`.
        label: folder of the faces.
        every: seconds between two frames.
        seconds: after which it stops.

    Raises:
        InputError: it cannot be opened.
        MissingExtra: PyAV is not installed.
    """
    stream = streams.named(source)
    live = not is_video(source)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    if live:
        title = f"camera-{stamp}" if source.isdigit() else f"stream-{stamp}"
        key = title
    else:
        stream.paced = False
        status = Path(source).stat()
        title = _name(Path(source).stem)
        origin = hashlib.sha256(os.fsencode(Path(source).resolve())).hexdigest()[:8]
        key = f"{origin}/{status.st_size}-{status.st_mtime_ns}"
    start = due = None
    with streams.opened(stream.url, stream.title, stream.format, stream.options) as (container, video):
        clock = streams.Clock(video)
        for number, (frame, arrived) in enumerate(streams.decoded(container, video, stream.title)):
            moment = arrived if live else clock.moment(frame, number)
            start = moment if start is None else start
            if seconds is not None and moment - start > seconds:
                return
            if due is not None and moment < due:
                continue
            due = moment + every if due is None or live else due + every
            place = f"{moment - start:.2f}"
            yield CropSource(
                f"{key}#{place}",
                f"{title} at {place} s",
                f"{_folder(label)}/{title}-{round(100 * (moment - start)):06}",
                lambda frame=frame: streams.rgb(frame),  # type: ignore[misc]
            )


def is_stream(source: str) -> bool:
    """Return whether a source is a video, a stream or a camera, not a data set."""
    return (source.isascii() and source.isdigit()) or "://" in source or is_video(source)


def _sources(tree: Tree, files: list[File], targets: list[str], origin: str) -> list[CropSource]:
    taken: set[str] = set()
    found = []
    for file, target in zip(files, targets, strict=True):
        stem, dot, ending = target.rpartition(".")
        stem = stem if dot and "/" not in ending else target
        if stem.lower() in taken:  # a.png next to a.jpg, or a.png of another folder
            stem = next(name for n in range(2, len(files) + 2) if (name := f"{stem}-other{n}").lower() not in taken)
        taken.add(stem.lower())
        changed = "-".join(map(str, (file.size, *file.changed[:1])))
        found.append(
            CropSource(f"{origin}/{file.path}?{changed}", printable(file.path), stem, _reader(tree, file.path))
        )
    return found


def _reader(tree: Tree, path: str) -> Callable[[], NDArray[np.uint8]]:
    def read() -> NDArray[np.uint8]:
        try:
            content = io.BytesIO(tree.read(path))
            with pictures.opened(content, tree.label(path), _MAX_PIXELS) as image:
                return pictures.as_array(pictures.plain(image, last=True))
        except InputError as error:  # it is recorded, without folders of this machine
            raise InputError(str(error).replace(tree.label(path), printable(path))) from None

    return read


def _targets(found: Pictures, listed: bool) -> list[str]:
    """Return the target path of each picture's face, with the picture's suffix."""
    if not listed:
        top = f"{found.top}/" if found.top else ""
        return [file.path.removeprefix(top) for file in found.files]
    labels = {label: _folder(label) for label in found.classes}
    for label, name in labels.items():
        same = next(each for each in labels if labels[each] == name)
        if same != label:
            raise InputError(f"labels {same} and {label} would share the folder {name}; rename one")
    targets = []
    for file, label, split, person in zip(found.files, found.labels, found.splits, found.people, strict=True):
        parts = [labels[found.classes[label]]]
        if "test" not in found.carved:  # the source has splits
            parts.insert(0, SPLITS[split])
        name = _name(file.path.rpartition("/")[2])
        parts.append(f"person{_number(person)}_{name}" if person else name)
        targets.append("/".join(parts))
    return targets


def _number(person: str) -> int:
    """Return a stable number for a person: pictures cropped later keep people apart."""
    return int(hashlib.sha256(person.encode("utf-8", "surrogateescape")).hexdigest()[:8], 16)


def _folder(label: str) -> str:
    """Return a label as a folder's name.

    Raises:
        InputError: it cannot be a folder name.
    """
    name = _name(label)
    if not possible(label) or hidden(name):
        raise InputError(f"{one_line(label, 40) or 'an empty label'} cannot be a folder name; use another label")
    return name


def _name(text: str) -> str:
    return _NO_NAME.sub("_", text).strip() or "_"
