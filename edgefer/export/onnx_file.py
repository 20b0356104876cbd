"""Export one ONNX file that maps a picture of any size to calibrated probabilities.

Preprocessing before the network and softmax with temperature after it are plain ONNX operators of opset 18, so no
other language has to reimplement them. The pixels match `Preprocessing.apply` bit for bit. ONNX's Resize is not used:
OpenVINO ignores its ``antialias`` (wrong labels), and ONNX Runtime's pixels differ from Pillow's by one at ties. Two
products with a matrix of Pillow's weights give the same result everywhere.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, compose, parser, version_converter

import edgefer
from edgefer import limits, paths
from edgefer.bundle import Bundle
from edgefer.errors import InputError
from edgefer.export import checking, golden
from edgefer.graph.reading import read
from edgefer.predictor import Predictor
from edgefer.preprocessing import LUMA, Preprocessing

OPSET = 18  # Split and reductions in their current form
IR = 8
CONTRACT = 1  # version of inputs, output and metadata, as in docs/languages.md
_BITS = 11  # bits per half of a weight: 22 fractional bits in all, as in Pillow's Resample.c


@dataclass(frozen=True)
class WrittenOnnx:
    """The exported files.

    Attributes:
        name: of the bundle.
        network: name of the network in the bundle.
        model: the ONNX file.
        golden: the golden vectors next to it.
        bytes: size of the ONNX file.
        vectors: number of pictures in `golden`.
        labels: number of probabilities.
        box: whether the file also takes the face's box.
    """

    name: str
    network: str
    model: Path
    golden: Path
    bytes: int
    vectors: int
    labels: int
    box: bool

    def as_json(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return {**asdict(self), "model": str(self.model), "golden": str(self.golden)}


def write(bundle: Bundle, out: Path | None = None, network: str | None = None, *, box: bool = False) -> WrittenOnnx:
    """Write a bundle's network as one file, with golden vectors next to it. Existing files are replaced.

    Args:
        bundle: from `edgefer.bundle.load`.
        out: path of the file; by default ``NAME.onnx`` in the current folder.
        network: name in the bundle; by default the one used on ``cpu``.
        box: whether the file also takes the face's box.

    Raises:
        InputError: there is no such network, it cannot be exported, or `out` does not end in ``.onnx``.
    """
    path = out or Path(f"{bundle.manifest.name}.onnx")
    if path.suffix != ".onnx":
        raise InputError(f"{path} should end in .onnx")
    with Predictor(bundle, network, device="cpu") as predictor:
        content = export(bundle, predictor.network, box=box).SerializeToString()
        vectors = golden.make(predictor, box=box)
        beside = checking.beside(path)
        with paths.write_atomically(path) as part:
            part.write_bytes(content)
        golden.write(vectors, beside)
        return WrittenOnnx(
            bundle.manifest.name,
            predictor.network,
            path,
            beside,
            len(content),
            len(vectors.vectors),
            len(vectors.labels),
            box,
        )


def export(bundle: Bundle, network: str, *, box: bool = False) -> ModelProto:
    """Return a bundle's network with its preprocessing and softmax as one model.

    Inputs: ``image``, uint8 (height, width, 3 or 4), RGB or RGBA; with `box` also ``box``, int64 (4,): left, top, right
    and bottom of the face in pixels. A box may extend beyond the picture, whose edge pixels are then repeated.
    Output: ``probabilities``, float32 (labels,), sum 1. Labels, temperature and origin are in the metadata.

    Raises:
        InputError: the bundle has no such network, or it cannot be converted to opset 18.
    """
    spec, manifest = bundle.manifest.preprocessing, bundle.manifest
    inner = _raised(read(bundle.file(network)), network)
    took, gave = inner.graph.input[0].name, inner.graph.output[0].name
    front = parser.parse_model(before(spec, box))
    model = compose.merge_models(front, inner, [("network_input", took)], prefix2="network/")
    back = parser.parse_model(after(manifest.temperature, len(manifest.labels)))
    model = compose.merge_models(model, back, [(f"network/{gave}", "logits")])
    model.ir_version = IR
    model.graph.name = manifest.name
    model.producer_name, model.producer_version = "edgefer", edgefer.__version__
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata(bundle, network, box))
    onnx.checker.check_model(model, full_check=True)
    return model


def metadata(bundle: Bundle, network: str, box: bool) -> dict[str, str]:
    """Return the file's metadata, all values as text."""
    manifest, told = bundle.manifest, card(bundle)
    score = next((each for each in manifest.scores if each.network == network), None)
    return {
        "edgefer.contract": str(CONTRACT),
        "edgefer.version": edgefer.__version__,
        "edgefer.name": manifest.name,
        "edgefer.network": network,
        "edgefer.network_sha256": manifest.networks[network].sha256,
        "edgefer.labels": json.dumps(manifest.labels),
        "edgefer.temperature": str(manifest.temperature),
        "edgefer.preprocessing": manifest.preprocessing.model_dump_json(),
        "edgefer.inputs": json.dumps(["image", "box"] if box else ["image"]),
        "edgefer.accuracy": json.dumps(score.model_dump() if score else None),
        "edgefer.licence": licence(told),
        "edgefer.card": told,
    }


