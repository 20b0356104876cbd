"""ExpW: ``label.lst``, whose lines are boxes of faces in pictures with several people.

Zhang, Luo, Loy and Tang, "From Facial Expression Recognition to Interpersonal Relation Prediction", IJCV 2018; its
readme: image_name face_id_in_image face_box_top face_box_left face_box_right face_box_bottom face_box_cofidence
expression_label. Each face is cut out as it is read, as its box says.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from edgefer import labels, limits
from edgefer.data.layouts.lines import lines_of
from edgefer.data.listed import Finder, Listed, ListedPicture, names_of, number
from edgefer.data.trees import File, Tree, join
from edgefer.errors import InputError

_LISTS = ("label/label.lst", "label.lst")
_PICTURES = ("image/origin", "image", "origin", "images", "")
_COLUMNS = 8


@dataclass(frozen=True)
class _Box:
    path: str
    left: int
    top: int
    right: int
    bottom: int


class BoxTree:
    """Faces in the pictures of a tree, each read as a PNG of its box: ``picture.jpg#2`` is its face number 2."""

    def __init__(self, tree: Tree, boxes: dict[str, _Box], files: dict[str, File]) -> None:
        self._tree, self._boxes, self._files = tree, boxes, files
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
        from edgefer.data.pictures import opened, plain

        box = self._boxes[path]
        label = self._tree.label(path)
        with opened(io.BytesIO(self._tree.read(box.path)), label, 50_000_000) as image:
            left, top = max(0, box.left), max(0, box.top)
            right, bottom = min(image.width, box.right), min(image.height, box.bottom)
            if right - left < 2 or bottom - top < 2:
                raise InputError(f"{label}: its box lies outside of the picture")
            face = plain(image).crop((left, top, right, bottom))
        content = io.BytesIO()
        face.save(content, "PNG", compress_level=1)
        return content.getvalue()


def find(finder: Finder) -> Listed | None:
    """Return the faces of an ExpW, or None."""
    path = next((path for path in _LISTS if finder.file(path)), None)
    if path is None:
        return None
    lines = [line.split() for line in lines_of(finder, path, limits.GROUPS)]
    wrong = [place for place, cells in enumerate(lines, 1) if not _is_row(cells)]
    if wrong or not lines:
        named = ", ".join(map(str, wrong[:5])) or "1"
        raise InputError(
            f"{finder.tree.label(path)} is no list of ExpW's: {_COLUMNS} columns are needed, lines {named} lack them"
        )
    names = names_of(finder, [number(cells[-1]) for cells in lines], labels.ORDERS["expw"])
    for folder in _PICTURES:
        if finder.file(join(folder, lines[0][0])):
            break
    else:
        raise InputError(f"{finder.tree.label(path)} names {lines[0][0]}, which is not in image/origin")
    rows, boxes, files, missing = [], {}, {}, []
    for place, (cells, name) in enumerate(zip(lines, names, strict=True), 1):
        source = join(folder, cells[0])
        file = finder.file(source)
        if file is None:
            missing.append(cells[0])
            continue
        top, left, right, bottom = (int(float(cell)) for cell in cells[2:6])
        face = f"{source}#{cells[1]}"
        face = f"{face}, line {place}" if face in boxes else face  # a number that the list has twice
        files[source], boxes[face] = file, _Box(source, left, top, right, bottom)
        rows.append(ListedPicture(face, name, None, cells[0]))
    if missing:
        raise InputError(
            f"{len(missing):,} of {len(lines):,} pictures in {finder.tree.label(path)} are not there, such as "
            f"{', '.join(missing[:5])}"
        )
    listed = finder.file(path)
    assert listed is not None
    tree = BoxTree(finder.tree, boxes, files)
    return Listed("ExpW, label.lst, faces cut out by its boxes", rows, tree, [listed], "faces of one picture")


def _is_row(cells: list[str]) -> bool:
    if len(cells) != _COLUMNS:
        return False
    try:
        return all(abs(float(cell)) < 1e6 for cell in cells[1:])
    except ValueError:
        return False
