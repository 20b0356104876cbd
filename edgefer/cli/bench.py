"""`edgefer bench`: measures bundles on data; prints a table and writes `result.json` and a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.bench.probes import ASKED
from edgefer.cli.options import Bundles, CpuThreads, Json, Judged, opened
from edgefer.errors import InputError

if TYPE_CHECKING:
    from edgefer.bench.result import BenchResult
    from edgefer.data.dataset import Dataset

_FACES = 1000  # one or two seconds on a board, once


def command(
    bundles: Bundles = None,
    devices: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            metavar="DEVICE",
            help="cpu, openvino, litert, jetson, tensorrt or rtx; may be repeated. Default: cpu.",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Data set, as for train (docs/data.md). Repeat it for accuracy on each.", show_default=False),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Compare groups: a CSV of path,age,sex,...", show_default=False),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Also accuracy by flip or ten-crop; may be repeated.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the result. Default: runs/bench/<time>-<name>.")] = None,
    threads: CpuThreads = 1,
    split: Judged = "test",
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="Minimum time to time each network.")] = 3.0,
    dla: Annotated[
        int | None, typer.Option(min=0, help="A Jetson's DLA by number (FP16); the GPU runs the rest.")
    ] = None,
    no_cuda_graphs: Annotated[bool, typer.Option("--no-cuda-graphs", help="Launch GPU kernels one by one.")] = False,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Also {'; '.join(f'{name}: {what}' for name, what in ASKED.items())}.",
            show_default=False,
        ),
    ] = None,
    fallback: Annotated[
        bool, typer.Option("--fallback", help="Fall back to the CPU if the GPU cannot be used.")
    ] = False,
    host: Annotated[
        str | None,
        typer.Option(metavar="USER@HOST[:PATH]", help="Bench on another machine by ssh. PATH: its edgefer command."),
    ] = None,
    submit: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help="Also write submission.json, to contribute. WORDS: cooling and power."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure networks on a device. Accuracy, latency, file size and memory of a bundle's networks."""
    from edgefer.backends import registry
    from edgefer.cli import project
    from edgefer.devices import present

    if submit is not None:
        from edgefer.bench import submission

        submit = submission.check_words(submit)
    first, *others = devices = devices or ["cpu"]
    elsewhere = host is not None or fallback or others
    absent = first in registry.BACKENDS and not present.here(first) and not _runs(first)
    named: list[Path | None] = [*data] if data else [None]
    if not elsewhere and project.projected(first) and absent:
        further = {"a second --data": len(named) > 1, "--groups": groups is not None, "--protocol": bool(protocol)}
        foreign = [name for name, given in further.items() if given]
        if foreign:
            raise InputError(f"there is no {first} here, and a projection does not use {' and no '.join(foreign)}")
        project.run(first, bundles, named[0], out=out, threads=threads, split=split, asked=False, as_json=as_json)
        return
    from edgefer import data as datasets
    from edgefer import paths
    from edgefer.backends.base import Options
    from edgefer.bench import inputs, measurement
    from edgefer.bench import probes as probing
    from edgefer.cli import output
    from edgefer.report.table import tables

    on_gpu = [name for name in devices if registry.get(name).on_gpu]
    of_gpu = {"--dla": dla is not None, "--no-cuda-graphs": no_cuda_graphs, "--fallback": fallback}
    foreign = [name for name, given in of_gpu.items() if given]
    if foreign and not on_gpu:
        raise InputError(f"--device {', '.join(devices)} does not use a GPU; omit {', '.join(foreign)}")
    chosen = probing.standard(*(measure or []))
    views = inputs.further_views(protocol or [])
    given = _given(named[0]) if on_gpu else datasets.find(named[0])
    further_data = [datasets.find(each) for each in named[1:]]
    found = opened(bundles)
    if out is not None:
        paths.check_unused(out)
    dataset = inputs.divided_as_for(found, given)
    options = Options(cuda_graphs=not no_cuda_graphs, dla=dla)
    title = found[0].manifest.name if len(found) == 1 else f"{len(found)}-bundles"
    with paths.run_folder(out, "bench", title) as folder:
        if host is None:
            result = measurement.bench(
                found,
                dataset,
                device=devices,
                threads=threads,
                split=split,
                seconds=seconds,
                options=options,
                fallback=fallback,
                probes=chosen,
                further=further_data,
                protocols=views,
                groups=groups,
            )
        else:
            from edgefer.bench import remote

            name, _, remote_edgefer = host.partition(":")
            words = measurement.words(threads, seconds, options, fallback=fallback, probes=chosen)
            result = remote.bench(
                found,
                dataset,
                host=name,
                devices=devices,
                split=split,
                options=words,
                remote_edgefer=remote_edgefer if ":" in host else None,
                further=further_data,
                protocols=views,
                groups=groups,
            )
        files = write(result, folder, submit)
    if out is None:
        paths.mark_latest(folder)
    if as_json:
        output.print_json({"command": "bench", **files, **result.model_dump(mode="json")})
        return
    output.screen().print(tables(result))
    output.print_rows("written", files)
    if submit is not None:
        file = Path(files["submission"])
        output.print_line(
            f"To contribute: copy {file} to benchmarks/submissions/{submission.read(file).name} in a fork of edgefer, "
            "run `python benchmarks/readme.py`, and open a pull request. docs/measurements.md says more."
        )


def _given(data: Path | None) -> Dataset:
    """Return the data for a bench on a GPU; a few synthetic faces if there are none."""
    from edgefer import console
    from edgefer import data as datasets
    from edgefer.data.default import named
    from edgefer.data.faces import builtin

    if named(data) is not None:
        return datasets.find(data)
    console.say(
        "no FER2013 here: latency is measured on synthetic faces and accuracy is meaningless. For accuracy, "
        "give FER2013 with --data"
    )
    return builtin(train=7, val=7, test=_FACES)


def _runs(device: str) -> bool:
    """Return whether a device runs here although its files are missing, as in a container."""
    from edgefer.backends import registry
    from edgefer.errors import MissingRequirement

    try:
        registry.get(device).check()
    except MissingRequirement:
        return False
    return True


def write(result: BenchResult, folder: Path, submit: str | None = None) -> dict[str, str]:
    """Write a bench's files, ``result.json`` and, with its extra installed, ``report.html``; return their paths.

    With words on cooling and power, ``submission.json`` too.
    """
    from edgefer import console, paths
    from edgefer.errors import MissingExtra

    files = {"result.json": result.model_dump_json(indent=1) + "\n"}
    if submit is not None:
        from edgefer.bench import submission

        files[submission.FILE] = submission.make(result, submit).model_dump_json(indent=1) + "\n"
    try:
        from edgefer.report import html as report

        files["report.html"] = report.render_html(result)
    except MissingExtra as error:
        console.say(f"no report.html: {error}")
    with paths.write_folder_atomically(folder) as part:
        for name, text in files.items():
            (part / name).write_text(text, encoding="utf-8")
    return {name.partition(".")[0]: str(folder / name) for name in files}
