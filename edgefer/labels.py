"""Expression names: the known vocabulary with its synonyms, and the orders in which data sets number them.

A data set's labels are what it says. The vocabulary only unifies synonyms of an expression: other labels
are kept as written.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

# The order of the labels 0 to 6 in the challenge's fer2013.csv.
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CONTEMPT = "contempt"
VOCABULARY = (*LABELS, CONTEMPT)
MAX_LABELS = 100
MAX_LENGTH = 64  # characters of one, as in a manifest
_MIN_MISSPELT = 4  # characters: shorter words resemble too many others

_SYNONYMS = {
    "angry": ("anger", "ang", "angriness", "an"),
    "disgust": ("disgusted", "disgusting", "dis", "di"),
    "fear": ("fearful", "afraid", "scared", "fea", "fe"),
    "happy": ("happiness", "joy", "joyful", "smile", "smiling", "hap", "ha"),
    "sad": ("sadness", "sorrow", "unhappy", "sa"),
    "surprise": ("surprised", "suprise", "surprize", "astonished", "sur", "su"),
    "neutral": ("neutrality", "normal", "calm", "neu", "ne"),
    CONTEMPT: ("contemptuous", "con"),
}
_BY_NAME = {name: label for label, names in _SYNONYMS.items() for name in (label, *names)}

# Meaning of numbers, from each data set's documentation.
ORDERS: dict[str, dict[int, str]] = {
    # kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge, "Data"
    "fer2013": dict(enumerate(LABELS)),
    # whdeng.cn/RAF/model1.html, "Single-label Subset"; list_patition_label.txt
    "raf-db": dict(enumerate(("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), 1)),
    # mohammadmahoor.com/affectnet, "Expression"; 8 to 10 are none, uncertain and no face
    "affectnet": dict(enumerate(("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", CONTEMPT))),
    # mmlab.ie.cuhk.edu.hk/projects/socialrelation, readme of the Expression in-the-Wild data set
    "expw": dict(enumerate(LABELS)),
    # Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR workshops 2010; its ReadMeFirst.txt
    "ck+": dict(enumerate(("neutral", "angry", CONTEMPT, "disgust", "fear", "happy", "sad", "surprise"))),
    # github.com/microsoft/FERPlus, README: the columns of fer2013new.csv
    "ferplus": dict(enumerate(("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", CONTEMPT))),
}
_GUESSES = ("raf-db", "fer2013", "affectnet")  # in which numbered labels are tried


def canonical(name: str) -> str | None:
    """Return the known expression of `name`, or None.

    Case, blanks and a leading number are ignored: ``3_Happiness`` and ``happy`` are the same class.
    """
    key = name.strip().lower().lstrip("0123456789").strip(" _-.")
    return _BY_NAME.get(key)


def label_of(name: str) -> str:
    """Return a word's label: a known expression, else the word as written."""
    return canonical(name) or name.strip()


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Return labels in canonical order: the vocabulary's first, then numbers by value, then the rest by name."""

    def key(name: str) -> tuple[int, int, str]:
        if name in VOCABULARY:
            return (0, VOCABULARY.index(name), "")
        return (1, int(name), "") if is_number(name) else (2, 0, name)

    return tuple(sorted(set(names), key=key))


def possible(name: str) -> bool:
    """Return whether a label can be shown and kept: 1 to `MAX_LENGTH` printable characters."""
    return name.isprintable() and 0 < len(name) <= MAX_LENGTH


def near(name: str) -> str | None:
    """Return the known expression that a label may be a misspelling of, or None: ``hapy``."""
    if canonical(name) is not None or len(name) < _MIN_MISSPELT:
        return None
    found = difflib.get_close_matches(name.lower(), [each for each in _BY_NAME if len(each) >= _MIN_MISSPELT], 1, 0.82)
    return _BY_NAME[found[0]] if found else None


def is_number(name: str) -> bool:
    """Return whether a label is a number, without meaning by itself."""
    return re.fullmatch(r"\d{1,6}", name, re.ASCII) is not None


def numbered(names: Sequence[str]) -> bool:
    """Return whether all labels of a data set are numbers."""
    return bool(names) and all(map(is_number, names))


def guess(names: Sequence[str]) -> str | None:
    """Return the name of the order in `ORDERS` with these numbers, or None. A guess, to be confirmed."""
    numbers = {int(name) for name in names}
    return next((order for order in _GUESSES if numbers == ORDERS[order].keys()), None)


def spelled(order: Mapping[int, str]) -> str:
    """Return an order for display: ``1 surprise, 2 fear, ...``."""
    return ", ".join(f"{number} {label}" for number, label in order.items())
