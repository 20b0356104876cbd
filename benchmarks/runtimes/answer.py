"""Classify pictures with edgefer in Python: python benchmarks/runtimes/answer.py DEVICE NETWORK FACES.pam

The programs in docs/samples do the same without edgefer; `languages.py` compares their speed with this one.
"""

from __future__ import annotations

import sys
from itertools import takewhile
from pathlib import Path

import numpy as np

import edgefer

if __name__ == "__main__":
    device, name, path = sys.argv[1:]
    with edgefer.load(name, "int8-cpu", device=device) as predictor, Path(path).open("rb") as file:
        while header := list(takewhile(b"ENDHDR\n".__ne__, file)):
            told = dict(line.split(maxsplit=1) for line in header if b" " in line)
            height, width, depth = (int(told[key]) for key in (b"HEIGHT", b"WIDTH", b"DEPTH"))
            pixels = np.frombuffer(file.read(height * width * depth), np.uint8).reshape(height, width, depth)
            (prediction,) = predictor.predict([pixels])
            print(prediction.label, f"{prediction.confidence:.4f}")
