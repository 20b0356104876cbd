"""SIGTERM and SIGHUP end a command as Ctrl-C does: files that are half written are removed, and a training is saved."""

from __future__ import annotations

import signal
from types import FrameType

_come = False


def interrupt_by_all() -> None:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP from now on, but for one that is ignored, as under nohup."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)


def came() -> bool:
    """Return whether one of them came: a library may have made another error of the KeyboardInterrupt."""
    return _come


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _come
    _come = True
    raise KeyboardInterrupt
