"""An imitation of lab recordings: few people, each with several expressions, each a short film."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer.data import faces
from edgefer.labels import LABELS

EXPRESSIONS = ("happy", "sad", "surprise")
PEOPLE, FRAMES = 12, 4
Name = Callable[[int, str, int], str]  # person, expression, frame -> path in the class folder, without .png


@cache
def film(person: int, expression: str) -> NDArray[np.uint8]:
    """Return frames from neutral to an expression, uint8, (FRAMES, 48, 48): the same person, light and background."""
    rest, peak = (
        faces._draw(np.array([LABELS.index(label)]), np.random.default_rng(person))[0].astype(float)
        for label in ("neutral", expression)
    )
    shares = np.linspace(0.4, 1, FRAMES)[:, None, None]
    noise = np.random.default_rng([person, len(expression)]).normal(0, 2, (FRAMES, 48, 48))
    return np.clip((1 - shares) * rest + shares * peak + noise, 0, 255).astype(np.uint8)


def write(folder: Path, name: Name, people: int = PEOPLE) -> dict[bytes, int]:
    """Write the data set as class folders; return the person in each picture, by its pixels."""
    known = {}
    for person in range(people):
        for expression in EXPRESSIONS:
            for number, image in enumerate(film(person, expression)):
                file = folder / expression / f"{name(person, expression, number)}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(file)
                known[image.tobytes()] = person
    return known
