"""What a person sees while a command works: lines and progress bars, on stderr, never on stdout.

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
# What rich and tqdm write to a terminal: styles, and the way back over a bar. Nothing of it lasts or makes it answer.
_MOVES = re.compile(r"(\r|\x1b\[[0-9;]*[mKA]|\x1b\[\?25[hl])")
# Where one of these is set, rich or typer writes styles into a file or pipe too, for a log that shows them.
_COLOURED = ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "TTY_COMPATIBLE")
_SECONDS_BETWEEN_LINES = 30.0  # where stderr is a file, a bar becomes a line now and then


class Guarded:
    """A text stream that lets no control character through but line ends: whatever is printed, by whomever.

    What is printed may name files and classes that a stranger named. Commands and `say` write such names as one
    printable line; this is for what other libraries print, and for what is forgotten. A terminal gets `_MOVES` too,
    and so does a log that is to be coloured.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream
        self._moves = stream.isatty() or any(map(os.environ.get, _COLOURED))

    def write(self, text: str) -> int:
        """Write `text`, printable."""
        if self._moves:
            parts = _MOVES.split(text)
            parts[::2] = map(printable_lines, parts[::2])
            self._stream.write("".join(parts))
        else:
            self._stream.write(printable_lines(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of `lines`, printable."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Be like the stream in all else."""
        return getattr(self._stream, name)


def enable(on: bool = True) -> None:
    """Show lines and progress from now on (the command line does this)."""
    global _enabled
    _enabled = on


def say(text: str) -> None:
    """Print one line of plain text on stderr."""
    if _enabled:
        print(printable(text), file=sys.stderr, flush=True)


@cache
def say_once(text: str) -> None:
    """Print a line that would otherwise come again and again."""
    say(text)


def duration(seconds: float) -> str:
    """Return a time as people say it: ``8 s``, ``2 min 40 s``, ``3 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@contextmanager
def progress(description: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
    """Show how far a long job is, with the time left. A job inside another one stays silent: two bars would fight.

    Args:
        description: what is being done, e.g. ``reading fer2013.zip``.
        total: how many units the job has.
        done: how many of them an earlier process did, for a job that goes on.

    Yields:
        ``advance(n=1, note="")``: n more units are done; `note` stands behind the bar.
    """
    global _inside
    description = printable(description)  # a file's name may be in it
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
