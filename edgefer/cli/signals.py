"""SIGTERM and SIGHUP act as Ctrl-C: partial files are removed, and a training is saved."""

from __future__ import annotations

import signal
from types import FrameType

_come = False


def interrupt_by_all() -> None:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP from now on, unless ignored, as under nohup."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _interrupt)


def came() -> bool:
    """Return whether a signal arrived: a library may have converted the KeyboardInterrupt."""
    return _come


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _come
    _come = True
    raise KeyboardInterrupt
