"""One peer in a process of its own, in its own virtual environment: numpy, its runtime and nothing of edgefer's.

python worker.py KIND MODEL IMAGES.npy

It prints a JSON line with its first answer, then one for each line it reads: ``time M N`` answers with the seconds of N
inferences after M that are not timed, ``evaluate`` with the probabilities for all images (classes in FER2013's order),
``memory`` with the most memory the process has had, in bytes, ``versions`` with those of its packages. Images are
uint8, (N, side, side), grey.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

# From an image, uint8, (side, side), to the network's input; from that to the probability of each class.
Prepare = Callable[[np.ndarray], np.ndarray]
Run = Callable[[np.ndarray], np.ndarray]


BATCH = 64

PACKAGES = {
    "tflite": ("ai-edge-litert", "numpy"),
    "keras": ("tensorflow", "keras", "numpy"),
    "onnx": ("onnxruntime", "numpy"),
    "edgefer": ("edgefer", "onnxruntime", "numpy"),
}


def peak_memory() -> int:
    """Return the process's own peak in bytes; getrusage's is also that of the parent which forked it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/self/status has no VmHWM")


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """Return an image at another size, float32, as OpenCV's and Pillow's bilinear enlargement has it."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR), np.float32)


def mini_xception(image: np.ndarray) -> np.ndarray:
    """Return what `fer` feeds its network: 64 pixels, -1 to 1."""
    return ((resized(image, 64) / 255 - 0.5) * 2)[None, :, :, None].astype(np.float32)


def tflite(model: str) -> tuple[Prepare, Run]:
    """`fer`'s file in TFLite's runtime."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model, num_threads=1)
    interpreter.allocate_tensors()
    into, out = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(into, x)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(out))

    return mini_xception, run


def keras(model: str) -> tuple[Prepare, Run]:
    """`fer`'s file in Keras, called as `fer` calls it."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = tf.keras.models.load_model(model, compile=False)
    return mini_xception, lambda x: np.asarray(network(x, training=False))


def onnx(model: str) -> tuple[Prepare, Run]:
    """A network of random weights, for its speed: the channels and the size that its file has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    [taken] = session.get_inputs()
    _, channels, side, _ = taken.shape

    def prepare(image: np.ndarray) -> np.ndarray:
        return np.repeat((resized(image, side) / 255 - 0.5)[None, None] / 0.25, channels, axis=1).astype(np.float32)

    return prepare, lambda x: session.run(None, {taken.name: x})[0]


def edgefer(model: str) -> tuple[Prepare, Run]:
    """One of ours: its bundle opened, its network started with edgefer's own settings."""
    from edgefer import bundle
    from edgefer.backends import registry

    path, _, network = model.partition("#")
    opened = bundle.load(path)
    session = registry.open_network(opened, network)
    temperature = opened.manifest.temperature

    def run(x: np.ndarray) -> np.ndarray:
        logits = session.infer(x) / temperature
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum())

    return lambda image: opened.manifest.preprocessing.apply([image]), run


def main() -> None:
    kind, model, images = sys.argv[1:]
    pictures = np.load(images, mmap_mode="r")  # pages that are not read don't count as the peer's memory
    kinds = {"tflite": tflite, "keras": keras, "onnx": onnx, "edgefer": edgefer}
    prepare, run = kinds[kind](model)
    print(json.dumps({"first": run(prepare(pictures[0]))[0].tolist()}), flush=True)
    inputs: list[Any] = []  # made when they are timed: memory is asked for before, and they are no part of a network
    place = 0
    for line in sys.stdin:
        command, *counts = line.split()
        answer: Any = None
        if command == "time":
            inputs = inputs or [prepare(image) for image in pictures[:64]]
            untimed, timed = map(int, counts)
            for _ in range(untimed):
                run(inputs[place])
            seconds = []
            for _ in range(timed):
                place = (place + 1) % len(inputs)
                started = time.perf_counter()
                run(inputs[place])
                seconds.append(time.perf_counter() - started)
            answer = seconds
        elif command == "evaluate":
            answer = []
            for start in range(0, len(pictures), BATCH):  # Keras is slow one by one
                if kind == "keras":
                    together = np.concatenate([prepare(image) for image in pictures[start : start + BATCH]])
                    answer += run(together).tolist()
                else:
                    answer += [run(prepare(image))[0].tolist() for image in pictures[start : start + BATCH]]
        elif command == "memory":
            answer = peak_memory()
        elif command == "versions":
            answer = {name: metadata.version(name) for name in PACKAGES[kind]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
