"""`edgefer predict` with a video."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgefer.live.judge import JudgeSettings
    from edgefer.predictor import Predictor


def check(videos: list[str], faces: str, csv: Path | None, annotate: Path | None) -> None:
    """Refuse options that do not apply to a video.

    Raises:
        InputError: there is more than one video, no table, or an option for pictures.
    """
    from edgefer.errors import InputError
    from edgefer.lines import printable, shell

    if len(videos) > 1:
        raise InputError("one video at a time; give one video, or pictures")
    if csv is None:
        raise InputError("a video's faces go into a table; add --csv FILE")
    if annotate is not None:
        raise InputError(f"--annotate is for pictures; use: edgefer live {shell(videos[0])} --record FILE.mp4")
    if faces == "never":
        raise InputError("--faces never is for pictures cropped to the face; omit it for a video")
    if not Path(videos[0]).is_file():
        raise InputError(f"there is no video {printable(videos[0])}")


def write(predictor: Predictor, file: Path, csv: Path, settings: JudgeSettings, as_json: bool) -> None:
    """Classify every frame of a video and write one row per face and frame."""
    from edgefer.cli import output
    from edgefer.cli.ending import resumable
    from edgefer.lines import counted, typed
    from edgefer.live import video

    with resumable(lambda: typed(["edgefer", *sys.argv[1:]])):
        found = video.write_csv(predictor, file, csv, settings)
    if as_json:
        output.print_json({"command": "predict", "video": str(file), "csv": str(csv), **asdict(found)})
    else:
        rows = f"{counted(found.rows, 'row')}, {counted(found.tracks, 'face')} in {counted(found.frames, 'frame')}"
        output.print_line(f"{csv}: {rows}")
