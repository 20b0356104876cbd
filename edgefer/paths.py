"""Where things are: caches, runs, shipped files; and how files are written so that none is ever half there."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from edgefer import console, locks
from edgefer.errors import EdgeferError, InputError, MissingRequirement

RUNS = Path("runs")
LATEST = "latest"
_UMASK = os.umask(0)  # there is no way to ask but to set it
os.umask(_UMASK)
_PREFIX = 40  # letters of a name that the one next to it begins with: a name may be as long as the file system takes
_PART = ".edgefer-part"  # ends the name of what is being written
_swept: set[Path] = set()  # folders where this process has looked for what others have left


def cache_dir() -> Path:
    """Return the folder for caches: EDGEFER_CACHE, else edgefer in the user's."""
    named = os.environ.get("EDGEFER_CACHE")
    return Path(named) if named else user_cache() / "edgefer"


def user_cache() -> Path:
    """Return the folder for any program's caches: XDG_CACHE_HOME, else ~/.cache.

    Where it takes no files it is a temporary one of this user's own, and a line says so.
    """
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(named) if named else Path.home() / ".cache"
        there = next(parent for parent in (base, *base.parents) if parent.exists())  # to ask makes no folder
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
            return base
    except (OSError, RuntimeError):  # RuntimeError: no HOME, and a user whom the system does not know: a container
        pass
    where = "XDG_CACHE_HOME" if named else "the home folder"
    temporary = _own_temporary()
    console.say_once(f"{where} is not writable, so caches are in {temporary}; set XDG_CACHE_HOME=FOLDER to change that")
    return temporary


@cache
def _own_temporary() -> Path:
    """Return a temporary folder that no other user can put anything into: code that is compiled there is run."""
    folder = Path(tempfile.gettempdir()) / f"edgefer-cache-{os.getuid() if hasattr(os, 'getuid') else os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or (hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022)):
        return Path(tempfile.mkdtemp(prefix="edgefer-cache-"))
    return folder


def shipped(name: str) -> Path:
    """Return a file or folder that stands at the top of the repository and inside the wheel.

    Args:
        name: ``calibration`` or ``benchmarks/claims.toml``.
    """
    package = Path(__file__).parent
    installed = package / "_shipped" / name
    return installed if installed.exists() else package.parent / name


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it is renamed to `path` at the end, removed on any error.

    What a killed process left next to it goes too (`part_beside`).
    """
    with part_beside(path) as part:
        yield part
        _flush(part)
        part.chmod(0o666 & ~_UMASK)
        part.replace(path)


@contextmanager
def part_beside(path: Path, folder: bool = False) -> Iterator[Path]:
    """Yield a new file or folder beside `path`; what is there under its name at the end is removed.

    It is held (`edgefer.locks`), so whoever next writes into the same folder knows what a killed process left there,
    and removes it.
    """
    beside = path.parent
    beside.mkdir(parents=True, exist_ok=True)
    if beside.resolve() not in _swept:
        _swept.add(beside.resolve())
        _sweep(beside)
    part = beside / f".{path.name[:_PREFIX]}.{uuid.uuid4().hex[:8]}{_PART}"
    try:
        with ExitStack() as stack:
            while True:
                if folder:
                    part.mkdir(mode=0o700, exist_ok=True)
                else:
                    part.touch(mode=0o600)
                with suppress(BlockingIOError, FileNotFoundError):  # another process took it for abandoned: again
                    stack.enter_context(locks.held(part))
                    break
            yield part
    finally:
        if folder:
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def fetch(file: Path, get: Callable[[], bytes], refused: Callable[[bytes], str]) -> bytes:
    """Return what `get` brings from the network, and keep it in a file.

    Args:
        file: in a cache.
        get: that brings it.
        refused: says what is wrong with it, or nothing.

    Raises:
        MissingRequirement: it cannot be had, is refused, or cannot be written; one line that says why.
    """
    try:
        content = get()
    except EdgeferError as error:
        raise MissingRequirement(str(error)) from None
    if problem := refused(content):
        raise MissingRequirement(problem)
    try:
        with write_atomically(file) as part:
            part.write_bytes(content)
    except OSError as error:
        raise MissingRequirement(f"{file} cannot be written: {error.strerror or error}") from None
    return content


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield an empty folder on the system's temporary disk; it is removed at the end, after a kill by the next one."""
    with part_beside(Path(tempfile.gettempdir()) / "edgefer", folder=True) as folder:
        yield folder


def _sweep(folder: Path) -> None:
    """Remove the parts that killed processes left in a folder."""
    with os.scandir(folder) as entries:
        parts = [entry for entry in entries if is_part(entry.name)]
    for entry in parts:
        if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
            locks.remove_abandoned(Path(entry.path))


def is_part(name: str) -> bool:
    """Return whether a file's or folder's name is that of one that is, or was, being written."""
    return name.startswith(".") and name.endswith(_PART)


def write_json(path: Path, tree: Any, indent: int) -> None:
    """Write plain JSON values to `path` by `write_atomically`, with so many blanks for each level."""
    with write_atomically(path) as part:
        part.write_text(json.dumps(tree, indent=indent) + "\n", encoding="utf-8")


def check_unused(path: Path, option: str = "--out") -> None:
    """Refuse a folder that `write_folder_atomically` could not write: asked before long work, it is said in time.

    Args:
        path: the folder.
        option: that names it on the command line.

    Raises:
        InputError: `path` is not one for `check_empty`, or is an empty folder that no new one can take the place of.
    """
    check_empty(path, option)
    if path.is_symlink() or os.path.ismount(path) or path.resolve() == Path.cwd():
        what = "a link" if path.is_symlink() else "a mount point" if os.path.ismount(path) else "the current folder"
        raise InputError(
            f"{option} {path} is {what}, which a new folder cannot replace; name a folder that does not exist yet"
        )
    _check_writable(path.absolute().parent, option)  # which an empty folder is taken out of


