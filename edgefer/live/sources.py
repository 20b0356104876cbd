"""Sources of frames: a camera, a file, a stream or stdin, decoded by PyAV (FFmpeg).

`named` parses user input. FFmpeg only gets files, RTSP and HTTP addresses.
"""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from edgefer.errors import InputError, MissingExtra
from edgefer.lines import one_line, printable

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

SCHEMES = ("rtsp", "rtsps", "http", "https")
_OPEN, _READ = 10.0, 5.0  # timeout of a stream in seconds
_MAX_PIXELS = 64_000_000  # of a frame; 8K has 33 million
_RATE = 25  # frames a second of a video that does not say
_HOLE = 10.0  # seconds; longer gaps in timestamps are skipped: recordings are cut and joined
_MAX_BROKEN = 100  # packets in a row that cannot be decoded
_DEVICES = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}  # FFmpeg's names
_STDIN = "pipe:0"
_NOTHING = "no video on stdin; check the command before the pipe. Raw pixels need --raw, such as 640x480:rgb24"
_RAW = re.compile(r"(\d{1,5})x(\d{1,5})(?::(\w+))?", re.ASCII)
_SIZE = re.compile(r"\d{1,5}x\d{1,5}", re.ASCII)


@dataclass(frozen=True)
class DecodedPicture:
    """A decoded frame, converted to RGB only if it is processed. See `edgefer.live.pipeline.Picture`."""

    frame: VideoFrame
    arrived: float
    time: float | None = None

    def pixels(self) -> NDArray[np.uint8]:
        """Return uint8, (H, W, 3) RGB, rotated upright by the file's metadata."""
        return rgb(self.frame)


def rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return a frame's pixels: uint8, (H, W, 3) RGB, rotated upright by phones' metadata."""
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


@dataclass
class FFmpegStream:
    """A source that FFmpeg opens. See `edgefer.live.pipeline.Source`.

    Attributes:
        title: title, printable and without passwords.
        url: for FFmpeg.
        returns: whether to reopen it after it ended.
        paced: whether frames come at the file's timestamps, not as fast as possible.
        format: FFmpeg's name of a format or a kind of camera; by default detected.
        options: FFmpeg's, for the format.
    """

    title: str
    url: str
    returns: bool
    paced: bool = False
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)

    def frames(self, stopped: Event) -> Iterator[DecodedPicture]:
        """Open the source and yield its frames as they come, until it ends or `stopped` is set.

        Raises:
            EdgeferError: it cannot be opened, or was lost.
        """
        waits = None if self.url == _STDIN else (_OPEN, _READ)  # stdin may be slow
        with opened(self.url, self.title, self.format, self.options, waits) as (container, stream):
            if self.url.startswith("http") and container.duration:  # a file on a server
                self.returns, self.paced = False, True
            start: tuple[float, float] | None = None  # wall clock and file time
            clock = Clock(stream)
            for number, (frame, arrived) in enumerate(decoded(container, stream, self.title)):
                if stopped.is_set():
                    return
                if not self.paced:
                    yield DecodedPicture(frame, arrived)
                    continue
                own = clock.moment(frame, number)
                start = start or (arrived, own)
                due = start[0] + own - start[1]
                if stopped.wait(max(0.0, due - perf_counter())):
                    return
                yield DecodedPicture(frame, max(due, arrived), own - start[1])


def named(source: str, size: str | None = None, raw: str | None = None) -> FFmpegStream:
    """Return the source for user input.

    Args:
        source: a camera's number, a video file, an address (rtsp, rtsps, http, https), or ``-`` for stdin.
        size: of a camera's frames, such as ``1280x720``; by default the camera's.
        raw: size and pixel format of raw pixels on stdin, such as ``640x480:rgb24``, without a container format.

    Raises:
        InputError: it is none of these.
        MissingExtra: PyAV is not installed.
    """
    if raw is not None and source != "-":
        raise InputError("--raw describes frames on stdin; use it with - as the source")
    if size is not None and not _SIZE.fullmatch(size):
        raise InputError(f"--size is a width and a height such as 1280x720, not {printable(size)}")
    if source == "-":
        _no_size(size)
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("nothing is piped into edgefer; for example: gst-launch-1.0 ... ! fdsink | edgefer live -")
        options = _raw(raw) if raw is not None else {}
        return FFmpegStream("stdin", _STDIN, returns=False, format="rawvideo" if options else None, options=options)
    if source.isascii() and source.isdigit():
        return camera(int(source), size)
    scheme = source.partition("://")[0].lower() if "://" in source else None
    if scheme is not None:
        if scheme not in SCHEMES:
            raise InputError(f"{shown(source)} is not a supported stream address: {', '.join(SCHEMES)}")
        _no_size(size)
        options = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}
        return FFmpegStream(shown(source), source, returns=True, options=options)
    return _file(source, size)


def _no_size(size: str | None) -> None:
    if size is not None:
        raise InputError("--size is for cameras; omit it for other sources")


def _file(source: str, size: str | None) -> FFmpegStream:
    path = Path(source)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such file"
        raise InputError(f"{printable(source)}: {reason}; give a camera's number, a video, an address or -") from None
    if stat.S_ISCHR(mode) and sys.platform == "linux":
        options = {"video_size": size} if size else {}
        return FFmpegStream(printable(source), source, returns=True, format="v4l2", options=options)
    _no_size(size)
    if not stat.S_ISREG(mode):
        raise InputError(f"{printable(source)} is not a video file; for frames from a pipe: edgefer live - < PIPE")
    return FFmpegStream(printable(source), f"file:{source}", returns=False, paced=True)


def camera(number: int, size: str | None = None, platform: str = sys.platform) -> FFmpegStream:
    """Return the camera with this number, as FFmpeg opens it on a platform.

    Raises:
        InputError: there is no such camera, or the platform is another one.
        MissingExtra: PyAV is not installed.
    """
    kind = _DEVICES.get(platform)
    if kind is None:
        raise InputError(f"cameras by number work on Linux, macOS and Windows; on {platform} use - or a stream")
    options = {"video_size": size} if size else {}
    url = f"/dev/video{number}"
    if kind == "avfoundation":
        url = f"{number}:none"
        options["framerate"] = "30"  # its default is one that cameras reject
    if kind == "dshow":
        names = _windows_cameras()
        if number >= len(names):
            there = ", ".join(f"{place} {printable(name)}" for place, name in enumerate(names)) or "none"
            raise InputError(f"there is no camera {number}; cameras: {there}")
        url = f"video={names[number]}"
    elif kind == "v4l2" and not Path(url).exists():
        there = ", ".join(sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*")))
        raise InputError(f"there is no camera {number} ({url}); cameras: {there or 'none'}")
    return FFmpegStream(f"camera {number}", url, returns=True, format=kind, options=options)


def _windows_cameras() -> list[str]:
    with _av() as av:
        import av.device

        devices = av.device.enumerate_input_devices("dshow")
        return [device.description or device.name for device in devices if "video" in (device.media_types or ["video"])]


def _raw(raw: str) -> dict[str, str]:
    """Return FFmpeg's options for raw pixels.

    Raises:
        InputError: it is not a size and format.
    """
    found = _RAW.fullmatch(raw)
    with _av() as av:
        known = av.video.format.names
    name = (found and found[3]) or "rgb24"
    if found is None or name not in known:
        raise InputError(
            f"--raw is a size and a pixel format that FFmpeg knows, such as 640x480:rgb24 or 640x480:nv12, "
            f"not {printable(raw)}"
        )
    return {"video_size": f"{found[1]}x{found[2]}", "pixel_format": name}


def shown(address: str) -> str:
    """Return an address printable and without user name and password."""
    try:
        parts = urlsplit(address)
        place = parts.netloc.rpartition("@")[2]
        return printable(urlunsplit((parts.scheme, place, parts.path, "...=..." if parts.query else "", "")))
    except ValueError:
        return printable(address.partition("://")[0] + "://...")


@contextmanager
def opened(
    url: str,
    title: str,
    format: str | None = None,
    options: dict[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
    threads: bool = False,
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video and its first picture stream.

    Args:
        url: for FFmpeg.
        title: its name in messages.
        format: FFmpeg's name of the format; by default detected.
        options: FFmpeg's.
        timeout: seconds for opening and for each read.
        threads: whether the decoder uses all cores, which delays frames.

    Raises:
        InputError: it cannot be opened, or contains no pictures.
        MissingExtra: PyAV is not installed.
    """
    live = {} if threads else {"flags": "low_delay", "analyzeduration": "500000"}
    with _av() as av:
        try:
            container = av.open(url, format=format, options={**live, **(options or {})}, timeout=timeout)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if url == _STDIN and isinstance(error, ValueError):  # nothing received, or unknown to FFmpeg
                raise InputError(_NOTHING) from None
            raise InputError(f"{title} cannot be opened: {_said(error, timeout and timeout[0])}") from None
        with container:
            if not container.streams.video:
                raise InputError(f"{title} contains no pictures")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO" if threads else "NONE"
            if stream.codec_context.width * stream.codec_context.height > _MAX_PIXELS:
                size = f"{stream.codec_context.width}x{stream.codec_context.height}"
                raise InputError(f"{title} has frames of {size} pixels; edgefer reads at most {_MAX_PIXELS:,} pixels")
            stream.codec_context.options = {"max_pixels": str(_MAX_PIXELS)}
            yield container, stream


