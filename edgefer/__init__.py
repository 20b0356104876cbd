"""edgefer: facial expression networks that are trained, compressed to INT8 and measured on the device they run on.

The Python API::

    predictor = edgefer.load("runs/compress/latest")
    for prediction in predictor.predict("face.png"):
        print(prediction.label, prediction.probabilities, prediction.milliseconds)

    dataset = edgefer.data.load("fer2013.zip")
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import edgefer.data as data
    from edgefer.predictor import Prediction, Predictor

    __version__: str

__all__ = ["Prediction", "Predictor", "__version__", "data", "load"]

# onnxruntime reads this once, when it is imported, so it is set before anything here can import it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # likewise huggingface_hub, where timm gets weights


def load(
    path: Path | str | None = None,
    network: str | None = None,
    threads: int = 1,
    device: str = "auto",
    detector: str | os.PathLike[str] | None = None,
) -> Predictor:
    """Open a bundle to predict with. Any number of threads may use the predictor at a time.

    Args:
        path: the bundle's folder, e.g. ``runs/compress/latest``, or the name of one that comes with edgefer; by
            default ``edgefer-base``.
        network: which of its networks; by default the INT8 one for the device, else the FP32 one.
        threads: CPU threads for one operator of the network.
        device: ``cpu`` (ONNX Runtime), ``openvino``, ``jetson``, ``tensorrt`` (any NVIDIA GPU), ``rtx`` (TensorRT for
            RTX), or ``auto``: TensorRT where an engine runs, else ONNX Runtime. `Predictor.device` says which it is.
        detector: a file with YuNet to find faces with, or ``cascade`` for OpenCV's; by default EDGEFER_DETECTOR, else
            YuNet, which `predict_faces` fetches once (0.24 MB).

    Raises:
        InputError: the folder is no bundle, a file in it is not what was written, or there is no such device.
        LackError: the named device is not here; the message says what to install.
    """
    from edgefer.predictor import Predictor

    return Predictor.load(path, network, threads, device, detector)


def __getattr__(name: str) -> object:
    """Import what `import edgefer` leaves out, when it is asked for: the import takes a few milliseconds only."""
    if name == "data":
        return importlib.import_module("edgefer.data")
    if name in ("Prediction", "Predictor"):
        return getattr(importlib.import_module("edgefer.predictor"), name)
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("edgefer")
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
