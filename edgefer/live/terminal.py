"""Live results in a terminal: a row per face and a line of figures, or a line per change."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from edgefer.lines import counted, printable
from edgefer.live.events import FaceChange, Figures, Frame

_CELLS = 20  # of a bar


def table(title: str, frame: Frame | None, figures: Figures) -> Table:
    """Return the current view."""
    out = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title=printable(title),
        title_justify="left",
        caption=Text(line(figures)),
        caption_justify="left",
    )
    out.add_column("face", justify="right", no_wrap=True)
    out.add_column("expression", no_wrap=True, min_width=10)
    out.add_column("sure", justify="right", no_wrap=True)
    out.add_column("", no_wrap=True, min_width=_CELLS)
    out.add_column("for", justify="right", no_wrap=True)
    out.add_column("notes")
    for face in frame.faces if frame else ():
        bar = "█" * round(face.confidence * _CELLS)
        seconds = f"{(frame.time if frame else 0) - face.since:.0f} s"
        out.add_row(
            str(face.track),
            Text(printable(face.label)),
            f"{face.confidence:.0%}",
            bar,
            seconds,
            Text(", ".join(face.notes)),
        )
    return out


def line(figures: Figures) -> str:
    """Return the figures in one line."""
    delay = "" if figures.p50_ms is None else f", answer after {figures.p50_ms:.0f} ms (p99 {figures.p99_ms:.0f} ms)"
    state = "" if figures.connected else ", no frames"
    return (
        f"{figures.fps_judged:.1f} of {figures.fps_in:.1f} frames per second{delay}, {figures.dropped:,} dropped, "
        f"{counted(figures.faces, 'face')}{state}"
    )


def told(change: FaceChange) -> str:
    """Return a change in one line."""
    face = change.face
    what = {
        "appeared": f"appeared: {face.label} {face.confidence:.0%}",
        "changed": f"{change.before} -> {face.label} {face.confidence:.0%}",
        "left": "left",
    }[change.kind]
    return f"{change.time:9.2f} s  face {face.track}  {what}"


def summary(figures: Figures) -> str:
    """Return the summary in one line."""
    return f"{figures.judged:,} frames judged of {figures.captured:,}, {figures.dropped:,} dropped for newer ones"
