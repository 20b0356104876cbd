"""Frame rate and latency of `edgefer live`.

python benchmarks/live/live.py [--data FER2013.zip] [--seconds 15] [--out FILE.json]

A video of 30 frames a second, H.264, with one face of FER2013's PublicTest of a third of the frame's height,
which sways. Each row is a process of its own, held to one core or two, with as many threads for an operator. *Judged
alone*: decoding and judging every frame, one after another, for so many seconds. *Live*: the same video at its own
speed, as from a camera, by `edgefer.live.pipeline.Live`; the time from arrival to answer is from the moment at which
the frame is due to that at which its answer is there, so decoding counts and the camera's own delay does not. Faces are
looked for in every third frame. The load before and after is noted: on a busy machine the figures are too high.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import FER2013, command, protocol

HERE = Path(__file__).parents[1]
YUNET = HERE.parents[1] / "shared" / "models" / "yunet_s_dynamic.onnx"
OUT = HERE / "results" / "live.json"
SIZES = ((640, 480), (1280, 720))
CORES = (1, 2)
RATE, LENGTH = 30, 10  # frames a second, seconds


def film(file: Path, size: tuple[int, int], face: np.ndarray) -> str:
    """Write the video and return the codec's name."""
    import av

    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    side = size[1] // 3
    patch = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
    rng = np.random.default_rng(0)
    with av.open(str(file), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE, options={"preset": "ultrafast", "tune": "zerolatency"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 3_000_000
        stream.time_base = stream.codec_context.time_base = Fraction(1, RATE)
        for number in range(RATE * LENGTH):
            picture = Image.new("L", size, 110)
            x = (size[0] - side) // 2 + round(side / 4 * np.sin(number / RATE * 2))
            picture.paste(patch, (x, (size[1] - side) // 2))
            pixels = np.asarray(picture, np.float32) + 3 * rng.standard_normal(size[::-1], np.float32)
            grey = np.clip(pixels, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, axis=2), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return codec


def measure(file: Path, name: str, cores: int, seconds: float) -> dict[str, Any]:
    """Return one row, measured in a separate process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import edgefer
    from edgefer.live import sources
    from edgefer.live.judge import Judge
    from edgefer.live.pipeline import Live

    with edgefer.load(name, threads=cores, device="cpu", detector=YUNET) as predictor:
        judge, judged, faces = Judge(predictor), 0, 0
        predictor.start_detector()
        start = time.perf_counter()
        while time.perf_counter() - start < seconds:
            with sources.opened(f"file:{file}", "video") as (container, stream):
                for frame, _ in sources.decoded(container, stream, "video"):
                    faces += len(judge.faces(sources.rgb(frame), time.perf_counter() - start))
                    judged += 1
                    if time.perf_counter() - start >= seconds:
                        break
        alone = judged / (time.perf_counter() - start)
        latencies: list[float] = []
        arrived = 0
        until = time.monotonic() + seconds
        while time.monotonic() < until:  # repeats the video
            with Live(sources.named(str(file)), predictor) as live, live.subscribe(size=100) as answers:
                for _, answered in answers:
                    latencies.append(answered.latency_ms)
                arrived += live.figures().captured
        p50, p99 = np.percentile(latencies, [50, 99])
    return {
        "network": name,
        "cores": cores,
        "alone_frames_a_second": round(alone, 1),
        "faces_a_frame": round(faces / judged, 3),
        "live_frames": arrived,
        "live_dropped": arrived - len(latencies),
        "arrival_to_answer_p50_ms": round(float(p50), 1),
        "arrival_to_answer_p99_ms": round(float(p99), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--row", nargs=4, metavar=("FILE", "NETWORK", "CORES", "SECONDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        file, name, cores, seconds = options.row
        print(json.dumps(measure(Path(file), name, int(cores), float(seconds))))
        return

    from edgefer import bundle, data, paths, versions
    from edgefer.devices import machine

    val = data.split(data.load(options.data), "val")
    face = val.take(np.flatnonzero(val.labels == 3)[:1])[0]
    before = os.getloadavg()[0]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            file = Path(folder, f"{size[0]}.mp4")
            codec = film(file, size, face)
            for name, cores in itertools.product(bundle.pretrained(), CORES):
                words = [sys.executable, __file__, "--row", str(file), name, str(cores), str(options.seconds)]
                done = subprocess.run(words, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(done.stderr)
                rows.append({"size": f"{size[0]}x{size[1]}", **json.loads(done.stdout.splitlines()[-1])})
                print(json.dumps(rows[-1]), flush=True)
    result = {
        "command": command(),
        "protocol": protocol(__doc__),
        "machine": machine.describe().model_dump(mode="json"),
        "load_before_and_after": [before, os.getloadavg()[0]],
        "codec": codec,
        "versions": versions.installed("av", "numpy", "onnxruntime", "pillow"),
        "rows": rows,
    }
    paths.write_json(options.out, result, 2)


if __name__ == "__main__":
    main()
