"""RAF-DB's basic emotions with their list: ``EmoLabel/list_patition_label.txt`` and ``Image/aligned``.

Li, Deng and Du, "Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the Wild",
CVPR 2017; names and numbers from whdeng.cn/RAF/model1.html and the readme: ``train_00001.jpg 5`` a line.
The folders ``train/1`` to ``train/7`` of copies are plain class folders with numbers.
"""

from __future__ import annotations

from edgefer import labels, limits
from edgefer.data.layouts.lines import lines_of
from edgefer.data.listed import Finder, Listed, ListedPicture, names_of
from edgefer.data.trees import join
from edgefer.errors import InputError

_LIST = "list_patition_label.txt"  # spelled like this there
_PLACES = ("EmoLabel", "basic/EmoLabel", "")
_PICTURES = ("Image/aligned", "Image/original", "aligned", "original", "Image", "")


def find(finder: Finder) -> Listed | None:
    """Return the pictures of a RAF-DB, aligned ones if present, or None."""
    place = next((place for place in _PLACES if finder.file(join(place, _LIST))), None)
    if place is None:
        return None
    path = join(place, _LIST)
    file = finder.file(path)
    assert file is not None
    rows = [line.split() for line in lines_of(finder, path, limits.VOTES)]
    if not rows or any(len(row) != 2 for row in rows):
        raise InputError(f"{finder.tree.label(path)} is not a RAF-DB list: a line is a file name and 1 to 7")
    names = names_of(finder, [row[1] for row in rows], labels.ORDERS["raf-db"])
    top = place.rpartition("EmoLabel")[0].rstrip("/")
    for folder in _PICTURES:
        for ending in ("_aligned.jpg", ".jpg"):
            first = join(join(top, folder), rows[0][0].removesuffix(".jpg") + ending)
            if finder.file(first):
                return Listed(
                    f"RAF-DB, {_LIST}" + (" (aligned)" if ending.startswith("_") else ""),
                    [
                        ListedPicture(
                            join(join(top, folder), row[0].removesuffix(".jpg") + ending),
                            name,
                            "test" if row[0].startswith("test") else "train",
                        )
                        for row, name in zip(rows, names, strict=True)
                    ],
                    lists=[file],
                )
    raise InputError(f"{finder.tree.label(path)} lists {rows[0][0]}, which is not in Image/aligned or Image/original")
