"""A smoke test of the light install on any system: doctor, and predict from the shell and from Python.

Needs edgefer without extras. `.github/workflows/light.yml` runs it on Linux, macOS and Windows, test_light.py here.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path


def run(*words: str) -> str:
    """Return a command's output; it runs in this process, so that test_light.py can remove modules."""
    from edgefer.cli.main import app

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        app(words, standalone_mode=False)
    return said.getvalue()


def main() -> None:
    import numpy as np
    from PIL import Image

    import edgefer

    assert not {"torch", "onnx", "scipy"} & set(sys.modules)
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    Image.fromarray(face).save("face.png")
    (here,) = edgefer.load("edgefer-nano").predict([Path("face.png")])
    (row,) = json.loads(run("predict", "face.png", "--bundle", "edgefer-nano", "--faces", "never", "--json"))[
        "pictures"
    ]
    assert row["faces"][0]["label"] == here.label, row
    assert any(line["name"] for line in json.loads(run("doctor", "--json"))["lines"])
    run("predict", "face.png", "--bundle", "edgefer-nano", "--faces", "never", "--csv", "out.csv")
    assert here.label in Path("out.csv").read_text(encoding="utf-8")
    sys.stdout.write(f"ok: {here.label} on {sys.platform}\n")


if __name__ == "__main__":
    start = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            main()
        finally:
            os.chdir(start)  # Windows does not remove a process's working folder
