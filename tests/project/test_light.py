"""What a device and a shell prompt need stays light: no torch and its like, and nothing heavy before a command runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import edgefer

# Packages of the extras, and what they bring.
HEAVY = {"nncf", "onnx", "safetensors", "scipy", "sklearn", "timm", "torch", "torchao", "torchvision"}
HEAVY |= {"jinja2", "matplotlib"}
# What of edgefer needs them; everything else must not.
NEED_EXTRAS = (
    "report/html.py",
    "compression/",
    "graph/",
    "learning/",
    "models/",
    "export/onnx_file.py",
    "projection/",
    "review/",
    "training/",
)
NEED_EXTRAS += ("claims/networks.py", "claims/page.py", "pages/page.py")
NEED_EXTRAS += ("backends/tensorrt/cuda/by_",)  # a package each, for a GPU


def imported_after(script: str) -> set[str]:
    script += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_all_that_a_device_needs_imports_without_the_extras() -> None:
    folder = Path(edgefer.__file__).parent
    files = [file.relative_to(folder) for file in folder.rglob("[!_]*.py")]
    names = [
        ".".join(("edgefer", *file.with_suffix("").parts)) for file in files if not str(file).startswith(NEED_EXTRAS)
    ]
    script = "import importlib\n" + "\n".join(f"importlib.import_module({name!r})" for name in names)
    imported = imported_after(script)
    assert {"edgefer", "onnxruntime"} <= imported
    assert not imported & HEAVY


def test_a_network_answers_where_there_are_no_posix_locks() -> None:
    script = """
import sys
sys.modules["fcntl"] = None  # as on Windows
import edgefer, numpy
print(edgefer.load("edgefer-nano").predict(numpy.zeros((48, 48), numpy.uint8))[0].label)
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_importing_edgefer_imports_nothing_of_weight() -> None:
    assert not imported_after("import edgefer") & {*HEAVY, "numpy", "onnxruntime", "PIL", "pydantic", "rich"}


def test_help_imports_nothing_of_weight() -> None:
    for command in ("", "train", "review", "bench", "lint", "predict", "data info", "recipes"):
        script = f"""
from edgefer.cli.main import app
try:
    app([*{command.split()!r}, "--help"])
except SystemExit as exit:
    assert not exit.code
"""
        assert not imported_after(script) & {*HEAVY, "numpy", "onnxruntime", "PIL"}, command
