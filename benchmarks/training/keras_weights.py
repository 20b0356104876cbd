"""Do Keras networks give the same outputs after `edgefer train --weights` has read their files? EfficientNets.

    pip install keras h5py && KERAS_BACKEND=torch python benchmarks/training/keras_weights.py

Keras builds each network with random numbers everywhere (BatchNorm's statistics too), saves it in its three layouts,
and answers random pictures. timm's network of the same padding reads each file and answers the same pictures.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import common
from edgefer import models, paths, versions

OUT = Path(__file__).parents[1] / "results" / "keras_weights.json"
SIDE, CLASSES, PICTURES = 96, 7, 4
NETWORKS = {
    "EfficientNetB0": "tf_efficientnet_b0",
    "EfficientNetB2": "tf_efficientnet_b2",
    "EfficientNetV2S": "tf_efficientnetv2_s",
}
LAYOUTS = ("whole.h5", "only.weights.h5", "whole.keras")


def main() -> None:
    """Compare them and write the results."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (PICTURES, SIDE, SIDE, 3)).astype(np.float32)
    rows = []
    for theirs, ours in NETWORKS.items():
        built = getattr(keras.applications, theirs)(
            weights=None, classes=CLASSES, input_shape=(SIDE, SIDE, 3), classifier_activation=None
        )
        for layer in built.layers:
            if not layer.name.startswith("normalization"):
                layer.set_weights([_drawn(random, weight) for weight in layer.weights])
            layer.momentum = 0.0  # of BatchNorm: statistics from one batch, so that signals neither vanish nor explode
        built(pictures, training=True)
        wanted = np.asarray(built.predict(pictures, verbose=0))
        scaled = torch.from_numpy(pictures.transpose(0, 3, 1, 2))
        # The first layers of Keras networks; edgefer's `Preprocessing` replaces them.
        scaled = scaled / 128 - 1 if theirs.startswith("EfficientNetV2") else scaled / 255
        for layout in LAYOUTS:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / layout
                built.save_weights(file) if layout.startswith("only") else built.save(file)
                network = models.create(ours, CLASSES, 3, weights=str(file)).eval()
                size = file.stat().st_size
            with torch.inference_mode():
                found = network(scaled).numpy()
            rows.append(
                {
                    "keras": theirs,
                    "timm": ours,
                    "layout": layout.partition(".")[2],
                    "bytes": size,
                    "spread_over_pictures": float(wanted.std(0).mean()),
                    "largest_difference": float(np.abs(found - wanted).max()),
                }
            )
            print(rows[-1])
    result = {
        "kind": "edgefer keras weights",
        "protocol": common.protocol(__doc__),
        "repeat": common.command(),
        "pictures": PICTURES,
        "side": SIDE,
        "networks": rows,
        "versions": versions.installed("h5py", "keras", "timm", "torch"),
    }
    with paths.write_atomically(OUT) as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _drawn(random: np.random.Generator, weight: Any) -> NDArray[np.float32]:
    """Return random values for a Keras weight."""
    shape, name = tuple(weight.shape), str(weight.name)
    if len(shape) > 1:
        inputs = np.prod(shape[:-1]) if shape[-1] > 1 else np.prod(shape[:2])
        return np.asarray(random.standard_normal(shape) * np.sqrt(2 / inputs), np.float32)
    if name == "gamma" or "variance" in name:
        return random.uniform(0.7, 1.1, shape).astype(np.float32)
    return (random.standard_normal(shape) * 0.1).astype(np.float32)


if __name__ == "__main__":
    main()
