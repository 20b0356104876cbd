"""Devices and shell prompts stay light: no torch or similar, and no heavy import before a command runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import edgefer

# Packages of the extras, and their dependencies.
HEAVY = {"nncf", "onnx", "safetensors", "scipy", "sklearn", "timm", "torch", "torchao", "torchvision"}
HEAVY |= {"fsspec", "jinja2", "matplotlib", "pandas", "pyarrow", "ray"}
# The parts of edgefer that need them; the others must not.
NEED_EXTRAS: tuple[str, ...] = (
    "report/html.py",
    "compression/",
    "graph/",
    "learning/",
    "models/",
    "export/onnx_file.py",
    "export/small_network.py",
    "export/web_folder.py",
    "projection/",
    "review/",
    "search/",
    "training/",
)
NEED_EXTRAS += ("claims/networks.py", "claims/page.py", "claims/field_page.py", "pages/page.py")
NEED_EXTRAS += ("backends/tensorrt/cuda/by_",)  # one package each, for a GPU


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


def test_the_light_part_works_without_what_only_posix_has() -> None:
    """`smoke.py`, run by .github/workflows/light.yml on Windows and macOS, without their differences."""
    script = """
import os, runpy, signal, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
for name in ("fork", "getloadavg", "geteuid", "getuid", "killpg", "O_NOFOLLOW", "O_NONBLOCK", "sched_getaffinity"):
    delattr(os, name)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "setitimer"):
    delattr(signal, name)
runpy.run_path(sys.argv[1], run_name="__main__")
"""
    smoke = Path(__file__).with_name("smoke.py")
    done = subprocess.run([sys.executable, "-c", script, str(smoke)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ok" in done.stdout


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


def test_the_workflow_runs_that_on_the_systems_that_the_classifiers_name() -> None:
    root = Path(__file__).parents[2]
    workflow = (root / ".github" / "workflows" / "light.yml").read_text()
    (systems,) = (line for line in workflow.splitlines() if line.strip().startswith("os: ["))
    assert all(system in systems for system in ("ubuntu-", "-arm", "macos-", "windows-"))
    for command in ("python tests/project/smoke.py", "python -m pip install . -c constraints.txt"):
        assert f"- run: {command}\n" in workflow
    metadata = (root / "pyproject.toml").read_text()
    assert all(
        f'"Operating System :: {name}"' in metadata for name in ("MacOS", "Microsoft :: Windows", "POSIX :: Linux")
    )
