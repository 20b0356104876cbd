"""From picture files of any kind to images of one size and colour."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from edgefer import console, limits
from edgefer.data.contents import Contents, Groups, ImageBlock
from edgefer.data.folders import ENDINGS, Pictures
from edgefer.data.trees import Tree
from edgefer.errors import InputError
from edgefer.lines import one_line

LARGEST_SIDE = 224
_MAX_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "BMP", "PPM", "GIF", "WEBP", "TIFF")
# Metadata that changes a grey picture of the right size: rotation or transparency.
_SPECIAL = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp", "transparency"}
_GREY_MODES = ("1", "L", "LA")
_IMAGES_IN_BLOCK = 256
_WHITES = (255, 4095, 65535)  # of 8, 12 and 16 bits
_PIXELS_IN_BAND = 1 << 20
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}  # bytes of a pixel; 4 of others
_TAG_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # of a number, by type
_MAX_NUMBERS = 500_000  # per tag: a picture has at most as many strips as rows; tiles are larger
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_ALONE = (*range(0xC0), 0xD8)  # markers without a length
_ORIENTATION = ExifTags.Base.Orientation
_TURNS = {  # EXIF 2.3, 4.6.4: positions of row 0 and column 0 of the stored picture
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NotAlikeError(Exception):
    """A picture differs in form from the first one."""


class _Unusable(ValueError):
    """A picture is intact, but not in grey or colour of 8 or 16 bits."""


@dataclass(frozen=True)
class Form:
    """Common form of a data set's images.

    Attributes:
        side: height and width in pixels.
        grey: one channel, not three.
        alike: every picture already has this form; no cropping or conversion.
    """

    side: int
    grey: bool
    alike: bool


def first_form(tree: Tree, pictures: Pictures) -> Form | None:
    """Return the common form if all pictures are like the first, or None if each must be read."""
    path = pictures.files[0].path
    with opened(io.BytesIO(tree.read(path)), tree.label(path), _MAX_PIXELS) as image:
        width, height = image.size
        simple = width == height <= LARGEST_SIDE and image.mode == "L"
        return Form(width, grey=True, alike=True) if simple else None


def survey(tree: Tree, pictures: Pictures) -> Form:
    """Read every picture's header to find a common form.

    The side is the median of the pictures' shorter sides, at most `LARGEST_SIDE`. Grey pictures stored
    in colour count as grey.

    Raises:
        InputError: a file is not a picture.
    """
    sides = np.empty(len(pictures.files), dtype=np.int64)
    grey, work = True, _Work()
    with console.progress("reading pictures", len(sides)) as advance:
        for i, file in enumerate(pictures.files):
            content = tree.read(file.path)
            with opened(io.BytesIO(content), tree.label(file.path), _MAX_PIXELS) as image:
                work.add(image, content, tree.label(file.path))
                sides[i] = min(image.size)
                grey = grey and (image.mode in _GREY_MODES or _is_grey(plain(image, last=True)))
            advance()
    return Form(min(LARGEST_SIDE, int(np.median(sides))), grey, alike=False)


def problems(tree: Tree, pictures: Pictures) -> list[str]:
    """Return one message per unreadable picture."""
    found = []
    with console.progress("looking for damaged pictures", len(pictures.files)) as advance:
        for file in pictures.files:
            label = tree.label(file.path)
            try:
                with opened(io.BytesIO(tree.read(file.path)), label, _MAX_PIXELS) as image:
                    plain(image, last=True)
            except InputError as error:
                found.append(str(error))
            advance()
    return found


def read(tree: Tree, pictures: Pictures, form: Form, layout: str, groups: Groups | str) -> Contents:
    """Return the contents of class folders; reading its blocks may raise NotAlikeError if ``form.alike``."""
    shape = (form.side, form.side) if form.grey else (form.side, form.side, 3)
    blocks = _blocks(tree, pictures, form, shape)
    return Contents(layout, pictures.classes, shape, pictures.usage, blocks, pictures.carved, groups)


def _blocks(tree: Tree, pictures: Pictures, form: Form, shape: tuple[int, ...]) -> Iterator[ImageBlock]:
    work = _Work()
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
                with opened(io.BytesIO(content), tree.label(file.path), _MAX_PIXELS) as image:
                    work.add(image, content, tree.label(file.path))
                    target[:] = _as_it_is(image, form) if form.alike else _fitted(image, form)
            yield ImageBlock(images, pictures.labels[part], pictures.splits[part], pictures.rows[part], hashes)
            advance(len(files))


@contextmanager
def opened(
    source: Path | io.BytesIO, label: str, max_pixels: int, formats: tuple[str, ...] = FORMATS
) -> Iterator[Image.Image]:
    """Open a picture; all errors, here or while it is open, are InputErrors that name it.

    Args:
        source: a file, or its content.
        label: its name in messages.
        max_pixels: limit.
        formats: allowed formats, by Pillow's names.

    Raises:
        InputError: it is missing, unreadable, empty, damaged, not a picture, or has too many pixels.
    """
    if isinstance(source, Path):
        source = io.BytesIO(limits.read_bytes(source, limits.PICTURE, label))
    try:
        _check_tags(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # too large is an error here
            image = Image.open(source, formats=formats)
        with image:
            width, height = image.size
            if width * height > max_pixels:
                raise InputError(
                    f"{label} has {width:,} x {height:,} pixels, more than {max_pixels:,}; make it smaller"
                )
            _check_work(image, source, label)
            yield image
    except UnidentifiedImageError:
        if not source.getbuffer().nbytes:
            raise InputError(f"{label} is empty") from None
        raise InputError(f"{label} is not a supported picture ({', '.join(ENDINGS)})") from None
    except Image.DecompressionBombError:
        raise InputError(f"{label} has more than {max_pixels:,} pixels; make it smaller") from None
    except (NotAlikeError, InputError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise almost anything on a damaged file
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{label} cannot be read: {error.strerror}") from None
        reason = one_line(error, 120) or type(error).__name__
        what = "cannot be used" if isinstance(error, _Unusable) else "is a damaged picture"
        raise InputError(f"{label} {what} ({reason})") from error


def _check_tags(source: io.BytesIO) -> None:
    """Refuse a TIFF with tags that claim more than the file has: Pillow copies each tag's data.

    TIFF 6.0, section 2: a directory of entries of 12 bytes, in BigTIFF of 20.

    Raises:
        ValueError: it has such tags.
    """
    content = source.getbuffer()
    try:
        order = {b"II": "<", b"MM": ">"}.get(bytes(content[:2]))
        kind = struct.unpack_from(f"{order}H", content, 2)[0] if order else 0
        if kind == 42:
            start, count, each, form = struct.unpack_from(f"{order}I", content, 4)[0], "H", 12, "HHI"
        elif kind == 43:
            start, count, each, form = struct.unpack_from(f"{order}Q", content, 8)[0], "Q", 20, "HHQ"
        else:
            return
        entries = struct.unpack_from(f"{order}{count}", content, start)[0]
        first = start + struct.calcsize(f"{order}{count}")
        if entries > (len(content) - first) // each:
            raise ValueError("its list of tags is cut short")
        total = 0
        for number in range(entries):
            _, type_of, many = struct.unpack_from(f"{order}{form}", content, first + number * each)
            total += many * _TAG_BYTES.get(type_of, 1)
            if many > _MAX_NUMBERS and type_of not in (1, 2, 6, 7):  # bytes and text are not unpacked
                raise ValueError("one of its tags has too many numbers")
        if total > len(content):
            raise ValueError("its tags claim more bytes than it has")
    except struct.error:
        raise ValueError("its list of tags is cut short") from None
    finally:
        content.release()


def _check_work(image: Image.Image, source: io.BytesIO, label: str) -> None:
    """Refuse a picture that would exceed the time or memory in `edgefer.limits`, before it is read.

    Raises:
        InputError: it would.
    """
    pixels = image.width * image.height
    content = source.getbuffer()
    size = len(content)
    content.release()
    scans, coefficients = 1, 0.0
    if image.format in ("JPEG", "MPO"):
        scans = _scans(source.getvalue())
        if scans > limits.SCANS or scans * pixels > limits.SCANNED:
            raise InputError(f"{label} has {scans:,} scans of {pixels:,} pixels; save it again as a plain JPEG")
        layers = getattr(image, "layer", ())
        if scans > 1 and layers:  # all coefficients are kept until the last scan: int16, fewer with chroma subsampling
            widest = max(layer[1] for layer in layers) * max(layer[2] for layer in layers)
            coefficients = 2 * sum(layer[1] * layer[2] for layer in layers) / widest
    tiles = getattr(image, "tile", ())
    if pixels > limits.SLOW_PIXELS and tiles and tiles[0][0] in ("ppm_plain", "bmp_rle"):
        raise InputError(f"{label} has {pixels:,} pixels as text or runs; save it again as a PNG")
    stored = _STORED.get(image.mode, 4)
    grey = image.mode in _GREY_MODES or image.mode.startswith("I")
    array = 1 if grey else 3
    converted = 0 if image.mode in ("L", "RGB") else 1 if grey else 4
    decoding = stored + coefficients + (12 if image.format == "WEBP" else 0)  # libwebp's two canvases and their copy
    needed = size + pixels * max(decoding, 2 * stored, stored + converted + array)
    if needed > limits.PICTURE_MEMORY:
        raise InputError(
            f"{label} has {image.width:,} x {image.height:,} pixels of a kind that takes {needed / 1e6:,.0f} MB "
            f"of memory, more than {limits.PICTURE_MEMORY / 1e6:,.0f}; make it smaller"
        )


def _scans(content: bytes) -> int:
    """Return the number of scans of a JPEG, up to the end of its picture: a phone may append a video.

    ITU-T T.81, B.1.1: one or more 0xff bytes and a byte are a marker; in a scan 0xff is followed by 0 or a restart.
    """
    place = scans = 0
    while found := _MARKER.search(content, place):
        place, kind = found.end(), content[found.end() - 1]
        if kind == _END_OF_IMAGE:
            break
        scans += kind == _START_OF_SCAN
        if kind not in _ALONE:
            place += int.from_bytes(content[place : place + 2], "big")
    return scans


class _Work:
    """Limits a data set's pixels relative to its bytes on disk: few bytes can expand to many pixels."""

    def __init__(self) -> None:
        self.pixels, self.bytes = 0, 0

    def add(self, image: Image.Image, content: bytes, label: str) -> None:
        """Count a picture.

        Raises:
            InputError: there are more pixels than such files can plausibly have.
        """
        self.pixels, self.bytes = self.pixels + image.width * image.height, self.bytes + len(content)
        if self.pixels > limits.PIXELS + limits.PIXELS_A_BYTE * self.bytes:
            raise InputError(
                f"{label}: the pictures up to here have {self.pixels:,} pixels in {self.bytes:,} bytes; do not "
                f"trust them"
            )


