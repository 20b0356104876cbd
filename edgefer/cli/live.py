"""`edgefer live`: classifies the faces in front of a camera, live."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgefer.cli.options import CpuThreads, Detector, RunsOn

if TYPE_CHECKING:
    from rich.live import Live as Drawing

    from edgefer.live.events import Frame
    from edgefer.live.pipeline import Live
    from edgefer.predictor import Predictor

_TICK = 0.25  # seconds between two checks of the clock, and two updates of the terminal


def command(
    source: Annotated[
        str, typer.Argument(help="Camera number, video file, rtsp:// or http:// stream, or - for stdin.")
    ] = "0",
    bundle: Annotated[
        str | None,
        typer.Option(help="A pretrained network or a bundle's folder. Default: edgefer-base.", show_default=False),
    ] = None,
    events: Annotated[
        Literal["changes", "frames"] | None,
        typer.Option(help="Print JSON lines, one per change or per frame.", show_default=False),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Record an .mp4 or .mkv with boxes and labels. Nothing else is stored.")
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Confidence below which the label is 'unsure'. Default: 0.35.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, max=1000, help="Detect faces in every n-th frame, or after 0.5 s.")] = 3,
    min_face: Annotated[
        int | None, typer.Option(min=1, help="Smallest face in pixels. Default: 48, more in large frames.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="Frame size of a camera: 1280x720.")] = None,
    raw: Annotated[str | None, typer.Option(help="Stdin is raw pixels: 640x480:rgb24.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after this time.")] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Show it on a page in the browser.")] = True,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address of the page. Default: 127.0.0.1:4912. Beyond localhost it needs a token.",
            show_default=False,
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="EDGEFER_TOKEN", help="Token of the page. Default: a new one beyond localhost.", show_default=False
        ),
    ] = None,
    detector: Detector = None,
    device: RunsOn = "auto",
    threads: CpuThreads = 1,
) -> None:
    """Classify the faces in front of a camera. Ends with Ctrl-C, or with the file."""
    from edgefer import console
    from edgefer.cli import output
    from edgefer.errors import InputError
    from edgefer.live import sources, terminal
    from edgefer.live.judge import JudgeSettings
    from edgefer.live.notice import NOTICE
    from edgefer.live.pipeline import Live
    from edgefer.live.record import Recording
    from edgefer.live.smooth import Smoothing
    from edgefer.predictor import Predictor

    if listen is not None and not page:
        raise InputError("--listen is the page's address; omit it or --no-page")
    with ExitStack() as stack, output.needs_extra("live"):
        opened = sources.named(source, size, raw)
        recording = stack.enter_context(Recording(record)) if record is not None else None
        smoothing = Smoothing() if min_confidence is None else Smoothing(min_confidence=min_confidence)
        predictor = stack.enter_context(Predictor.load(bundle, threads=threads, device=device, detector=detector))
        for line in NOTICE:
            console.say(line)
        view = _View(opened.title, events)
        running = Live(opened, predictor, JudgeSettings(every, min_face, smoothing), view.say)
        # The page and this command start before the first frame.
        where = stack.enter_context(_page(running, predictor, listen, token)) if page else None
        answers = stack.enter_context(running.subscribe(size=4))
        stack.enter_context(running)
        if where:
            console.say(f"watch it at {where}")
        stack.callback(lambda: console.say(terminal.summary(running.figures())))
        stack.enter_context(view)
        until = None if seconds is None else time.monotonic() + seconds
        try:
            while not answers.ended and (until is None or time.monotonic() < until):
                answered = answers.get(_TICK)
                if answered is not None and recording is not None:
                    recording.add(*answered)
                view.show(answered and answered[1], running)
        except KeyboardInterrupt:
            if opened.paced:  # a file ends by itself: scripts must see an interruption
                raise
        running.check()


@contextmanager
def _page(running: Live, predictor: Predictor, listen: str | None, token: str | None) -> Iterator[str]:
    """Serve the page in the block; yield its address. Without `listen`, a free port is used if 4912 is taken."""
    from edgefer.errors import InputError
    from edgefer.server import address, run
    from edgefer.server.app import application

    wanted = address.parse(listen or address.LOCAL)
    secret = address.token_for(wanted, token)
    try:
        listening, here = address.bind(wanted)
    except InputError:
        if listen is not None:
            raise
        listening, here = address.bind(address.Address(wanted.host, 0))
    with run.in_background(application(predictor, token=secret, live=running), listening):
        yield here.url(secret)


class _View:
    """Output: JSON lines, a redrawn table in a terminal, or one line per change.

    Args:
        title: of the source.
        events: which JSON lines to print.
    """

    def __init__(self, title: str, events: Literal["changes", "frames"] | None) -> None:
        self._title, self._events = title, events
        self._before: Frame | None = None
        self._drawing: Drawing | None = None
        self._drawn = 0.0

    def __enter__(self) -> _View:
        import sys

        from rich.live import Live as Drawing

        from edgefer.cli import output

        if self._events is None and sys.stdout.isatty():
            self._drawing = Drawing(console=output.screen(), auto_refresh=False)
            self._drawing.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._drawing is not None:
            self._drawing.stop()
            self._drawing = None

    def say(self, line: str) -> None:
        """Print a line that is not a prediction, above the table if there is one."""
        from edgefer import console
        from edgefer.lines import printable

        if self._drawing is not None:
            self._drawing.console.print(printable(line))
        else:
            console.say(line)

    def show(self, frame: Frame | None, running: Live) -> None:
        """Print what is new.

        Args:
            frame: the newest; None if there is no new one.
            running: for the figures.
        """
        from edgefer.cli import output
        from edgefer.live import terminal
        from edgefer.live.events import changes

        found = list(changes(self._before, frame)) if frame is not None else []
        self._before = frame or self._before
        if self._drawing is not None:
            now = time.monotonic()
            if now - self._drawn >= _TICK:
                self._drawn = now
                self._drawing.update(terminal.table(self._title, self._before, running.figures()), refresh=True)
        elif self._events == "frames" and frame is not None:
            output.print_json_line(frame.as_dict())
        else:
            for change in found:
                if self._events:
                    output.print_json_line(change.as_dict())
                else:
                    output.print_line(terminal.told(change))
