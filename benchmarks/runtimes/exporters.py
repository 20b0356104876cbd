"""One trained network through three INT8 exporters: accuracy, file size and latency, with OpenVINO as a bound.

python benchmarks/runtimes/exporters.py CHECKPOINT BUNDLE [--data FER2013.zip] [--out FILE.json] [--seconds 3]

CHECKPOINT is what `edgefer train` left, BUNDLE what `edgefer compress --int8` made of it; OpenVINO comes with
`pip install -e '.[openvino]'`. All exporters get the same 300 training images (stratified-300). A choice between
settings is made on the validation split (PublicTest); PrivateTest is for the figures alone: one crop of each image,
batch axis open (OpenVINO: batch 1). Latency is of batch 1 on one thread, all columns timed in turn in one run. A column
that cannot be made or run has the first line of its error in the place of figures.
"""

from __future__ import annotations

import argparse
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.common import FER2013, command
from edgefer import bundle, console, data, models, paths, public, versions
from edgefer.backends import onnxruntime
from edgefer.compression import calibrate, export, gate
from edgefer.compression.compressor import compress
from edgefer.compression.config import SCHEME, CompressConfig
from edgefer.compression.extension import load_extension, load_nncf, quiet
from edgefer.data.dataset import Split
from edgefer.devices import machine
from edgefer.evaluation import predict, timing
from edgefer.evaluation.predict import Infer
from edgefer.learning import checkpoint as checkpoints
from edgefer.preprocessing import Preprocessing

RESULTS = Path(__file__).parents[1] / "results"
THREADS = 1
TIMED_IMAGES = 64
PERCENTILE, MAX_SECONDS, WARMUP_SECONDS = 99, 30.0, 0.2
CALIBRATIONS = ("MinMax", "Entropy", "Percentile")  # ONNX Runtime's, each with its own settings
# As in ONNX Runtime's columns, the parts that are not INT8 stay FP32 on CPUs with bfloat16. The thread is not pinned to
# a core: pinned, it was slower on a core with other load.
OPENVINO = {
    "INFERENCE_NUM_THREADS": THREADS,
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_PRECISION_HINT": "f32",
    "ENABLE_CPU_PINNING": False,
}
PACKAGES = ("torch", "nncf", "torchao", "onnx", "onnxruntime", "openvino", "numpy")


@dataclass(frozen=True)
class Column:
    """A candidate of the comparison: `make` returns its file, `start` its runtime session."""

    how: str
    make: Callable[[], Path]
    start: Callable[[Path], Infer]
    batch: int = 64


# The exporters. `inputs` are the preprocessed calibration images, float32, (n, C, H, W).


def nncf_default(network: nn.Module, inputs: NDArray[np.float32], file: Path) -> Path:
    """NNCF with defaults: quantize, strip, torch's exporter, with an open batch axis."""
    nncf = load_nncf()
    load_extension()
    images = torch.from_numpy(inputs).split(1)
    with quiet(), torch.no_grad():
        quantized = nncf.quantize(network, nncf.Dataset(list(images)))
        torch.onnx.export(
            nncf.strip(quantized, example_input=images[0]),
            (images[0],),
            file,
            dynamo=False,
            input_names=[export.INPUT],
            output_names=[export.OUTPUT],
            dynamic_axes={export.INPUT: {0: "batch"}, export.OUTPUT: {0: "batch"}},
        )
    return file


class Reader:
    """Calibration images one by one, in the format of ONNX Runtime's quantizer."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self._left = iter(inputs[:, None])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._left, None)
        return None if image is None else {export.INPUT: image}


def ort_static(fp32: Path, inputs: NDArray[np.float32], file: Path, **settings: Any) -> Path:
    """ONNX Runtime's quantize_static after its own graph preparation; defaults unless in `settings`."""
    from onnxruntime.quantization import quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = file.with_suffix(".prepared.onnx")
    with quiet():
        quant_pre_process(fp32, prepared)
        quantize_static(prepared, file, Reader(inputs), **settings)
    return file


