"""Published data sets: one module per layout, with a function that finds it in a tree of files.

A new layout is a module here and a row in `LAYOUTS`. It checks the tree, quickly if it does not apply,
and returns a list of pictures with labels; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable

from edgefer.data.layouts import affectnet, ck, expw, file_names, metadata, raf_db, roboflow
from edgefer.data.listed import Finder, Listed
from edgefer.data.reading import NOTHING, Reading
from edgefer.data.trees import Tree

LAYOUTS: tuple[Callable[[Finder], Listed | None], ...] = (
    raf_db.find,
    affectnet.find,
    expw.find,
    ck.find,
    file_names.find,
    roboflow.find,
)


def find(tree: Tree, reading: Reading = NOTHING) -> Listed | None:
    """Return the result of the first layout that recognizes a tree, or None.

    Raises:
        InputError: it is one of these layouts, and damaged.
    """
    finder = Finder(tree)
    described = metadata.find(finder, reading)
    return described or next((found for layout in LAYOUTS if (found := layout(finder)) is not None), None)
