"""Built-in data: synthetic faces from a seed, to try everything without a download.

48x48 grey, seven expressions. Each picture has its own person, pose and light. An expression is a set of
facial action units, which move brows, lids, nose and mouth; weak ones look neutral or like each
other, as in photographs. Light varies little, so a network fails on other brightness than it was trained with:
accuracy on these faces only shows whether a pipeline works.

A seed gives the same pictures on every machine and with every version of numpy: pixels come from PCG64's bits by
operations that IEEE 754 defines to the last bit (+, -, *, /, sqrt). So this file uses no exp, sin, powers, sums
over an axis or normal distributions of numpy. Increase `VERSION` when a pixel changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.data import cache
from edgefer.data.contents import Contents, ImageBlock
from edgefer.data.dataset import Dataset
from edgefer.data.shapes import PIXEL, SIDE, Array, ellipse, lens, line, paint, spot, step, stroke
from edgefer.errors import InputError
from edgefer.labels import LABELS

VERSION = 1
_BATCH = 64  # pictures drawn together: their arrays fit into a core's cache

# Share of each label, in the order of LABELS: uneven as in life, but none is rare.
_SHARES = (0.13, 0.10, 0.13, 0.20, 0.15, 0.14, 0.15)

# Action units of each expression at full strength (EMFACS, Friesen and Ekman 1983, with their usual companions):
# 1 and 2 raise the inner and outer brow, 4 lowers it, 5 raises the upper lid, 6 raises the cheek, 7 tightens the
# lids, 9 wrinkles the nose, 10 raises the upper lip, 12 pulls the mouth's corners up, 15 pulls them down, 17 raises
# the chin, 20 stretches the lips, 23 tightens them, 25 parts them, 26 drops the jaw, 43 lowers the upper lid.
_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 15, 17, 20, 23, 25, 26, 43)
_EXPRESSIONS: dict[str, dict[int, float]] = {
    "angry": {4: 1.0, 5: 0.5, 7: 0.7, 17: 0.4, 23: 1.0},
    "disgust": {4: 0.4, 6: 0.3, 7: 0.5, 9: 1.0, 10: 1.0, 15: 0.4, 17: 0.5, 25: 0.3},
    "fear": {1: 1.0, 2: 0.5, 4: 0.5, 5: 0.9, 20: 1.0, 25: 0.6, 26: 0.3},
    "happy": {6: 0.8, 12: 1.0, 25: 0.8, 26: 0.1},
    "sad": {1: 0.9, 4: 0.4, 15: 1.0, 17: 0.6, 43: 0.5},
    "surprise": {1: 1.0, 2: 1.0, 5: 0.9, 25: 0.3, 26: 1.0},
    "neutral": {},
}
_Pull = dict[int, Array]  # by action unit: 0 at rest, up to about 1.5, float32 (n, 1, 1)


def builtin(seed: int = 0, train: int = 6000, val: int = 1000, test: int = 1000) -> Dataset:
    """Return synthetic faces: generated the first time (about 8 s), then mapped from the cache.

    Args:
        seed: another seed gives other faces.
        train: number of pictures in ``train``.
        val: number of pictures in ``val``; which these are does not depend on the other numbers.
        test: number of pictures in ``test``; likewise.

    Raises:
        InputError: a number is negative, or there would be no picture.
        MissingRequirement: not enough disk space and memory.
    """
    counts = (train, val, test)
    if min(seed, *counts) < 0 or sum(counts) == 0:
        raise InputError("synthetic faces need a non-negative seed and counts, and at least one picture")
    name, origin = "synthetic faces", f"built in, seed {seed}"
    key = f"v{cache.FORMAT}-faces-v{VERSION}-{seed}-{train}-{val}-{test}"
    dataset = cache.read(key, name, origin)
    if dataset is None:
        try:
            dataset = cache.store(key, _contents(seed, counts), name, origin)
        except cache.CacheError as error:
            console.say(f"the data cache cannot be written ({error}); faces are generated in memory on each run")
            dataset = cache.hold(_contents(seed, counts), name, origin)
    return replace(dataset, synthetic=True)


def _contents(seed: int, counts: tuple[int, ...]) -> Contents:
    return Contents("synthetic, no photographs", LABELS, (SIDE, SIDE), False, _blocks(seed, counts))


def _blocks(seed: int, counts: tuple[int, ...]) -> Iterator[ImageBlock]:
    first = 0
    with console.progress("drawing faces", sum(counts)) as advance:
        for split, count in enumerate(counts):
            labels = _labels(count, np.random.default_rng([seed, split, 0]))
            for start in range(0, count, _BATCH):
                part = labels[start : start + _BATCH]
                images = _draw(part, np.random.default_rng([seed, split, 1, start]))
                rows = np.arange(first + start, first + start + len(part), dtype=np.int64)
                yield ImageBlock(images, part, np.full(len(part), split, dtype=np.uint8), rows)
                advance(len(part))
            first += count


def _labels(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return `count` labels in random order, each as often as `_SHARES` says."""
    ends = np.rint(np.cumsum(_SHARES) * count).astype(np.int64)
    labels = np.repeat(np.arange(len(LABELS), dtype=np.int64), np.diff(ends, prepend=0))
    return labels[np.argsort(rng.random(count), kind="stable")]


