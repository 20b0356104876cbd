"""Output of all commands on stdout, with control characters escaped: JSON, lines, aligned rows, tables.

No command calls `print`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgefer.errors import EdgeferError, MissingExtra
from edgefer.lines import printable, printable_lines, shell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "EXTRAS",
    "needs_extra",
    "print_json",
    "print_json_line",
    "print_line",
    "print_next",
    "print_rows",
    "print_text",
    "screen",
    "with_data",
]

# Packages that show whether an extra is installed.
EXTRAS = {
    "train": ("torch", "torchvision", "timm", "safetensors", "captum"),
    "compress": ("nncf", "torchao", "onnx", "scipy"),
    "report": ("jinja2", "markupsafe", "matplotlib"),
    "search": ("optuna", "sqlalchemy", "alembic"),
    "heic": ("pillow_heif",),
    "live": ("av", "fastapi", "prometheus_client", "python_multipart", "starlette", "uvicorn", "websockets"),
    "cascade": ("cv2",),
    "ray": ("fsspec", "ray"),
    "litert": ("ai_edge_litert", "flatbuffers"),
    "openvino": ("openvino",),
    "rtx": ("tensorrt_rtx", "cuda"),
    "tensorrt": ("tensorrt", "cuda"),
    "jetson": ("cuda",),
    "pycuda": ("pycuda",),
}


@contextmanager
def needs_extra(*extras: str) -> Iterator[None]:
    """Convert the ImportError of a package of `extras` into one line with the `pip install` to run.

    Raises:
        MissingExtra: such a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        for extra in extras:
            if package in EXTRAS[extra]:
                raise MissingExtra(package, ",".join(extras)) from None
        raise


def screen() -> Console:
    """Return the console for tables: stdout, without markup: no [word] in a text is a style."""
    from rich.console import Console

    class Screen(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            """Escape control characters in a cell, before its width is measured."""
            return super().render_str(printable_lines(text), **options)

        def on_broken_pipe(self) -> None:
            """Leave a closed pipe to `edgefer.cli.ending`: rich would exit with 1, a failed gate."""
            raise BrokenPipeError

    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"  # None: no escapes, not even bold
    return Screen(highlight=False, emoji=False, markup=False, color_system=colours)


def print_json(value: Mapping[str, Any], failure: EdgeferError | None = None) -> None:
    """Print one JSON object on stdout.

    Raises:
        EdgeferError: `failure`, if given: `value` is its report, and `edgefer.cli.ending` prints both together.
    """
    if failure is not None:
        failure.report = value
        raise failure
    # ASCII, without DEL, the one control character that JSON allows in a string.
    print(json.dumps(value, indent=2, default=str).replace("\x7f", "\\u007f"))


def print_json_line(value: Mapping[str, Any]) -> None:
    """Print one JSON object as a line on stdout, at once."""
    print(json.dumps(value, default=str).replace("\x7f", "\\u007f"), flush=True)


def print_line(text: str) -> None:
    """Print one line on stdout."""
    print(printable(text), flush=True)


def print_text(text: str) -> None:
    """Print a text of several lines on stdout."""
    print(printable_lines(text), end="")


def print_rows(title: str, rows: Mapping[str, str]) -> None:
    """Print a title and aligned ``name  value`` rows on stdout; values take several lines in a narrow terminal."""
    shown = {printable(name): printable(value) for name, value in rows.items()}
    width = max(map(len, shown))
    room = shutil.get_terminal_size().columns - width - 4 if sys.stdout.isatty() else 0
    wrapper = textwrap.TextWrapper(room, break_long_words=False, break_on_hyphens=False)  # paths stay whole
    print_line(title)
    for name, value in shown.items():
        first, *more = wrapper.wrap(value) if 20 <= room < len(value) else [value]
        print(f"  {name:<{width}}  {first}")
        for line in more:
            print(f"  {'':<{width}}  {line}")


def with_data(data: Path | None) -> str:
    """Return the option that passes the same data set to the next command."""
    return "" if data is None else f" --data {shell(data)}"


def print_next(command: str) -> None:
    """Print the next command to type."""
    print_line(f"next: {command}")
