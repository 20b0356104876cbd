"""ExpW: ``label.lst``, with boxes of faces in pictures with several people.

Zhang, Luo, Loy and Tang, "From Facial Expression Recognition to Interpersonal Relation Prediction", IJCV 2018; its
readme: image_name face_id_in_image face_box_top face_box_left face_box_right face_box_bottom face_box_cofidence
expression_label. Each face is cropped by its box when it is read.
"""

from __future__ import annotations

from edgefer import labels, limits
from edgefer.data.boxes import BoxOfList, BoxTree
from edgefer.data.layouts.lines import lines_of
from edgefer.data.listed import Finder, Listed, ListedPicture, names_of, number
from edgefer.data.trees import join
from edgefer.errors import InputError

_LISTS = ("label/label.lst", "label.lst")
_PICTURES = ("image/origin", "image", "origin", "images", "")
_COLUMNS = 8


def find(finder: Finder) -> Listed | None:
    """Return the faces of an ExpW, or None."""
    path = next((path for path in _LISTS if finder.file(path)), None)
    if path is None:
        return None
    lines = [line.split() for line in lines_of(finder, path, limits.GROUPS)]
    wrong = [place for place, cells in enumerate(lines, 1) if not _is_row(cells)]
    if wrong or not lines:
        named = ", ".join(map(str, wrong[:5])) or "1"
        raise InputError(f"{finder.tree.label(path)} is not an ExpW list: lines {named} do not have {_COLUMNS} columns")
    names = names_of(finder, [number(cells[-1]) for cells in lines], labels.ORDERS["expw"])
    for folder in _PICTURES:
        if finder.file(join(folder, lines[0][0])):
            break
    else:
        raise InputError(f"{finder.tree.label(path)} lists {lines[0][0]}, which is not in image/origin")
    rows, boxes, files, missing = [], {}, {}, []
    for place, (cells, name) in enumerate(zip(lines, names, strict=True), 1):
        source = join(folder, cells[0])
        file = finder.file(source)
        if file is None:
            missing.append(cells[0])
            continue
        top, left, right, bottom = (int(float(cell)) for cell in cells[2:6])
        face = f"{source}#{cells[1]}"
        face = f"{face}, line {place}" if face in boxes else face  # a duplicate number in the list
        files[source], boxes[face] = file, BoxOfList(source, left, top, right, bottom)
        rows.append(ListedPicture(face, name, None, cells[0]))
    if missing:
        raise InputError(
            f"{len(missing):,} of {len(lines):,} pictures in {finder.tree.label(path)} are missing, "
            f"such as {', '.join(missing[:5])}"
        )
    listed = finder.file(path)
    assert listed is not None
    tree = BoxTree(finder.tree, boxes, files)
    return Listed("ExpW, label.lst, faces cropped by its boxes", rows, tree, [listed], "faces of one picture")


def _is_row(cells: list[str]) -> bool:
    if len(cells) != _COLUMNS:
        return False
    try:
        return all(abs(float(cell)) < 1e6 for cell in cells[1:])
    except ValueError:
        return False