def ort_best(
    fp32: Path,
    inputs: NDArray[np.float32],
    folder: Path,
    score: Callable[[Path], float],
    scores: dict[str, float | str],
) -> Path:
    """ONNX Runtime's recommendation for x86, with weights per channel and the calibration with the highest `score`.

    Args:
        score: validation accuracy of a file.
        scores: filled with each calibration's score, or the first line of its error.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType

    for name in CALIBRATIONS:
        try:
            file = ort_static(
                fp32,
                inputs,
                folder / f"ort-{name}.onnx",
                calibrate_method=CalibrationMethod[name],
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=machine.describe().saturates,  # False on CPUs with VNNI
            )
            scores[name] = score(file)
        except Exception as error:
            scores[name] = first_line(error)
    found = {name: value for name, value in scores.items() if isinstance(value, float)}
    if not found:
        raise ValueError(f"no calibration works: {scores}")
    return folder / f"ort-{max(found, key=lambda name: found[name])}.onnx"


# The runtimes.


def run_ort(file: Path) -> Infer:
    return onnxruntime.open_model(file, THREADS).infer


def run_openvino(file: Path) -> Infer:
    """OpenVINO at batch 1, without copies of inputs and outputs. `load_nncf` has disabled its telemetry."""
    import openvino

    core = openvino.Core()
    model = core.read_model(file)
    shape = model.input().partial_shape
    shape[0] = 1
    model.reshape(shape)
    request = core.compile_model(model, "CPU", OPENVINO).create_infer_request()

    def infer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = request.infer(batch, share_inputs=True, share_outputs=True)[0]
        return logits

    return infer


# The measurements.


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def stream(spec: Preprocessing, split: Split) -> list[NDArray[np.float32]]:
    """Return images spread over a split, as inputs of batch 1."""
    batch = spec.apply(split.take(np.linspace(0, len(split) - 1, TIMED_IMAGES).astype(np.int64)))
    return [np.ascontiguousarray(batch[number : number + 1]) for number in range(len(batch))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/exporters-<name>.json")
    parser.add_argument("--seconds", type=float, default=3.0, help="least time that each column is timed for")
    options = parser.parse_args()
    console.enable()
    load_nncf()

    # The network, the images.
    trained = checkpoints.read(options.checkpoint)
    network = models.merged(checkpoints.build(trained))
    ours = bundle.load(options.bundle)
    spec, classes = trained.recipe.preprocessing, len(trained.classes)
    dataset = data.find(options.data)
    training = data.split(dataset, "train", trained.recipe.data.split)
    validation, test = data.split(dataset, "val", trained.recipe.data.split), data.split(dataset, "test")
    plan = calibrate.load(SCHEME)
    inputs = spec.apply(calibrate.choose(plan, training, dataset).take(slice(None)))
    fp32 = ours.file("fp32")
    with torch.no_grad():
        apart = np.abs(network(torch.from_numpy(inputs)).numpy() - run_ort(fp32)(inputs)).max()
    if apart > 1e-3:
        raise SystemExit(f"{options.bundle} was not made of {options.checkpoint}: their logits are {apart:.3g} apart")

    scores: dict[str, float | str] = {}  # of ONNX Runtime's calibrations
    files: dict[str, Path] = {}
    infers: dict[str, Infer] = {}
    predictions: dict[str, NDArray[np.int64]] = {}
    errors: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="edgefer-benchmark-") as scratch:
        folder = Path(scratch)

        def on_validation(file: Path) -> float:
            logits = predict.logits(run_ort(file), spec, validation, description=f"choosing: {file.stem}")
            return gate.score(file.stem, validation, logits.argmax(1), classes).accuracy

        def ptq() -> Path:
            made = compress(
                options.checkpoint, dataset, folder / "ptq", CompressConfig(ptq=True, max_drop=100, allow_float=True)
            )
            return bundle.load(made.bundle).file("int8-cpu")

        columns = {
            "fp32": Column("the bundle's FP32 file, BatchNorm folded", lambda: fp32, run_ort),
            "nncf": Column(
                "nncf.quantize with its defaults, nncf.strip, torch.onnx.export(dynamo=False)",
                lambda: nncf_default(network, inputs, folder / "nncf.onnx"),
                run_ort,
            ),
            "ort-default": Column(
                "onnxruntime's quant_pre_process and quantize_static with its defaults, of the bundle's FP32 file",
                lambda: ort_static(fp32, inputs, folder / "ort-default.onnx"),
                run_ort,
            ),
            "ort-best": Column(
                "likewise with QDQ, per-channel int8 weights, uint8 activations, reduce_range only without VNNI; "
                f"the calibration of {', '.join(CALIBRATIONS)} that is best on the validation split",
                lambda: ort_best(fp32, inputs, folder, on_validation, scores),
                run_ort,
            ),
            "edgefer-ptq": Column("edgefer compress --ptq, int8-cpu: calibrated only", ptq, run_ort),
            "edgefer": Column("the bundle's int8-cpu file", lambda: ours.file("int8-cpu"), run_ort),
            "openvino-fp32": Column("OpenVINO on the file of fp32", lambda: fp32, run_openvino, batch=1),
            "openvino-int8": Column(
                "OpenVINO on the file of edgefer", lambda: ours.file("int8-cpu"), run_openvino, batch=1
            ),
        }

        # Accuracy.
        for name, column in columns.items():
            try:
                file = column.make()
                infer = column.start(file)
                logits = predict.logits(infer, spec, test, column.batch, f"evaluating {name}")
            except Exception as error:  # an error of an exporter or runtime is the column's result
                errors[name] = first_line(error).replace(f"{folder}/", "")
                console.say(f"{name}: {errors[name]}")
                continue
            files[name], infers[name], predictions[name] = file, infer, logits.argmax(1)
        if "fp32" in errors:
            raise SystemExit(f"nothing to compare with: {errors['fp32']}")
        sizes = {name: file.stat().st_size for name, file in files.items()}
        digests = {name: paths.sha256(file) for name, file in files.items()}

    # Latency.
    before = machine.load_average()
    timed = timing.in_turn(
        list(infers.values()),
        [stream(spec, test)] * len(infers),
        percentile=PERCENTILE,
        seconds=options.seconds,
        max_seconds=MAX_SECONDS,
        warmup_seconds=WARMUP_SECONDS,
    )
    samples = dict(zip(infers, timed, strict=True))
    after = machine.load_average()

    def against(name: str, other: str) -> dict[str, Any]:
        """Return a column's comparison with another: 95 % intervals, paired by image and by round."""
        right, other_right = (predictions[each] == test.labels for each in (name, other))
        gained, lost = int((right & ~other_right).sum()), int((other_right & ~right).sum())
        return {
            "accuracy": asdict(gate.interval(gained, lost, len(test))),
            "agreement": float((predictions[name] == predictions[other]).mean()),
            "file_bytes": sizes[name] / sizes[other],
            "latency": asdict(timing.ratio(samples[name], samples[other])),
        }

    def figures(name: str) -> dict[str, Any]:
        if name in errors:
            return {"error": errors[name]}
        return {
            "accuracy": gate.score(name, test, predictions[name], classes).accuracy,
            "file_bytes": sizes[name],
            "sha256": digests[name],
            "latency": asdict(timing.latency(samples[name])),
            "against_fp32": against(name, "fp32"),
        }

    result = {
        "what": "one trained network through three exporters to INT8, and OpenVINO on two of the files as a bound",
        "command": command(),
        "network": ours.manifest.name,
        "checkpoint": public.place(options.checkpoint),
        "bundle": public.place(options.bundle),
        "fine_tuning": ours.manifest.compression["fine_tuning"],
        "data": {
            "name": dataset.name,
            "digest": dataset.digest,
            "split": "test",
            "images": len(test),
            "calibration": plan.model_dump(mode="json"),
        },
        "protocol": {
            "views": "one crop of each image",
            "load": "single stream",
            "batch": 1,
            "threads": THREADS,
            "warmup_seconds": WARMUP_SECONDS,
            "untimed_per_turn": timing.UNTIMED,
            "timed_per_turn": timing.TURN,
            "percentile": PERCENTILE,
            "min_seconds": options.seconds,
            "max_seconds": MAX_SECONDS,
            "preprocessing_timed": False,
            "onnxruntime": "CPUExecutionProvider, all graph optimizations",
            "openvino": {**OPENVINO, "shape": "static, batch 1"},
        },
        "columns": {name: {"how": column.how, **figures(name)} for name, column in columns.items()},
        "ort_best_chosen_by_validation_accuracy": scores,
        "comparisons": {
            name: {other: against(name, other) for other in infers if other != name}
            for name in ("edgefer", "edgefer-ptq")
            if name in infers
        },
        "load": {"before": before, "after": after},
        "machine": machine.describe().model_dump(mode="json"),
        "versions": versions.installed(*PACKAGES),
    }
    out = options.out or RESULTS / f"exporters-{ours.manifest.name}.json"
    paths.write_json(out, result, indent=2)
    print_table(result)
    print(out)


