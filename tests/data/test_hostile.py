"""Small sources that claim to be large: refused before memory or time is spent on them."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefer import data, limits
from edgefer.errors import InputError
from tests.helpers import sources

_MAX_MEMORY = 400 << 20  # bytes that reading may add; each of these sources asks for a gigabyte or more


def _tar(path: Path, kind: bytes, size: int = 1 << 30, count: int = 1) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, size
    with gzip.open(path, "wb", 6) as file:
        for _ in range(count):
            file.write(member.tobuf(tarfile.GNU_FORMAT))
            for _ in range(min(size, 1 << 26) >> 20):
                file.write(bytes(1 << 20))
        file.write(bytes(1024))


def _headers_in_a_row(path: Path) -> None:
    """Long names nested before long names: tarfile recurses for each."""
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1
    with gzip.open(path, "wb") as file:
        file.write((member.tobuf() + b"y" + bytes(511)) * 5000 + bytes(1024))


def _gzip_with_a_long_name(path: Path) -> None:
    """The name in gzip's own header; the Python reader reads it byte by byte."""
    path.write_bytes(b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * (64 << 20))


def _deep_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/" * 32_000 + "x.png", b"")


def _many_entries(path: Path) -> None:
    """A 65 MB directory, according to the end of the zip."""
    path.write_bytes(b"PK\x01\x02" + bytes((65 << 20) - 4))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 65 << 20, 0, 0)
    with path.open("ab") as file:
        file.write(end)


def _inflating_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"train/happy/{number}.bmp", bytes(60 << 20))


def _blank_lines(path: Path) -> None:
    path.write_bytes(b"emotion,pixels,Usage\n" + b"\n" * (8 << 20))


def _holes(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"emotion,pixels,Usage\n")
        file.truncate(1 << 30)


HOSTILE: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "a long name in a tar": ("x.tar.gz", lambda path: _tar(path, b"L"), "it contains a name of"),
    "a pax header of a tar": ("x.tar.gz", lambda path: _tar(path, b"x"), "it contains a name of"),
    "a global pax header of a tar": ("x.tar.gz", lambda path: _tar(path, b"g"), "it contains a name of"),
    "long names in a row": ("x.tar.gz", _headers_in_a_row, "has no fer2013.csv"),
    "padding members": ("x.tar.gz", lambda path: _tar(path, b"0", 1 << 38), "before its table"),
    "many sparse headers": ("x.tar.gz", lambda path: _tar(path, b"S", 64 << 20), "has no fer2013.csv"),
    "a long name in gzip's header": ("x.tar.gz", _gzip_with_a_long_name, "incomplete"),
    "a deep name in a zip": ("x.zip", _deep_zip, "too long or too deep"),
    "a long directory of a zip": ("x.zip", _many_entries, "more entries than edgefer reads"),
    "a zip that inflates": ("x.zip", _inflating_zip, "would expand to"),
    "blank lines": ("x.csv", _blank_lines, "empty lines"),
    "holes": ("x.csv", _holes, "nearly all sparse"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_source_that_asks_for_too_much_is_refused_within_bounds(tmp_path: Path, what: str) -> None:
    name, write, said = HOSTILE[what]
    write(tmp_path / name)
    script = (
        "import resource, sys\nfrom edgefer import data\nfrom edgefer.errors import InputError\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({_MAX_MEMORY}, {_MAX_MEMORY}))\n"
        "try:\n    data.load(sys.argv[1])\nexcept InputError as error:\n    print(error)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / name)], capture_output=True, text=True, timeout=300, check=True
    )
    assert said in answer.stdout
    assert answer.stdout.count("\n") == 1


def test_a_link_to_itself_and_a_pipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("loop.csv", "pipe.csv"):
        with pytest.raises(InputError, match=name):
            data.load(tmp_path / name)


def test_a_tar_with_long_names_is_read(tmp_path: Path) -> None:
    table = sources.write_csv(tmp_path / "table.csv", sources.small()).read_bytes()
    loaded = []
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        path = tmp_path / f"fer{form}.tar"
        folder = "ä" * 40 if form != tarfile.USTAR_FORMAT else "a" * 80
        with tarfile.open(path, "w", format=form) as archive:
            for name in (f"{folder}/{'b' * 60}/notes.txt", f"{folder}/{'b' * 60}/fer2013.csv"):
                member = tarfile.TarInfo(name)
                member.size = len(table)
                archive.addfile(member, io.BytesIO(table))
        loaded.append(data.load(path).digest)
    assert len(set(loaded)) == 1


def test_a_tar_in_several_gzip_members_is_read(tmp_path: Path) -> None:
    """As written by pigz and bgzip."""
    whole = gzip.decompress(sources.write_tar(tmp_path / "fer2013.tar.gz", sources.small()).read_bytes())
    expected = data.load(tmp_path / "fer2013.tar.gz").digest
    parts = [gzip.compress(whole[start : start + 50_000]) for start in range(0, len(whole), 50_000)]
    (tmp_path / "parts.tar.gz").write_bytes(b"".join(parts) + bytes(512))
    assert data.load(tmp_path / "parts.tar.gz").digest == expected


def test_a_large_zip_may_list_more_entries_than_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENTRIES", 3)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    for name, side in (("small.zip", 8), ("large.zip", 64)):
        picture = io.BytesIO()
        Image.fromarray(pixels[:side, :side]).save(picture, "PNG")
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for number in range(3):
                archive.writestr(f"train/happy/{number}.png", picture.getvalue())
                archive.writestr(f"train/sad/{number}.png", picture.getvalue() + bytes([number]))
    assert len(data.load(tmp_path / "large.zip")) == 6
    with pytest.raises(InputError, match="6 entries where 3 are possible; unpack it"):
        data.load(tmp_path / "small.zip")
