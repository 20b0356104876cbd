"""Export a bundle as a web page: a folder of static files for any web server.

The large form runs the bundle's INT8 network with ONNX Runtime Web, and its FP16 or FP32 network on WebGPU. The small
form runs the FP32 network with FP16 weights on its own kernels of a few kilobytes (`small_network`): for a small
network, ONNX Runtime would dominate the download. Golden vectors in the folder check JavaScript against Python.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import onnx
from onnx import ModelProto

import edgefer
from edgefer import pages, paths
from edgefer.bundle import Bundle
from edgefer.errors import InputError
from edgefer.export import golden, small_network
from edgefer.export.npm import ONNXRUNTIME
from edgefer.export.onnx_file import card, licence
from edgefer.faces import detector as detectors
from edgefer.faces import file as detector_file
from edgefer.faces.yunet import YuNet
from edgefer.graph.fp16 import to_fp16, to_fp32
from edgefer.predictor import Predictor

_PAGE = Path(__file__).parent / "web"
_SHARED = Path(pages.__file__).parent
_STYLE = (_SHARED / "page.css", _SHARED / "expressions.css", _PAGE / "style.css")
_MODULES = ("index.html", "early.js", "page.js", "edgefer.js", "pixels.js", "faces.js", "smooth.js", "check.js")
_ORT = {  # for WebAssembly; for WebGPU
    False: ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"),
    True: ("dist/ort.webgpu.bundle.min.mjs", "dist/ort-wasm-simd-threaded.asyncify.wasm"),
}
_STAYS = "Pictures never leave this page: nothing is stored and nothing is sent."

Form: TypeAlias = Literal["large", "small"]


@dataclass(frozen=True)
class _Networks:
    """What differs between the forms.

    Attributes:
        first: files downloaded before the first prediction.
        later: files downloaded on demand.
        detector: file name of the detector.
        runtimes: networks with their runtimes; the first is the default.
        licences: third-party components besides the detector, with their licence texts.
    """

    first: dict[str, bytes]
    later: dict[str, bytes]
    detector: str
    runtimes: list[dict[str, Any]]
    licences: str


@dataclass(frozen=True)
class Written:
    """The exported page.

    Attributes:
        name: of the bundle.
        form: ``large`` or ``small``.
        folder: path of the page's folder.
        bytes: total size.
        first: bytes downloaded before the first prediction.
        network: name of the network in the bundle.
        vectors: number of golden vectors in the folder.
    """

    name: str
    form: str
    folder: Path
    bytes: int
    first: int
    network: str
    vectors: int

    def as_json(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return {**asdict(self), "folder": str(self.folder)}


def write(
    bundle: Bundle,
    out: Path | None = None,
    *,
    notice: Sequence[str],
    min_confidence: float,
    form: Form = "large",
    detector: str | os.PathLike[str] | None = None,
) -> Written:
    """Write a bundle's page into a new folder.

    Args:
        bundle: from `edgefer.bundle.load`.
        out: path of the folder; by default ``NAME-web`` in the current one.
        notice: what people must know before a camera is switched on, a sentence each.
        min_confidence: probability below which the page says ``unsure``.
        form: ``large`` uses ONNX Runtime Web, ``small`` its own kernels.
        detector: YuNet's file; by default EDGEFER_DETECTOR, else the cached one, downloaded once.

    Raises:
        InputError: `out` is not empty, `detector` is not YuNet, or the small form lacks a layer of the network.
        MissingRequirement: the detector or ONNX Runtime Web is neither cached nor downloadable.
    """
    folder = out or Path(f"{bundle.manifest.name}-web")
    paths.check_unused(folder)
    name = detectors.named(detector)
    if name == detectors.CASCADE:
        raise InputError(f"a page needs YuNet, not OpenCV's cascade; give {detector_file.NAME}")
    yunet = Path(name) if name else detector_file.fetch()
    YuNet(yunet)  # rejects another network
    network = None if form == "large" else _float_name(bundle)
    network, vectors = _golden(bundle, network)
    networks = (_large if form == "large" else _small)(bundle, network, yunet.read_bytes())
    manifest = bundle.manifest
    about = {
        "name": manifest.name,
        "version": edgefer.__version__,
        "form": form,
        "network_sha256": manifest.networks[network].sha256,
        "labels": manifest.labels,
        "temperature": manifest.temperature,
        "preprocessing": manifest.preprocessing.model_dump(),
        "min_confidence": min_confidence,
        "notice": [*notice, _STAYS],
        "detector": networks.detector,
        "runtimes": networks.runtimes,
    }
    first = {
        **{name: (_PAGE / name).read_bytes() for name in _MODULES},
        "style.css": b"".join(path.read_bytes() for path in _STYLE),
        "model.json": _json(about),
        **networks.first,
    }
    beside = {
        "golden.json": _json(vectors.model_dump(mode="json")),
        "licences.txt": _licences(bundle, networks.detector, networks.licences).encode(),
    }
    files = {**first, **beside, **networks.later, "offline.js": _offline(first)}  # golden vectors are most of the size
    with paths.write_folder_atomically(folder) as part:
        for name, content in files.items():
            (part / name).parent.mkdir(exist_ok=True)
            (part / name).write_bytes(content)
    return Written(
        manifest.name,
        form,
        folder,
        sum(map(len, files.values())),
        sum(map(len, first.values())),
        network,
        len(vectors.vectors),
    )


def _large(bundle: Bundle, network: str, yunet: bytes) -> _Networks:
    fp32, fp16 = _floats(bundle)
    ort = {
        gpu: {f"ort/{Path(name).name}": content for name, content in ONNXRUNTIME.files(names).items()}
        for gpu, names in _ORT.items()
    }
    return _Networks(
        {
            "runtime.js": (_PAGE / "runtime.js").read_bytes(),
            "network.onnx": bundle.content(network),
            "detector.onnx": yunet,
            **ort[False],
        },
        {
            "network.fp32.onnx": fp32.SerializeToString(),
            "network.fp16.onnx": fp16.SerializeToString(),
            "golden.float.json": _json(_golden(bundle, _float_name(bundle))[1].model_dump(mode="json")),
            **ort[True],
        },
        "detector.onnx",
        [
            {
                "id": f"wasm, {bundle.manifest.networks[network].precision}",
                "network": "network.onnx",
                "golden": "golden.json",
                "webgpu": False,
            },
            {
                "id": "WebGPU",
                "network": "network.fp32.onnx",
                "fp16": "network.fp16.onnx",
                "golden": "golden.float.json",
                "webgpu": True,
            },
        ],
        f"{ONNXRUNTIME.name} {ONNXRUNTIME.version} (ort/): {ONNXRUNTIME.licence}, {ONNXRUNTIME.origin}\n"
        f"Copyright (c) Microsoft Corporation\n\n{(_PAGE / 'mit.txt').read_text(encoding='utf-8')}",
    )


def _small(bundle: Bundle, network: str, yunet: bytes) -> _Networks:
    fp32 = _floats(bundle)[0]
    return _Networks(
        {
            "runtime.js": (_PAGE / "runtime-small.js").read_bytes(),
            "kernels.wasm": (_PAGE / "kernels.wasm").read_bytes(),
            "network.bin": small_network.convert(fp32),
            "detector.bin": small_network.convert(onnx.load_from_string(yunet)),
        },
        {},
        "detector.bin",
        [{"id": "wasm, fp32", "network": "network.bin", "golden": "golden.json", "webgpu": False}],
        "edgefer has converted the detector: its weights are float16.\n",
    )


def _golden(bundle: Bundle, network: str | None) -> tuple[str, golden.Golden]:
    """Return the network, by default the one for CPUs, and its vectors with and without boxes."""
    with Predictor(bundle, network, device="cpu") as predictor:
        vectors = golden.make(predictor, box=False)
        boxed = golden.make(predictor, box=True).vectors
        return predictor.network, vectors.model_copy(update={"vectors": (*vectors.vectors, *boxed)})


def _float_name(bundle: Bundle) -> str:
    """Return the name of the bundle's FP32 network, or FP16 if it has no FP32.

    Raises:
        InputError: it has neither.
    """
    by_precision = {entry.precision: name for name, entry in bundle.manifest.networks.items()}
    found = by_precision.get("fp32", by_precision.get("fp16"))
    if found is None:
        raise InputError(f"{bundle.path} has no FP32 or FP16 network; compress it again")
    return found


def _floats(bundle: Bundle) -> tuple[ModelProto, ModelProto]:
    """Return the bundle's network in FP32 and in FP16, converting one to the other if needed."""
    name = _float_name(bundle)
    model = onnx.load_from_string(bundle.content(name))
    if bundle.manifest.networks[name].precision == "fp16":
        return to_fp32(model), model
    return model, to_fp16(model)


def _offline(files: Mapping[str, bytes]) -> bytes:
    """Return the service worker that caches these files for offline use; it changes whenever they do."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(files[name]).digest() for name in sorted(files)))
    names = json.dumps(["./", *files])
    return (
        f'const VERSION = "{digest.hexdigest()[:16]}";\nconst FILES = {names};\n'.encode()
        + (_PAGE / "offline.js").read_bytes()
    )


def _licences(bundle: Bundle, detector: str, others: str) -> str:
    """Return licences.txt with the full text of each licence, which must accompany the folder."""
    network = licence(card(bundle)) or "its bundle has no model card that says so."
    return (
        f"edgefer {edgefer.__version__}, the page and its scripts: Apache-2.0, https://pypi.org/project/edgefer\n\n"
        f"{bundle.manifest.name}, the network: {network}\n\n"
        f"YuNet ({detector}): Apache-2.0, Wu et al. 2023, https://github.com/ShiqiYu/libfacedetection.train\n\n"
        f"{others}\n{(_PAGE / 'apache-2.0.txt').read_text(encoding='utf-8')}"
    )


def _json(tree: Any) -> bytes:
    return (json.dumps(tree, indent=1, ensure_ascii=False) + "\n").encode()
