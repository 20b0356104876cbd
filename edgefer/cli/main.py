"""The command `edgefer`. Each command is a file of its own here, with heavy imports inside its function."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgefer import console
from edgefer.cli import (
    ablate,
    bench,
    build,
    claims,
    compare,
    compress,
    crop,
    doctor,
    lint,
    live,
    predict,
    project,
    quickstart,
    recipes,
    report,
    review,
    search,
    serve,
    train,
)
from edgefer.cli.data import info
from edgefer.cli.ending import Group
from edgefer.cli.export import app as export
from edgefer.cli.signals import interrupt_by_all
from edgefer.errors import Interrupted

app = typer.Typer(
    name="edgefer",
    cls=Group,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data = typer.Typer(no_args_is_help=True, help="Inspect data sets.")

app.command("quickstart")(quickstart.command)
app.command("train")(train.command)
app.command("review")(review.command)
app.command("ablate")(ablate.command)
app.command("search")(search.command)
app.command("compress")(compress.command)
app.command("build")(build.command)
app.add_typer(export, name="export")
app.command("bench")(bench.command)
app.command("report")(report.command)
app.command("compare")(compare.command)
app.command("project")(project.command)
app.command("claims")(claims.command)
app.command("predict")(predict.command)
app.command("live")(live.command)
app.command("serve")(serve.command)
app.command("lint")(lint.command)
app.command("doctor")(doctor.command)
app.add_typer(data, name="data")
app.command("recipes")(recipes.command)
data.command()(info)
data.command("crop")(crop.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        import edgefer
        from edgefer.cli import output

        output.print_line(f"edgefer {edgefer.__version__}")
        raise typer.Exit


_FIRST_SESSION = """\
Facial expression recognition that runs on the device. A first session:

  edgefer predict photo.jpg   classify the faces in a picture
  edgefer quickstart          try it all on synthetic faces (3 minutes)
  edgefer doctor              check what this machine can run

All commands: edgefer --help. Options of one: edgefer COMMAND --help."""


@app.callback()
def _edgefer(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train facial-expression networks, compress them to INT8, and measure them on the device."""
    console.enable()
    if context.invoked_subcommand is None:
        from edgefer.cli import output

        for line in _FIRST_SESSION.splitlines():
            output.print_line(line)


def run_command() -> None:
    """Run the command that was typed; ends the process."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):  # a file name may have characters that the terminal lacks
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, console.Guarded(stream))
    interrupt_by_all()
    try:
        app(prog_name="edgefer")
    except KeyboardInterrupt:  # outside the part that `Group` handles
        sys.stderr.write("edgefer: interrupted\n")
        sys.exit(Interrupted.exit_code)
