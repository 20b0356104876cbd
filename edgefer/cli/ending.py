"""How a command ends: the one place where an exception becomes a line for a person and an exit code for a script.

Exit codes: 0 done; 1 a gate or comparison failed, the result is valid; 2 wrong input: a file, an option; 3 the machine
lacks
something: an extra, a device, disk space; 70 a bug in edgefer; 130 Ctrl-C; 141 the reader of the output has closed it.

`live` on a camera or stream and `serve` run until Ctrl-C or SIGTERM, and exit with 0:
with 130 a supervisor would record a failure.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from edgefer import paths
from edgefer.cli import signals
from edgefer.errors import EdgeferError, InputError, Interrupted, MissingExtra, MissingRequirement
from edgefer.lines import one_line, printable_lines

_BROKEN_PIPE = 141  # as a shell reports SIGPIPE
_BUG = 70
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WRONG_PATH = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOENT, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG),
)


class Group(TyperGroup):
    """edgefer's commands; all exceptions end here."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run edgefer, and end the process."""
        try:
            return super().main(*args, **extra)
        except (OSError, SystemExit) as error:
            if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
                raise
            _silence(sys.stderr)  # typer cannot print the rejected argument
            sys.exit(InputError.exit_code)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Read the command line, which --help and --version end.

        Raises:
            typer.Exit: see `invoke`.
        """
        with _ended("--json" in args):
            return super().make_context(info_name, args, parent, **extra)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Record whether the command prints JSON: then errors are JSON too."""
        ctx.meta["edgefer.json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Raises:
            typer.Exit: it failed; has the exit code, and the message is printed.
        """
        with _ended(ctx.meta["edgefer.json"]):
            return super().invoke(ctx)


@contextmanager
def _ended(as_json: bool) -> Iterator[None]:
    """Convert exceptions into a line and an exit code."""
    try:
        try:
            yield
        except (typer.Exit, typer.Abort):
            sys.stdout.flush()
            raise
        sys.stdout.flush()  # detect a closed pipe here, not in an exit handler
    except (typer.Exit, typer.Abort):
        raise
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):  # which rich ends with
            raise
        _silence(sys.stdout)
        raise typer.Exit(_BROKEN_PIPE) from None
    except (Exception, KeyboardInterrupt) as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # typer shows the help
            raise
        understood = explain(error)
        message = one_line(understood) if understood else _bug(error)
        code = understood.exit_code if understood else _BUG
        # stderr may be closed or the disk full: the exit code still tells.
        with _silenced_if_full(sys.stderr):
            print(f"edgefer{_which_process()}: {message}", file=sys.stderr, flush=True)
        with _silenced_if_full(sys.stdout):
            if as_json and _is_last_word():
                _print_json((understood and understood.report) or {}, message, code)
            sys.stdout.flush()
        raise typer.Exit(code) from None


@contextmanager
def resumable(command: Callable[[], str | None]) -> Iterator[None]:
    """Print how to resume after an interruption, or out of disk space or memory.

    Args:
        command: returns what to type, or None where nothing was saved yet.

    Raises:
        Interrupted: Ctrl-C.
        MissingRequirement: the machine lacks something now.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        understood = explain(error)
        how = command() if type(understood) in (Interrupted, MissingRequirement) and understood is not error else None
        if understood is None or how is None:
            raise
        raise type(understood)(f"{understood}; resume with: {how}") from error


@contextmanager
def _silenced_if_full(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except OSError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Discard everything still to be written, also by exit handlers."""
    with suppress(OSError, ValueError):  # not a file: no exit handler to consider
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def explain(error: BaseException) -> EdgeferError | None:
    """Return the error to show, or None for a bug."""
    if isinstance(error, EdgeferError):
        return error
    if hasattr(error, "format_message"):
        return _usage(error)
    if isinstance(error, KeyboardInterrupt) or signals.came():
        return Interrupted("interrupted")
    if isinstance(error, ImportError):
        return _import_error(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, for a GPU
        return MissingRequirement(
            "out of memory; close other programs; for training, --set train.batch_size=32 needs less"
        )
    if isinstance(error, RuntimeError) and any(name in str(error) for name in ("/gloo/", "NCCL")):
        return MissingRequirement("another process of this training has ended; its own lines say why")
    if isinstance(error, OSError) and error.errno in _FULL:
        part = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
        where = f" for {part.parent if paths.is_part(part.name) else part}" if part else ""
        return MissingRequirement(f"no space is left on the disk{where}; free some, or use another disk")
    if isinstance(error, OSError) and error.errno in _WRONG_PATH and error.filename:
        return InputError(f"{error.filename}: {error.strerror}")
    return None


def _usage(error: Any) -> InputError:
    """Return typer's usage error in edgefer's one-line form."""
    said = error.format_message().rstrip(".").replace("No such option: ", "No such option ")
    command = getattr(getattr(error, "ctx", None), "command_path", None) or "edgefer"
    return InputError(f"{said[:1].lower()}{said[1:]}; see {command} --help")


def _import_error(error: ImportError) -> EdgeferError | None:
    from edgefer.cli.output import EXTRAS

    package = (error.name or "").partition(".")[0]
    for extra, packages in EXTRAS.items():
        if package in packages:
            if isinstance(error, ModuleNotFoundError):
                return MissingExtra(package, extra)
            return MissingRequirement(f"{package} is installed but does not load ({error}); reinstall it")
    return None


def _bug(error: BaseException) -> str:
    said = f"{type(error).__name__}: {error}"
    line = f"this is a bug in edgefer ({one_line(said)})"
    text = f"edgefer {' '.join(sys.argv[1:])}\n" + "".join(traceback.format_exception(error))
    if os.environ.get("EDGEFER_TRACEBACK") == "1":
        print(printable_lines(text), file=sys.stderr)
        return line
    try:
        with tempfile.NamedTemporaryFile("w", prefix="edgefer-", suffix=".txt", encoding="utf-8", delete=False) as file:
            file.write(text)
    except OSError:
        return f"{line}; EDGEFER_TRACEBACK=1 shows where"
    return f"{line}; please report it with {file.name}"


def _which_process() -> str:
    """Return which of the processes that torchrun started this is, unless it is the first."""
    number = os.environ.get("RANK", "0") if "TORCHELASTIC_RUN_ID" in os.environ else "0"
    return "" if number == "0" else f" (process {number})"


def _is_last_word() -> bool:
    """Return whether nobody prints JSON after this process: of those that torchrun started the first, at last."""
    count, restarts = (os.environ.get(f"TORCHELASTIC_{name}") for name in ("RESTART_COUNT", "MAX_RESTARTS"))
    return not _which_process() and count == restarts


def _print_json(report: Mapping[str, Any], message: str, code: int) -> None:
    from edgefer.cli import output

    output.print_json({**report, "error": message, "exit_code": code})