def print_table(result: dict[str, Any]) -> None:
    images = result["data"]
    print(f"{result['network']}, {images['name']} {images['split']}: {images['images']:,} images")
    print(f"{result['machine']['cpu']}, {THREADS} thread, load {result['load']['before']:.1f}\n")
    print(f"{'':14}{'accuracy':>10}{'like fp32':>11}{'file':>10}{'':7}{'p50':>10}")
    print(f"{'':14}{'%':>10}{'%':>11}{'MB':>10}{'x':>7}{'ms':>10}{'x (95 % interval)':>18}")
    for name, column in result["columns"].items():
        if "error" in column:
            print(textwrap.fill(f"{name:16}{column['error']}", 80, subsequent_indent=" " * 16))
            continue
        other, latency = column["against_fp32"], column["against_fp32"]["latency"]
        print(
            f"{name:14}{100 * column['accuracy']:10.2f}{100 * other['agreement']:11.1f}"
            f"{column['file_bytes'] / 1e6:10.2f}{other['file_bytes']:7.2f}{column['latency']['p50']:10.3f}"
            f"  {latency['estimate']:.2f} ({latency['low']:.2f}-{latency['high']:.2f})"
        )
    print("\nx: of fp32's")
    if result["columns"]["edgefer"].get("sha256") == result["columns"]["edgefer-ptq"].get("sha256", ""):
        print("edgefer is the file of edgefer-ptq: no epoch of fine-tuning was better")
    for name in ("nncf", "ort-default", "ort-best", "openvino-int8"):
        if name in result["comparisons"].get("edgefer", {}):
            latency = result["comparisons"]["edgefer"][name]["latency"]
            print(
                f"edgefer over {name}: {latency['estimate']:.2f} x the latency "
                f"({latency['low']:.2f} to {latency['high']:.2f})"
            )


if __name__ == "__main__":
    main()
