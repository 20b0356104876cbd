"""A video file to a table: a row per face and frame. A killed process can be resumed.

While it is written the table is called ``NAME.unfinished``, and ``NAME.unfinished.json`` next to it has what
the next process needs: the positions of the last saved frame in table and video, and the state.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from edgefer import console, limits, locks, paths
from edgefer.errors import InputError
from edgefer.lines import cell, printable
from edgefer.live import sources
from edgefer.live.events import TrackedFace
from edgefer.live.judge import Judge, JudgeSettings
from edgefer.predictor import Predictor

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.stream import VideoStream

ENDINGS = (".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv", ".y4m")
_SAVED = 2.0  # seconds between two saved states
_FORM = 3  # of the state


@dataclass(frozen=True)
class VideoSummary:
    """What was found in a video.

    Attributes:
        frames: in the video.
        rows: in the table: faces in frames.
        tracks: faces that were followed.
        seconds: of the video.
        resumed: frames processed by an earlier process.
    """

    frames: int
    rows: int
    tracks: int
    seconds: float
    resumed: int


@dataclass
class _State:
    """How far it is."""

    frames: int = 0
    rows: int = 0
    seconds: float = 0.0
    bytes: int = 0


def is_video(name: str) -> bool:
    """Return whether a name is that of a video file."""
    return name.lower().endswith(ENDINGS) and "://" not in name


def write_csv(predictor: Predictor, video: Path, table: Path, settings: JudgeSettings | None = None) -> VideoSummary:
    """Classify every frame of a video and write one row per face and frame, as CSV.

    Args:
        predictor: from `edgefer.load`.
        video: the file.
        table: output; renamed when complete.
        settings: how frames are processed.

    Raises:
        InputError: the video cannot be read, or another process writes this table.
        MissingRequirement: there is no face detector.
        MissingExtra: PyAV is not installed.
    """
    settings = settings or JudgeSettings()
    table = table.resolve()
    rows_file, state_file = (table.with_name(f"{table.name}.unfinished{ending}") for ending in ("", ".json"))
    title = printable(str(video))
    predictor.start_detector()
    judge = Judge(predictor, settings)
    key = _key(predictor, video, settings)
    with sources.opened(f"file:{video}", title, threads=True) as (container, stream):
        rows_file.touch()
        try:
            with locks.held(rows_file), rows_file.open("r+", newline="", encoding="utf-8") as out:
                state = _restored(state_file, key, judge, rows_file)
                resumed = state.frames
                out.seek(state.bytes)
                out.truncate()
                if not resumed:
                    _write_row(out, _columns(predictor.labels))
                else:
                    console.say(f"continuing after frame {resumed:,} of {title}")
                total = stream.frames or round(float((container.duration or 0) / 1e6 * (stream.average_rate or 0)))
                with console.progress("judging", max(total, state.frames + 1), state.frames) as advance:
                    save = partial(_save, state_file, key, state, judge)
                    _judge(container, stream, title, judge, out, state, save, advance)
                out.flush()
                os.fsync(out.fileno())
                out.close()  # Windows cannot rename an open file
                rows_file.replace(table)
        except BlockingIOError:
            raise InputError(
                f"another process is writing {printable(str(table))}; wait, or give another file"
            ) from None
    with suppress(FileNotFoundError):
        state_file.unlink()
    return VideoSummary(state.frames, state.rows, judge.tracks, state.seconds, resumed)


def _judge(
    container: Any,
    stream: VideoStream,
    title: str,
    judge: Judge,
    out: TextIO,
    state: _State,
    save: Callable[[], None],
    advance: Callable[..., None],
) -> None:
    """Process the frames after `state`, write their rows and save the state regularly."""
    saved = time.monotonic()
    for frame, seconds in _after(container, stream, title, state.frames):
        state.seconds = seconds
        faces = judge.faces(sources.rgb(frame), state.seconds)
        for face in faces:
            _write_row(out, _row(state.frames, state.seconds, face))
        state.frames, state.rows = state.frames + 1, state.rows + len(faces)
        advance()
        if time.monotonic() - saved >= _SAVED:
            out.flush()
            os.fsync(out.fileno())  # the state must not include rows that a power cut could lose
            state.bytes = out.tell()
            save()
            saved = time.monotonic()


def _after(container: Any, stream: VideoStream, title: str, judged: int) -> Iterator[tuple[VideoFrame, float]]:
    """Yield the remaining frames with their time in seconds."""
    clock = sources.Clock(stream)
    # Decoding is a small part of the work, and not every file is seekable.
    for number, (frame, _) in enumerate(sources.decoded(container, stream, title)):
        seconds = clock.moment(frame, number)
        if number >= judged:
            yield frame, seconds


def _key(predictor: Predictor, video: Path, settings: JudgeSettings) -> dict[str, Any]:
    """Return what must be equal to resume a table."""
    stat = video.stat()
    return {
        "form": _FORM,
        "video": [stat.st_size, stat.st_mtime_ns],
        "network": predictor.bundle.manifest.networks[predictor.network].sha256,
        "device": predictor.device,
        "detector": predictor.start_detector().title,
        "settings": asdict(settings),
    }


def _restored(file: Path, key: dict[str, Any], judge: Judge, rows: Path) -> _State:
    """Return the saved state and restore the judge; a new state if none matches."""
    if not file.exists():
        return _State()
    try:
        saved = limits.read_json(file, limits.STATE)
        if saved["key"] == json.loads(json.dumps(key)) and saved["state"]["bytes"] <= rows.stat().st_size:
            state = _State(**saved["state"])
            judge.restore(saved["judge"])
            return state
    except (InputError, KeyError, TypeError, ValueError):
        pass
    console.say(f"{printable(file.name)} belongs to another video, network or option; starting over")
    return _State()


def _save(file: Path, key: dict[str, Any], state: _State, judge: Judge) -> None:
    with paths.write_atomically(file) as part:
        part.write_text(json.dumps({"key": key, "state": asdict(state), "judge": judge.state()}), encoding="utf-8")


def _columns(labels: Sequence[str]) -> list[object]:
    box = ("left", "top", "width", "height")
    return [
        *("frame", "time", "track", *box, "score", "roll", "notes", "label", "confidence"),
        *map(cell, labels),
        *("raw", "raw_confidence"),
    ]


def _row(number: int, seconds: float, face: TrackedFace) -> list[object]:
    return [
        *(number, f"{seconds:.3f}", face.track, *face.box),
        "" if face.score is None else f"{face.score:.4f}",
        f"{face.roll:.1f}",
        " ".join(face.notes),
        cell(face.label),
        f"{face.confidence:.4f}",
        *(f"{value:.4f}" for value in face.probabilities.values()),
        cell(face.raw),
        f"{face.raw_confidence:.4f}",
    ]


def _write_row(out: TextIO, row: list[object]) -> None:
    csv.writer(out).writerow(row)
