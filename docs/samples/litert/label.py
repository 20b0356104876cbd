"""Labels pictures with an exported LiteRT file, without edgefer: python label.py edgefer-base.tflite face.jpg ...

Needs ai-edge-litert and Pillow. Preprocessing is not in a LiteRT file, so these are the lines to write again in Kotlin
or Swift. What they need stands in the golden vectors beside the file, with pictures to try them on.
"""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps


def prepared(picture: Image.Image, spec: dict) -> np.ndarray:
    """Return the network's input, float32 (1, size, size, channels)."""
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    picture = picture.convert("RGB" if spec["color"] == "rgb" else "L")
    side = max(1, round(spec["crop"] * min(picture.size)))
    left, top = ((length - side) // 2 for length in picture.size)
    square = picture.crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize((spec["size"],) * 2, getattr(Image.Resampling, spec["interpolation"].upper())))
    values = pixels.reshape(1, spec["size"], spec["size"], -1) / 255
    return ((values - spec["mean"]) / spec["std"]).astype(np.float32)


model, *files = sys.argv[1:]
told = json.loads(Path(model).with_suffix(".golden.json").read_text())
network = Interpreter(model_path=model, num_threads=1)
network.allocate_tensors()
for file in files:
    picture = ImageOps.exif_transpose(Image.open(file))  # upright, as the camera says
    network.set_tensor(network.get_input_details()[0]["index"], prepared(picture, told["preprocessing"]))
    network.invoke()
    logits = network.get_tensor(network.get_output_details()[0]["index"])[0] / told["temperature"]
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    best = int(probabilities.argmax())
    print(told["labels"][best], f"{probabilities[best]:.4f}")
