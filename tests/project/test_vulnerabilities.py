"""CI's vulnerability check: run if the database can be reached, reported if not."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.scripts import ROOT

# Replaces pip-audit, whose database cannot always be reached: reads vulnerabilities from a list and fails likewise.
_FINDS = "echo 'pillow 9.0.0 CVE-2022-22815'; exit 1"
_CLEAN = "echo 'No known vulnerabilities found'"
_AWAY = "echo 'ConnectionError' >&2; exit 1"


@pytest.mark.parametrize(
    ("probe", "ours", "code", "said"),
    [(_FINDS, _CLEAN, 0, "No known"), (_FINDS, _FINDS, 1, "CVE-"), (_AWAY, _AWAY, 0, "not audited")],
)
def test_what_is_reached_is_audited_and_what_is_not_is_said(
    tmp_path: Path, probe: str, ours: str, code: int, said: str
) -> None:
    script = (ROOT / ".ci" / "run").read_text()
    function = re.search(r"^audit\(\) \{.*?^\}$", script, re.MULTILINE | re.DOTALL)
    shell = re.search(r"^set -.*$", script, re.MULTILINE)
    assert function
    assert shell
    program = tmp_path / ".venv" / "bin" / "pip-audit"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\ncase "$*" in *--strict*) {ours} ;; *) {probe} ;; esac\n')
    program.chmod(0o755)
    command = f"{shell[0]}\n{function[0]}\naudit"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.returncode == code, done.stderr
    assert said in done.stdout
