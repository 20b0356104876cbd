"""Built-in data: faces drawn from a seed, so that everything can be tried without a download.

48x48 grey, seven expressions. Every picture is another person in another pose and light. An expression is a set of
facial action units (the muscles of the Facial Action Coding System) that move brows, lids, nose and mouth; weak ones
look like neutral or like each other, as on photographs. Shapes are signed distances in numpy, a batch at a time.

Pixels are made with operations that IEEE 754 defines to the last bit (+, -, *, /, sqrt) from the bits of numpy's
PCG64, so a seed gives the same pictures on every machine and with every version of numpy. Keep it so: no exp, sin,
power, sums over an axis or numpy's own normal distribution in here, and raise `VERSION` when a pixel changes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefer import console
from edgefer.data.dataset import SPLITS, Dataset
from edgefer.labels import LABELS

VERSION = 1
SIDE = 48
_BATCH = 64  # pictures drawn together: their arrays stay in a core's cache
_PIXEL = np.float32(2 / SIDE)  # in face units: the picture is 2 wide and 2 high, (0, 0) in its middle, y down

# Share of each label, in the order of LABELS: uneven as in life, but none is rare.
_SHARES = (0.13, 0.10, 0.13, 0.20, 0.15, 0.14, 0.15)

# Action units of each expression at full strength (EMFACS, Ekman and Friesen 1983, with their usual companions):
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

_Array = NDArray[np.float32]


def builtin(seed: int = 0, train: int = 6000, val: int = 1000, test: int = 1000) -> Dataset:
    """Return drawn faces.

    Args:
        seed: another seed gives other faces.
        train: number of pictures in ``train``.
        val: number of pictures in ``val``.
        test: number of pictures in ``test``.
    """
    counts = (train, val, test)
    images = np.empty((sum(counts), SIDE, SIDE), dtype=np.uint8)
    labels = np.concatenate(
        [_labels(count, np.random.default_rng([seed, split])) for split, count in enumerate(counts)]
    )
    splits = np.repeat(np.arange(len(SPLITS), dtype=np.uint8), counts)
    rows = np.arange(len(labels), dtype=np.int64)
    with console.progress("drawing faces", len(labels)) as advance:
        for start in range(0, len(labels), _BATCH):
            part = slice(start, start + _BATCH)
            images[part] = _draw(labels[part], np.random.default_rng([seed, len(SPLITS), start]))
            advance(len(labels[part]))
    digest = hashlib.sha256()
    for array in (images, labels, splits, rows):
        digest.update(array.tobytes())
    return Dataset(
        "drawn faces", f"built in, seed {seed}", images, labels, splits, rows, LABELS, digest.hexdigest(), drawn=True
    )


def _labels(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return `count` labels in random order, each as often as `_SHARES` says."""
    ends = np.rint(np.cumsum(_SHARES) * count).astype(np.int64)
    labels = np.repeat(np.arange(len(LABELS)), np.diff(ends, prepend=0))
    return np.asarray(labels[np.argsort(rng.random(count), kind="stable")], dtype=np.int64)


@dataclass(frozen=True)
class _Chance:
    """Random numbers for n pictures, float32 of shape (n, 1, 1)."""

    rng: np.random.Generator
    n: int

    def between(self, low: float, high: float) -> _Array:
        return (low + (high - low) * self.rng.random((self.n, 1, 1))).astype(np.float32)

    def around(self, spread: float) -> _Array:
        """Between -3 and 3 times `spread`, most of them near 0: the sum of three, with standard deviation `spread`."""
        a, b, c = self.rng.random((3, self.n, 1, 1))
        return (2 * spread * (a + b + c - 1.5)).astype(np.float32)

    def sometimes(self, share: float) -> _Array:
        """1 for about that share of the pictures, 0 for the others."""
        return (self.rng.random((self.n, 1, 1)) < share).astype(np.float32)


