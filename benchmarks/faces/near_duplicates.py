"""Recall and false alarms of edgefer's near-duplicate search.

python benchmarks/faces/near_duplicates.py [FER2013.zip]

Found: one picture of each of FER2013's 1,516 groups of identical pictures is changed in twelve small ways, and the
share that is linked with its original counts, the others among the pictures. Wrongly found: 4,000 pictures of FER2013
against the mirror images of all others, which look like faces and are no near-duplicates, every pair compared.
Sequences: 60 synthetic people and 60 photographs of FER2013, five expressions or one, twelve frames each with jitter of
position, size, angle, light and noise; people in one group with others are wrong. Banding: of 4,000 pictures, those
that a comparison of every pair links and banding does not.
"""

from __future__ import annotations

import dataclasses
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import FER2013, protocol
from edgefer import data, paths, versions
from edgefer.data import faces, identical
from edgefer.data import near_duplicates as near
from edgefer.devices import machine

OUT = Path(__file__).parents[1] / "results" / "near_duplicates.json"
THRESHOLDS = (0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995)
SAMPLE, PEOPLE, FRAMES = 4000, 60, 12
Pixels = NDArray[np.uint8]


def resized(image: Pixels, side: int) -> Pixels:
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(image.shape[::-1], Image.Resampling.BILINEAR))


def jpeg(image: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def light(image: Pixels, gain: float, offset: float, gamma: float = 1.0) -> Pixels:
    return np.clip(255 * (image / 255) ** gamma * gain + offset, 0, 255).astype(np.uint8)


def crop(image: Pixels, left: int, top: int, right: int, bottom: int) -> Pixels:
    height, width = image.shape
    part = Image.fromarray(image).crop((left, top, width - right, height - bottom))
    return np.asarray(part.resize((width, height), Image.Resampling.BILINEAR))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "resized to 36 and back": lambda image: resized(image, 36),
    "resized to 24 and back": lambda image: resized(image, 24),
    "resized to 96 and back": lambda image: resized(image, 96),
    "JPEG 50": lambda image: jpeg(image, 50),
    "JPEG 30": lambda image: jpeg(image, 30),
    "brighter": lambda image: light(image, 0.9, 25),
    "darker": lambda image: light(image, 0.7, 0),
    "gamma 1.3": lambda image: light(image, 1, 0, 1.3),
    "1 pixel cut off each side": lambda image: crop(image, 1, 1, 1, 1),
    "1 pixel cut off left and top": lambda image: crop(image, 1, 1, 0, 0),
    "2 pixels cut off each side": lambda image: crop(image, 2, 2, 2, 2),
    "2 pixels cut off right and top, JPEG 50": lambda image: jpeg(crop(image, 0, 2, 2, 0), 50),
}


