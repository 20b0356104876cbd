"""Networks for the small web build: unsupported ones are refused, and its kernels match their source."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper, parser

from edgefer.errors import InputError
from edgefer.export import small_network, web_folder

ROOT = Path(__file__).parents[2]
PAGE = Path(web_folder.__file__).parent / "web"


def test_the_kernels_were_compiled_from_the_source_beside_them() -> None:
    """After a change of kernels.c, run bash edgefer/export/web/build.sh."""
    for line in (PAGE / "kernels.sha256").read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        assert hashlib.sha256((PAGE / name).read_bytes()).hexdigest() == digest, name


def test_the_page_passes_edgefer_s_own_licence_on() -> None:
    assert (PAGE / "apache-2.0.txt").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    ("node", "says"),
    [
        ("y = Sin (image)", "Sin"),
        ("y = Conv <group = 2> (image, w, b)", "Conv with 2 groups"),
        ("y = Conv <pads = [2, 2, 2, 2]> (image, w, b)", "Conv with such padding"),
        ("y = Conv <dilations = [2, 2]> (image, w, b)", "Conv with such padding, stride or dilation"),
        ("y = Conv (image, w)", "Conv without bias"),
        ("y = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (image)", "MaxPool"),
        ("y = Relu (image)", "Relu"),
        ("y = Flatten (image)", "Flatten"),
        ("y = Transpose <perm = [0, 1, 3, 2]> (image)", "Transpose"),
        ("y = Concat <axis = 1> (image, image)", "Concat like this one"),
        ("y = Conv (image, image, b)", "Conv with such inputs or settings"),
        ("one = Conv (image, w, b) y = Add (one, b)", "Add with such inputs or settings"),
        ("y = MaxPool <kernel_shape = [2, 2]> (image)", "MaxPool with such inputs or settings"),
        ("last = Transpose <perm = [0, 2, 3, 1]> (image) y = Conv (last, w, b)", "Conv after a Transpose"),
    ],
)
def test_what_it_cannot_run_is_refused_in_one_line(node: str, says: str) -> None:
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 13]> g (float[1, 4, 8, 8] image) => (float[1, 4, h, w] y) {{ {node} }}'
    )
    for name, shape in (("w", (4, 4, 3, 3)), ("b", (4,))):
        model.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
    with pytest.raises(InputError, match=f"the small form does not support {says}.*use --form large"):
        small_network.convert(model)
