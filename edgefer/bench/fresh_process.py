"""A task in a fresh process, without side effects of earlier work."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from edgefer.errors import EdgeferError

_PATIENCE_SECONDS = 300
# The child finds modules where this process does, whether edgefer is installed or run from a checkout;
# -I keeps the current folder and the environment out of its path. Its last line is the error.
_FIRST = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
task = json.loads(sys.argv[2])
def say(kind, error, trace):
    print(error if kind.__module__ == "edgefer.errors" else f"{kind.__name__}: {error}", file=sys.stderr)
sys.excepthook = say
"""


def run(code: str, task: dict[str, Any], failed: str, error: type[EdgeferError]) -> str:
    """Run Python code and return what it printed.

    Args:
        code: finds `task` as a variable, and modules as this process does.
        task: JSON values.
        failed: prefix of the error message.
        error: raised if the process fails, or takes longer than 300 s.
    """
    command = [sys.executable, "-I", "-c", _FIRST + code, json.dumps(sys.path), json.dumps(task)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as late:
        raise error(f"{failed}: it took longer than {_PATIENCE_SECONDS} s") from late
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise error(f"{failed}: {last}")
    return done.stdout
