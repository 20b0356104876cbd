"""The parts of board.sh that are no edgefer commands: TensorRT check, face picture, video, numerics.

python benchmarks/runtimes/board.py PART ...

Parts: check DEVICE; build DEVICE BUNDLE...; picture FILE; video FILE; numerics DEVICE BUNDLE...

Numerics: every network of the bundles that the device runs is asked for the logits of the test split (or of synthetic
faces, where there is no FER2013), and so is ONNX Runtime, of the same file, on the CPU. Nothing is timed here.
"""

from __future__ import annotations

import argparse
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import protocol
from edgefer import bundle, data, paths
from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.devices import machine
from edgefer.errors import EdgeferError, MissingRequirement
from edgefer.evaluation import predict

_RATE, _FRAMES = 15, 60  # of the video


def check(device: str) -> None:
    """Print what runs engines on a device; without TensorRT or a GPU, raise an error."""
    from edgefer.backends.tensorrt.cuda import driver

    backend = registry.get(device)
    backend.check()
    with driver.find().device() as found:
        print(f"{backend.version()} on {found.gpu}, waits: {found.waits}")


def build(device: str, names: list[str]) -> None:
    """Open every network of the bundles once, which builds its engine, and print the time."""
    for name in names:
        made = bundle.load(name)
        for network in registry.get(device).networks(made):
            start = time.monotonic()
            registry.open_network(made, network, device, Options()).close()
            print(f"{name} {network}: {time.monotonic() - start:.1f} s", flush=True)


def face() -> NDArray[np.uint8]:
    """Return a synthetic face, uint8, (48, 48)."""
    drawn: NDArray[np.uint8] = data.builtin(train=7, val=7, test=7).images[0]
    return drawn


def video(file: Path) -> None:
    """Write four seconds of a synthetic face on grey."""
    try:
        import av
    except ModuleNotFoundError:
        raise MissingRequirement("PyAV is not installed; run: pip install 'edgefer[live]'") from None
    frame = np.full((240, 320, 3), 128, np.uint8)
    frame[40:200, 80:240] = np.asarray(Image.fromarray(face()).resize((160, 160)))[..., None]
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mpeg4", rate=_RATE)
        stream.height, stream.width = frame.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _RATE)
        for number in range(_FRAMES):
            each = av.VideoFrame.from_ndarray(frame, format="rgb24")
            each.pts = number
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))


def numerics(device: str, names: list[str], images: int, path: Path | None) -> dict[str, Any]:
    """Compare a device's logits with ONNX Runtime's, network by network."""
    dataset = data.find(path)
    rows = data.split(dataset, "test")
    rows = rows.subset(np.arange(min(images, len(rows))))
    entries = []
    for name in names:
        made = bundle.load(name)
        for network in registry.get(device).networks(made):
            logits = []
            for each in (device, "cpu"):
                with registry.open_network(made, network, each, Options()) as session:
                    logits.append(
                        predict.logits(session.infer, made.manifest.preprocessing, rows, 32, f"{name} {each}")
                    )
            ours, theirs = logits
            labels = rows.labels
            entries.append(
                {
                    "bundle": name,
                    "network": network,
                    "sha256": made.manifest.networks[network].sha256,
                    "other_labels": int((ours.argmax(1) != theirs.argmax(1)).sum()),
                    "largest_logit_difference": float(np.abs(ours - theirs).max()),
                    "mean_logit_difference": float(np.abs(ours - theirs).mean()),
                    "accuracy": None if dataset.synthetic else float((ours.argmax(1) == labels).mean()),
                    "onnxruntime_accuracy": None if dataset.synthetic else float((theirs.argmax(1) == labels).mean()),
                }
            )
            print(entries[-1], flush=True)
    return {
        "what": f"logits of {device} beside ONNX Runtime's on the CPU, of the same files",
        "protocol": protocol(__doc__),
        "device": device,
        "runtime": registry.get(device).version(),
        "data": {"name": dataset.name, "digest": dataset.digest, "images": len(rows), "synthetic": dataset.synthetic},
        "networks": entries,
        "machine": machine.describe().model_dump(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("check").add_argument("device")
    builds = parts.add_parser("build")
    builds.add_argument("device")
    builds.add_argument("bundles", nargs="+")
    for name in ("picture", "video"):
        parts.add_parser(name).add_argument("file", type=Path)
    compares = parts.add_parser("numerics")
    compares.add_argument("device")
    compares.add_argument("bundles", nargs="+")
    compares.add_argument("--images", type=int, default=3589)
    compares.add_argument("--data", type=Path)
    compares.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    try:
        if given.part == "check":
            check(given.device)
        elif given.part == "build":
            build(given.device, given.bundles)
        elif given.part == "picture":
            Image.fromarray(face()).save(given.file)
        elif given.part == "video":
            video(given.file)
        else:
            paths.write_json(given.out, numerics(given.device, given.bundles, given.images, given.data), indent=1)
    except EdgeferError as error:
        print(f"edgefer: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
