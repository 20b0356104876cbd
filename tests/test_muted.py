"""ONNX Runtime's output on import on a board is suppressed, and nothing else is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgefer import muted

LINES = b"[W:onnxruntime:Default, device_discovery.cc:164] GPU device discovery failed: no vendor\nsomething else\n"


@pytest.mark.parametrize(
    ("vendor", "wanted"), [(False, "something else\n"), (True, LINES.decode())], ids=["a board", "a PC"]
)
def test_a_board_is_quiet_and_a_pc_is_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, vendor: bool, wanted: str
) -> None:
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    device = tmp_path / "sys/class/drm/card0/device"
    device.mkdir(parents=True)
    (tmp_path / "sys/class/drm/card0-HDMI-A-1").mkdir()
    if vendor:
        (device / "vendor").write_text("0x10de")
    with muted.gpu_discovery(tmp_path):
        os.write(2, LINES)
    assert capfd.readouterr().err == wanted
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_an_error_that_ends_the_import_leaves_stderr_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    (tmp_path / "sys/class/drm/card1").mkdir(parents=True)

    def fail() -> None:
        with muted.gpu_discovery(tmp_path):
            os.write(2, b"why\n")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "why\nafter\n"
