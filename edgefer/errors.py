"""The errors a user can meet, each with the exit code the command line ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class EdgeferError(Exception):
    """Something went wrong that a user can understand. The message is one line that says what to do."""

    exit_code = 70
    report: Mapping[str, Any] | None = None  # what stands beside the error where a script reads it: all that was found


class GateFailed(EdgeferError):
    """A measurement missed a bound or a comparison failed; the result itself is sound."""

    exit_code = 1


class Diverged(EdgeferError):
    """A training's loss is not finite any more; the last good checkpoint is kept."""

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
        extra: the extra of edgefer that brings it, e.g. ``train``.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'edgefer[{extra}]'")
        self.package = package
        self.extra = extra

    @classmethod
    def of(cls, error: ModuleNotFoundError, extra: str) -> MissingExtra:
        """Return what an import of a package of `extra` that failed is to a user."""
        return cls((error.name or "a package").partition(".")[0], extra)


class Interrupted(EdgeferError):
    """The user pressed Ctrl-C and what was done so far has been saved."""

    exit_code = 130