def decoded(container: InputContainer, stream: VideoStream, title: str) -> Iterator[tuple[VideoFrame, float]]:
    """Yield each frame with its arrival time by `time.perf_counter`.

    Raises:
        InputError: the source was lost, or nothing can be decoded.
    """
    broken = frames = 0
    with _av() as av:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError) as error:
                raise InputError(f"{title} can no longer be read: {_said(error, _READ)}") from None
            if packet is None:
                break
            arrived = perf_counter()
            try:
                found = packet.decode()
            except av.error.EOFError:
                break
            except av.error.FFmpegError as error:  # a lost packet, or pixels before the first key frame
                broken += 1
                if broken >= _MAX_BROKEN:
                    raise InputError(f"{title} cannot be decoded: {_said(error)}") from None
                continue
            for frame in found:
                broken = 0
                frames += 1
                yield frame, arrived
    if not frames and container.name == _STDIN:
        raise InputError(_NOTHING)
    if not frames:
        raise InputError(f"{title} contains no frame that can be decoded")


class Clock:
    """Monotonic times of a video's frames, without gaps of over ten seconds.

    At jumps in the file's timestamps, as in joined files, the frame counts as one frame later.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._rate = float(stream.average_rate or _RATE)
        self._last: float | None = None
        self._shift = 0.0

    def moment(self, frame: VideoFrame, number: int) -> float:
        """Return the time in seconds of a frame; without timestamps, from the frame rate."""
        own = float(frame.time) if frame.time is not None else number / self._rate
        if self._last is not None and not 0 <= own - self._last <= _HOLE:
            self._shift += 1 / self._rate - (own - self._last)
        self._last = own
        return own + self._shift


@contextmanager
def _av() -> Iterator[Any]:
    """Import PyAV.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error, "live") from None
    yield av


def _said(error: Exception, seconds: float | None = None) -> str:
    """Return FFmpeg's message, without addresses, which may contain passwords."""
    if type(error).__name__ in ("ExitError", "TimeoutError") and seconds is not None:
        return f"nothing received for {seconds:.0f} s"
    return one_line(getattr(error, "strerror", None) or error, 200)
