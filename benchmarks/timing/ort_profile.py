"""Our p50 compared with ONNX Runtime's own profile, inference by inference: edgefer-base in FP32 and INT8.

python benchmarks/timing/ort_profile.py [--seconds 3]

A session with `enable_profiling` notes the duration of each run (`model_run`, whole microseconds) while our loop times
the same run from outside, so that both clocks have the same inferences; ours has what Python adds too. Beside it, in
turn, runs a session of the same file without profiling: writing a profile slows a network down, and by how much is
stated. Of a run that our loop does not time (each turn's first, the warm-up) the profile's entry is left out too. The
FP32 network is exported from the checkpoint that edgefer-base comes with.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.common import protocol
from edgefer import bundle, paths, versions
from edgefer.backends import onnxruntime
from edgefer.devices import machine
from edgefer.evaluation import timing

OUT = Path(__file__).parents[1] / "results" / "ort_profile.json"
BUNDLE = "edgefer-base"
BOUND = 0.05  # maximum difference of the two
IMAGES = 64


def files(folder: Path) -> dict[str, Path]:
    """Return the FP32 and INT8 files; export the ones that are not shipped."""
    import torch

    from edgefer import models
    from edgefer.compression import export
    from edgefer.learning import checkpoint

    made, trained = bundle.load(BUNDLE), checkpoint.read(Path(BUNDLE))
    spec = made.manifest.preprocessing
    example = torch.zeros(1, spec.channels, spec.size, spec.size)
    fp32 = folder / "fp32.onnx"
    fp32.write_bytes(export.fp32(models.merged(checkpoint.build(trained)), example).SerializeToString())
    return {"fp32": fp32, "int8-cpu": made.file("int8-cpu")}


def activate(file: Path, profile: Path | None) -> tuple[onnxruntime.OnnxRuntimeSession, ort.InferenceSession]:
    """Start a network like edgefer, but with profiling; return our session and ONNX Runtime's."""
    options = onnxruntime.options()
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    inner = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return onnxruntime.OnnxRuntimeSession(inner, file.name), inner


def profiled(inner: ort.InferenceSession, timed: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the profile's times of the timed inferences.

    Args:
        inner: a session; its profile ends here.
        timed: (rounds, turn) of our samples.

    Returns:
        float64, (rounds, turn), seconds.
    """
    events = json.loads(Path(inner.end_profiling()).read_text(encoding="utf-8"))
    runs = np.array([event["dur"] for event in events if event.get("name") == "model_run"]) * 1e-6
    rounds, turn = timed
    whole = timing.UNTIMED + turn
    return runs[-rounds * whole :].reshape(rounds, whole)[:, timing.UNTIMED :]


def compared(samples: NDArray[np.float64], own: NDArray[np.float64], plain: NDArray[np.float64]) -> dict[str, Any]:
    """Return our latency and the profile's, and the cost of profiling."""
    extra = (samples - own) * 1e6
    return {
        "ours": asdict(timing.latency(samples)),
        "profile": asdict(timing.latency(own)),
        "ours_over_profile": asdict(timing.ratio(samples, own)),
        "ours_less_profile_microseconds": {
            "p50": float(np.median(extra)),
            "p1": float(np.percentile(extra, 1)),
            "p99": float(np.percentile(extra, 99)),
        },
        "without_profiling": asdict(timing.latency(plain)),
        "profiling_slows_down": asdict(timing.ratio(samples, plain)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    manifest = bundle.load(BUNDLE).manifest
    spec = manifest.preprocessing
    random = np.random.default_rng(0)
    shape = (1, spec.channels, spec.size, spec.size)
    images = [random.normal(size=shape).astype(np.float32) for _ in range(IMAGES)]
    load_before = machine.load_average()
    with tempfile.TemporaryDirectory(prefix="edgefer-benchmark-") as name:
        folder = Path(name)
        networks = files(folder)
        started = [
            activate(file, profile)
            for title, file in networks.items()
            for profile in (None, folder / title)  # the plain one, then the profiled one
        ]
        samples = timing.in_turn(
            [session.infer for session, _ in started], [images] * len(started), seconds=arguments.seconds
        )
        found = {}
        for number, title in enumerate(networks):
            plain, ours = samples[2 * number], samples[2 * number + 1]
            found[title] = compared(ours, profiled(started[2 * number + 1][1], ours.shape), plain)
    result = {
        "what": "latency of the same inferences by our loop and by ONNX Runtime's profile, milliseconds; ratios",
        "protocol": protocol(__doc__),
        "bundle": BUNDLE,
        "sha256": manifest.networks["int8-cpu"].sha256,
        "bound": BOUND,
        "agree": all(abs(each["ours_over_profile"]["estimate"] - 1) <= BOUND for each in found.values()),
        "threads": 1,
        "networks": found,
        "load_before": load_before,
        "load_after": machine.load_average(),
        "machine": machine.describe().model_dump(),
        "versions": versions.installed("onnxruntime", "numpy", "torch"),
    }
    paths.write_json(OUT, result, indent=2)
    for title, each in found.items():
        ratio, slower = each["ours_over_profile"], each["profiling_slows_down"]
        print(
            f"{title}: ours {each['ours']['p50']:.3f} ms, profile {each['profile']['p50']:.3f} ms, "
            f"ratio {ratio['estimate']:.4f} ({ratio['low']:.4f} to {ratio['high']:.4f}), "
            f"with profiling {slower['estimate']:.3f}x of the time without"
        )
    print(OUT)


if __name__ == "__main__":
    main()
