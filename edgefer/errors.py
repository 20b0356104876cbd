"""User errors, each with its exit code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class EdgeferError(Exception):
    """A user error. The message is one line: what is wrong, where, what to do."""

    exit_code = 70
    report: Mapping[str, Any] | None = None  # data printed with the error in JSON output


class GateFailed(EdgeferError):
    """A gate or comparison failed; the result itself is valid."""

    exit_code = 1


class Diverged(EdgeferError):
    """A training's loss is no longer finite; the last good checkpoint is kept."""

    exit_code = 1


class InputError(EdgeferError):
    """A file, an option or a setting is wrong."""

    exit_code = 2


class MissingRequirement(EdgeferError):
    """The machine lacks or lost something: an extra, a device, disk space, a connection."""

    exit_code = 3


class MissingExtra(MissingRequirement):
    """A package of an optional extra is not installed.

    Args:
        package: the package that could not be imported, e.g. ``torch``.
        extra: the extra of edgefer with it, e.g. ``train``.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'edgefer[{extra}]'")
        self.package = package
        self.extra = extra

    @classmethod
    def of(cls, error: ModuleNotFoundError, extra: str) -> MissingExtra:
        """Return the user error for a failed import of a package of `extra`."""
        return cls((error.name or "a package").partition(".")[0], extra)


class Interrupted(EdgeferError):
    """The user pressed Ctrl-C and what was done so far has been saved."""

    exit_code = 130
