"""Cameras by number: FFmpeg's arguments on each system. Only the camera itself is fake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import av
import av.device
import numpy as np
import pytest

from edgefer.errors import InputError
from edgefer.live import sources
from tests.helpers import videos


class Device:
    """FFmpeg's output for a device on Windows."""

    def __init__(self, description: str, *kinds: str) -> None:
        self.name, self.description, self.media_types = f"@device:{description}", description, list(kinds)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Let each camera show two frames of a film, and record how it was opened."""
    film = videos.write(tmp_path / "film.mp4", [np.full((48, 64, 3), shade, np.uint8) for shade in (40, 200)])
    calls: list[dict[str, Any]] = []
    real: Callable[..., Any] = av.open

    def opened(url: str, format: str | None = None, options: dict[str, str] | None = None, **rest: Any) -> Any:
        calls.append({"url": url, "format": format, "options": options})
        return real(str(film))

    monkeypatch.setattr(av, "open", opened)
    found = {"dshow": [Device("Microphone", "audio"), Device("Front", "video"), Device("USB", "video")]}
    monkeypatch.setattr(av.device, "enumerate_input_devices", found.__getitem__)
    monkeypatch.setattr(Path, "exists", lambda path: True)
    return calls


@pytest.mark.parametrize(
    ("platform", "format", "url", "options"),
    [
        ("linux", "v4l2", "/dev/video1", {}),
        ("darwin", "avfoundation", "1:none", {"framerate": "30"}),
        ("win32", "dshow", "video=USB", {}),
    ],
)
def test_each_system_s_way_to_a_camera(
    asked: list[dict[str, Any]], platform: str, format: str, url: str, options: dict[str, str]
) -> None:
    source = sources.camera(1, "1280x720", platform)
    frames = [picture.pixels() for picture in source.frames(Event())]
    assert [round(float(pixels.mean()), -1) for pixels in frames] == [40, 200]
    (call,) = asked
    assert (call["format"], call["url"]) == (format, url)
    wanted = {"video_size": "1280x720", **options}
    assert {name: call["options"][name] for name in wanted} == wanted
    assert source.title == "camera 1"
    assert source.returns  # an unplugged camera is waited for


def test_a_camera_that_windows_does_not_have_is_one_line(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError, match=r"there is no camera 2; cameras: 0 Front, 1 USB"):
        sources.camera(2, None, "win32")


def test_a_system_without_cameras_by_number_is_one_line() -> None:
    with pytest.raises(InputError, match="on freebsd14 use - or a stream"):
        sources.camera(0, None, "freebsd14")


@pytest.mark.skipif(sys.platform not in ("linux", "darwin", "win32"), reason="has no cameras by number")
def test_this_system_s_ffmpeg_has_its_cameras() -> None:
    """PyAV's wheel includes FFmpeg; without the format it could not open a camera."""
    kind = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}[sys.platform]
    assert any(kind in name.split(",") for name in av.formats_available)
