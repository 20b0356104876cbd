"""`edgefer serve`: predictions over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from edgefer.cli.options import CpuThreads, Detector, RunsOn


def command(
    bundle: Annotated[
        str | None,
        typer.Argument(
            help="A pretrained network or a bundle's folder. Default: edgefer-base.",
            metavar="BUNDLE",
            show_default=False,
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Beyond localhost, requests need a token.")
    ] = "127.0.0.1:4912",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="EDGEFER_TOKEN",
            help="Token that requests must carry. Default: a new one beyond localhost.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, help="Pictures processed at a time. Default: the CPU's cores.", show_default=False
        ),
    ] = None,
    queue: Annotated[int, typer.Option(min=0, max=10_000, help="Requests that may wait; further ones get 429.")] = 16,
    max_mb: Annotated[int, typer.Option(min=1, max=256, help="Largest picture, in MB.")] = 16,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Confidence below which the label is 'unsure'.")
    ] = 0.0,
    detector: Detector = None,
    device: RunsOn = "auto",
    threads: CpuThreads = 1,
) -> None:
    """Serve predictions over HTTP: POST a picture to /predict. Ends with Ctrl-C or SIGTERM."""
    import os

    from edgefer import console
    from edgefer.cli import output
    from edgefer.live.notice import NOTICE
    from edgefer.predictor import Predictor

    with output.needs_extra("live"):
        from edgefer.server import address, run
        from edgefer.server.app import ServerSettings, application
    wanted = address.parse(listen)
    secret = address.token_for(wanted, token)
    settings = ServerSettings(workers or os.cpu_count() or 1, queue, max_mb << 20, min_confidence=min_confidence)
    with Predictor.load(bundle, threads=threads, device=device, detector=detector) as predictor:
        predictor.start_detector()  # fail now if something is missing, not at the first picture
        listening, here = address.bind(wanted)
        app = application(predictor, settings, secret)

        def started() -> None:
            for line in NOTICE:
                console.say(line)
            output.print_line(
                f"{predictor.bundle.manifest.name}, {predictor.network} on {predictor.device}: {here.url()}"
            )
            header = f" -H 'Authorization: Bearer {secret}'" if secret else ""
            output.print_next(f"curl{header} --data-binary @photo.jpg {here.url()}predict")

        answered = run.until_signal(app, listening, started)
    console.say(f"stopped; {answered:,} pictures answered")