def check_empty(path: Path, option: str) -> None:
    """Refuse a folder that could not be filled with new files: asked before long work, it is said in time.

    Args:
        path: the folder.
        option: that names it on the command line.

    Raises:
        InputError: `path` exists and is not an empty folder, or takes no new files.
    """
    if path.is_dir():
        _sweep(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists already; name another folder with {option}")
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{option} {path} is a link to {path.readlink()}, which does not exist; create that folder first"
        )
    _check_writable(path, option)


def check_file(path: Path, option: str) -> None:
    """Refuse a file that `write_atomically` could not write: asked before long work, it is said in time.

    Args:
        path: the file.
        option: that names it on the command line.

    Raises:
        InputError: `path` is a folder, a pipe or a device, or what would be its folder is a file or takes no new files.
    """
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder; name a file")
    if path.exists() and not path.is_file():
        raise InputError(f"{option} {path} is a pipe or a device; name a file")
    _check_writable(path.resolve(), option)  # of a link, what it leads to is written


def check_table(path: Path, option: str) -> None:
    """Refuse what `check_file` does, and to write a table over a file of another kind: ``--csv *.png`` names one.

    Args:
        path: the file.
        option: that names it on the command line.

    Raises:
        InputError: it cannot be written, or is there and its name does not end in ``.csv``.
    """
    check_file(path, option)
    if path.exists() and path.resolve().suffix.lower() != ".csv":  # of a link, what it leads to is written
        raise InputError(f"{option} {path} exists and is not a .csv file; name another file")


def _check_writable(path: Path, option: str) -> None:
    there = path if path.is_dir() else next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir():
        raise InputError(f"{option} {path} cannot be written: {there} is a file")
    if not os.access(there, os.W_OK):
        raise InputError(f"{option} {path} cannot be written: {there} is not writable")


@contextmanager
def write_folder_atomically(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` to fill; it is renamed to `path` at the end, removed on any error.

    Raises:
        InputError: `path` exists and is not empty, or another process was faster.
    """
    check_unused(path)
    with part_beside(path, folder=True) as part:
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                _flush(file)
        part.chmod(0o777 & ~_UMASK)
        try:
            if path.exists():
                path.rmdir()
            part.replace(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            raise InputError(f"another process wrote {path} in the meantime; name another folder with --out") from None


def _flush(path: Path) -> None:
    with path.open("r+b") as file:  # Windows flushes what is open for writing alone
        os.fsync(file.fileno())


@contextmanager
def run_folder(out: Path | None, kind: str, name: str) -> Iterator[Path]:
    """Yield a folder that this process alone writes: `out`, made if missing, or a `new_run`.

    At the end, if nothing was written into it, what was made for it is removed. So are empty runs that were killed.

    Raises:
        InputError: another process is writing it.
    """
    place = RUNS / kind if out is None else out
    made = [each for each in (place, *place.parents) if not each.exists()]
    try:
        with ExitStack() as stack:
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                stack.enter_context(alone(out))
            else:
                _remove_empty_runs(kind)
                while True:
                    out = new_run(kind, name)
                    made.insert(0, out)
                    with suppress(BlockingIOError, FileNotFoundError):  # another process took it for a killed one's
                        stack.enter_context(locks.held(out))
                        break
            yield out
    finally:
        for each in made:
            remove_if_empty(each)


@contextmanager
def alone(folder: Path, option: str = "--out") -> Iterator[None]:
    """Keep other processes from writing a folder, which an option names on the command line.

    Raises:
        InputError: one is writing it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.held(folder.resolve()))  # a link is not held itself
        except BlockingIOError:
            raise InputError(
                f"another edgefer is writing {folder}; wait, or name another folder with {option}"
            ) from None
        yield


def _remove_empty_runs(kind: str) -> None:
    for left in (RUNS / kind).glob("*"):
        with suppress(OSError):  # not empty, somebody's, or not a folder
            if not left.is_symlink() and left.is_dir() and not any(left.iterdir()):
                with locks.held(left):
                    left.rmdir()


def new_run(kind: str, name: str) -> Path:
    """Make an empty folder that no other run has, ``runs/<kind>/<date>-<time>-<name>``, and return it.

    What takes long is written into a `run_folder`.
    """
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = RUNS / kind / f"{stamp}-{name}"
    count = 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            count += 1
            folder = RUNS / kind / f"{stamp}-{name}-{count}"
        else:
            return folder


def remove_if_empty(run: Path) -> None:
    """Remove a run's folder if nothing was written into it."""
    if run.is_dir() and not any(run.iterdir()):
        with suppress(OSError):  # the folder that somebody is in, or a mount point
            run.rmdir()


def mark_latest(run: Path) -> None:
    """Make ``latest`` beside `run` point to it; `run` may be a link to it, ``latest`` too.

    Windows lets only administrators and developer mode make links: there a line says that ``latest`` is left out.
    """
    run = run.resolve()
    link = run.parent / LATEST
    part = run.parent / f".{LATEST}.{os.getpid()}"
    part.unlink(missing_ok=True)
    try:
        part.symlink_to(run.name, target_is_directory=True)
        part.replace(link)
    except OSError:
        part.unlink(missing_ok=True)
        if os.name != "nt":
            raise
        console.say_once(
            f"{link} is not written, because this system has no symbolic links; use the folder's name: {run}"
        )


def latest(kind: str) -> Path | None:
    """Return the newest finished run of a kind (``train``, ``compress``, ``bench``), or None."""
    link = RUNS / kind / LATEST
    return link.parent / link.readlink() if link.is_symlink() and link.exists() else None