def frame(image: NDArray[np.float64], rng: np.random.Generator) -> Pixels:
    """Return a plausible next frame of a film: slightly moved, rotated and relit, with fresh noise."""
    height, width = image.shape
    angle, zoom = rng.normal(0, 0.01), 1 + rng.normal(0, 0.008)
    cosine, sine = np.cos(angle) * zoom, np.sin(angle) * zoom
    x, y = width / 2, height / 2
    right, down = rng.normal(0, 0.3, 2)
    matrix = (cosine, sine, x - cosine * x - sine * y + right, -sine, cosine, y + sine * x - cosine * y + down)
    moved = Image.fromarray(image.astype(np.float32)).transform(
        (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    pixels = np.asarray(moved) * rng.normal(1, 0.02) + rng.normal(0, 2, image.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def drawn(person: int) -> tuple[Pixels, list[int]]:
    """Return five sequences of a synthetic person, each from neutral to an expression."""
    looks = [faces._draw(np.array([label]), np.random.default_rng(person))[0].astype(float) for label in range(7)]
    rng = np.random.default_rng([person, 1])
    shares = np.linspace(0, 1, FRAMES)
    images = [frame((1 - t) * looks[6] + t * looks[label], rng) for label in range(5) for t in shares]
    return np.stack(images), [person] * len(images)


def photographed(unique: Pixels) -> tuple[Pixels, NDArray[np.int64]]:
    rng = np.random.default_rng(2)
    chosen = rng.choice(len(unique), PEOPLE, replace=False)
    images = np.stack([frame(unique[i].astype(float), rng) for i in chosen for _ in range(FRAMES)])
    return images, np.repeat(np.arange(PEOPLE), FRAMES)


def sequences(images: Pixels, people: NDArray[np.int64], threshold: float) -> dict[str, float]:
    """Return how a film's frames are linked: near-duplicates among 12 neighbours, and people in one group."""
    numbers = near.linked(near.describe(images), threshold)
    same = (numbers[1:] == numbers[:-1]) & (people[1:] == people[:-1])
    within = np.arange(1, len(people)) % FRAMES != 0
    of_group = [set(people[numbers == number].tolist()) for number in np.unique(numbers)]
    mixed = {person for each in of_group if len(each) > 1 for person in each}
    return {
        "next_frames_together": round(float(same[within].mean()), 4),
        "people_together_with_others": len(mixed),
        "largest_group": int(np.unique(numbers, return_counts=True)[1].max()),
    }


def best(asked: near.Vectors, known: near.Vectors, own: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the highest cosine between any view of each picture and another whole picture, over all pairs."""
    found = np.zeros(len(asked))
    whole = known[:, 0].astype(np.float32)
    for start in range(0, len(asked), 250):
        part = slice(start, start + 250)
        for view in range(asked.shape[1]):
            products = asked[part, view].astype(np.float32) @ whole.T
            products[np.arange(len(products)), own[part]] = 0
            found[part] = np.maximum(found[part], products.max(axis=1) / near._SCALE**2)
    return found


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else FER2013
    dataset = data.load(source)
    images = np.asarray(dataset.images)
    group = identical.groups(images)
    _, firsts, sizes = np.unique(group, return_index=True, return_counts=True)
    unique, twice = images[firsts], images[firsts[sizes > 1]]
    began = time.perf_counter()
    described = near.describe(images)
    seconds = {"describe": time.perf_counter() - began}
    began = time.perf_counter()
    near.linked(described)
    seconds["link"] = time.perf_counter() - began

    whole = described[firsts]
    changed = {name: near.describe(np.stack([change(image) for image in twice])) for name, change in CHANGES.items()}
    original = near.describe(twice)
    rng = np.random.default_rng(0)
    sample = rng.choice(len(unique), SAMPLE, replace=False)
    mirrored = best(whole[sample], near.describe(unique[:, :, ::-1]), sample)
    real = best(whole[sample], whole, sample)
    people = [drawn(person) for person in range(PEOPLE)]
    film = (np.concatenate([each for each, _ in people]), np.array([number for _, of in people for number in of]))
    photographs = photographed(unique)

    table = []
    for threshold in THRESHOLDS:
        found = {}
        for name, vectors in changed.items():
            numbers = near.linked(np.concatenate([original, vectors]), threshold)
            found[name] = round(float((numbers[: len(twice)] == numbers[len(twice) :]).mean()), 4)
        numbers = near.linked(whole, threshold)
        counts = np.bincount(numbers, minlength=len(numbers))
        linked = (real >= threshold).sum()
        missed = ((real >= threshold) & (counts[numbers[sample]] < 2)).sum()
        table.append(
            {
                "threshold": threshold,
                "found": found,
                "pictures_taken_for_a_mirrored_other": round(float((mirrored >= threshold).mean()), 5),
                "pictures_with_a_near_duplicate": round(float((real >= threshold).mean()), 5),
                "missed_by_banding": round(float(missed / max(1, linked)), 4),
                "fer2013": {
                    "groups": int((counts > 1).sum()),
                    "pictures": int(counts[counts > 1].sum()),
                    "largest": int(counts.max()),
                },
                "drawn_sequences": sequences(*film, threshold),
                "photographed_sequences": sequences(*photographs, threshold),
            }
        )
        print(table[-1])
    result = {
        "what": "near-duplicates found and wrongly found, by the least cosine that counts as one",
        "protocol": protocol(__doc__),
        "chosen": near.THRESHOLD,
        "images": {"fer2013": len(images), "different": len(unique), "identical_groups": len(twice)},
        "seconds_for_fer2013": {name: round(value, 2) for name, value in seconds.items()},
        "across_official_splits": dataclasses.asdict(data.audit(dataset).near_duplicates),
        "thresholds": table,
        "machine": machine.describe().model_dump(),
        "versions": versions.installed("numpy", "pillow"),
    }
    paths.write_json(OUT, result, indent=1)
    print(OUT, seconds)


if __name__ == "__main__":
    main()