def card(bundle: Bundle) -> str:
    """Return the bundle's model card, Markdown; empty if it has none.

    Raises:
        InputError: it is too large or not text.
    """
    path = bundle.path / "MODEL_CARD.md"
    return limits.read_text(path, limits.NOTE) if path.is_file() else ""


def licence(told: str) -> str:
    """Return the text under a model card's heading Licence or License; empty if there is none."""
    found = re.search(r"^## Licen[cs]e\n(.*?)(?=^## |\Z)", told, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    return found[1].strip() if found else ""


def _raised(model: ModelProto, network: str) -> ModelProto:
    """Convert the network to the file's opset."""
    if any(opset.domain not in ("", "ai.onnx") for opset in model.opset_import):
        raise InputError(f"{network} has operators of a single runtime; export another network of the bundle")
    found = next(opset.version for opset in model.opset_import)
    try:
        return model if found == OPSET else version_converter.convert_version(model, OPSET)
    except Exception as error:  # its exceptions are undocumented
        raise InputError(f"{network} cannot be written with opset {OPSET}: {error}") from None


def before(spec: Preprocessing, box: bool) -> str:
    """Return the preprocessing in ONNX's text form (https://onnx.ai/onnx/repo-docs/Syntax.html).

    Transparent pixels are blended with white in Pillow's arithmetic (``alpha_composite``: seven bits more than eight).
    """
    inputs = "uint8[height, width, channels] image" + (", int64[4] box" if box else "")
    corners = "left, top, right, bottom = Split <num_outputs = 4> (box)" if box else _WHOLE
    if spec.interpolation not in _FILTERS:
        raise InputError(f"interpolation {spec.interpolation} cannot be exported; train with bilinear or bicubic")
    mean = np.asarray(spec.mean, np.float32) * np.float32(255)  # as in `Preprocessing.normalize`
    scale = np.float32(1) / (np.asarray(spec.std, np.float32) * np.float32(255))
    return f"""
<ir_version: {IR}, opset_import: ["" : {OPSET}]>
preprocessing ({inputs}) => (float[1, {spec.channels}, {spec.size}, {spec.size}] network_input)
<int64[1] i0 = {{0}}, int64[1] i1 = {{1}}, int64[1] i2 = {{2}}, int64[1] i3 = {{3}}, int64[1] i4 = {{4}},
 {f"double[1] crop = {{{spec.crop!r}}}," if spec.crop < 1 else ""} uint8[1] opaque = {{255}},
 int32[1] n128 = {{128}}, int32[1] n255 = {{255}}, int32[1] n256 = {{256}}, int32[1] n16384 = {{16384}},
 {_LUMA if spec.color == "grey" else ""}
 double[1] half = {{0.5}}, double[1] zero = {{0.0}}, double[1] white = {{255.0}},
 {_CONSTANTS[spec.interpolation]} int64[1] size = {{{spec.size}}},
 double[1] step = {{{2.0**_BITS}}}, double[1] half_step = {{{2.0 ** (_BITS - 1)}}},
 int64[{spec.size}, 1] middles = {{{_middles(spec.size)}}},
 float[1, {spec.channels}, 1, 1] mean = {{{_numbers(mean)}}},
 float[1, {spec.channels}, 1, 1] scale = {{{_numbers(scale)}}}>
{{
  height1 = Shape <start = 0, end = 1> (image)
  width1 = Shape <start = 1, end = 2> (image)
  {corners}
  high = Sub (bottom, top)
  wide = Sub (right, left)
  shorter = Min (high, wide)
  {_SIDE if spec.crop < 1 else "side = Max (shorter, i1)"}
  spare_high = Sub (high, side)
  spare_wide = Sub (wide, side)
  skipped_high = Div (spare_high, i2)
  skipped_wide = Div (spare_wide, i2)
  first_row = Add (top, skipped_high)
  first_column = Add (left, skipped_wide)
  {_index("row", "height1")}
  {_index("column", "width1")}
  rows = Gather <axis = 0> (image, row_index)
  square = Gather <axis = 1> (rows, column_index)
  square_shape = Shape <start = 0, end = 2> (square)
  plane_shape = Concat <axis = 0> (square_shape, i1)
  plane = Expand (opaque, plane_shape)
  with_alpha = Concat <axis = 2> (square, plane)
  rgb8 = Slice (square, i0, i3, i2)
  alpha8 = Slice (with_alpha, i3, i4, i2)
  rgb32 = Cast <to = 6> (rgb8)
  alpha = Cast <to = 6> (alpha8)
  coefficient = Mul (alpha, n128)
  clear = Sub (n255, alpha)
  clear_coefficient = Mul (clear, n128)
  paper = Mul (clear_coefficient, n255)
  inked = Mul (rgb32, coefficient)
  blended = Add (inked, paper)
  sum = Add (blended, n16384)
  carried = Div (sum, n256)
  carried_sum = Add (carried, sum)
  over_255 = Div (carried_sum, n256)
  on_white = Div (over_255, n128)
  {_GREY if spec.color == "grey" else _RGB}
  {_WEIGHTS}
  {_FILTERS[spec.interpolation]}
  {_FIXED}
  {_product("wide_planes", "planes_double", across=True)}
  {_product("resized", "wide_planes", across=False)}
  pixels = Cast <to = 1> (resized)
  centred = Sub (pixels, mean)
  network_input = Mul (centred, scale)
}}
"""


def after(temperature: float, labels: int) -> str:
    """Return the postprocessing of one picture: softmax(logits / temperature)."""
    return f"""
<ir_version: {IR}, opset_import: ["" : {OPSET}]>
confidence (float[1, {labels}] logits) => (float[{labels}] probabilities)
<float[1] temperature = {{{temperature!r}}}, int64[1] batch = {{0}}>
{{
  cooled = Div (logits, temperature)
  shares = Softmax <axis = 1> (cooled)
  probabilities = Squeeze (shares, batch)
}}
"""


_WHOLE = "top = Identity (i0)\n  left = Identity (i0)\n  bottom = Identity (height1)\n  right = Identity (width1)"
_SIDE = """shorter_double = Cast <to = 11> (shorter)
  part = Mul (shorter_double, crop)
  part_rounded = Round (part)
  part_whole = Cast <to = 7> (part_rounded)
  side = Max (part_whole, i1)"""
_LUMA = f"float[3, 1] luma = {{{', '.join(map(repr, LUMA))}}},"
_GREY = """colours = Cast <to = 1> (on_white)
  luma_exact = MatMul (colours, luma)
  luma_rounded = Round (luma_exact)
  grey8 = Cast <to = 2> (luma_rounded)
  picture = Transpose <perm = [2, 0, 1]> (grey8)
  planes = Unsqueeze (picture, i0)"""
_RGB = """colours8 = Cast <to = 2> (on_white)
  picture = Transpose <perm = [2, 0, 1]> (colours8)
  planes = Unsqueeze (picture, i0)"""


# Pillow's weights (Resample.c, precompute_coeffs) of each source pixel for each resized pixel. The distance from a
# pixel (j + 1/2) to a centre ((i + 1/2) side / size) is `apart_double` / `span_double`, both whole numbers, so they are
# exact even in runtimes with only float32.
_WEIGHTS = """planes_double = Cast <to = 11> (planes)
  positions = Squeeze (i0)
  next = Squeeze (i1)
  side_0 = Squeeze (side)
  places = Range (positions, side_0, next)
  twice = Mul (places, i2)
  odd = Add (twice, i1)
  at = Mul (odd, size)
  centres = Mul (middles, side)
  apart = Sub (at, centres)
  stretch = Max (side, size)
  span = Mul (stretch, i2)
  span_double = Cast <to = 11> (span)
  apart_whole = Abs (apart)
  apart_double = Cast <to = 11> (apart_whole)"""
_CONSTANTS = {
    "bilinear": "",
    "bicubic": "double[1] one = {1.0}, double[1] two = {2.0}, double[1] three = {3.0}, double[1] four = {4.0}, "
    "double[1] five = {5.0}, double[1] eight = {8.0},",
}
_FILTERS = {
    "bilinear": """slope = Sub (span_double, apart_double)
  filtered = Max (slope, zero)""",
    # Keys' cubic with a = -1/2: (1.5 x - 2.5) x^2 + 1 up to 1, ((-0.5 x + 2.5) x - 4) x + 2 up to 2
    "bicubic": """distance = Div (apart_double, span_double)
  squared = Mul (distance, distance)
  cubed = Mul (squared, distance)
  five_squared = Mul (squared, five)
  near_cubed = Mul (cubed, three)
  near_sum = Sub (near_cubed, five_squared)
  near_half = Mul (near_sum, half)
  near = Add (near_half, one)
  far_sum = Sub (five_squared, cubed)
  eight_x = Mul (distance, eight)
  far_less = Sub (far_sum, eight_x)
  far_four = Add (far_less, four)
  far = Mul (far_four, half)
  is_near = Less (distance, one)
  is_far = Less (distance, two)
  beyond = Where (is_far, far, zero)
  filtered = Where (is_near, near, beyond)""",
}
# As in Pillow, a weight is an integer multiple of 2**-22. It is split into a coarse and a fine part of 11 bits each,
# so that runtimes with only float32 (24 bits) also sum the products with pixels exactly.
_FIXED = """total = ReduceSum <keepdims = 1> (filtered, i1)
  sign = Sign (filtered)
  size_of_filtered = Abs (filtered)
  scaled = Mul (size_of_filtered, step)
  in_steps = Div (scaled, total)
  coarse_size = Floor (in_steps)
  taken = Mul (coarse_size, total)
  rest = Sub (scaled, taken)
  rest_scaled = Mul (rest, step)
  rest_in_units = Div (rest_scaled, total)
  rounded_up = Add (rest_in_units, half)
  fine_size = Floor (rounded_up)
  coarse = Mul (coarse_size, sign)
  fine = Mul (fine_size, sign)
  coarse_across = Transpose <perm = [1, 0]> (coarse)
  fine_across = Transpose <perm = [1, 0]> (fine)"""


def _product(name: str, planes: str, across: bool) -> str:
    """Return the lines that weight rows (columns if `across`), rounding half up to 0 to 255."""
    products = (
        f"{part} = MatMul ({planes}, {weights}_across)" if across else f"{part} = MatMul ({weights}, {planes})"
        for part, weights in ((f"{name}_coarse", "coarse"), (f"{name}_fine", "fine"))
    )
    return "\n  ".join(
        [
            *products,
            f"{name}_in_steps = Div ({name}_fine, step)",
            f"{name}_carried = Floor ({name}_in_steps)",
            f"{name}_sum = Add ({name}_coarse, {name}_carried)",
            f"{name}_half = Add ({name}_sum, half_step)",
            f"{name}_pixels = Div ({name}_half, step)",
            f"{name}_whole = Floor ({name}_pixels)",
            f"{name}_positive = Max ({name}_whole, zero)",
            f"{name} = Min ({name}_positive, white)",
        ]
    )


def _middles(size: int) -> str:
    """Return the centres of the resized pixels, in half pixels."""
    return ", ".join(str(2 * place + 1) for place in range(size))


def _index(name: str, length: str) -> str:
    """Return the lines that make the rows (columns) of the square; edge pixels are repeated beyond the picture."""
    return f"""first_{name}_0 = Squeeze (first_{name})
  end_{name} = Add (first_{name}, side)
  end_{name}_0 = Squeeze (end_{name})
  step_{name} = Squeeze (i1)
  free_{name} = Range (first_{name}_0, end_{name}_0, step_{name})
  last_{name} = Sub ({length}, i1)
  no_less_{name} = Max (free_{name}, i0)
  {name}_index = Min (no_less_{name}, last_{name})"""


def _numbers(values: NDArray[np.float32]) -> str:
    """Format float32 numbers with full precision."""
    return ", ".join(repr(float(value)) for value in values)