def _draw(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return one picture for each label, uint8, (n, SIDE, SIDE)."""
    chance = _Chance(rng, len(labels))
    unit = _units(labels, chance)
    x = ((np.arange(SIDE, dtype=np.float32) + 0.5) * _PIXEL - 1)[None, None, :]
    y = x.transpose(0, 2, 1)

    # The pose in the picture's plane: a rotation by 2 atan(half), written without sine and cosine.
    half = chance.around(0.05)
    cosine, sine = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
    zoom = chance.between(1.0, 1.22)
    right, down = x - chance.around(0.05), y - chance.around(0.05)
    u, v = (cosine * right + sine * down) / zoom, (cosine * down - sine * right) / zoom

    image = _background(x, y, chance)
    skin, hair = chance.between(0.55, 0.82), chance.between(0.03, 0.45)
    hair = np.minimum(hair, skin - 0.15)
    width, height = chance.between(0.62, 0.74), chance.between(0.86, 0.96) + 0.06 * unit[26]

    # Behind the face: long hair, neck, shoulders, ears.
    crown = height + chance.between(0.02, 0.12)
    ends = chance.between(0.1, 0.4) + chance.sometimes(0.4) * chance.between(0.4, 1.0)  # of the hair, down
    _paint(image, _box(u, v - 0.9, 0.3 * width / 0.7, 0.6), 0.75 * skin)
    _paint(image, _ellipse(u, v - 1.5, 0.95, 0.55), chance.between(0.05, 0.95))
    mop = _ellipse(u, v - 0.5 * (ends - crown), width + 0.07, 0.5 * (ends + crown))
    _paint(image, mop, hair)
    _paint(image, _ellipse(np.abs(u) - width, v, 0.09, 0.17), 0.85 * skin)

    # The head, a ball lit from one side; the jaw is narrower than the brow.
    q = (v - 0.03) / height
    p = u / width * (1 + chance.between(0.0, 0.22) * q)
    depth = np.sqrt(np.maximum(1 - p * p - q * q, 0))
    lit = 0.62 + 0.42 * depth + chance.around(0.14) * p - chance.between(0.0, 0.12) * q
    head = _ellipse(p, q, 1.0, 1.0, _PIXEL / width)
    _paint(image, head, skin * lit)

    # Turned to a side or nodding: what is on the face moves, most in its middle, and the outline stays.
    u = u + chance.around(0.09) * width * np.maximum(1 - p * p, 0)
    v = v + chance.around(0.05) * height * np.maximum(1 - q * q, 0)

    # Where each of them can be: the rest of the picture is left out, for speed.
    skin = skin * chance.between(0.92, 1.0)
    low, high = np.s_[:, SIDE // 4 :], np.s_[:, : SIDE * 4 // 5]
    _nose(image[low], u[low], v[low], skin, unit, chance)
    _mouth(image[low], u[low], v[low], skin, hair, unit, chance)
    _eyes(image[high], u[high], v[high], width, skin, hair, unit, chance)
    _hair(image, u, v, np.maximum(head, mop), width, hair, chance)
    _occlude(image, x, y, skin, chance)
    return _camera(image, x, y, chance)


def _units(labels: NDArray[np.int64], chance: _Chance) -> dict[int, _Array]:
    """Return how far each action unit is pulled in each picture: 0 at rest, up to about 1.3."""
    table = np.array([[_EXPRESSIONS[label].get(unit, 0.0) for unit in _UNITS] for label in LABELS], dtype=np.float32)
    strength = chance.between(0.25, 1.1)
    units = {}
    for unit, full in zip(_UNITS, table.T, strict=True):
        pull = strength * full[labels][:, None, None] * chance.between(0.6, 1.2)
        units[unit] = pull + np.maximum(chance.around(0.12), 0)
    speaking = chance.sometimes(0.15)
    units[25] += speaking * chance.between(0.1, 0.6)
    units[26] += speaking * chance.between(0.0, 0.4)
    return units


def _background(x: _Array, y: _Array, chance: _Chance) -> _Array:
    """Return a wall with a gradient and the edge of something on it."""
    image = chance.between(0.05, 0.95) + chance.around(0.1) * x + chance.around(0.1) * y
    edge = x * chance.between(-1, 1) + y * chance.between(-1, 1) - chance.between(-0.6, 0.6)
    _paint(image, _step(edge, chance.between(0.05, 0.6)) * chance.sometimes(0.6), chance.between(0.05, 0.95))
    return image


def _nose(image: _Array, u: _Array, v: _Array, skin: _Array, unit: dict[int, _Array], chance: _Chance) -> None:
    raised = 0.05 * unit[9] + 0.02 * unit[10]
    length, breadth = chance.between(0.14, 0.24), chance.between(0.09, 0.14)
    tip = v - length + raised
    _paint(image, 0.35 * _blob(u, v - 0.0, 0.07, 0.3), 1.15 * skin)  # bridge
    side = chance.around(1.0)
    side = np.where(side < 0, np.float32(-1), np.float32(1))
    _paint(image, 0.5 * _blob(side * u - 0.09, v - 0.04, 0.06, 0.24), 0.62 * skin)  # its shadow
    _paint(image, 0.5 * _blob(u, tip + 0.03, 0.09, 0.08), 1.2 * skin)
    _paint(image, 0.55 * _lens(u, tip - 0.06, breadth + 0.03, 0.03, 0.0, 0.05), 0.45 * skin)
    _paint(image, 0.8 * _blob(np.abs(u) - 0.6 * breadth, tip - 0.045, 0.05, 0.04), 0.2 * skin)  # nostrils
    wrinkles = np.minimum(unit[9], 1)
    for height in (-0.2, -0.13, -0.06):
        _paint(image, 0.55 * wrinkles * _stroke(u, v - height, 0.11, -0.03, 0.018), 0.35 * skin)
    # From the nostrils to the corners of the mouth: deep when cheeks or the upper lip are raised.
    fold = 0.12 + 0.6 * unit[12] + 0.5 * unit[9] + 0.5 * unit[10] + 0.15 * unit[15] + chance.around(0.08)
    slope = np.abs(u) - breadth - 0.06 - 0.5 * np.maximum(tip + 0.02, 0)
    along = _step(tip + 0.02, _PIXEL) * _step(0.3 - tip, 0.15)
    _paint(image, np.clip(fold, 0, 0.8) * along * _edge(slope, 0.022), 0.45 * skin)


def _mouth(
    image: _Array, u: _Array, v: _Array, skin: _Array, hair: _Array, unit: dict[int, _Array], chance: _Chance
) -> None:
    smile, frown = unit[12], unit[15]
    drop = unit[26] * (1 - 0.5 * np.minimum(unit[20], 1))
    tight = np.minimum(unit[23], 1)
    width = chance.between(0.25, 0.31) * (1 + 0.32 * smile + 0.25 * unit[20] - 0.12 * tight - 0.28 * drop)
    lift = chance.around(0.018) + 0.15 * smile - 0.15 * frown - 0.03 * unit[20] - 0.15 * drop * (1 - 0.6 * smile)
    v = v - chance.between(0.46, 0.54) + 0.03 * unit[10] + 0.04 * unit[17] + 0.03 * smile
    u = u + chance.around(0.015)
    lift = lift * (1 + chance.around(0.15) * np.clip(4 * u, -1, 1))  # no mouth is even
    round_ = np.minimum(drop, 1)
    above = 0.05 * unit[25] * (1 - tight) + 0.03 * unit[26] + 0.07 * unit[10] * np.minimum(unit[25] + 0.3, 1)
    below = 0.07 * unit[25] * (1 - tight) + 0.27 * drop
    lip = chance.between(0.03, 0.06) * (1 - 0.7 * tight)
    shade = skin * chance.between(0.5, 0.8)

    beard = chance.sometimes(0.12)
    stubble = beard * chance.between(0.3, 0.9)
    chin = _blob(u, v - 0.1, 0.75, 0.6)
    _paint(image, np.minimum(stubble * 1.6 * chin, stubble), hair)

    shadow = 0.25 + 0.3 * unit[17]
    _paint(image, np.minimum(shadow, 0.6) * _blob(u, v - below - 0.17, 0.2, 0.07), 0.5 * skin)  # below the lip
    _paint(image, _lens(u, v, width, lift, above + lip, below + 1.4 * lip, round_), shade)
    gap = _lens(u, v, 0.94 * width, lift, above, below, round_)
    _paint(image, gap, chance.between(0.03, 0.12))
    teeth = np.clip(1.2 * smile + 0.9 * unit[10] + 0.7 * unit[20] + 0.2, 0, 1)
    rows = _lens(u, v, 0.86 * width, lift, above, np.minimum(below, 0.05 - 0.3 * above))
    _paint(image, teeth * np.minimum(gap, rows), chance.between(0.8, 1.0))
    _paint(image, 0.6 * gap * _blob(u, v - below, 0.6 * width, 0.5 * below + 0.02), 0.45)  # tongue
    _paint(image, (1 - gap) * 0.9 * _stroke(u, v + 0.5 * above, width, lift, 0.014), 0.3 * skin)
    corner = 0.3 + 0.4 * np.minimum(smile + frown, 1)
    _paint(image, corner * _blob(np.abs(u) - width, v + lift, 0.05, 0.06), 0.35 * skin)


def _eyes(
    image: _Array,
    u: _Array,
    v: _Array,
    width: _Array,
    skin: _Array,
    hair: _Array,
    unit: dict[int, _Array],
    chance: _Chance,
) -> None:
    apart = width * chance.between(0.42, 0.48)
    size = chance.between(0.14, 0.17)
    level = chance.between(-0.2, -0.12)
    narrow = np.clip(0.35 * unit[7] + 0.3 * unit[6] + 0.25 * unit[9], 0, 0.7)
    upper = chance.between(0.06, 0.085) * (1 + 0.7 * unit[5] - 0.7 * unit[43]) * (1 - 0.6 * narrow)
    lower = chance.between(0.045, 0.06) * (1 + 0.25 * unit[5]) * (1 - narrow)
    upper, lower = np.maximum(upper, 0.0), np.maximum(lower, 0.008)
    slant = chance.around(0.05)
    gaze, bow = chance.around(0.025), chance.around(0.012) + 0.02 * unit[43]
    iris, white = chance.between(0.04, 0.35), np.minimum(1.25 * skin, chance.between(0.85, 1.0))
    brow_height = chance.between(0.19, 0.24)
    brow_thick, brow_tilt, brow_arch = chance.between(0.03, 0.05), chance.around(0.025), chance.between(0.02, 0.06)
    brow_shade = np.minimum(0.8 * hair + 0.02, 0.55 * skin)
    glasses, rim = chance.sometimes(0.14), chance.between(0.03, 0.4)
    frame = chance.between(0.18, 0.22)
    dark = chance.sometimes(0.12) * 0.75

    for side, part in ((-1, np.s_[:, :, : SIDE * 4 // 5]), (1, np.s_[:, :, SIDE // 5 :])):
        eye = image[part]
        t = side * u[part] - apart  # grows outward
        w = v[part] - level - slant * t
        _paint(eye, 0.4 * _blob(t + 0.04, w + 0.08, 0.26, 0.17), 0.65 * skin)  # socket
        cheek = np.minimum(0.2 + 0.5 * unit[6] + 0.3 * unit[7], 0.7)
        _paint(eye, cheek * _stroke(t, w - lower - 0.055, 0.16, 0.03, 0.018), 0.55 * skin)  # bag
        opening = _lens(t, w, size, 0.0, upper, lower)
        _paint(eye, opening, white)
        _paint(eye, opening * _ellipse(t - side * gaze, w - bow, 0.07, 0.07), iris)
        _paint(eye, opening * _blob(t - side * gaze + side * 0.03, w - bow + 0.03, 0.03, 0.03), 0.95)
        lash = _stroke(t, w + upper, size + 0.02, -upper, 0.02)
        _paint(eye, 0.85 * lash, 0.2 * skin)
        _paint(eye, 0.35 * _stroke(t, w - lower, size, lower, 0.01), 0.4 * skin)
        _paint(eye, 0.3 * _stroke(t, w + upper + 0.05, size, -0.05, 0.012), 0.45 * skin)  # fold of the lid

        # The brow runs from its inner end (s = -1) to its outer end (s = 1).
        s = np.clip((t + 0.03 + 0.04 * unit[4]) / 0.2, -1.2, 1.2)
        inner = 0.15 * unit[1] - 0.13 * unit[4] - 0.03 * unit[9]
        outer = 0.12 * unit[2] - 0.02 * unit[4] - brow_tilt
        rise = 0.5 * (inner + outer) + 0.5 * (outer - inner) * s + brow_arch * (1 - s * s)
        ends = _step(0.2 - np.abs(t + 0.03 + 0.04 * unit[4]), 1.5 * _PIXEL)
        _paint(eye, 0.95 * ends * _edge(w + brow_height + rise, brow_thick * (1.15 - 0.35 * s)), brow_shade)

        _paint(eye, glasses * dark * _ellipse(t, w, frame, frame - 0.03), 0.1)
        ring = _ellipse(t, w, frame + 0.02, frame) - _ellipse(t, w, frame - 0.025, frame - 0.045)
        _paint(eye, glasses * ring, rim)

    _paint(image, glasses * _step(apart - frame - np.abs(u), _PIXEL) * _edge(v - level + 0.03, 0.02), rim)
    # Between and above the brows: upright lines when lowered, level ones when raised.
    v = v - level + brow_height
    frown = np.minimum(0.8 * unit[4], 0.8)
    _paint(image, frown * _edge(np.abs(u) - 0.045, 0.016) * _blob(u, v, 0.2, 0.16), 0.3 * skin)
    raised = np.minimum(0.3 * unit[1] + 0.3 * unit[2], 0.6)
    for height in (0.2, 0.3):
        _paint(image, raised * _stroke(u, v + height, 0.36, -0.03, 0.014), 0.45 * skin)


def _hair(image: _Array, u: _Array, v: _Array, where: _Array, width: _Array, hair: _Array, chance: _Chance) -> None:
    """Paint hair over the forehead: down to a hairline that is lower at the temples."""
    line = -0.62 + chance.around(0.07) - 0.6 * chance.sometimes(0.1)
    parting, bow = chance.around(0.15), chance.between(0.1, 0.6)
    across = u / width
    below = v - line - bow * across * across - parting * across
    _paint(image, where * _step(-below, 2 * _PIXEL), hair)


def _occlude(image: _Array, x: _Array, y: _Array, skin: _Array, chance: _Chance) -> None:
    """Lay a hand or some bar over part of one picture in ten."""
    here = chance.sometimes(0.1)
    half = chance.around(0.25)
    cosine, sine = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
    across = x * cosine + y * sine - chance.around(0.35)
    along = y * cosine - x * sine - chance.between(0.0, 0.6)
    thick = chance.between(0.1, 0.2)
    bar = _step(thick - np.abs(across), 1.5 * _PIXEL) * _step(along, 2 * _PIXEL)
    shade = np.where(chance.sometimes(0.6) > 0, 0.9 * skin, chance.between(0.05, 0.95))
    _paint(image, here * bar, shade * (1.1 - across * across / (thick * thick) * 0.3))


def _camera(image: _Array, x: _Array, y: _Array, chance: _Chance) -> NDArray[np.uint8]:
    """Return what a camera makes of a scene: light, tone curve, blur, noise, 8 bits."""
    image *= chance.between(0.95, 1.05) * (1 + chance.around(0.07) * x + chance.around(0.07) * y)
    image = np.clip(0.5 + chance.between(0.95, 1.25) * (image - 0.5), 0, 1)
    # Schlick's bias (Graphics Gems IV, 1994) in place of a gamma curve: the same shape, from a division alone.
    bias = 1 / chance.between(0.45, 0.55) - 2
    image = image / (bias * (1 - image) + 1)
    blur = chance.between(0.0, 0.33)
    for axis in (1, 2):
        before, after = np.roll(image, 1, axis), np.roll(image, -1, axis)
        image = image + blur * (before + after - 2 * image)
    # Four bytes added up are nearly normal and exact on every machine; 147.8 is their standard deviation.
    bits = np.frombuffer(chance.rng.bytes(4 * image.size), dtype=np.uint8).reshape(4, *image.shape)
    noise = bits.astype(np.float32)
    noise = noise[0] + noise[1] + noise[2] + noise[3] - 510
    image += noise * (chance.between(0.012, 0.042) / np.float32(147.8))
    return np.rint(np.clip(image * 255, 0, 255)).astype(np.uint8)


def _paint(image: _Array, cover: _Array, shade: _Array | float) -> None:
    """Mix `shade` into the image, in place: not at all where `cover` is 0, all of it where it is 1."""
    image += cover * (shade - image)


def _step(inside: _Array, soft: _Array | float) -> _Array:
    """Return 1 where `inside` (a signed distance, positive inside) is well above 0, 0 below, and a ramp between."""
    return np.clip(inside / soft + np.float32(0.5), 0, 1)


def _edge(distance: _Array, thickness: _Array | float) -> _Array:
    """Return how much of each pixel a line of half width `thickness` covers."""
    return np.maximum(_step(distance + thickness, _PIXEL) - _step(distance - thickness, _PIXEL), 0)


def _ellipse(
    u: _Array, v: _Array, width: _Array | float, height: _Array | float, soft: _Array | float = _PIXEL
) -> _Array:
    """Return the cover of an ellipse with these half axes around (0, 0), by Taubin's distance f / |grad f|."""
    a, b = u / width, v / height
    p, q = a / width, b / height
    slope = np.sqrt(p * p + q * q) + np.float32(1e-6)
    return _step((1 - a * a - b * b) / (2 * slope), soft)


def _box(u: _Array, v: _Array, width: _Array | float, height: _Array | float) -> _Array:
    return _step(np.minimum(width - np.abs(u), height - np.abs(v)), _PIXEL)


def _blob(u: _Array, v: _Array, width: _Array | float, height: _Array | float) -> _Array:
    """Return a soft spot: 1 in the middle, 0 from the ellipse with these half axes on."""
    a, b = u / width, v / height
    near = np.maximum(1 - a * a - b * b, 0)
    return near * near


def _lens(
    u: _Array,
    v: _Array,
    width: _Array | float,
    lift: _Array | float,
    above: _Array | float,
    below: _Array | float,
    roundness: _Array | float = 0.0,
) -> _Array:
    """Return the cover between two arches that meet at the corners (+-width, -lift).

    In the middle the upper one stands `above` over (0, 0) and the lower one `below` under it. They are parabolas where
    `roundness` is 0, and parts of an ellipse where it is 1.
    """
    a = u / width
    arch = 1 - a * a
    bent = v + lift * (1 - arch)
    if not isinstance(roundness, float):
        arch = arch + roundness * (np.sqrt(np.maximum(arch, 0)) - arch)
    return np.maximum(_step(below * arch - bent, _PIXEL) - _step(-above * arch - bent, _PIXEL), 0)


def _stroke(u: _Array, v: _Array, width: _Array | float, lift: _Array | float, thickness: _Array | float) -> _Array:
    """Return the cover of a bent line from (-width, -lift) over (0, 0) to (width, -lift)."""
    a = u / width
    return _edge(v + lift * a * a, thickness) * _step(width - np.abs(u), _PIXEL)
