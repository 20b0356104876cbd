"""`edgefer bench`: bundles and data in, a table, `result.json` and a report out."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefer.cli.options import Data, Json

if TYPE_CHECKING:
    from edgefer.bench.result import Result
    from edgefer.claims.result import Result as Claims
    from edgefer.data.dataset import Dataset


# What may be typed where nothing is measured; the rest would be ignored.
_COMPARE = {"compare", "fail_if", "markdown", "allow_different", "as_json"}
_CLAIMS = {"claims", "results", "data", "out", "as_json"}
_GPU = {"dla", "cuda_graphs", "fallback"}
_PROJECT = {"project", "bundles", "device", "data", "out", "threads", "split", "as_json"}


def bench(
    ctx: typer.Context,
    bundles: Annotated[
        list[Path] | None,
        typer.Argument(metavar="BUNDLE", help="Default: the newest in runs/compress.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, openvino, jetson, tensorrt or rtx.")] = "cpu",
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the result. Default: runs/bench/<time>-<name>.")] = None,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="CPU threads for one inference.")] = 1,
    split: Annotated[str, typer.Option(help="Images to evaluate: test, val, public+private.")] = "test",
    seconds: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Least time that each network is timed for.")
    ] = 3.0,
    dla: Annotated[
        int | None, typer.Option(min=0, help="Number of a Jetson's DLA (FP16); what it lacks runs on the GPU.")
    ] = None,
    cuda_graphs: Annotated[bool, typer.Option(help="Start each inference on a GPU as one graph.")] = True,
    throughput: Annotated[
        bool, typer.Option("--throughput", help="Count images a second over batch and threads too.")
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Run them on blurred, noisy, dark, ... pictures too.")
    ] = False,
    with_faces: Annotated[
        bool, typer.Option("--with-faces", help="Show the faces most often wrong in the report: these are people.")
    ] = False,
    fallback: Annotated[bool, typer.Option(help="Measure on the CPU where the GPU cannot be used.")] = False,
    host: Annotated[
        str | None,
        typer.Option(metavar="USER@HOST", help="Bench there, over ssh. It needs edgefer and nothing else."),
    ] = None,
    ssh_config: Annotated[
        Path | None, typer.Option(help="ssh's configuration file for --host, in place of yours.")
    ] = None,
    remote_edgefer: Annotated[
        str | None, typer.Option(metavar="PATH", help="edgefer on the host, e.g. venv/bin/edgefer.", show_default=False)
    ] = None,
    project: Annotated[
        bool, typer.Option("--project", help="Project jetson or rtx from data sheets; without one here, exit code 0.")
    ] = False,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Measure nothing: compare B's result with A's, the reference."),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(metavar="COND", help="Exit code 1 if B is so, e.g. 'latency.p50 > 1.05x'. May be repeated."),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the result for a pull request.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a line for each network too.")] = None,
    allow_different: Annotated[
        bool, typer.Option("--allow-different", help="Compare other protocols, hardware or data too, with a warning.")
    ] = False,
    claims: Annotated[
        bool,
        typer.Option("--claims", help="Hold papers' claims against what is measured; without a BUNDLE, count only."),
    ] = False,
    results: Annotated[
        list[Path] | None,
        typer.Option(metavar="RESULT", help="A finished bench to hold the claims against. May be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a bundle's networks: accuracy, per class and confusion, latency percentiles, file size, memory."""
    typed = [name for name in ctx.params if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    if compare or fail_if or allow_different:
        from edgefer.cli import compare as comparing

        if compare:
            _only(typed, _COMPARE, "--compare reads two results and measures nothing")
        conditions = fail_if or []
        comparing.run(compare, conditions, allow_different=allow_different, markdown=markdown, as_json=as_json)
        return
    from edgefer.cli import claims as deciding
    from edgefer.cli import projection
    from edgefer.errors import InputError

    if markdown and as_json:
        raise InputError("--json and --markdown are two ways to print; choose one")
    if results and not claims:
        raise InputError("--results holds finished benches against the papers' claims: give --claims too")
    if claims and not bundles:
        _only(typed, _CLAIMS, "--claims without a BUNDLE measures no network")
        deciding.run(data, results=results or [], out=out, as_json=as_json)
        return
    if project:
        _only(typed, _PROJECT, "--project measures nothing")
    if host is None and not fallback and projection.wanted(device, project):
        if markdown or csv is not None or with_faces or claims:
            raise InputError(
                "--markdown, --csv, --with-faces and --claims show what was measured; a projection has none of it"
            )
        projection.run(device, bundles, data, out=out, threads=threads, split=split, asked=project, as_json=as_json)
        return
    from edgefer import bundle as opened
    from edgefer import data as datasets
    from edgefer import paths
    from edgefer.backends import registry
    from edgefer.backends.base import Options
    from edgefer.bench import bench as benching

    if csv is not None:
        paths.check_table(csv, "--csv")
    backend = registry.get(device)
    if host is None and (ssh_config or remote_edgefer):
        raise InputError("--ssh-config and --remote-edgefer are for --host, which is not there")
    if not backend.on_gpu:
        _only(typed, set(ctx.params) - _GPU, f"--device {device} measures nothing on a GPU")
    if device == "rtx":
        _only(typed, set(ctx.params) - {"dla"}, "an RTX GPU has no DLA")
    finished = deciding.read(results or [])  # a wrong one is said before the measuring
    found = [opened.load(path) for path in bundles] if bundles else [opened.newest()]
    if out is not None:
        paths.check_unused(out)
    from edgefer.bench import subjects

    dataset = subjects.divided_as_for(found, datasets.find(data))
    options = Options(cuda_graphs=cuda_graphs, dla=dla)
    more = {"fallback": fallback, "robustness": robustness, "throughput": throughput, "faces": with_faces}
    title = found[0].manifest.name if len(found) == 1 else f"{len(found)}-bundles"
    with paths.run_folder(out, "bench", title) as folder:
        if host is None:
            result = benching.bench(
                found, dataset, device=device, threads=threads, split=split, seconds=seconds, options=options, **more
            )
        else:
            from edgefer.bench import remote

            words = benching.words(threads, seconds, options, **more)
            result = remote.bench(
                found,
                dataset,
                host=host,
                device=device,
                split=split,
                options=words,
                ssh_config=ssh_config,
                remote_edgefer=remote_edgefer,
            )
        ledger = None
        if claims:
            try:
                ledger = deciding.decided([(str(folder / "result.json"), result), *finished], dataset)
            except InputError:
                write(result, folder, dataset)  # what was measured is kept
                raise
        files = write(result, folder, dataset, ledger)
    if out is None:
        paths.mark_latest(folder)
    if csv is not None:
        from edgefer.report import spreadsheet

        spreadsheet.write(result, csv)
        files["csv"] = str(csv)
    _show(result, ledger, files, markdown=markdown, as_json=as_json)


def _only(typed: Sequence[str], allowed: Set[str], why: str) -> None:
    """Refuse options that would be ignored.

    Raises:
        InputError: one of `typed`, parameters of `bench`, is not among `allowed`.
    """
    from edgefer.errors import InputError

    names = {"bundles": "BUNDLE", "as_json": "--json"}
    foreign = [names.get(name, f"--{name.replace('_', '-')}") for name in typed if name not in allowed]
    if foreign:
        raise InputError(f"{why}; leave {', '.join(foreign)} out")


def _show(result: Result, ledger: Claims | None, files: dict[str, str], *, markdown: bool, as_json: bool) -> None:
    from edgefer.cli import output

    if as_json:
        output.print_json({"command": "bench", **files, **result.model_dump(mode="json")})
        return
    if markdown:
        from edgefer.report import markdown as printed

        output.print_text(printed.markdown(result))
        return
    from edgefer.report.table import tables

    output.screen().print(tables(result))
    if ledger is not None:
        from edgefer.claims import table

        output.screen().print("", table.tables(ledger, measured=True))
    output.print_rows("written", files)


def write(result: Result, folder: Path, dataset: Dataset | None = None, claims: Claims | None = None) -> dict[str, str]:
    """Write a bench's files, ``result.json`` and where its extra is installed ``report.html``; return their paths.

    Args:
        result: of the bench.
        folder: for the files.
        dataset: has the faces that the result names, if it names some.
        claims: the ledger held against it: ``claims.json``, and a section of the report.
    """
    from edgefer import console, paths
    from edgefer.cli import claims as deciding
    from edgefer.errors import MissingExtra

    files = {"result.json": result.model_dump_json(indent=1) + "\n"}
    if claims is not None:
        files[deciding.JSON] = deciding.text(claims)
    try:
        from edgefer.report import html as report

        files["report.html"] = report.html(result, dataset, None if claims is None else deciding.section(claims))
    except MissingExtra as error:
        console.say(f"no report.html: {error}")
    with paths.write_folder_atomically(folder) as part:
        for name, text in files.items():
            (part / name).write_text(text, encoding="utf-8")
    return {name.partition(".")[0]: str(folder / name) for name in files}
