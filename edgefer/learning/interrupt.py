"""Delays Ctrl-C until the current step is done, so weights are never half updated."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from edgefer.learning import distributed


@contextmanager
def wish_to_stop() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether SIGINT, SIGTERM or SIGHUP came. A second SIGINT interrupts at once.

    Ignored signals (SIGHUP under nohup) stay ignored. Under torchrun, Ctrl-C arrives twice: from the terminal and
    from torchrun.
    """
    asked = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT and not distributed.launched():
            raise KeyboardInterrupt
        asked = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # Python allows signal handlers in the main thread only
        return
    numbers = (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP"))  # Windows has no SIGHUP
    before = {each: signal.signal(each, note) for each in numbers if each and signal.getsignal(each) != signal.SIG_IGN}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
