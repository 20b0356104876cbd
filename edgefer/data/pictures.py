"""From picture files of any kind to images of one size and colour."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from edgefer import console
from edgefer.data.contents import Block, Contents
from edgefer.data.folders import ENDINGS, Pictures
from edgefer.data.trees import Tree
from edgefer.errors import InputError
from edgefer.lines import one_line

LARGEST_SIDE = 224
_MOST_PIXELS = 50_000_000
_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "GIF", "WEBP", "TIFF")
# What makes a grey picture of the right size another one than its pixels: it may be turned, or have holes.
_SPECIAL = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp", "transparency"}
_GREY_MODES = ("1", "L", "LA")
_IMAGES_IN_BLOCK = 256
_WHITES = (255, 4095, 65535)  # of 8, 12 and 16 bits
_ORIENTATION = ExifTags.Base.Orientation
_TURNS = {  # EXIF 2.3, 4.6.4: where row 0 and column 0 of the stored picture belong
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NotAlikeError(Exception):
    """A picture differs from what the first one promised."""


class _Unusable(ValueError):
    """A picture is whole, but of a kind that has no grey or colour of 8 or 16 bits."""


@dataclass(frozen=True)
class Form:
    """What all images of a data set are like.

    Attributes:
        side: height and width in pixels.
        grey: one channel, not three.
        alike: every picture is so already; nothing is to be cropped or converted.
    """

    side: int
    grey: bool
    alike: bool


def first_form(tree: Tree, pictures: Pictures) -> Form | None:
    """Return what all pictures are like if they are like the first, or None if that needs a look at each."""
    path = pictures.files[0].path
    with _of_tree(tree, path) as image:
        width, height = image.size
        simple = width == height <= LARGEST_SIDE and image.mode == "L"
        return Form(width, grey=True, alike=True) if simple else None


def survey(tree: Tree, pictures: Pictures) -> Form:
    """Look at every picture to find one form for all.

    The side is the median of the pictures' shorter sides, at most `LARGEST_SIDE`. Pictures that are stored in colour
    but have nothing but grey in them count as grey.

    Raises:
        InputError: a file is no picture.
    """
    sides = np.empty(len(pictures.files), dtype=np.int64)
    grey = True
    with console.progress("looking at pictures", len(sides)) as advance:
        for i, file in enumerate(pictures.files):
            with _of_tree(tree, file.path) as image:
                sides[i] = min(image.size)
                grey = grey and (image.mode in _GREY_MODES or _is_grey(plain(image)))
            advance()
    return Form(min(LARGEST_SIDE, int(np.median(sides))), grey, alike=False)


def read(tree: Tree, pictures: Pictures, form: Form, layout: str) -> Contents:
    """Return the contents of class folders; taking its blocks may raise NotAlikeError if ``form.alike``."""
    shape = (form.side, form.side) if form.grey else (form.side, form.side, 3)
    blocks = _blocks(tree, pictures, form, shape)
    return Contents(layout, pictures.classes, shape, pictures.usage, blocks, pictures.carved)


def _blocks(tree: Tree, pictures: Pictures, form: Form, shape: tuple[int, ...]) -> Iterator[Block]:
    with console.progress("reading pictures", len(pictures.files)) as advance:
        for start in range(0, len(pictures.files), _IMAGES_IN_BLOCK):
            part = slice(start, start + _IMAGES_IN_BLOCK)
            files = pictures.files[part]
            images = np.empty((len(files), *shape), dtype=np.uint8)
            hashes = []
            for target, file in zip(images, files, strict=True):
                content = tree.read(file.path)
                if pictures.carved:
                    hashes.append(hashlib.blake2b(content, digest_size=16).digest())
                with opened(io.BytesIO(content), tree.label(file.path), _MOST_PIXELS) as image:
                    target[:] = _as_it_is(image, form) if form.alike else _fitted(image, form)
            yield Block(images, pictures.labels[part], pictures.splits[part], pictures.rows[part], hashes)
            advance(len(files))


@contextmanager
def _of_tree(tree: Tree, path: str) -> Iterator[Image.Image]:
    with opened(io.BytesIO(tree.read(path)), tree.label(path), _MOST_PIXELS) as image:
        yield image


@contextmanager
def opened(source: Path | io.BytesIO, label: str, most_pixels: int) -> Iterator[Image.Image]:
    """Open a picture; whatever goes wrong with it, here or while it is open, is an InputError that names it.

    Args:
        source: a file, or its content.
        label: what the message calls it.
        most_pixels: that it may have.

    Raises:
        InputError: it is not there, cannot be read, is empty, no picture or damaged, or has too many pixels.
    """
    try:
        with Image.open(source, formats=_FORMATS) as image:
            width, height = image.size
            if width * height > most_pixels:
                raise InputError(
                    f"{label} has {width:,} x {height:,} pixels, which are more than {most_pixels:,}; make it smaller"
                )
            yield image
    except FileNotFoundError:
        raise InputError(f"{label} is not there") from None
    except UnidentifiedImageError:
        if not (source.stat().st_size if isinstance(source, Path) else source.getbuffer().nbytes):
            raise InputError(f"{label} is empty") from None
        raise InputError(f"{label} is no picture that edgefer reads ({', '.join(ENDINGS)})") from None
    except Image.DecompressionBombError:
        raise InputError(f"{label} has more than {most_pixels:,} pixels; make it smaller") from None
    except (NotAlikeError, InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise almost anything on a damaged file
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{label} cannot be read: {error.strerror}") from None
        reason = one_line(error, 120) or type(error).__name__
        what = "cannot be used" if isinstance(error, _Unusable) else "is a damaged picture"
        raise InputError(f"{label} {what} ({reason})") from error


def _as_it_is(image: Image.Image, form: Form) -> NDArray[np.uint8]:
    pixels = np.asarray(image)
    if not _SPECIAL.isdisjoint(image.info) or image.mode != "L" or pixels.shape != (form.side, form.side):
        raise NotAlikeError
    return pixels


def _fitted(image: Image.Image, form: Form) -> NDArray[np.uint8]:
    """Return the middle square of a picture at the form's size, uint8, as `Preprocessing` would take it."""
    picture = plain(image).convert("L" if form.grey else "RGB")
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    if side != form.side:
        picture = picture.resize((form.side, form.side), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def plain(image: Image.Image) -> Image.Image:
    """Return a picture upright, in mode L or RGB, 8 bits; what is transparent becomes white.

    It is `image` itself if that is so already: a copy of a telephone's picture is 200 MB.
    """
    picture = _upright(image)
    if picture.mode == "F":
        raise _Unusable("its pixels are floating-point numbers; store them as 8 or 16 bits")
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > _WHITES[-1]:
            raise _Unusable("its pixels have more than 16 bits")
        transparent = picture.info.get("transparency")
        holes = values == transparent if isinstance(transparent, int) else np.zeros_like(values, dtype=bool)
        brightest = values.max(where=~holes, initial=0)
        # Cameras of 12 bits and programs that count from 0 to 255 write into 16 bits too, where all is nearly black.
        # PGM says what is white, and Pillow has made that 65535.
        whites = _WHITES[-1:] if image.format == "PPM" else _WHITES
        white = next(white for white in whites if white >= brightest)
        values[holes] = white
        return Image.fromarray(((255 * values + white // 2) // white).astype(np.uint8))
    grey = picture.mode in _GREY_MODES
    if picture.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    mode = "L" if grey else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _upright(image: Image.Image) -> Image.Image:
    """Return a picture turned as its EXIF data say; what of them cannot be read does not matter.

    Pillow's own `exif_transpose` fails on a tag of another kind than it should be, the orientation being fine.
    """
    image.load()  # where it is the pixels that are damaged, that is an error
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow's reader of TIFF tags raises almost anything
        turn = None
    return image if turn is None else image.transpose(turn)


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode == "L":
        return True
    red, green, blue = np.moveaxis(np.asarray(picture), -1, 0)
    return bool((red == green).all() and (red == blue).all())
