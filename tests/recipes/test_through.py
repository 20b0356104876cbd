"""Each paper's recipe through its phases, then compress and bench, on a few small images of FER2013."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgefer import bundle, recipes
from edgefer.bench.measurement import bench
from edgefer.compression.compressor import compress
from edgefer.compression.config import CompressConfig
from edgefer.data.dataset import Dataset
from edgefer.learning import checkpoint
from edgefer.training.trainer import train
from tests.helpers.few import few

# Makes them small enough for two cores; every other setting is the recipe's.
SMALL = ("train.batch_size=16", "train.precision=fp32", "train.early_stopping=0", "model.pretrained=false")
SIZES = {
    "b0-attention": ("preprocessing.size=64",),
    "b0-mixup": ("preprocessing.size=64",),
    "b2-two-stage": ("preprocessing.size=32",),
    "cnn-15m": ("model.args.widths=[16, 32, 64, 128]", "model.args.dense=[256, 64]"),
    "insideout-v2s": ("preprocessing.size=32",),
    "resnet18-mixup": ("preprocessing.size=64",),
    # At less than 224 px timm's VGG16 stretches its last map to 7x7, which ONNX has no node for: fewer images instead.
    "vgg16-scratch": ("model.args.mlp_ratio=0.02", "train.batch_size=7"),
}
FEWER = (1, 1, 1)


@pytest.fixture(scope="module")
def images(fer2013: Path) -> Dataset:
    torch.set_num_threads(1)
    return few(fer2013)


@pytest.fixture(scope="module")
def fewer(fer2013: Path) -> Dataset:
    return few(fer2013, FEWER)


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("calibration") / "few.toml"
    path.write_text('name = "few"\nimages = 16\n')
    return path


@pytest.mark.slow
@pytest.mark.timeout(1800)  # the deepest takes ten minutes on a busy core
@pytest.mark.parametrize("name", SIZES)
def test_a_papers_recipe_goes_through_its_phases_compress_and_bench(
    name: str, images: Dataset, fewer: Dataset, scheme: Path, tmp_path: Path
) -> None:
    images = fewer if name == "vgg16-scratch" else images
    phases = len(recipes.load(name).phases)
    recipe = recipes.load(name, (*SMALL, *SIZES[name]), epochs=phases)
    trained = train(recipe, images, tmp_path / "run")
    assert [line["phase"] for line in trained.history] == [phase.name for phase in recipe.phases]
    assert trained.initial_weights == {"kind": "random"}
    config = CompressConfig(ptq=True, scheme=str(scheme), max_drop=100.0, allow_float=True, half_range=False)
    compressed = compress(tmp_path / "run", images, tmp_path / "bundle", config)
    assert compressed.passed
    kept = checkpoint.read(tmp_path / "run")
    made = bundle.load(tmp_path / "bundle")
    assert made.manifest.compression["checkpoint"]["initial_weights"] == {"kind": "random"}
    assert made.manifest.labels == kept.classes == (recipe.data.classes or images.classes)
    result = bench([made], images, split="public+private", seconds=0.1)
    assert {row.label for row in result.networks[0].per_class} == {*kept.classes}
    per_class = 2 if images is fewer else 16
    assert result.data.images == per_class * len(kept.classes)
    assert result.data.images == sum(row.images for row in result.networks[0].per_class)
    assert {entry.network for entry in result.networks} >= {"fp32", "int8-cpu"}
    assert all(0 <= entry.quality.accuracy <= 1 for entry in result.networks)
