"""Pictures of any size, colour, depth and orientation become images of one format."""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from edgefer import bundle, data, inputs
from edgefer.batch import sources as batch_sources
from edgefer.cropping.sources import of_data
from edgefer.data.pictures import as_array, opened, plain
from edgefer.errors import InputError
from tests.helpers import sources


def load_one(picture: Image.Image, path: Path, name: str = "x.png", **options: Any) -> NDArray[np.uint8]:
    """Return a picture's image, loaded with a plain one of another class."""
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


def phone_pictures(top: Path, rng: np.random.Generator, turned: bool) -> Path:
    """Write two portraits a label, 40x60, and lists of them; `turned`: on their side, as a phone stores them."""
    lines, boxes = ["file,label"], ["file,xmin,ymin,xmax,ymax,label"]
    for number, label in enumerate(("happy", "happy", "sad", "sad")):
        portrait = Image.fromarray(rng.integers(0, 256, (60, 40, 3), dtype=np.uint8))
        exif = Image.Exif()
        if turned:
            portrait, exif[0x0112] = portrait.transpose(Image.Transpose.ROTATE_90), 6
        file = top / "faces" / label / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        portrait.save(file, exif=exif)
        lines.append(f"faces/{label}/{number}.png,{label}")
        boxes.append(f"faces/{label}/{number}.png,4,20,40,56,{label}")
    (top / "list.csv").write_text("\n".join(lines))
    (top / "boxes.csv").write_text("\n".join(boxes))
    with zipfile.ZipFile(top / "faces.zip", "w") as archive:
        for file in (top / "faces").rglob("*.png"):
            archive.write(file, file.relative_to(top))
    return top


def test_a_phones_portrait_is_upright_wherever_pictures_are_read(tmp_path: Path) -> None:
    plain_ones = phone_pictures(tmp_path / "plain", np.random.default_rng(0), turned=False)
    turned = phone_pictures(tmp_path / "turned", np.random.default_rng(0), turned=True)

    for name in ("faces", "faces.zip", "list.csv", "boxes.csv"):
        assert np.array_equal(data.load(turned / name).images, data.load(plain_ones / name).images), name

    files = sorted((turned / "faces").rglob("*.png"))
    expected = [np.asarray(Image.open(plain_ones / file.relative_to(turned))) for file in files]
    assert [each.shape for each in expected] == 4 * [(60, 40, 3)]
    with of_data(turned / "faces") as to_crop:
        shards = batch_sources.shards([str(turned / "faces")], {}, rows=4)
        for found in (
            list(inputs.pictures(files)),
            [each.read() for each in to_crop],
            [each.read() for shard in shards for each in batch_sources.ShardReader().pictures(shard)],
        ):
            assert len(found) == len(expected)
            assert all(map(np.array_equal, found, expected))


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
    said = bundle.DataEntry(name=dataset.name, digest="0" * 64, synthetic=False).name
    assert (said.isprintable(), 0 < len(said) <= 100) == (True, True)


def _scans(path: Path) -> None:
    """A progressive JPEG with its last scan repeated a thousand times: a small decompression bomb."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 90).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content[content.rindex(b"\xff\xda") : -2]
    path.write_bytes(content[:-2] + last * 1000 + b"\xff\xd9")


def _claiming_tags(path: Path) -> None:
    """A 60 kB TIFF: each of its 5,000 tags claims the whole file."""
    tags = b"".join(struct.pack("<HHII", 0x8000 + number, 7, 60_000, 8) for number in range(5000))
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 5000) + tags + bytes(4))


def _many_strips(path: Path) -> None:
    tags = struct.pack("<HHII", 256, 3, 1, 8) + struct.pack("<HHII", 273, 3, 600_000, 8)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, 2) + tags + bytes(1_300_000))


def _plain_text(path: Path) -> None:
    path.write_bytes(b"P2 4000 4000 255\n" + b"1 " * 10)


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("x.jpg", _scans, "has 1,0.. scans"),
        ("x.tif", _claiming_tags, "claim more bytes than it has"),
        ("x.tif", _many_strips, "too many numbers"),
        ("x.pgm", _plain_text, "as text or runs"),
        ("x.png", os.mkfifo, "not a regular file"),
    ],
)
def test_a_picture_that_asks_for_too_much_work_is_refused_before_it_is_read(
    tmp_path: Path, name: str, write: Callable[[Path], None], said: str
) -> None:
    write(tmp_path / name)
    with (
        pytest.raises(InputError, match=said) as caught,
        opened(tmp_path / name, name, 120_000_000) as image,
    ):
        plain(image)
    assert "\n" not in str(caught.value)


def test_a_film_behind_a_telephone_s_picture_and_a_picture_within_it_are_no_scans(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    Image.new("L", (8, 8), 90).save(thumbnail, "JPEG")
    exif = thumbnail.getvalue() + b"\xff\xda" * 1000
    picture = io.BytesIO()
    Image.new("L", (64, 64), 90).save(picture, "JPEG", comment=exif)
    film = random.Random(0).randbytes(12 << 20)
    assert film.count(b"\xff\xda") > 100
    (tmp_path / "x.jpg").write_bytes(picture.getvalue() + film)
    with opened(tmp_path / "x.jpg", "x.jpg", 120_000_000) as image:
        assert plain(image).size == (64, 64)


def test_a_folder_of_few_bytes_and_many_pixels_is_refused(tmp_path: Path) -> None:
    for label in ("happy", "sad"):
        (tmp_path / "train" / label).mkdir(parents=True)
        for number in range(5):
            Image.new("1", (6900, 6900)).save(tmp_path / "train" / label / f"{number}.png")
    with pytest.raises(InputError, match="do not trust them"):
        data.load(tmp_path)


def test_what_is_transparent_and_what_is_deep_is_the_same_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    kinds = [
        Image.fromarray(random.integers(0, 256, (40, 30, 4), dtype=np.uint8)),
        Image.fromarray(random.integers(0, 4096, (40, 30)).astype(np.uint16)),
        Image.fromarray(random.integers(0, 256, (40, 30, 2), dtype=np.uint8)),
    ]
    palette = Image.fromarray(random.integers(0, 9, (40, 30), dtype=np.uint8)).convert("P")
    palette.info["transparency"] = 3
    whole = [np.asarray(plain(picture)) for picture in (*kinds, palette)]
    monkeypatch.setattr("edgefer.data.pictures._PIXELS_IN_BAND", 70)
    for picture, expected in zip((*kinds, palette), whole, strict=True):
        banded = plain(picture)
        assert (np.asarray(banded) == expected).all()
        assert (as_array(banded) == expected).all()