def _as_it_is(image: Image.Image, form: Form) -> NDArray[np.uint8]:
    if image.size != (form.side, form.side):
        raise NotAlikeError
    pixels = np.asarray(image)
    if not _SPECIAL.isdisjoint(image.info) or image.mode != "L" or pixels.shape != (form.side, form.side):
        raise NotAlikeError
    return pixels


def _fitted(image: Image.Image, form: Form) -> NDArray[np.uint8]:
    """Return the middle square of a picture at the form's size, uint8, as for `Preprocessing`."""
    picture = plain(image, last=True).convert("L" if form.grey else "RGB")
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    if side != form.side:
        picture = picture.resize((form.side, form.side), Image.Resampling.BILINEAR)
    return np.asarray(picture)


def plain(image: Image.Image, last: bool = False) -> Image.Image:
    """Return a picture upright, in mode L or RGB, 8 bits; transparency becomes white.

    Returns `image` itself if possible: a copy of a phone's picture is 200 MB.

    Args:
        image: the picture.
        last: `image` is no longer needed, so its pixels may be freed once there is a rotated copy.
    """
    picture = _upright(image, last)
    if picture.mode == "F":
        raise _Unusable("its pixels are floating-point numbers; store them as 8 or 16 bits")
    if picture.mode.startswith("I"):
        return _eight_bits(picture, _WHITES[-1:] if image.format == "PPM" else _WHITES)
    mode = "L" if picture.mode in _GREY_MODES else "RGB"
    if picture.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in picture.info:

        def on_white(band: Image.Image) -> Image.Image:
            band = band.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", band.size, "white"), band).convert(mode)

        return _by_bands(picture, mode, on_white)
    return picture if picture.mode == mode else picture.convert(mode)


