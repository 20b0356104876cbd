"""A bundle as a page: one folder of plain files that any web server hands out.

The large form runs the bundle's INT8 network with ONNX Runtime Web, and its FP16 or FP32 network on WebGPU.
Preprocessing in JavaScript is held to golden vectors, which lie in the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx

import edgefer
from edgefer import pages, paths
from edgefer.bundle import Bundle
from edgefer.errors import InputError
from edgefer.export import golden
from edgefer.export.npm import ONNXRUNTIME
from edgefer.faces import detector as detectors
from edgefer.faces import file as detector_file
from edgefer.faces.yunet import YuNet
from edgefer.graph.fp16 import to_fp16, to_fp32
from edgefer.predictor import Predictor

_PAGE = Path(__file__).parent / "web"
_SHARED = Path(pages.__file__).parent
_STYLE = (_SHARED / "page.css", _SHARED / "expressions.css", _PAGE / "style.css")
_MODULES = ("index.html", "page.js", "edgefer.js", "pixels.js", "faces.js", "smooth.js", "check.js")
_ORT = {  # for wasm; for WebGPU
    False: ("dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm"),
    True: ("dist/ort.webgpu.bundle.min.mjs", "dist/ort-wasm-simd-threaded.asyncify.wasm"),
}
_STAYS = "Pictures never leave this page: nothing is stored and nothing is sent."


@dataclass(frozen=True)
class Written:
    """What `write` wrote.

    Attributes:
        name: of the bundle's network.
        form: ``large``.
        folder: with the page in it.
        bytes: of all files.
        first: bytes that a browser fetches before its first answer.
        network: which of the bundle's networks runs on the CPU.
        vectors: golden vectors in the folder.
    """

    name: str
    form: str
    folder: Path
    bytes: int
    first: int
    network: str
    vectors: int

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {**asdict(self), "folder": str(self.folder)}


def write(
    bundle: Bundle,
    out: Path | None = None,
    *,
    notice: Sequence[str],
    min_confidence: float,
    detector: str | os.PathLike[str] | None = None,
) -> Written:
    """Write a bundle's page into a new folder.

    Args:
        bundle: from `edgefer.bundle.load`.
        out: the folder; by default ``NAME-web`` in the current one.
        notice: what must be known before a camera is switched on, a sentence each.
        min_confidence: probability below which the page says ``unsure``.
        detector: YuNet's file; by default EDGEFER_DETECTOR, else the one in the cache, which is fetched once.

    Raises:
        InputError: `out` is not empty, or `detector` is no YuNet.
        MissingRequirement: the detector or ONNX Runtime Web is not in the cache and cannot be fetched.
    """
    folder = out or Path(f"{bundle.manifest.name}-web")
    paths.check_unused(folder)
    name = detectors.named(detector)
    yunet = Path(name) if name else detector_file.fetch()
    YuNet(yunet)  # refuses another network
    with Predictor(bundle, device="cpu") as predictor:
        network = predictor.network
        vectors = golden.make(predictor, box=False)
        boxed = golden.make(predictor, box=True).vectors
    vectors = vectors.model_copy(update={"vectors": (*vectors.vectors, *boxed)})
    on_cpu, fp32, fp16 = bundle.content(network), *_floats(bundle)
    manifest = bundle.manifest
    precision = manifest.networks[network].precision
    about = {
        "name": manifest.name,
        "version": edgefer.__version__,
        "form": "large",
        "network_sha256": manifest.networks[network].sha256,
        "labels": manifest.labels,
        "temperature": manifest.temperature,
        "preprocessing": manifest.preprocessing.model_dump(),
        "min_confidence": min_confidence,
        "notice": [*notice, _STAYS],
        "detector": "detector.onnx",
        "runtimes": [
            {"id": f"wasm, {precision}", "network": "network.onnx", "webgpu": False},
            {"id": "WebGPU", "network": "network.fp32.onnx", "fp16": "network.fp16.onnx", "webgpu": True},
        ],
    }
    ort = {
        gpu: {f"ort/{Path(name).name}": content for name, content in ONNXRUNTIME.files(names).items()}
        for gpu, names in _ORT.items()
    }
    first = {
        **{name: (_PAGE / name).read_bytes() for name in (*_MODULES, "runtime.js")},
        "style.css": b"".join(path.read_bytes() for path in _STYLE),
        "model.json": _json(about),
        "network.onnx": on_cpu,
        "detector.onnx": yunet.read_bytes(),
        **ort[False],
    }
    later = {
        "network.fp32.onnx": fp32,
        "network.fp16.onnx": fp16,
        "golden.json": _json(vectors.model_dump(mode="json")),
        "licences.txt": _licences(bundle).encode(),
        **ort[True],
    }
    worker = {
        "offline.js": _offline({**first, "golden.json": later["golden.json"], "licences.txt": later["licences.txt"]})
    }
    files = {**first, **later, **worker}
    with paths.write_folder_atomically(folder) as part:
        for name, content in files.items():
            (part / name).parent.mkdir(exist_ok=True)
            (part / name).write_bytes(content)
    return Written(
        manifest.name,
        "large",
        folder,
        sum(map(len, files.values())),
        sum(map(len, first.values())),
        network,
        len(vectors.vectors),
    )


def _floats(bundle: Bundle) -> tuple[bytes, bytes]:
    """Return the bundle's network in FP32 and in FP16; one is made of the other where it lacks one.

    Raises:
        InputError: it has neither.
    """
    by_precision = {entry.precision: name for name, entry in bundle.manifest.networks.items()}
    fp32, fp16 = (bundle.content(by_precision[each]) if each in by_precision else None for each in ("fp32", "fp16"))
    if fp32 is None and fp16 is None:
        raise InputError(f"{bundle.path} has no FP32 or FP16 network; compress it again")
    return (
        fp32 or to_fp32(onnx.load_from_string(fp16 or b"")).SerializeToString(),
        fp16 or to_fp16(onnx.load_from_string(fp32 or b"")).SerializeToString(),
    )


def _offline(files: Mapping[str, bytes]) -> bytes:
    """Return the service worker, which keeps these files: its own bytes change with theirs."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(files[name]).digest() for name in sorted(files)))
    names = json.dumps(["./", *files])
    return (
        f'const VERSION = "{digest.hexdigest()[:16]}";\nconst FILES = {names};\n'.encode()
        + (_PAGE / "offline.js").read_bytes()
    )


def _licences(bundle: Bundle) -> str:
    return (
        f"edgefer {edgefer.__version__}, the page and its scripts: Apache-2.0, https://pypi.org/project/edgefer\n"
        f"{bundle.manifest.name}, the network: see its model card.\n"
        "YuNet (detector.onnx): Apache-2.0, Wu et al. 2023, "
        "https://github.com/ShiqiYu/libfacedetection.train\n"
        f"{ONNXRUNTIME.name} {ONNXRUNTIME.version} (ort/): {ONNXRUNTIME.licence}, {ONNXRUNTIME.origin}\n"
    )


def _json(tree: Any) -> bytes:
    return (json.dumps(tree, indent=1, ensure_ascii=False) + "\n").encode()
