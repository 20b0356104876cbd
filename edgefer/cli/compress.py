"""`edgefer compress`: makes an INT8 bundle of a trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from edgefer.cli.ending import resumable
from edgefer.cli.from_config import given, with_options_of
from edgefer.cli.options import Data, Json, Threads
from edgefer.compression.config import CompressConfig
from edgefer.lines import shell

if TYPE_CHECKING:
    from edgefer.bundle import AnswerChange, SlowReason, Speed
    from edgefer.compression.result import CompressResult

Value = TypeVar("Value")

_CPUS = {"vnni": False, "no-vnni": True}  # to `half_range`
_AFTER = {
    "max_drop",
    "require_speedup",
    "allow_float",
    "diagnose",
    "auto_repair",
}  # options that do not affect fine-tuning
_SHOWN = 4  # nodes of one reason; --json has them all


@with_options_of(CompressConfig, after="out")
def command(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="A training's folder. Default: the newest in runs/train.", show_default=False)
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Compress to INT8, the only precision.")] = True,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the bundle. Default: in runs/compress.")] = None,
    cpu: Annotated[str | None, typer.Option(help="vnni or no-vnni. Default: this CPU's.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Resume from this folder.")] = None,
    sm: Annotated[
        str | None,
        typer.Option(metavar="SM", help="Engines for RTX GPUs too: 86,89,120."),
    ] = None,
    threads: Threads = None,
    as_json: Json = False,
    **settings: Any,
) -> None:
    """Compress a trained network to INT8. Writes a file for each target, checked against FP32."""
    from edgefer import bundle as bundles
    from edgefer import console, paths
    from edgefer import data as datasets
    from edgefer.backends.tensorrt import ahead, builder
    from edgefer.cli import build, output
    from edgefer.errors import InputError
    from edgefer.lines import mark

    if cpu not in (None, *_CPUS):
        raise InputError(f"--cpu is {' or '.join(_CPUS)}, not {cpu}")
    config = given(settings) | ({"half_range": _CPUS[cpu]} if cpu else {})
    asked = CompressConfig(**config)
    if resume is not None and not _AFTER.issuperset(config):
        raise InputError(
            "--resume keeps the original options. It accepts only --out, "
            "--max-drop, --require-speedup, --allow-float, --diagnose, --auto-repair and a CHECKPOINT that was moved"
        )
    with output.needs_extra("compress", "train", *(["report"] if "diagnose" in config else [])):
        import torch

        from edgefer.compression import unfinished
        from edgefer.compression.compressor import compress as make
        from edgefer.compression.result import Rejected
        from edgefer.learning import checkpoint as checkpoints
        from edgefer.learning import distributed
    compute = ahead.compute_capabilities(sm) if sm else []  # checked before the long work
    if threads:
        torch.set_num_threads(threads)
    distributed.join("cpu")
    if resume is None and out is not None and distributed.launched():  # which restarts the same command
        resume = distributed.from_first(lambda: unfinished.resumable(out))
    if resume is not None:
        arguments = unfinished.resumed(resume, out, checkpoint)
        arguments["config"] = replace(arguments["config"], **config)
        name = ""
        data = data or unfinished.data_of(resume)
    else:
        checkpoint_path = checkpoints.find(checkpoint)
        name = checkpoints.read(checkpoint_path).recipe.name
        arguments = {"checkpoint": checkpoint_path, "out": out, "config": asked}
    target = arguments.pop("out")
    if target is not None:
        paths.check_unused(target)
    rejected = None
    with (
        distributed.run_folder(target, "compress", name) as folder,
        paths.alone(resume) if resume and distributed.is_first() else nullcontext(),
        resumable(lambda: _resume(unfinished.resumable(folder, resume))),
    ):
        try:
            dataset = distributed.first_then_others(lambda: datasets.find(data))
            result = make(dataset=dataset, out=folder, **arguments)
        except Rejected as error:
            result, rejected = error.result, error
    if rejected is None and result.bundle.resolve().parent == paths.RUNS.resolve() / "compress":
        paths.mark_latest(result.bundle)
    engines = []
    if compute and rejected is None:
        try:
            opened, built = ahead.build(bundles.load(result.bundle), compute, builder.MAX_BATCH)
        except InputError as error:  # do not lose hours of work
            raise InputError(
                f"{result.bundle} is complete except for its engines: {error}; then run: edgefer build"
            ) from None
        engines = opened.manifest.engines[-len(built) :]
    if as_json:
        listed = [each.model_dump() for each in engines]
        output.print_json({"command": "compress", **result.as_dict(), "engines": listed}, rejected)
        return
    synthetic = mark(result.synthetic)
    share = result.bytes["int8-cpu"] / result.bytes["fp32"]
    output.print_rows(
        f"INT8, checked on {result.images:,} validation images of {result.data}",
        {
            "weights": _method(result),
            "accuracy": f"{_percents(_once(result.accuracy))}{synthetic}",
            **{f"  {name}": _change(change) for name, change in _once(result.changes).items()},
            "macro F1": _percents(_once(result.macro_f1)),
            "recall": f"{_recalls(result.changes['int8-cpu'].recall, result.classes)} (int8-cpu, points)",
            "agreement": f"{100 * result.agreement:.2f} % of the predictions equal FP32's",
            **({"split": result.division.sentence} if result.division else {}),
            "size": f"{result.bytes['fp32']:,} -> {result.bytes['int8-cpu']:,} bytes ({share:.2f}x)",
            "latency": _latency(result.speed),
            "in 8 bits": f"{100 * result.integer_share:.0f} % of the multiply-accumulates, by ONNX Runtime",
            **({"in FP32": ", ".join(result.in_fp32)} if result.in_fp32 else {}),
            "time": console.duration(result.seconds),
            "bundle": str(result.bundle),
        },
    )
    output.print_line("ONNX Runtime stood in for TensorRT and TensorRT for RTX")
    if engines:
        output.print_rows("engines", build.rows(engines))
        output.print_line(build.NOT_RUN)
    if result.worst:
        _print_worst(result)
    if result.diagnosis:
        output.print_line(f"full table and plot: {result.diagnosis}")
    if not result.speed.faster:
        output.print_line(f"INT8 is not faster than FP32 on this CPU ({result.speed.cpu}):")
        for slow in result.speed.slow:
            output.print_line(f"  {slow.reason}")
            output.print_line(f"    {_where(slow)}remedy: {slow.remedy}")
    if rejected:
        raise rejected
    which = "" if out is None and resume is None else f" {shell(result.bundle)}"
    output.print_next(f"edgefer bench{which}{output.with_data(data)}")


def _resume(work: Path | None) -> str | None:
    """Return the command that resumes a fine-tuning, if there is one."""
    return f"edgefer compress --resume {shell(work)}" if work else None


def _once(of: Mapping[str, Value]) -> dict[str, Value]:
    """TensorRT for RTX runs TensorRT's file: no separate line."""
    return {name: value for name, value in of.items() if not name.endswith("-rtx")}