def _eight_bits(picture: Image.Image, whites: tuple[int, ...]) -> Image.Image:
    """Return a picture of 16 bits as one of mode L.

    12-bit cameras and programs with values from 0 to 255 also write 16 bits, which would look nearly
    black. (PGM states white; Pillow scales it to 65535.)

    Args:
        picture: of mode I or one of the modes of 16 bits.
        whites: possible values of white; the smallest that no pixel exceeds is used.
    """
    transparent = picture.info.get("transparency")
    hole = transparent if isinstance(transparent, int) else None
    brightest = 0
    for _, band in _bands(picture):
        values = np.asarray(band)
        if values.min() < 0 or values.max() > _WHITES[-1]:
            raise _Unusable("its pixels have more than 16 bits")
        seen = True if hole is None else values != hole
        brightest = max(brightest, int(values.max(where=seen, initial=0)))
    white = next(white for white in whites if white >= brightest)

    def scaled(band: Image.Image) -> Image.Image:
        values = np.asarray(band).astype(np.int64)
        if hole is not None:
            values[values == hole] = white
        return Image.fromarray(((255 * values + white // 2) // white).astype(np.uint8))

    return _by_bands(picture, "L", scaled)


def _bands(picture: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield a picture's rows in bands: first row, and the band."""
    rows = max(1, _PIXELS_IN_BAND // picture.width)
    for top in range(0, picture.height, rows):
        yield top, picture.crop((0, top, picture.width, min(top + rows, picture.height)))


def as_array(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a picture of mode L or RGB, uint8, (H, W) or (H, W, 3). Pillow's own way copies twice."""
    shape = (picture.height, picture.width)
    pixels = np.empty(shape if picture.mode == "L" else (*shape, 3), np.uint8)
    for top, band in _bands(picture):
        pixels[top : top + band.height] = np.asarray(band)
    return pixels


def _by_bands(picture: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Apply `change` to a picture by bands, to limit temporary memory."""
    made = Image.new(mode, picture.size)
    for top, band in _bands(picture):
        band.info = picture.info  # which colour is transparent
        made.paste(change(band), (0, top))
    return made


def _upright(image: Image.Image, last: bool) -> Image.Image:
    """Return a picture rotated by its EXIF data; unreadable EXIF data are ignored.

    Pillow's `exif_transpose` fails on invalid other tags even if the orientation is valid.
    """
    image.load()  # damaged pixels are an error
    written = [image.info.get("exif"), image.info.get("Raw profile type exif")]
    if any(isinstance(said, (bytes, str)) and len(said) > 3 * limits.EXIF for said in written):
        return image  # each tag may claim all of it
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow's reader of TIFF tags raises almost anything
        turn = None
    if turn is None:
        return image
    turned = image.transpose(turn)
    if last:
        image.close()
    return turned


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode == "L":
        return True
    red, green, blue = np.moveaxis(np.asarray(picture), -1, 0)
    return bool((red == green).all() and (red == blue).all())
