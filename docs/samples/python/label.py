"""Labels pictures with an exported network, without edgefer: python label.py edgefer-base.onnx face.pam

Needs onnxruntime, which brings numpy. A .pam file holds one picture or several, one after another; ImageMagick writes
it: convert face.jpg -auto-orient face.pam. With Pillow, a picture is
`numpy.asarray(ImageOps.exif_transpose(Image.open("face.jpg")).convert("RGB"))`.
"""

import json
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnxruntime


def pictures(file: BinaryIO) -> Iterator[np.ndarray]:
    """Netpbm's PAM: a few lines of text, then the bytes of the pixels, row by row, RGB or RGBA."""
    while header := list(takewhile(b"ENDHDR\n".__ne__, file)):
        told = dict(line.split(maxsplit=1) for line in header if b" " in line)
        shape = tuple(int(told[key]) for key in (b"HEIGHT", b"WIDTH", b"DEPTH"))
        yield np.frombuffer(file.read(shape[0] * shape[1] * shape[2]), np.uint8).reshape(shape)


model, file = sys.argv[1:]
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
labels = json.loads(session.get_modelmeta().custom_metadata_map["edgefer.labels"])
with Path(file).open("rb") as opened:
    for image in pictures(opened):
        (probabilities,) = session.run(None, {"image": image})
        best = int(probabilities.argmax())
        print(labels[best], f"{probabilities[best]:.4f}")
