"""What every command prints in the same way: one JSON object, or a few aligned rows and the next command to type."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefer.errors import EdgeferError, MissingExtra

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["EXTRAS", "needs_extra", "print_json", "print_next", "print_rows", "screen", "with_data"]

# The packages whose absence tells that an extra is not installed.
EXTRAS = {
    "train": ("torch", "torchvision", "timm", "safetensors", "captum"),
    "compress": ("nncf", "torchao", "onnx", "scipy"),
    "report": ("jinja2", "markupsafe", "matplotlib"),
    "faces": ("cv2",),
    "rtx": ("tensorrt_rtx", "cuda"),
    "tensorrt": ("pycuda",),
}


@contextmanager
def needs_extra(*extras: str) -> Iterator[None]:
    """Turn the ImportError of a package of `extras` into one line that names the `pip install` to run.

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
    """Return where tables are printed: stdout, with words as they are."""
    from rich.console import Console

    class Screen(Console):
        def on_broken_pipe(self) -> None:
            """Leave a reader that went away to `edgefer.cli.ending`: rich would end with 1, a bound that was missed."""
            raise BrokenPipeError

    return Screen(highlight=False, emoji=False)


def print_json(value: Mapping[str, Any], failure: EdgeferError | None = None) -> None:
    """Print one JSON object on stdout.

    Raises:
        EdgeferError: `failure`, where there is one: `value` is its report, and `edgefer.cli.ending` prints both as one.
    """
    if failure is not None:
        failure.report = value
        raise failure
    json.dump(value, sys.stdout, indent=2, default=str)
    print()


def print_rows(title: str, rows: Mapping[str, str]) -> None:
    """Print a title and aligned ``name  value`` rows on stdout; values take several lines in a narrow terminal."""
    width = max(map(len, rows))
    room = shutil.get_terminal_size().columns - width - 4 if sys.stdout.isatty() else 0
    wrapper = textwrap.TextWrapper(room, break_long_words=False, break_on_hyphens=False)  # paths stay whole
    print(title)
    for name, value in rows.items():
        first, *more = wrapper.wrap(value) if 20 <= room < len(value) else [value]
        print(f"  {name:<{width}}  {first}")
        for line in more:
            print(f"  {'':<{width}}  {line}")


def with_data(data: Path | None) -> str:
    """Return the option that names the data set to the next command, as it was named to this one."""
    return "" if data is None else f" --data {shlex.quote(str(data))}"


def print_next(command: str) -> None:
    """Print the command that a user would type next."""
    print(f"next: {command}")
