"""Expression names: the challenge's order, and the other names that data sets use for them."""

from __future__ import annotations

# The order of the labels 0 to 6 in the challenge's fer2013.csv.
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

_SYNONYMS = {
    "angry": ("anger", "ang", "angriness", "an"),
    "disgust": ("disgusted", "disgusting", "dis", "di"),
    "fear": ("fearful", "afraid", "scared", "fea", "fe"),
    "happy": ("happiness", "joy", "joyful", "smile", "smiling", "hap", "ha"),
    "sad": ("sadness", "sorrow", "unhappy", "sa"),
    "surprise": ("surprised", "suprise", "surprize", "astonished", "sur", "su"),
    "neutral": ("neutrality", "normal", "calm", "neu", "ne"),
}
_BY_NAME = {name: label for label, names in _SYNONYMS.items() for name in (label, *names)}


def canonical(name: str) -> str | None:
    """Return the label that `name` stands for, or None.

    Case, blanks and a leading number are ignored: ``3_Happiness`` and ``happy`` are the same class.
    """
    key = name.strip().lower().lstrip("0123456789").strip(" _-.")
    return _BY_NAME.get(key)
