"""edgefer: facial expression networks that are trained, compressed to INT8 and measured on the device they run on.

The Python API::

    dataset = edgefer.data.load("fer2013.zip")
    trained = edgefer.train("compact", dataset)
    small = edgefer.compress(trained.run, dataset)
    print(edgefer.bench(small.bundle, dataset).networks)

    predictor = edgefer.load(small.bundle)
    for prediction in predictor.predict("face.png"):
        print(prediction.label, prediction.probabilities, prediction.milliseconds)
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import edgefer.data as data
    from edgefer.bench.from_paths import bench
    from edgefer.compression.config import CompressConfig
    from edgefer.compression.from_paths import compress
    from edgefer.predictor import Prediction, Predictor
    from edgefer.training.from_paths import train

    __version__: str

__all__ = ["CompressConfig", "Prediction", "Predictor", "__version__", "bench", "compress", "data", "load", "train"]

_FROM = {
    "CompressConfig": "compression.config",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "compress": "compression.from_paths",
    "train": "training.from_paths",
}

# onnxruntime reads this once, when it is imported, so it is set before anything here can import it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # likewise huggingface_hub, from which timm gets weights


def load(
    path: Path | str | None = None,
    network: str | None = None,
    threads: int = 1,
    device: str = "auto",
    detector: str | os.PathLike[str] | None = None,
    fetch: bool = False,
) -> Predictor:
    """Open a bundle to predict with. Any number of threads may use the predictor at a time.

    >>> import edgefer
    >>> predictor = edgefer.load("edgefer-nano", device="cpu")
    >>> face = edgefer.data.builtin(train=7, val=7, test=7).images[0]
    >>> [prediction.label in predictor.labels for prediction in predictor.predict(face)]
    [True]

    Args:
        path: the bundle's folder, e.g. ``runs/compress/latest``, or the name of one that comes with edgefer; by
            default ``edgefer-base``.
        network: name of one of its networks; by default the INT8 one for the device, else the FP32 one.
        threads: CPU threads for one operator of the network.
        device: ``cpu`` (ONNX Runtime), ``openvino``, ``litert``, ``jetson``, ``tensorrt`` (any NVIDIA GPU), ``rtx``
            (TensorRT for RTX), or ``auto``: TensorRT where an engine runs, else ONNX Runtime. `Predictor.device` says
            which it is.
        detector: a file with YuNet to find faces with, or ``cascade`` for OpenCV's; by default EDGEFER_DETECTOR, else
            YuNet, which `predict_faces` fetches once (0.24 MB).
        fetch: whether a picture may be an http or https address. Leave it off if others choose the pictures:
            it lets them read what only this machine can reach. `edgefer predict` fetches what its command line names.

    Raises:
        InputError: the folder is not a bundle, a file in it was changed, or the device is unknown.
        MissingRequirement: the device is not available; the message says what to install.
    """
    from edgefer.predictor import Predictor

    return Predictor.load(path, network, threads, device, detector, fetch)


def __getattr__(name: str) -> object:
    """Import names on first use, so that `import edgefer` takes a few milliseconds."""
    if name in ("bench", "data"):
        return importlib.import_module(f"edgefer.{name}")
    if name in _FROM:
        return getattr(importlib.import_module(f"edgefer.{_FROM[name]}"), name)
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("edgefer")
        except metadata.PackageNotFoundError:  # run from a checkout without installation
            return "0+unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