@dataclass(frozen=True)
class _Chance:
    """Random numbers for n pictures, float32 of shape (n, 1, 1)."""

    rng: np.random.Generator
    n: int

    def between(self, low: float, high: float) -> Array:
        """Any number from `low` to `high`."""
        number = low + (high - low) * self.rng.random((self.n, 1, 1))
        return number.astype(np.float32)

    def around(self, spread: float) -> Array:
        """A number around 0, with standard deviation `spread` and never over three times that: the sum of three."""
        a, b, c = self.rng.random((3, self.n, 1, 1))
        number: Array = 2 * spread * (a + b + c - 1.5)
        return number.astype(np.float32)

    def sometimes(self, share: float) -> Array:
        """1 for about that share of the pictures, 0 for the others."""
        return (self.rng.random((self.n, 1, 1)) < share).astype(np.float32)

    def rotation(self, spread: float) -> tuple[Array, Array]:
        """Cosine and sine of an angle around 0, `spread` in radians, from the tangent of its half."""
        half = self.around(spread / 2)
        return (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)


@dataclass(frozen=True)
class _Person:
    """Grey of skin and hair, and half the width and height of the head, each (n, 1, 1)."""

    skin: Array
    hair: Array
    width: Array
    height: Array


def _draw(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one picture for each label, uint8, (n, SIDE, SIDE)."""
    chance = _Chance(rng, len(labels))
    pull = _pull(labels, chance)
    x = ((np.arange(SIDE, dtype=np.float32) + 0.5) * PIXEL - 1)[None, None, :]
    y = x.transpose(0, 2, 1)
    image = _wall(x, y, chance)

    # The head's place in the picture: u and v are 0 between the eyes and the tip of the nose.
    cosine, sine = chance.rotation(0.1)
    zoom = chance.between(1.0, 1.22)
    right, down = x - chance.around(0.05), y - chance.around(0.05)
    u, v = (cosine * right + sine * down) / zoom, (cosine * down - sine * right) / zoom

    skin = chance.between(0.55, 0.82)
    hair = np.minimum(chance.between(0.03, 0.45), skin - 0.15)
    person = _Person(skin, hair, chance.between(0.62, 0.74), chance.between(0.86, 0.96) + 0.06 * pull[26])
    hairy, p, q = _head(image, u, v, person, chance)

    # Turned to a side or nodding: what is on the face moves, most in its middle, and the outline stays.
    u = u + chance.around(0.09) * person.width * np.maximum(1 - p * p, 0)
    v = v + chance.around(0.05) * person.height * np.maximum(1 - q * q, 0)

    # A part of the picture is enough for each, and faster.
    below, above = np.s_[:, SIDE // 4 :], np.s_[:, : SIDE * 4 // 5]
    _nose(image[below], u[below], v[below], person, pull, chance)
    _mouth(image[below], u[below], v[below], person, pull, chance)
    _eyes(image[above], u[above], v[above], person, pull, chance)
    _hairline(image, u, v, hairy, person, chance)
    _hand(image, x, y, person, chance)
    return _camera(image, x, y, chance)


def _pull(labels: NDArray[np.int64], chance: _Chance) -> _Pull:
    """Return how far each action unit is pulled in each picture."""
    table = np.array([[_EXPRESSIONS[label].get(unit, 0.0) for unit in _UNITS] for label in LABELS], dtype=np.float32)
    strength = chance.between(0.27, 1.12)
    pull = {}
    for unit, full in zip(_UNITS, table.T, strict=True):
        of_label = strength * full[labels][:, None, None] * chance.between(0.6, 1.2)
        pull[unit] = of_label + np.maximum(chance.around(0.12), 0)  # no face is quite at rest
    speaking = chance.sometimes(0.15)
    pull[25] = pull[25] + speaking * chance.between(0.1, 0.6)
    pull[26] = pull[26] + speaking * chance.between(0.0, 0.4)
    return pull


def _wall(x: Array, y: Array, chance: _Chance) -> Array:
    """Return a background: a gradient, often with the edge of something on it."""
    image: Array = chance.between(0.05, 0.95) + chance.around(0.1) * x + chance.around(0.1) * y
    edge = x * chance.between(-1, 1) + y * chance.between(-1, 1) - chance.between(-0.6, 0.6)
    paint(image, chance.sometimes(0.6) * step(edge, chance.between(0.05, 0.6)), chance.between(0.05, 0.95))
    return image


def _head(image: Array, u: Array, v: Array, person: _Person, chance: _Chance) -> tuple[Array, Array, Array]:
    """Paint shoulders, neck, hair, ears and the skin of the face.

    Returns:
        where hair can be; and `u` and `v` as shares of the head's half axes, both float32 (n, SIDE, SIDE).
    """
    skin = person.skin
    neck = np.minimum(0.43 * person.width - np.abs(u), v - 0.3)
    paint(image, step(neck), 0.75 * skin)
    paint(image, ellipse(u, v - 1.5, 0.95, 0.55), chance.between(0.05, 0.95))  # shoulders
    crown = person.height + chance.between(0.02, 0.12)
    ends = chance.between(0.1, 0.4) + chance.sometimes(0.4) * chance.between(0.4, 1.0)  # of the hair, below the eyes
    hair = ellipse(u, v - 0.5 * (ends - crown), person.width + 0.07, 0.5 * (ends + crown))
    paint(image, hair, person.hair)
    paint(image, ellipse(np.abs(u) - person.width, v, 0.09, 0.17), 0.85 * skin)  # ears

    # A ball lit from one side; the jaw is narrower than the forehead.
    q = (v - 0.03) / person.height
    p = u / person.width * (1 + chance.between(0.0, 0.22) * q)
    depth = np.sqrt(np.maximum(1 - p * p - q * q, 0))
    light = 0.62 + 0.42 * depth + chance.around(0.14) * p - chance.between(0.0, 0.12) * q
    face = ellipse(p, q, 1.0, 1.0, PIXEL / person.width)
    paint(image, face, skin * light)
    return np.maximum(face, hair), p, q


def _nose(image: Array, u: Array, v: Array, person: _Person, pull: _Pull, chance: _Chance) -> None:
    skin = person.skin
    length, breadth = chance.between(0.14, 0.24), chance.between(0.09, 0.14)
    tip = v - length + 0.05 * pull[9] + 0.02 * pull[10]
    dark_side = 2 * chance.sometimes(0.5) - 1
    paint(image, 0.35 * spot(u, v, 0.07, 0.3), 1.15 * skin)  # bridge
    paint(image, 0.5 * spot(dark_side * u - 0.09, v - 0.04, 0.06, 0.24), 0.62 * skin)
    paint(image, 0.5 * spot(u, tip + 0.03, 0.09, 0.08), 1.2 * skin)
    paint(image, 0.55 * lens(u, tip - 0.06, breadth + 0.03, 0.03, 0.0, 0.05), 0.45 * skin)
    paint(image, 0.8 * spot(np.abs(u) - 0.6 * breadth, tip - 0.045, 0.05, 0.04), 0.2 * skin)  # nostrils
    for height in (0.06, 0.13, 0.2):
        paint(image, 0.55 * np.minimum(pull[9], 1) * stroke(u, v + height, 0.11, -0.03, 0.018), 0.35 * skin)

    # The folds from the nostrils to the corners of the mouth: deep when the cheeks or the upper lip are raised.
    depth = 0.12 + 0.6 * pull[12] + 0.5 * pull[9] + 0.5 * pull[10] + 0.15 * pull[15] + chance.around(0.08)
    away = np.abs(u) - breadth - 0.06 - 0.5 * np.maximum(tip + 0.02, 0)
    along = step(tip + 0.02) * step(0.3 - tip, 0.15)
    paint(image, np.clip(depth, 0, 0.8) * along * line(away, 0.022), 0.45 * skin)


def _mouth(image: Array, u: Array, v: Array, person: _Person, pull: _Pull, chance: _Chance) -> None:
    skin = person.skin
    smile, frown = pull[12], pull[15]
    tight = np.minimum(pull[23], 1)
    drop = pull[26] * (1 - 0.5 * np.minimum(pull[20], 1))
    width = chance.between(0.25, 0.31) * (1 + 0.32 * smile + 0.25 * pull[20] - 0.12 * tight - 0.28 * drop)
    u = u + chance.around(0.015)
    v = v - chance.between(0.46, 0.54) + 0.03 * pull[10] + 0.04 * pull[17] + 0.03 * smile
    lift = chance.around(0.018) + 0.15 * smile - 0.15 * frown - 0.03 * pull[20] - 0.15 * drop * (1 - 0.6 * smile)
    lift = lift * (1 + chance.around(0.15) * np.clip(4 * u, -1, 1))  # no mouth is even
    above = 0.05 * pull[25] * (1 - tight) + 0.03 * pull[26] + 0.07 * pull[10] * np.minimum(pull[25] + 0.3, 1)
    below = 0.07 * pull[25] * (1 - tight) + 0.27 * drop
    lip = chance.between(0.03, 0.06) * (1 - 0.7 * tight)
    roundness = np.minimum(drop, 1)

    beard = chance.sometimes(0.12) * chance.between(0.3, 0.9)
    paint(image, beard * np.minimum(1.6 * spot(u, v - 0.1, 0.75, 0.6), 1), person.hair)
    shadow = np.minimum(0.25 + 0.3 * pull[17], 0.6)
    paint(image, shadow * spot(u, v - below - 0.17, 0.2, 0.07), 0.5 * skin)  # below the lip
    lips = lens(u, v, width, lift, above + lip, below + 1.4 * lip, roundness)
    paint(image, lips, skin * chance.between(0.5, 0.8))
    gap = lens(u, v, 0.94 * width, lift, above, below, roundness)
    paint(image, gap, chance.between(0.03, 0.12))
    shown = np.clip(1.2 * smile + 0.9 * pull[10] + 0.7 * pull[20] + 0.2, 0, 1)
    teeth = lens(u, v, 0.86 * width, lift, above, np.minimum(below, 0.05 - 0.3 * above))
    paint(image, shown * np.minimum(gap, teeth), chance.between(0.8, 1.0))
    paint(image, 0.6 * gap * spot(u, v - below, 0.6 * width, 0.5 * below + 0.02), 0.45)  # tongue
    paint(image, 0.9 * (1 - gap) * stroke(u, v + 0.5 * above, width, lift, 0.014), 0.3 * skin)  # where lips meet
    corner = 0.3 + 0.4 * np.minimum(smile + frown, 1)
    paint(image, corner * spot(np.abs(u) - width, v + lift, 0.05, 0.06), 0.35 * skin)


def _eyes(image: Array, u: Array, v: Array, person: _Person, pull: _Pull, chance: _Chance) -> None:
    """Paint eyes, brows, glasses and the forehead's wrinkles."""
    skin = person.skin
    apart, size = person.width * chance.between(0.42, 0.48), chance.between(0.14, 0.17)
    v = v - chance.between(-0.2, -0.12)
    slant = chance.around(0.05)
    squint = np.clip(0.35 * pull[7] + 0.3 * pull[6] + 0.25 * pull[9], 0, 0.7)
    upper = chance.between(0.06, 0.085) * (1 + 0.7 * pull[5] - 0.7 * pull[43]) * (1 - 0.6 * squint)
    lower = chance.between(0.045, 0.06) * (1 + 0.25 * pull[5]) * (1 - squint)
    upper, lower = np.maximum(upper, 0), np.maximum(lower, 0.008)
    gaze_right, gaze_down = chance.around(0.025), chance.around(0.012) + 0.02 * pull[43]
    iris, white = chance.between(0.04, 0.35), np.minimum(1.25 * skin, chance.between(0.85, 1.0))
    bag = np.minimum(0.2 + 0.5 * pull[6] + 0.3 * pull[7], 0.7)

    brow_height, brow_thickness = chance.between(0.19, 0.24), chance.between(0.03, 0.05)
    brow_tilt, brow_arch = chance.around(0.025), chance.between(0.02, 0.06)
    brow_shade = np.minimum(0.8 * person.hair + 0.02, 0.55 * skin)
    inner = 0.15 * pull[1] - 0.13 * pull[4] - 0.03 * pull[9]
    outer = 0.12 * pull[2] - 0.02 * pull[4] - brow_tilt

    glasses, rim, glass = chance.sometimes(0.14), chance.between(0.03, 0.4), chance.between(0.18, 0.22)
    dark = 0.75 * chance.sometimes(0.12)

    for side, columns in ((-1, np.s_[:, :, : SIDE * 4 // 5]), (1, np.s_[:, :, SIDE // 5 :])):
        part = image[columns]
        t = side * u[columns] - apart  # grows outward, from the middle of the eye
        w = v[columns] - slant * t
        paint(part, 0.4 * spot(t + 0.04, w + 0.08, 0.26, 0.17), 0.65 * skin)  # socket
        paint(part, bag * stroke(t, w - lower - 0.055, 0.16, 0.03, 0.018), 0.55 * skin)
        opening = lens(t, w, size, 0.0, upper, lower)
        paint(part, opening, white)
        right, down = t - side * gaze_right, w - gaze_down
        paint(part, opening * ellipse(right, down, 0.07, 0.07), iris)
        paint(part, opening * spot(right + side * 0.03, down + 0.03, 0.03, 0.03), 0.95)  # a lamp in it
        paint(part, 0.85 * stroke(t, w + upper, size + 0.02, -upper, 0.02), 0.2 * skin)  # lashes
        paint(part, 0.35 * stroke(t, w - lower, size, lower, 0.01), 0.4 * skin)
        paint(part, 0.3 * stroke(t, w + upper + 0.05, size, -0.05, 0.012), 0.45 * skin)  # fold of the lid

        along = t + 0.03 + 0.04 * pull[4]
        s = np.clip(along / 0.2, -1.2, 1.2)  # the brow runs from its inner end, -1, to its outer end, 1
        rise = 0.5 * (inner + outer) + 0.5 * (outer - inner) * s + brow_arch * (1 - s * s)
        brow = line(w + brow_height + rise, brow_thickness * (1.15 - 0.35 * s)) * step(0.2 - np.abs(along), 1.5 * PIXEL)
        paint(part, 0.95 * brow, brow_shade)

        paint(part, glasses * dark * ellipse(t, w, glass, glass - 0.03), 0.1)
        ring = ellipse(t, w, glass + 0.02, glass) - ellipse(t, w, glass - 0.025, glass - 0.045)
        paint(part, glasses * ring, rim)

    paint(image, glasses * step(apart - glass - np.abs(u)) * line(v + 0.03, 0.02), rim)  # over the nose
    between = line(np.abs(u) - 0.045, 0.016) * spot(u, v + brow_height, 0.2, 0.16)
    paint(image, np.minimum(0.8 * pull[4], 0.8) * between, 0.3 * skin)
    for height in (0.2, 0.3):
        wrinkle = stroke(u, v + brow_height + height, 0.36, -0.03, 0.014)
        paint(image, np.minimum(0.3 * pull[1] + 0.3 * pull[2], 0.6) * wrinkle, 0.45 * skin)


def _hairline(image: Array, u: Array, v: Array, where: Array, person: _Person, chance: _Chance) -> None:
    """Paint hair over the forehead, on some heads almost none."""
    height = 0.62 + chance.around(0.07) + 0.6 * chance.sometimes(0.1)
    parting, bow = chance.around(0.15), chance.between(0.1, 0.6)
    across = u / person.width
    over = bow * across * across + parting * across - height - v
    paint(image, where * step(over, 2 * PIXEL), person.hair)


def _hand(image: Array, x: Array, y: Array, person: _Person, chance: _Chance) -> None:
    """Hold a hand or something else before one face in ten."""
    held = chance.sometimes(0.1)
    cosine, sine = chance.rotation(0.5)
    across = x * cosine + y * sine - chance.around(0.35)
    along = y * cosine - x * sine - chance.between(0.0, 0.6)
    half = chance.between(0.1, 0.2)
    cover = step(half - np.abs(across), 1.5 * PIXEL) * step(along, 2 * PIXEL)
    shade = np.where(chance.sometimes(0.6) > 0, 0.9 * person.skin, chance.between(0.05, 0.95))
    paint(image, held * cover, shade * (1.1 - 0.3 * across * across / (half * half)))


def _camera(image: Array, x: Array, y: Array, chance: _Chance) -> NDArray[np.uint8]:
    """Return what a camera makes of a scene: light, tone curve, blur, noise, 8 bits."""
    image = image * (chance.between(0.95, 1.05) * (1 + chance.around(0.07) * x + chance.around(0.07) * y))
    image = np.clip(0.5 + chance.between(0.95, 1.25) * (image - 0.5), 0, 1)
    # Schlick's bias (Graphics Gems IV, 1994) in place of a gamma curve: much the same shape, from a division alone.
    bias = 1 / chance.between(0.45, 0.55) - 2
    image = image / (bias * (1 - image) + 1)
    blur = chance.between(0.0, 0.33)
    image = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    image = image[:, 1:-1] + blur * (image[:, :-2] + image[:, 2:] - 2 * image[:, 1:-1])
    image = image[:, :, 1:-1] + blur * (image[:, :, :-2] + image[:, :, 2:] - 2 * image[:, :, 1:-1])
    # Four random bytes added up are nearly normal, and exact; their standard deviation is 147.8.
    random = np.frombuffer(chance.rng.bytes(4 * image.size), dtype=np.uint8).reshape(4, *image.shape)
    a, b, c, d = random.astype(np.float32)
    image = image + (a + b + c + d - 510) * (chance.between(0.012, 0.042) / np.float32(147.8))
    levels: NDArray[np.uint8] = np.rint(np.clip(image * 255, 0, 255)).astype(np.uint8)
    return levels
