"""`edgefer quickstart`: train, compress, bench and report on the built-in synthetic faces, in a few minutes."""

from __future__ import annotations

from typing import Annotated

import typer

from edgefer.cli.options import Json


def command(
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the training.")] = 0,
    as_json: Json = False,
) -> None:
    """Try it all on synthetic faces. Trains, compresses and benches a tiny network in under 4 minutes."""
    import time

    import edgefer
    from edgefer import console, paths
    from edgefer.cli import bench, output, train

    with output.needs_extra("compress", "report"):
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401

        from edgefer.compression import extension
    started = time.monotonic()
    extension.start_extension_build()  # takes about a minute the first time, in parallel with training
    dataset = edgefer.data.builtin()
    console.say("1 of 3: train a nano network on synthetic faces (built in, no photographs)")
    trained = edgefer.train("quickstart", dataset, seed=seed)
    shown = train.show(trained.run, dataset, None)
    console.say("2 of 3: compress it to INT8")
    # 1,000 images: a point is 10 of them, so the usual half a point would be a gate on luck
    small = edgefer.compress(trained.run, dataset, config=edgefer.CompressConfig(max_drop=3.0))
    console.say("3 of 3: bench it on this CPU")
    result = edgefer.bench(small.bundle, dataset, seconds=1.0)
    folder = paths.new_run("bench", "quickstart")
    files = bench.write(result, folder)
    paths.mark_latest(folder)
    seconds = round(time.monotonic() - started, 1)
    if as_json:
        parts = {"train": trained.as_dict(), "compress": small.as_dict(), "bench": result.model_dump(mode="json")}
        output.print_json({"command": "quickstart", "seconds": seconds, **shown, **files, **parts})
        return
    from edgefer.report.table import tables

    output.screen().print(tables(result))
    output.print_rows(
        f"done in {console.duration(seconds)}, on synthetic faces: this shows that it works, not how well",
        {"checkpoint": str(trained.run), "page": shown.get("page", "none"), "bundle": str(small.bundle), **files},
    )
    output.print_next("edgefer train, then edgefer compress --int8, then edgefer bench, each with --data fer2013.zip")
