"""A small FER2013, written in users' layouts."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer.labels import LABELS


@dataclass(frozen=True)
class Small:
    """Rows of a table in the challenge's order: images (n, 48, 48), emotions (n,), usages."""

    images: NDArray[np.uint8]
    emotions: NDArray[np.int64]
    usages: list[str]


def small() -> Small:
    """Four Training images of each class, one of PublicTest and one of PrivateTest."""
    usages = ["Training"] * 28 + ["PublicTest"] * 7 + ["PrivateTest"] * 7
    random = np.random.default_rng(7)
    images = random.integers(0, 256, (len(usages), 48, 48), dtype=np.uint8)
    return Small(images, np.array([random.permutation(7) for _ in range(6)]).ravel(), usages)


def row(image: NDArray[np.uint8], emotion: int, usage: str) -> str:
    return f"{emotion},{' '.join(map(str, image.ravel()))},{usage}"


def rows(data: Small) -> list[str]:
    return [row(*each) for each in zip(data.images, data.emotions.tolist(), data.usages, strict=True)]


def write_csv(path: Path, data: Small) -> Path:
    path.write_text("\n".join(["emotion,pixels,Usage", *rows(data)]) + "\n")
    return path


def write_icml_csv(path: Path, data: Small) -> Path:
    """Write the challenge's other table, with its leading blanks and column order."""
    lines = [f"{a},{c},{b}" for a, b, c in (line.split(",") for line in rows(data))]
    path.write_text("\r\n".join(["emotion, Usage, pixels", *lines]) + "\r\n")
    return path


def write_tar(path: Path, data: Small) -> Path:
    table = write_csv(path.with_name("to-pack.csv"), data)
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("fer2013/README"))
        archive.add(table, "fer2013/fer2013.csv")
    table.unlink()
    return path


def write_folder(path: Path, data: Small) -> Path:
    """Write the Kaggle layout: train/<class>/<Usage>_<row>.png, test/<class>/..."""
    for i, (image, emotion, usage) in enumerate(zip(data.images, data.emotions, data.usages, strict=True)):
        level = "train" if usage == "Training" else "test"
        write_picture(path / level / LABELS[emotion] / f"{usage}_{i:05}.png", image)
    return path


def write_picture(path: Path, image: NDArray[np.uint8] | None = None, seed: int = 0) -> Path:
    if image is None:
        image = np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def write_zip(path: Path, folder: Path, top: str = "") -> Path:
    """Pack a folder in another order than the rows'."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, top + file.relative_to(folder).as_posix())
    return path


def png(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def class_folders(path: Path, counts: dict[str, int], size: tuple[int, int] = (48, 48)) -> Path:
    """Write pictures of noise, a number in each of the folders."""
    for number, (folder, count) in enumerate(counts.items()):
        random = np.random.default_rng([number, count])
        for i in range(count):
            write_picture(path / folder / f"{i}.png", random.integers(0, 256, size, dtype=np.uint8))
    return path
