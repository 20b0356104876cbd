"""Loads NNCF without telemetry and log output, and compiles its C++ extension once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import subprocess
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from edgefer import console, paths, versions
from edgefer.errors import MissingExtra

_told = False


def load_nncf() -> ModuleType:
    """Import NNCF with its telemetry off.

    NNCF starts openvino-telemetry while it is imported, which writes an identifier to ``~/intel`` and sends events
    unless the user has opted out; NNCF_CI=1 comes too late for the file. Making `openvino_telemetry` unimportable
    works in time, and NNCF supports that.

    Raises:
        MissingExtra: NNCF, or torchao, which NNCF needs and does not declare, is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    # With the default limit of 60 s, the first use on a slow machine fails while it still compiles.
    os.environ.setdefault("NNCF_EXTENSION_LOAD_TIMEOUT", "0")
    os.environ.setdefault("TORCH_EXTENSIONS_DIR", str(_build_folder()))
    logger_class = logging.getLoggerClass()
    try:
        with quiet():
            import nncf
            import nncf.torch
            import torchao  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name in ("nncf", "torchao"):
            raise MissingExtra(error.name, "compress") from None
        raise
    finally:
        logging.setLoggerClass(logger_class)  # NNCF changes the global default
    module: ModuleType = nncf
    return module


def _build_folder() -> Path:
    """Return where this environment's extension is compiled.

    torch's folder is shared by all environments, and each would recompile. edgefer's cache may
    be private to a test or job, and compiling takes a minute.
    """
    kept = [sys.prefix, sys.version, *(versions.installed("torch", "nncf").values())]
    return paths.user_cache() / "torch_extensions" / f"edgefer-{hashlib.sha256(repr(kept).encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings, log lines and progress bars of NNCF and torch's exporter."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def load_extension() -> bool:
    """Load NNCF's C++ extension, compiling it if needed; return False if there is no compiler.

    It is optional: torch's operators work too.
    """
    global _told
    load_nncf()
    from nncf.torch.quantization import extensions
    from nncf.torch.quantization.reference import ReferenceQuantizedFunctions

    functions = extensions.QuantizedFunctionsCPU
    if functions._loaded_namespace is None:
        with _scripts_on_path():
            if not any(Path(functions._loader.get_build_dir()).glob("*.so")):
                console.say("compiling NNCF's C++ extension, once (about a minute)")
            with quiet():
                functions.get("Quantize_forward")
    compiled = functions._loaded_namespace is not ReferenceQuantizedFunctions
    if not compiled and not _told:
        console.say("NNCF's C++ extension cannot be compiled (is g++ installed?); INT8 training is slower without")
        _told = True
    return compiled


def start_extension_build() -> subprocess.Popen[bytes]:
    """Compile NNCF's C++ extension in another process, in the background.

    Users of the extension wait for that compilation.
    """
    code = "from edgefer.compression.extension import load_extension; load_extension()"
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )


@contextlib.contextmanager
def _scripts_on_path() -> Iterator[None]:
    """Let torch find the `ninja` of a virtual environment that is not activated."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join((before, sysconfig.get_path("scripts")))
    try:
        yield
    finally:
        os.environ["PATH"] = before
