"""CK+ as published: sequences of frames, some with an emotion.

Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR workshops 2010, and its ReadMeFirst.txt:
``cohn-kanade-images/S005/001/S005_001_00000011.png`` and ``Emotion/S005/001/S005_001_00000011_emotion.txt``, which
holds ``3.0000000e+00``. A sequence goes from a neutral face to the peak: its last three frames get its label and
the first one neutral, as in papers. The number after S is the person.
"""

from __future__ import annotations

from edgefer import labels
from edgefer.data.folders import is_picture
from edgefer.data.listed import Finder, Listed, ListedPicture, names_of, number
from edgefer.data.trees import join

_PICTURES = ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images", "cohn-kanade")
_EMOTIONS = ("Emotion", "Emotion_labels/Emotion")
_PEAK = 3  # frames


def find(finder: Finder) -> Listed | None:
    """Return the labelled frames of a CK+, or None."""
    pictures = next((place for place in _PICTURES if finder.folder(place)), None)
    emotions = next((place for place in _EMOTIONS if finder.folder(place)), None)
    if pictures is None or emotions is None:
        return None
    rows, lists = [], []
    for person in finder.folders(emotions):
        for sequence in finder.folders(join(emotions, person)):
            said = [file for file in finder.files(f"{emotions}/{person}/{sequence}") if file.path.endswith(".txt")]
            frames = [file.path for file in finder.files(f"{pictures}/{person}/{sequence}") if is_picture(file)]
            if not said or len(frames) < _PEAK + 1:
                continue
            text = finder.tree.read(said[0].path).decode("ascii", "replace")
            (name,) = names_of(finder, [number(text)], labels.ORDERS["ck+"])
            lists.append(said[0])
            rows.append(ListedPicture(frames[0], "neutral"))
            rows += [ListedPicture(frame, name) for frame in frames[-_PEAK:]]
    layout = f"CK+ sequences: the first frame neutral, the last {_PEAK} the sequence's emotion"
    return Listed(layout, rows, lists=lists) if rows else None