def _print_worst(result: CompressResult) -> None:
    from edgefer.cli import output

    when = ", before the repair" if result.in_fp32 else ""
    output.print_line(f"what costs INT8 most{when}, with only that part in FP32:")
    output.print_line(f"  {'cross-entropy':>13} {'points':>7} {'SNR, dB':>7} {'ms':>7}")
    for each in result.worst:
        ratio = "" if each.snr is None else f"{each.snr:.1f}"
        figures = f"{each.loss:>13.5f} {each.accuracy:>+7.2f} {ratio:>7} {each.milliseconds:>+7.3f}"
        output.print_line(f"  {figures} {each.part.title}")


def _method(result: CompressResult) -> str:
    if result.method == "qat":
        return "calibrated and fine-tuned"
    return "calibrated; fine-tuning brought no gain" if result.tuned else "calibrated"


def _change(change: AnswerChange) -> str:
    points, low, high = (100 * value for value in (change.accuracy, change.low, change.high))
    return f"{points:+.2f} points (95 %: {low:+.2f} to {high:+.2f}; {change.gained} images gained, {change.lost} lost)"


def _recalls(recalls: Sequence[float | None], classes: Sequence[str]) -> str:
    known = [(name, value) for name, value in zip(classes, recalls, strict=True) if value is not None]
    return ", ".join(f"{name} {100 * value:+.1f}" for name, value in known)


def _latency(speed: Speed) -> str:
    return (
        f"{speed.fp32_ms:.3f} -> {speed.int8_ms:.3f} ms ({speed.ratio:.2f}x, 95 %: {speed.low:.2f} to "
        f"{speed.high:.2f}; {speed.threads} thread)"
    )


def _where(slow: SlowReason) -> str:
    if not slow.nodes:
        return ""
    more = f" and {len(slow.nodes) - _SHOWN} more" if len(slow.nodes) > _SHOWN else ""
    share = "" if slow.macs is None else f" ({100 * slow.macs:.1f} % of the arithmetic)"
    return f"{', '.join(slow.nodes[:_SHOWN])}{more}{share}; "


def _percents(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {100 * value:.2f} %" for name, value in values.items())
