"""Progress output of commands: lines and progress bars, on stderr, never on stdout.

The Python API is silent: only the command line calls `enable`, and writes to streams that are `Guarded`.
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from edgefer.lines import printable, printable_lines

_enabled = False
_inside = False  # a progress
# Harmless sequences that rich and tqdm write to a terminal: styles and cursor movements over a bar.
_MOVES = re.compile(r"(\r|\x1b\[[0-9;]*[mKA]|\x1b\[\?25[hl])")
# Magenta and red have a contrast of 3:1 or more on black and on white; yellow, green, cyan and dim text do not.
NOTE_STYLE = "magenta"
# If one of these is set, rich or typer writes styles into a file or pipe too.
_COLOURED = ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE")
_SECONDS_BETWEEN_LINES = 30.0  # if stderr is a file, a bar becomes an occasional line


class Guarded:
    """A text stream that escapes all control characters except line ends.

    Output may contain untrusted names of files and classes. Commands and
    `say` escape them; this covers other libraries' output and omissions. Terminals and coloured logs also get `_MOVES`.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._moves = stream.isatty() or any(map(os.environ.get, _COLOURED))

    def write(self, text: str) -> int:
        """Write `text`, escaped."""
        if self._moves:
            parts = _MOVES.split(text)
            parts[::2] = map(printable_lines, parts[::2])
            self._stream.write("".join(parts))
        else:
            self._stream.write(printable_lines(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines`, escaped."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Delegate everything else to the stream."""
        return getattr(self._stream, name)


def enable(on: bool = True) -> None:
    """Enable output from now on (called by the command line)."""
    global _enabled
    _enabled = on


def say(text: str) -> None:
    """Print one line of plain text on stderr."""
    if _enabled:
        print(printable(text), file=sys.stderr, flush=True)


@cache
def say_once(text: str) -> None:
    """Print a line only once per process."""
    say(text)


def duration(seconds: float) -> str:
    """Return a duration for people: ``8 s``, ``2 min 40 s``, ``3 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@contextmanager
def progress(description: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
    """Show a long job's progress, with the time left. Nested jobs are silent.

    Args:
        description: e.g. ``reading fer2013.zip``.
        total: number of units.
        done: units done by an earlier process, for a resumed job.

    Yields:
        ``advance(n=1, note="")``: n more units are done; `note` is shown after the bar.
    """
    global _inside
    description = printable(description)  # it may contain a file name
    if not _enabled or _inside:
        yield lambda n=1, note="": None
        return
    _inside = True
    try:
        if sys.stderr.isatty():
            with _bar(description, total, done) as advance:
                yield advance
        else:
            yield _lines(description, total, done)
    finally:
        _inside = False


@contextmanager
def _bar(description: str, total: int, done: int) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True, emoji=False), transient=True) as bars:
        task = bars.add_task(description, total=total, completed=done, note="")

        def advance(n: int = 1, note: str = "") -> None:
            bars.update(task, advance=n, note=printable(note))

        yield advance


def _lines(description: str, total: int, before: int) -> Callable[..., None]:
    started = shown = time.monotonic()
    done = before

    def advance(n: int = 1, note: str = "") -> None:
        nonlocal shown, done
        done += n
        now = time.monotonic()
        if now - shown >= _SECONDS_BETWEEN_LINES and done < total:
            shown = now
            left = duration((now - started) / (done - before) * (total - done))
            say(f"{description}: {done:,} of {total:,}, {left} left {printable(note)}".rstrip())

    return advance
