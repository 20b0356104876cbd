"""Select the face detector: a given file, YuNet (cached or downloaded), or OpenCV's cascade."""

from __future__ import annotations

import os
from pathlib import Path

from edgefer import console
from edgefer.errors import MissingRequirement
from edgefer.faces import file
from edgefer.faces.cascade import Cascade
from edgefer.faces.face import Detector
from edgefer.faces.search import Search
from edgefer.faces.yunet import YuNet

VARIABLE = "EDGEFER_DETECTOR"
CASCADE = "cascade"


def named(detector: str | os.PathLike[str] | None = None) -> str:
    """Return the selected detector: the argument, else EDGEFER_DETECTOR, else an empty string."""
    return os.fspath(detector) if detector is not None else os.environ.get(VARIABLE, "")


def open_detector(detector: str | os.PathLike[str] | None = None, threads: int = 1) -> Detector:
    """Start the detector.

    Args:
        detector: an ONNX file with YuNet's inputs and outputs, or ``cascade`` for OpenCV's; by default
            EDGEFER_DETECTOR, else YuNet, downloaded once. If that fails, the cascade is used with a note.
        threads: intra-operator threads of YuNet.

    Raises:
        InputError: the given file is missing or is another network.
        MissingRequirement: no detector is available; the message says why and what to do.
    """
    name = named(detector)
    if name == CASCADE:
        return Cascade()
    if name:
        return Search(YuNet(Path(name), threads), f"YuNet ({Path(name).name})")
    try:
        return Search(YuNet(file.fetch(), threads), f"YuNet ({file.NAME})")
    except MissingRequirement as error:
        try:
            found = Cascade()
        except MissingRequirement:
            raise MissingRequirement(
                f"no face detector: {error}; get {file.NAME} and give it with --detector FILE, or "
                "use --faces never on pictures cropped to the face"
            ) from None
        console.say_once(f"using OpenCV's cascade, which is slower and misses a third of the faces: {error}")
        return found


def in_use(detector: str | os.PathLike[str] | None = None) -> tuple[bool, str, str]:
    """Return whether YuNet is used, the current detector, and how to get a better one. Nothing is downloaded."""
    name = named(detector)
    if name == CASCADE:
        return False, f"OpenCV's cascade ({VARIABLE})", f"unset {VARIABLE} to use YuNet, which finds more"
    if name:
        there = Path(name).is_file()
        remedy = "" if there else f"{VARIABLE} names a missing file"
        return there, f"YuNet: {name} ({VARIABLE})", remedy
    if (there_is := file.cached()) is not None:
        return True, f"YuNet: {there_is}", ""
    remedy = f"the first `edgefer predict` fetches it (0.24 MB); offline: put {file.NAME} at {file.place()}"
    return False, "YuNet is not downloaded yet", remedy
