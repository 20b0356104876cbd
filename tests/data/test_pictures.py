"""Pictures of any size, colour, depth and orientation become images of one form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data import sources
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from edgefer import bundle, data


def load_one(picture: Image.Image, path: Path, name: str = "x.png", **options: object) -> NDArray[np.uint8]:
    """Return what a picture becomes beside a plain one of another class."""
    (path / "happy").mkdir(parents=True)
    picture.save(path / "happy" / name, **options)
    shape = (picture.height, picture.width)
    sources.write_picture(path / "sad" / "y.png", np.zeros(shape, dtype=np.uint8))
    dataset = data.load(path)
    return np.asarray(dataset.images[dataset.labels == 0][0])


def gradient(height: int, width: int) -> NDArray[np.uint8]:
    down, right = np.mgrid[0:height, 0:width]
    return (down * 3 + right * 2).astype(np.uint8)


def test_grey_pictures_of_one_size_are_kept_as_they_are(tmp_path: Path) -> None:
    image = gradient(40, 40)

    assert np.array_equal(load_one(Image.fromarray(image), tmp_path), image)


def test_colour_is_kept_where_there_is_any(tmp_path: Path) -> None:
    image = np.stack([gradient(40, 40), 255 - gradient(40, 40), gradient(40, 40)], axis=-1)

    loaded = load_one(Image.fromarray(image), tmp_path)

    assert np.array_equal(loaded, image)


def test_grey_pictures_stored_in_colour_are_grey(tmp_path: Path) -> None:
    image = gradient(40, 40)

    loaded = load_one(Image.fromarray(np.repeat(image[:, :, None], 3, axis=2)), tmp_path)

    assert np.array_equal(loaded, image)


def test_a_palette_of_greys_is_grey(tmp_path: Path) -> None:
    image = gradient(40, 40)
    picture = Image.fromarray(image).convert("P")
    picture.putpalette([value for grey in range(256) for value in (grey, grey, grey)])

    assert np.array_equal(load_one(picture, tmp_path, "x.gif"), image)


def test_oblong_pictures_lose_their_ends(tmp_path: Path) -> None:
    image = gradient(40, 60)

    loaded = load_one(Image.fromarray(image), tmp_path)

    assert np.array_equal(loaded, image[:, 10:50])


def test_different_sizes_become_the_usual_one(tmp_path: Path) -> None:
    for i, side in enumerate((30, 64, 64, 64, 200)):
        sources.write_picture(tmp_path / ("happy" if i % 2 else "sad") / f"{i}.png", gradient(side, side))

    assert data.load(tmp_path).images.shape == (5, 64, 64)


def test_large_pictures_become_smaller(tmp_path: Path) -> None:
    picture = Image.fromarray(gradient(300, 700)).resize((700, 500))

    assert load_one(picture, tmp_path).shape == (224, 224)


def test_a_photograph_taken_with_the_camera_turned_is_upright(tmp_path: Path) -> None:
    image = np.zeros((40, 40), dtype=np.uint8)
    image[:20, 20:] = 250  # top right
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees clockwise to see it upright

    loaded = load_one(Image.fromarray(image), tmp_path, "x.jpg", exif=exif, quality=95)

    assert loaded[30, 30] > 240  # the top right went to the bottom right
    assert loaded[10, 30] < 10


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.webp"])
def test_a_grey_picture_that_is_turned_by_xmp_is_upright(name: str, tmp_path: Path) -> None:
    image = np.zeros((40, 40), dtype=np.uint8)
    image[:20, 20:] = 250  # top right
    said = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""
    options: dict[str, object] = {"xmp": said.encode()}
    if name == "x.png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", said)
        options = {"pnginfo": text}

    loaded = load_one(Image.fromarray(image), tmp_path, name, **options)

    assert loaded[30, 30] > 240
    assert loaded[10, 30] < 10


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_transparent_becomes_white(mode: str, tmp_path: Path) -> None:
    image = np.full((40, 40, 2), (90, 255), dtype=np.uint8)
    image[:, :20, 1] = 0

    loaded = load_one(Image.fromarray(image, "LA").convert(mode), tmp_path)

    assert (loaded[:, :20] == 255).all()
    assert (loaded[:, 20:] == 90).all()


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    image = gradient(40, 40)

    loaded = load_one(Image.fromarray(image.astype(np.uint16) * 257), tmp_path)

    assert np.array_equal(loaded, image)


def test_black_and_white_pictures(tmp_path: Path) -> None:
    image = gradient(40, 40) > 90

    loaded = load_one(Image.fromarray(image), tmp_path)

    assert np.array_equal(loaded, image * np.uint8(255))


@pytest.mark.parametrize("name", ["f" * 210, "two\nlines\x1b[2J", "\u3000" * 80])
def test_a_data_set_s_name_can_travel_into_manifests_and_tables(tmp_path: Path, name: str) -> None:
    load_one(Image.fromarray(gradient(40, 40)), tmp_path / name)
    dataset = data.load(tmp_path / name)
    said = bundle.Data(name=dataset.name, digest="0" * 64, drawn=False).name
    assert (said.isprintable(), 0 < len(said) <= 100) == (True, True)
