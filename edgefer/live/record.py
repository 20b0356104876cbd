"""An optional recording of processed frames with boxes and labels."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefer.errors import InputError, MissingExtra, MissingRequirement
from edgefer.lines import one_line, printable
from edgefer.live.events import Frame
from edgefer.predictions import annotate

if TYPE_CHECKING:
    from av.error import FFmpegError
    from av.video.stream import VideoStream

_ENDINGS = (".mp4", ".mkv")
_TICKS = 1000  # per second: frames arrive irregularly


class Recording:
    """A video file written frame by frame, playable even after a power cut.

    Args:
        file: ``.mp4`` or ``.mkv``; must not exist.

    Raises:
        InputError: the file exists, has another suffix, or cannot be written.
        MissingExtra: PyAV is not installed.
    """

    def __init__(self, file: Path) -> None:
        name = printable(str(file))
        if file.suffix.lower() not in _ENDINGS:
            raise InputError(f"--record needs a name that ends in {' or '.join(_ENDINGS)}, not {name}")
        try:
            import av
        except ModuleNotFoundError as error:
            raise MissingExtra.of(error, "live") from None
        self._av = av
        try:
            # Opened here, not by FFmpeg, which would do so at the first frame; PyAV hides errors at the end.
            self._file = file.open("xb")
        except FileExistsError:
            raise InputError(f"{name} already exists; --record writes a new file") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{name} cannot be written: {one_line(reason)}; name another file") from None
        mp4 = file.suffix.lower() == ".mp4"
        options = {"movflags": "frag_keyframe+empty_moov"} if mp4 else {}
        self._container = av.open(self._file, "w", format="mp4" if mp4 else "matroska", container_options=options)
        self._path, self._name = file, name
        self._stream: VideoStream | None = None
        self._last = -1

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self._file:
                if self._stream is not None:
                    self._container.mux(self._stream.encode(None))
                self._container.close()
        except (self._av.error.FFmpegError, OSError) as failure:
            if error is None:  # otherwise that would be the user's error
                raise self._full(failure) from None
        finally:
            if self._stream is None:  # no frame came
                self._path.unlink(missing_ok=True)

    def add(self, pixels: NDArray[np.uint8], frame: Frame) -> None:
        """Write a frame with boxes and labels. The first one determines the video's size.

        Raises:
            MissingRequirement: it cannot be written.
        """
        picture = annotate(Image.fromarray(pixels), frame.faces)
        if self._stream is None:
            self._stream = self._open(picture.width // 2 * 2, picture.height // 2 * 2)  # codecs want even sides
        size = (self._stream.width, self._stream.height)
        if picture.size != size:
            picture = picture.resize(size)
        self._last = max(self._last + 1, round(frame.time * _TICKS))
        image = self._av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
        image.pts, image.time_base = self._last, self._stream.time_base
        try:
            self._container.mux(self._stream.encode(image))
            self._file.flush()
        except (self._av.error.FFmpegError, OSError) as error:
            raise self._full(error) from None

    def _full(self, error: FFmpegError | OSError) -> MissingRequirement:
        return MissingRequirement(f"{self._name} can no longer be written: {one_line(error.strerror or error)}")

    def _open(self, width: int, height: int) -> VideoStream:
        from fractions import Fraction

        has_h264 = "libx264" in self._av.codecs_available
        options = {"preset": "ultrafast", "tune": "zerolatency"} if has_h264 else {}
        stream: VideoStream = self._container.add_stream("libx264" if has_h264 else "mpeg4", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS)
        return stream
