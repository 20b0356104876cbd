"""Networks of torch, exported."""

from __future__ import annotations

import io
import warnings
from typing import Any

import onnx
import torch
from onnx import ModelProto
from torch import nn


def export(model: nn.Module, x: torch.Tensor) -> ModelProto:
    """Export with an open batch axis."""
    file: Any = io.BytesIO()  # accepted by torch, though undocumented
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (x,),
            file,
            dynamo=False,
            opset_version=17,
            dynamic_axes={"input": {0: "batch"}},
            input_names=["input"],
            output_names=["logits"],
        )
    return onnx.load_from_string(file.getvalue())
