"""`edgefer export`: exports a bundle for other programs."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgefer.cli.options import Detector, Json

if TYPE_CHECKING:
    from edgefer.export.checking import Checked

_Bundle = Annotated[
    Path | None,
    typer.Argument(
        metavar="BUNDLE", help="Default: the newest in runs/compress, else edgefer-base.", show_default=False
    ),
]
_Network = Annotated[
    str | None, typer.Option(help="Network of the bundle. Default: INT8 for CPUs.", show_default=False)
]

app = typer.Typer(invoke_without_command=True, help="Export a network for other programs, preprocessing included.")


@app.callback()
def command(
    context: typer.Context,
    check: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Check an exported file on its golden vectors.", show_default=False),
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="Device for --check. Default: all available.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Export a network for other programs, with preprocessing. Exit code 1: --check found a difference."""
    from edgefer.errors import GateFailed, InputError

    if context.invoked_subcommand is not None:
        if check is not None:
            raise InputError("--check takes no subcommand: edgefer export --check FILE")
        if device:
            raise InputError("--device needs --check: edgefer export --check FILE --device NAME")
        return
    if check is None:
        raise InputError(
            "export what? edgefer export onnx BUNDLE, export litert BUNDLE, export web BUNDLE, or --check FILE"
        )
    from edgefer.cli import output
    from edgefer.export import checking

    found = checking.check(check, device or ())
    ran = [each for each in found if not each.why]
    failed = None
    if wrong := [each.device for each in ran if not each.passed]:
        failed = GateFailed(f"{check} differs from Python's probabilities on {', '.join(wrong)}")
    if as_json:
        output.print_json(
            {"command": "export", "check": str(check), "devices": [asdict(each) for each in found]}, failed
        )
        return
    output.print_rows(str(check), {each.device: _line(each) for each in found})
    if failed:
        raise failed


@app.command()
def onnx(
    bundle: _Bundle = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: NAME.onnx here.", show_default=False)
    ] = None,
    network: _Network = None,
    box: Annotated[bool, typer.Option("--box", help="Also take the face's box as a second input.")] = False,
    as_json: Json = False,
) -> None:
    """Write one ONNX file from picture (uint8, H x W x 3 or 4, any size) to calibrated probabilities.

    Golden vectors are written next to it; `edgefer export --check FILE` runs them.
    """
    from edgefer.cli import output
    from edgefer.cli.options import opened

    with output.needs_extra("compress"):
        from edgefer.export.onnx_file import write
    written = write(opened([bundle] if bundle else None)[0], out, network, box=box)
    if as_json:
        output.print_json({"command": "export onnx", **written.as_json()})
        return
    output.print_rows(
        f"{written.name}, {written.network}",
        {
            "model": f"{written.model} ({written.bytes:,} bytes)",
            "golden": f"{written.golden} ({written.vectors} pictures)",
            "inputs": "image: uint8 [height, width, 3 or 4]" + ("; box: int64 [4]" if box else ""),
            "output": f"probabilities: float32 [{written.labels}]",
            "check": f"edgefer export --check {written.model}",
        },
    )


@app.command()
def litert(
    bundle: _Bundle = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Default: NAME.tflite here.", show_default=False)
    ] = None,
    network: _Network = None,
    as_json: Json = False,
) -> None:
    """Write a LiteRT file (.tflite) for phones and the Raspberry Pi, with the bundle's own INT8 scales.

    It takes the preprocessed picture, float32 (N, height, width, channels), and returns logits. Golden vectors are
    written next to it; `edgefer export --check FILE` runs them.
    """
    from edgefer.cli import output
    from edgefer.cli.options import opened
    from edgefer.export import litert_file

    written = litert_file.write(opened([bundle] if bundle else None)[0], out, network)
    if as_json:
        output.print_json({"command": "export litert", **written.as_json()})
        return
    output.print_rows(
        f"{written.name}, {written.network}",
        {
            "model": f"{written.model} ({written.bytes:,} bytes)",
            "golden": f"{written.golden} ({written.vectors} pictures)",
            "input": f"float32 {list(written.input)}, {written.normalization}",
            "output": f"logits: float32 [N, {written.labels}]; softmax(logits / {written.temperature:.4g})",
            "check": f"edgefer export --check {written.model}",
        },
    )


@app.command()
def web(
    bundle: _Bundle = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Default: NAME-web here.", show_default=False)
    ] = None,
    form: Annotated[
        Literal["large", "small"], typer.Option(help="Runtime: ONNX Runtime Web, or edgefer's small one.")
    ] = "large",
    detector: Detector = None,
    as_json: Json = False,
) -> None:
    """Write a folder with a page that detects and classifies faces in the browser, offline, from any web server."""
    from edgefer.cli import output
    from edgefer.cli.options import opened
    from edgefer.live.notice import NOTICE
    from edgefer.live.smooth import Smoothing

    with output.needs_extra("compress"):
        from edgefer.export import web_folder
    written = web_folder.write(
        opened([bundle] if bundle else None)[0],
        out,
        notice=NOTICE[:-1],  # its last line is about recordings
        min_confidence=Smoothing().min_confidence,
        form=form,
        detector=detector,
    )
    if as_json:
        output.print_json({"command": "export web", **written.as_json()})
        return
    output.print_rows(
        f"{written.name}, {written.form} form",
        {
            "folder": f"{written.folder} ({written.bytes / 1e6:.1f} MB)",
            "download": f"{written.first / 1e6:.2f} MB until the first prediction",
            "golden": f"{written.vectors} pictures; 'Measure this device' runs them",
            "look": f"python3 -m http.server --bind 127.0.0.1 --directory {shlex.quote(str(written.folder))}",
        },
    )


def _line(each: Checked) -> str:
    if each.why:
        return f"not run: {each.why}"
    found = f"{each.vectors} pictures, {each.labels} other labels, probabilities differ by at most {each.largest:.4f}"
    return f"{'ok' if each.passed else 'FAILED'} ({each.runtime}): {found}"
