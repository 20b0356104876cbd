"""Which arrays and objects are accepted as pictures, and which ambiguous ones are refused.

The two tables are those of `Predictor.predict`'s docstring.
"""

from __future__ import annotations

import base64
import io
import itertools
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np
import pytest
import torch
from PIL import Image

import edgefer
from edgefer.errors import InputError, MissingExtra, MissingRequirement
from edgefer.inputs import pictures
from tests.helpers import samples


def _png(mode: str = "L") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (30, 20), 100).save(out, "PNG")
    return out.getvalue()


def _array(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    return (np.arange(np.prod(shape), dtype=np.int64) % 251).astype(dtype).reshape(shape)


class _Column(list[Any]):
    """A stand-in for pandas' Series and DataFrame."""

    ndim = 1

    def __array__(self) -> np.ndarray:
        return np.array(self)


class _Frame(_Column):
    ndim = 2


TAKEN = {  # inputs and the resulting shapes
    "grey": (_array(20, 30), [(20, 30)]),
    "grey with an axis": (_array(20, 30, 1), [(20, 30)]),
    "RGB": (_array(20, 30, 3), [(20, 30, 3)]),
    "RGBA": (_array(20, 30, 4), [(20, 30, 3)]),
    "stack of grey": (_array(5, 48, 48), [(48, 48)] * 5),
    "stack of one": (_array(1, 48, 48), [(48, 48)]),
    "as many as a side": (_array(48, 48, 48), [(48, 48)] * 48),
    "stack with an axis": (_array(3, 48, 48, 1), [(48, 48)] * 3),
    "stack of RGB": (_array(3, 48, 40, 3), [(48, 40, 3)] * 3),
    "stack of RGBA": (_array(2, 48, 40, 4), [(48, 40, 3)] * 2),
    "empty stack": (_array(0, 48, 48), []),
    "panorama": (_array(100, 2000, 3), [(100, 2000, 3)]),
    "grey panorama": (_array(100, 2000), [(100, 2000)]),
    "grey photograph of a square's width": (_array(768, 1024), [(768, 1024)]),
    "one row of pixels": (_array(1, 500), [(1, 500)]),
    "one pixel": (_array(1, 1), [(1, 1)]),
    "list": ([_array(20, 30), _array(9, 8, 3)], [(20, 30), (9, 8, 3)]),
    "list of a stack of three": (list(_array(3, 48, 48)), [(48, 48)] * 3),
    "list of one as wide as a flattened face": ([_array(1500, 2304)], [(1500, 2304)]),
    "tuple": ((_array(20, 30),), [(20, 30)]),
    "generator": ((each for each in _array(2, 48, 48)), [(48, 48)] * 2),
    "map": (map(np.asarray, _array(2, 48, 48)), [(48, 48)] * 2),
    "values of a dictionary": ({"a": _array(20, 30)}.values(), [(20, 30)]),
    "bytes": (_png(), [(20, 30)]),
    "bytes of an RGBA file": (_png("RGBA"), [(20, 30, 3)]),
    "data URI": ("data:image/png;base64," + base64.b64encode(_png()).decode(), [(20, 30)]),
    "data URI with percents": ("data:image/png," + quote_from_bytes(_png("RGB")), [(20, 30, 3)]),
    "BytesIO": (io.BytesIO(_png()), [(20, 30)]),
    "Pillow": (Image.new("RGB", (30, 20)), [(20, 30, 3)]),
    "Pillow with a palette": (Image.new("P", (30, 20)), [(20, 30, 3)]),
    "upside down": (_array(20, 30)[::-1], [(20, 30)]),
    "OpenCV's BGR turned": (_array(20, 30, 3)[..., ::-1], [(20, 30, 3)]),
    "Fortran's order": (np.asfortranarray(_array(20, 30, 3)), [(20, 30, 3)]),
    "matrix": (np.asmatrix(_array(20, 30)), [(20, 30)]),
    "column of a table": (_Column([_array(20, 30), _array(9, 8)]), [(20, 30), (9, 8)]),
    "nothing": ([], []),
}

REFUSED = {  # inputs and the error messages
    "channels first": (
        _array(3, 48, 48),
        r"may be 3 grey pictures or one picture with channels first; .*transpose\(1, 2, 0\)",
    ),
    "channels first, alpha": (_array(4, 48, 48), r"may be 4 grey pictures or one .* list\(array\)"),
    "channels first in a list": ([_array(3, 48, 48)], r"picture 0 has shape \(3, 48, 48\).*transpose\(1, 2, 0\)"),
    "one grey channel first in a list": ([_array(1, 48, 48)], r"picture 0 has shape .*transpose\(1, 2, 0\)"),
    "batch with channels first": (_array(5, 3, 48, 48), r"channels first; give array\.transpose\(0, 2, 3, 1\)"),
    "grey batch with channels first": (_array(5, 1, 48, 48), r"give array\.transpose\(0, 2, 3, 1\)"),
    "one batch of RGB": (_array(1, 3, 48, 48), r"give array\.transpose\(0, 2, 3, 1\)"),
    "MATLAB's order": (_array(48, 48, 100), r"\(48, 48, 100\) is ambiguous.*moveaxis\(array, -1, 0\)"),
    "MATLAB's order, few": (_array(48, 48, 5), r"moveaxis\(array, -1, 0\)"),
    "MATLAB's order, upright": (_array(60, 48, 1000), r"moveaxis\(array, -1, 0\)"),
    "MATLAB's order in colour": (_array(48, 48, 3, 100), r"\(48, 3, 100\)"),
    "MATLAB's order in colour, one": (_array(48, 48, 3, 1), r"not clearly \(N, H, W, C\)"),
    "a row of a table": (_array(2304), r"has shape \(2304,\)"),
    "rows of a table": (_array(10, 2304), r"10 flattened faces or one picture; .*reshape\(-1, height, width\)"),
    "as many rows as a photograph has": (_array(1728, 2304), r"1728 flattened faces .*, one picture as \[array\]"),
    "rows with an axis": (_array(10, 2304, 1), "10 flattened faces"),
    "rows of 100 x 100": (_array(7, 10000), "7 flattened faces"),
    "rows of 64 x 64 in colour": (_array(7, 3 * 64 * 64), "7 flattened faces"),
    "list of rows": (list(_array(3, 2304)), r"picture 0 has shape \(2304,\)"),
    "two channels": (_array(20, 30, 2), r"has shape \(20, 30, 2\); give \(H, W\)"),
    "five axes": (_array(1, 1, 20, 30, 3), "has shape"),
    "no axis": (np.array(7, np.uint8), r"has shape \(\)"),
    "no rows": (_array(0, 12), "has shape"),
    "no pixels in a stack": (_array(5, 0, 48), "has shape"),
    "too many pixels": (np.broadcast_to(np.uint8(7), (12_000, 11_000)), "more than 120,000,000 pixels"),
    "0 to 1": (_array(20, 30) / 255, r"array of float64; give uint8, 0 to 255: \(255 \* array\)\.round\(\)\.astype"),
    "float of 0 to 255": (_array(20, 30, dtype=np.float32), r"array of float32; .*: array\.astype\(np\.uint8\)"),
    "half": (_array(20, 30, dtype=np.float16), "array of float16"),
    "-1 to 1": (_array(20, 30) / 125 - 1, r"array of float64; give uint8, 0 to 255$"),
    "not a number": (np.full((20, 30), np.nan), r"array of float64; give uint8, 0 to 255$"),
    "int64": (_array(20, 30, dtype=np.int64), r"array of int64; .*: array\.astype\(np\.uint8\)"),
    "int16": (_array(20, 30, dtype=np.int16) - 100, r"array of int16; give uint8, 0 to 255$"),
    "int8": (np.full((20, 30), -1, np.int8), "array of int8"),
    "uint16": (_array(20, 30, dtype=np.uint16) * 200, r"array of uint16; give uint8, 0 to 255$"),
    "bool": (_array(20, 30) > 9, r"array of bool; .*: 255 \* array\.astype\(np\.uint8\)"),
    "complex": (_array(20, 30, dtype=complex), "array of complex128"),
    "empty float": (np.zeros((0, 12)), "array of float64"),
    "stack of float": (_array(5, 48, 48, dtype=float), "picture 0 is an array of float64"),
    "objects": (np.array([_array(20, 30), _array(9, 8)], dtype=object), "array of object"),
    "array of paths": (np.array(["a.png", "b.png"]), "array of <U5"),
    "fields": (np.zeros((20, 30), dtype=[("r", "u1"), ("g", "u1")]), "array of"),
    "masked": (np.ma.masked_greater(_array(20, 30), 9), r"masked array; .*array\.filled\(255\)"),
    "list of rows of numbers": ([[0, 1], [2, 3]], "picture 0 is not a picture: list"),
    "list of lists of arrays": ([[_array(20, 30)]], "picture 0 is not a picture: list"),
    "a gap": ([_array(20, 30), None], "picture 1 is not a picture: NoneType"),
    "tensor": (torch.zeros(3, 48, 48, dtype=torch.uint8), r"no picture: Tensor; .*permute\(1, 2, 0\)\.numpy\(\)"),
    "batch of tensors": (torch.zeros(2, 3, 48, 48), "no picture: Tensor"),
    "tensor without an axis": (torch.tensor(7), "no picture: Tensor"),
    "tensor of one axis": (torch.zeros(9), "picture 0 is not a picture: Tensor"),
    "list of tensors": ([torch.zeros(48, 48)], r"picture 0 is not a picture: Tensor; .*numpy\(\)"),
    "table": (_Frame([1]), "no picture: _Frame; give a uint8 NumPy array"),
    "number": (7, "no picture: int"),
    "NumPy's number": (np.uint8(7), "no picture: uint8"),
    "None": (None, "no picture: NoneType; give an array"),
    "dictionary": ({"a": _array(20, 30)}, "no picture: dict"),
    "set": ({"a.png", "b.png"}, "sets are unordered; give a list"),
    "bytearray": (bytearray(_png()), r"no picture: bytearray; give bytes\("),
    "memoryview": (memoryview(_png()), r"no picture: memoryview; give bytes\("),
    "text to read": (io.StringIO("x"), r"no picture: StringIO; give its content: file\.read\(\)"),
    "an open file": (io.BufferedReader(io.BytesIO(_png())), r"BufferedReader; give its content: file\.read\(\)"),
    "base64 as text": (base64.b64encode(_png()).decode(), r"picture 0 is base64 text; .*b64decode"),
    "base64 as bytes": (base64.b64encode(_png()), r"picture 0 is base64 text; .*b64decode"),
    "base64 of many letters": (base64.b64encode(bytes(range(256)) * 9).decode(), "picture 0 is base64 text"),
    "data URI without a comma": ("data:image/png", r"^data:image/png is not a data URI: it has no comma"),
    "data URI that is not base64": ("data:image/png;base64,a~b", "what follows the comma is not base64"),
    "data URI of a text": ("data:,hello", "^data:,hello is not a supported picture"),
    "address": ("http://127.0.0.1:9/a.png", r"^http://127\.0\.0\.1:9/a\.png is not fetched .*fetch=True"),
    "text of a million letters": ("x" * 1_000_000, "^x{200}... cannot be read: File name too long$"),
    "NUL in a path": ("a\0b.png", r"^a\\x00b\.png is not a path: it contains a NUL$"),
    "no bytes": (b"", "picture 0 is empty"),
    "floating-point Pillow": (Image.new("F", (12, 12)), "picture 0 cannot be used: its pixels are floating-point"),
    "Pillow without pixels": (Image.new("L", (0, 5)), "picture 0 has no pixels: 0 x 5"),
}


@pytest.mark.parametrize(("given", "shapes"), TAKEN.values(), ids=TAKEN)
def test_what_is_taken(given: Any, shapes: list[tuple[int, ...]]) -> None:
    found = list(pictures(given))
    assert [each.shape for each in found] == shapes
    assert all(each.dtype == np.uint8 for each in found)


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(given: Any, message: str) -> None:
    with pytest.raises((InputError, MissingRequirement), match=message) as caught:
        list(pictures(given))
    assert len(str(caught.value)) < 400


def _taken(array: np.ndarray) -> list[np.ndarray] | None:
    try:
        return list(pictures(array))
    except InputError:
        return None


def test_every_shape_and_type_is_answered_once_for_each_picture_or_refused_in_a_line(tmp_path: Path) -> None:
    """All shapes of up to four axes of typical lengths: no unexpected error, and no slivers as pictures."""
    lengths = (0, 1, 2, 3, 4, 5, 48, 64, 256)
    types = (np.uint8, np.int16, np.float32, bool, object)
    with edgefer.load(samples.write(tmp_path / "made").path, "fp32") as predictor:
        for axes in range(5):
            for number, shape in enumerate(itertools.product(lengths, repeat=axes)):
                if np.prod(shape) > 256 * 256 * 4:
                    continue
                array = np.full(shape, 7, types[number % 9] if number % 9 < len(types) else np.uint8)
                found = _taken(array)
                if found is None:
                    continue
                assert array.dtype == np.uint8 or not array.size
                whole = axes == 2 or (axes == 3 and shape[2] in (1, 3, 4))
                assert len(found) == (1 if whole else shape[0])
                assert not found or whole or found[0].shape[:2] == shape[1:3]
                assert whole or all(max(each.shape[:2]) <= 4 * min(each.shape[:2]) for each in found)
                if axes < 3 or number % 40 == 0:
                    assert len(predictor.predict(array)) == len(found)
                    assert len(predictor.predict_faces(array)) == len(found)


def test_a_content_that_was_read_to_its_end_is_read_again_and_left_where_it_was() -> None:
    content = io.BytesIO(_png())
    content.seek(0, io.SEEK_END)
    assert [each.shape for each in pictures(content)] == [(20, 30)]
    assert content.tell() == len(_png())


def _saved(frames: list[Image.Image], form: str) -> bytes:
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    return out.getvalue()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_that_shows_anything_is_taken(form: str) -> None:
    shows = Image.fromarray(_array(20, 30)).convert("RGB")
    later = Image.new("RGB", (30, 20), (250, 10, 10))
    blank = Image.new("RGB", (30, 20), (255, 255, 255))
    [found] = pictures(_saved([blank, blank, shows, later], form))
    grey = found if found.ndim == 2 else found[..., 0]
    assert np.abs(grey.astype(int) - _array(20, 30)).mean() < 8
    [found] = pictures(_saved([shows, blank], form))
    assert found.std() > 10
    [found] = pictures(_saved([blank, blank], form))
    assert (found == 255).all()


def test_avif_is_read_as_other_pictures_are(tmp_path: Path) -> None:
    picture = Image.fromarray(np.kron(_array(6, 8), np.ones((12, 12), np.uint8))).convert("RGB")
    wanted = np.asarray(picture)
    picture.save(tmp_path / "a.avif", quality=95)
    [found] = pictures(tmp_path / "a.avif")
    assert np.abs(found.astype(int) - wanted).mean() < 6


def test_heic_is_read_with_pillow_heif(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = Image.fromarray(np.kron(_array(6, 8), np.ones((12, 12), np.uint8))).convert("RGB")
    pillow_heif.from_pillow(picture).save(tmp_path / "a.heic", quality=95)
    [found] = pictures(tmp_path / "a.heic")
    assert np.abs(found.astype(int) - np.asarray(picture)).mean() < 6


def test_heic_without_pillow_heif_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(MissingExtra, match=r"pillow-heif, .* pip install 'edgefer\[heic\]'"):
        list(pictures(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)))


def test_an_address_is_fetched_and_read_where_that_is_allowed_and_never_asked_for_elsewhere(tmp_path: Path) -> None:
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/a.png")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(_png())

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        made = samples.write(tmp_path / "made").path
        with edgefer.load(made, network="fp32", device="cpu") as predictor:
            for give in (predictor.predict, predictor.predict_faces):
                with pytest.raises(InputError, match=r"is not fetched by default: .*fetch=True"):
                    give([f"{address}a.png"])
        assert asked == []
        with edgefer.load(made, network="fp32", device="cpu", fetch=True) as predictor:
            assert len(predictor.predict([f"{address}a.png", f"{address}moved"])) == 2
        for path in ("a.png", "moved"):
            [found] = pictures(address + path, fetch=True)
            assert found.shape == (20, 30)
        server.shutdown()
        with pytest.raises(MissingRequirement, match=r"^http://127\.0\.0\.1:9/a\.png cannot be reached: "):
            list(pictures("http://127.0.0.1:9/a.png", fetch=True))
