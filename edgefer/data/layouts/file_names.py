"""KDEF, JAFFE and RaFD: file names that hold the expression and the person.

Lundqvist, Flykt and Öhman, "The Karolinska Directed Emotional Faces", 1998, kdef.se: ``AF01ANS.JPG`` is session A,
female 01, angry, straight; all five angles are used. Lyons, Kamachi and Gyoba, "The Japanese Female Facial Expression
(JAFFE) Dataset", 1998, zenodo.org/record/3451524: ``KA.AN1.39.tiff`` is the person KA, angry. Langner et al.,
"Presentation and validation of the Radboud Faces Database", 2010: ``Rafd090_01_Caucasian_female_angry_frontal.jpg`` is
the person 01.
"""

from __future__ import annotations

import re

from edgefer.data.folders import only_pictures, split_of
from edgefer.data.listed import Finder, Listed, ListedPicture, walk
from edgefer.data.trees import join
from edgefer.errors import InputError
from edgefer.labels import canonical

_EXPRESSIONS = {
    **{"AF": "fear", "FE": "fear", "AN": "angry", "DI": "disgust", "HA": "happy", "NE": "neutral", "SA": "sad"},
    **{"SU": "surprise"},
}
_CODES = {
    "KDEF": re.compile(r"[AB][FM]\d\d(?P<code>AF|AN|DI|HA|NE|SA|SU)(?:FL|FR|HL|HR|S)"),
    "RaFD": re.compile(r"Rafd\d+_\d+_[A-Za-z]+_[a-z]+_(?P<code>[a-z]+)_(?:frontal|left|right)", re.IGNORECASE),
    "JAFFE": re.compile(r"[A-Z]{2}\.(?P<code>AN|DI|FE|HA|NE|SA|SU)\d\.\d+"),
}
_DEEPEST = 4
_NAMED = 5


def find(finder: Finder) -> Listed | None:
    """Return the pictures of a folder with names of one of these data sets, or None."""
    first = _first(finder, "", _DEEPEST)
    if first is None:
        return None
    for name, code in _CODES.items():
        if not code.fullmatch(_stem(first)):
            continue
        rows, others = [], []
        for file in walk(finder, ""):
            found = code.fullmatch(_stem(file.path))
            if found is None:
                others.append(file.path)
            else:
                said = found["code"]
                rows.append(
                    ListedPicture(file.path, _EXPRESSIONS.get(said) or said.lower())
                )  # the person: `edgefer.data.groups`
        if others:
            raise InputError(
                f"{len(others):,} pictures do not match {name}'s names, such as "
                f"{', '.join(map(finder.tree.label, others[:_NAMED]))}; rename them or move them elsewhere"
            )
        return Listed(f"{name}, expressions by file names", rows)
    return None


def _first(finder: Finder, folder: str, depth: int) -> str | None:
    """Return the first picture if no folder is named like a class or a split."""
    names = finder.folders(folder)
    if any(canonical(name) or split_of(name) for name in names):
        return None
    pictures = only_pictures(finder.files(folder))
    if pictures:
        return pictures[0].path
    if depth:
        for name in names:
            found = _first(finder, join(folder, name), depth - 1)
            if found:
                return found
    return None


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0].upper()
