"""`edgefer doctor`: what this machine can run."""

from __future__ import annotations

from edgefer.cli.options import Json


def command(
    as_json: Json = False,
) -> None:
    """Check what this machine can run. Gives a remedy for each missing part."""
    from edgefer.cli import output
    from edgefer.console import NOTE_STYLE
    from edgefer.devices import doctor as doctors
    from edgefer.errors import MissingRequirement
    from edgefer.faces import detector
    from edgefer.lines import printable

    lines = doctors.examine(output.EXTRAS, gpu=_gpu, detector=detector.in_use())
    broken = [line for line in lines if line.state == "broken"]
    failed = MissingRequirement(f"{broken[0].name} {broken[0].found}; {broken[0].remedy}") if broken else None
    if as_json:
        output.print_json({"command": "doctor", "lines": [line.as_dict() for line in lines]}, failed)
        return
    from rich.table import Table
    from rich.text import Text

    styles = {"ok": "", "note": NOTE_STYLE, "missing": "bold", "broken": "bold red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    part = ""
    for line in lines:
        if line.part != part:
            part = line.part
            table.add_row("", Text(part, "bold"), "")
        found = Text(printable(line.shown))
        if line.remedy:
            found.append(f"\n-> {printable(line.remedy)}")
        table.add_row(Text("none" if line.state == "missing" else line.state, styles[line.state]), line.name, found)
    output.screen().print(table)
    if failed:
        raise failed


def _gpu() -> str:
    from edgefer.backends.tensorrt.cuda import driver

    with driver.find().device() as device:
        gpu = device.gpu
    return f"{gpu.name}, SM {gpu.compute}, CUDA {gpu.cuda}, {gpu.memory / 1e9:.1f} GB, by {gpu.layer}"
