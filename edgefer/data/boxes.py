"""Faces in whole pictures, cropped by boxes from a list."""

from __future__ import annotations

import io
from dataclasses import dataclass

from edgefer.data.pictures import opened, plain
from edgefer.data.trees import File, Tree
from edgefer.errors import InputError

_MAX_PIXELS = 50_000_000


@dataclass(frozen=True)
class BoxOfList:
    """A rectangle in an upright picture, in pixels; right and bottom are exclusive."""

    path: str
    left: int
    top: int
    right: int
    bottom: int


class BoxTree:
    """Faces in the pictures of a tree, each read as a PNG of its box: ``picture.jpg#2`` is its face number 2.

    Args:
        tree: of the whole pictures.
        boxes: by the face's name.
        files: the whole pictures by their path.
    """

    def __init__(self, tree: Tree, boxes: dict[str, BoxOfList], files: dict[str, File]) -> None:
        self._tree, self._boxes = tree, boxes
        self._listings: dict[str, list[File]] = {}
        for name, box in boxes.items():
            source = files[box.path]
            each = File(name, source.size, source.changed)
            self._listings.setdefault(name.rpartition("/")[0], []).append(each)

    def label(self, path: str) -> str:  # noqa: D102
        return self._tree.label(path)

    def listing(self, folder: str) -> tuple[list[str], list[File]]:  # noqa: D102
        prefix = f"{folder}/" if folder else ""
        folders = {
            name.removeprefix(prefix).partition("/")[0]
            for name in self._listings
            if name.startswith(prefix) and name != folder
        }
        folders.discard("")
        return sorted(folders), sorted(self._listings.get(folder, []), key=lambda file: file.path)

    def read(self, path: str) -> bytes:  # noqa: D102
        box = self._boxes[path]
        label = self._tree.label(path)
        with opened(io.BytesIO(self._tree.read(box.path)), label, _MAX_PIXELS) as image:
            upright = plain(image, last=True)
            left, top = max(0, box.left), max(0, box.top)
            right, bottom = min(upright.width, box.right), min(upright.height, box.bottom)
            if right - left < 2 or bottom - top < 2:
                raise InputError(f"{label}: its box is outside the picture")
            face = upright.crop((left, top, right, bottom))
        content = io.BytesIO()
        face.save(content, "PNG", compress_level=1)
        return content.getvalue()
