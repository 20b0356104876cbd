"""Networks for the small web build: what they become, which are refused, and that its kernels match their source."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import numpy_helper, parser

from edgefer import models
from edgefer.compression import export
from edgefer.errors import InputError
from edgefer.export import small_network, web_folder
from edgefer.graph.fp16 import to_fp16, to_fp32
from tests.helpers.onnx_networks import run

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


_ASK = """
const { readFile } = await import("node:fs/promises");
globalThis.fetch = async (address) => {
  const bytes = await readFile(new URL(address, import.meta.url));
  return { ok: true, arrayBuffer: async () => new Uint8Array(bytes).buffer };
};
const { open } = await import("./runtime-small.js");
const [network] = await open(["network.bin"]);
const values = new Float32Array(new Uint8Array(await readFile(new URL("input.bin", import.meta.url))).buffer);
console.log(JSON.stringify(Array.from((await network(values, [1, 1, 36, 36])).logits)));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
@pytest.mark.parametrize("channel_pairs", [True, False])
def test_weights_that_mirror_each_other_take_half_the_bytes_and_answer_alike(
    channel_pairs: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    images = torch.randn(16, 1, 36, 36)
    network = models.PlainResNet(7, 1, [8, 12, 20], [1, 1, 1], stem_side=4)
    network.train()(images)
    network.eval()
    if channel_pairs:
        models.mirror(network, models.pair_halves(network, images))
    model = to_fp16(export.fp32(network, images[:1]))
    content = small_network.convert(to_fp32(model))
    filters = sum(weight.numel() for weight in network.parameters() if weight.dim() == 4)
    assert len(content) < (filters if channel_pairs else 2 * filters) + 4000
    (tmp_path / "network.bin").write_bytes(content)
    (tmp_path / "input.bin").write_bytes(images[:1].numpy().tobytes())
    (tmp_path / "ask.mjs").write_text(_ASK, encoding="utf-8")
    for name in ("runtime-small.js", "kernels.wasm"):
        shutil.copy(PAGE / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    said = subprocess.run(["node", "ask.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    np.testing.assert_allclose(json.loads(said.stdout), run(to_fp32(model), images[:1].numpy())[0], atol=1e-4)
