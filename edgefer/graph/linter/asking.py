"""Tries whether the runtime accepts a file: ONNX Runtime's session, or TensorRT's parser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from edgefer.backends.tensorrt import builder
from edgefer.errors import InputError, MissingRequirement
from edgefer.graph.linter.findings import Finding
from edgefer.lines import one_line

_SECONDS = 120
_MEMORY = 4 << 30  # bytes, plus six times the file's size


@dataclass(frozen=True)
class RuntimeVerdict:
    """A runtime's verdict.

    Attributes:
        who: name and version.
        problem: why it rejects the file; empty if it accepts it.
    """

    who: str
    problem: str = ""


def ask(content: bytes, target: str) -> RuntimeVerdict | None:
    """Return the target's runtime's verdict on a file, None if it is not installed.

    TensorRT for RTX stands in for a missing TensorRT: both have the same parser.

    Args:
        content: an ONNX file with internal weights; references to other files are not followed.
        target: whose runtime to try.
    """
    if target == "cpu":
        return _session(content)
    if target not in ("tensorrt", "rtx"):
        return None
    answer = _parser(content, "tensorrt") if target == "tensorrt" else None
    return answer or _parser(content, "tensorrt_rtx")


def ask_in_subprocess(content: bytes, target: str) -> RuntimeVerdict | None:
    """Like `ask`, in a separate process: a crafted file may crash the runtime, or never end."""
    command = [sys.executable, "-m", __name__, target]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return RuntimeVerdict(_name(target), f"it does not finish loading the file within {_SECONDS} s")
    if done.returncode:
        return RuntimeVerdict(_name(target), f"it crashes on the file (exit code {done.returncode})")
    said = json.loads(done.stdout.splitlines()[-1])
    return None if said is None else RuntimeVerdict(**said)


def settled(findings: Sequence[Finding], answer: RuntimeVerdict | None) -> list[Finding]:
    """Return findings merged with the runtime's verdict, which takes precedence."""
    if answer is None:
        return list(findings)
    if answer.problem:
        return [*findings, Finding(answer.who, answer.problem)]
    return [each for each in findings if each.kind != "refused"]


def _name(target: str) -> str:
    return "ONNX Runtime" if target == "cpu" else "TensorRT"


def _session(content: bytes) -> RuntimeVerdict | None:
    try:
        import onnxruntime

        from edgefer.backends.onnxruntime import open_session, options
    except ImportError:
        return None
    who = f"ONNX Runtime {onnxruntime.__version__}"
    try:
        open_session(content, options(exact=False))
    except Exception as error:  # onnxruntime's own errors share no base class
        return RuntimeVerdict(
            who, f"rejects the file: {one_line(str(error).rpartition('[ONNXRuntimeError] : ')[2], 300)}"
        )
    return RuntimeVerdict(who)


def _parser(content: bytes, runtime: builder.Runtime) -> RuntimeVerdict | None:
    try:
        module = builder.api(runtime)
    except MissingRequirement:
        return None
    who = f"{'TensorRT for RTX' if runtime == 'tensorrt_rtx' else 'TensorRT'} {module.__version__}"
    try:
        builder.parse(content, runtime)
    except InputError as error:
        return RuntimeVerdict(who, one_line(error, 300))
    return RuntimeVerdict(who)


def _main() -> None:
    content = sys.stdin.buffer.read()
    try:
        import resource

        bound = _MEMORY + 6 * len(content)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    except (ImportError, OSError, ValueError):  # not POSIX, or a lower limit already
        pass
    answer = ask(content, sys.argv[1])
    print(json.dumps(None if answer is None else asdict(answer)))  # noqa: T201


if __name__ == "__main__":
    _main()
