"""INT8 against an FP32 network with the same extra epochs, to separate the effect of fine-tuning alone.

python benchmarks/training/extra_epochs.py CHECKPOINT BUNDLE [--data FER2013.zip] [--out FILE.json]

BUNDLE is what `edgefer compress --int8 --qat-epochs N CHECKPOINT` made. FP32 goes on from the same weights for the same
number of epochs on the same images with the recipe's own loss, augmentation and averaging, along a cosine, once for
each rate; of these and the network as it was, the one with the best PublicTest accuracy is held against INT8 on
PrivateTest: one crop of each image, the pairs by image.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from benchmarks.common import FER2013, command
from edgefer import bundle, console, data, models, paths, versions
from edgefer.backends import registry
from edgefer.backends.base import Options
from edgefer.compression import export, gate
from edgefer.devices import machine
from edgefer.evaluation import predict
from edgefer.learning import checkpoint as checkpoints
from edgefer.recipes import Recipe
from edgefer.training.trainer import train

RESULTS = Path(__file__).parents[1] / "results"
SHARES = (0.01, 0.1)  # of the recipe's rate: the one of fine-tuning, and ten times that
PACKAGES = ("torch", "timm", "onnx", "onnxruntime", "numpy")


def longer(recipe: Recipe, weights: Path, epochs: int, share: float) -> Recipe:
    """Return the recipe for some more epochs from `weights`, at a fraction of the rate."""
    tree = recipe.model_dump(mode="json")
    last = tree["phases"][-1]
    tree["phases"] = [{**last, "epochs": epochs, "lr": last["lr"] * share, "schedule": "cosine", "warmup_epochs": 0.0}]
    tree["model"] = {
        **tree["model"],
        "pretrained": False,
        "weights": str(weights),
        "initial_weights": None,
        "zero_head": False,
    }
    return Recipe.model_validate(tree)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--out", type=Path, default=RESULTS / "fer2013" / "compact" / "extra_epochs.json")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    console.enable()
    torch.set_num_threads(arguments.threads)
    opened = bundle.load(arguments.bundle)
    trained = checkpoints.read(arguments.checkpoint)
    dataset = data.find(arguments.data)
    validation, test = (data.split(dataset, name, trained.recipe.data.split) for name in ("val", "test"))
    spec, tuning = trained.recipe.preprocessing, opened.manifest.compression["fine_tuning"]
    steps = len(data.split(dataset, "train", trained.recipe.data.split)) // trained.recipe.train.batch_size
    if tuning is None or tuning["steps"] < steps:
        raise SystemExit(f"{arguments.bundle} was not fine-tuned for whole epochs; compress with --qat-epochs")
    example = torch.from_numpy(spec.apply(validation.take(slice(0, 1))))

    found: list[tuple[dict[str, float], NDArray[np.int64]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_file({name: each.contiguous() for name, each in trained.weights.items()}, folder / "weights.safetensors")
        for share in (0.0, *SHARES):
            run = arguments.checkpoint
            if share:
                recipe = longer(trained.recipe, folder / "weights.safetensors", tuning["epochs"], share)
                run = train(recipe, dataset, folder / f"{share}").run
            model = export.fp32(models.merged(checkpoints.build(checkpoints.read(run))), example)
            answers = {split.name: gate.predictions(model, spec, split, split.name) for split in (validation, test)}
            line = {"rate": share * trained.recipe.phases[-1].lr}
            line |= {split.name: float((answers[split.name] == split.labels).mean()) for split in (validation, test)}
            found.append((line, answers[test.name]))
    chosen, answers_of_chosen = max(found, key=lambda each: each[0][validation.name])
    with registry.open_network(opened, "int8-cpu", options=Options(threads=arguments.threads)) as session:
        int8 = predict.logits(session.infer, spec, test).argmax(1)
    change = gate.change("int8-cpu", test.labels, answers_of_chosen, int8, len(trained.classes), "ONNX Runtime")
    result = {
        "command": command(),
        "network": trained.recipe.name,
        "epochs": tuning["epochs"],
        "int8": {"rate": tuning["lr"], "best_epoch": tuning["best_epoch"], "history": tuning["history"]},
        "fp32": [line for line, _ in found],
        "chosen": chosen,
        "images": len(test),
        "int8_test": float((int8 == test.labels).mean()),
        "int8_over_chosen": change.model_dump(),
        "protocol": "rate chosen on PublicTest; PrivateTest, one crop; difference with its paired 95 % interval",
        "machine": machine.describe().model_dump(),
        "versions": versions.installed(*PACKAGES),
    }
    paths.write_json(arguments.out, result, indent=1)
    for line, _ in found:
        validated, tested = 100 * line[validation.name], 100 * line[test.name]
        print(f"FP32, {line['rate']:<8g} PublicTest {validated:.2f} %  PrivateTest {tested:.2f} %")
    print(
        f"INT8 PrivateTest {100 * result['int8_test']:.2f} %, {100 * change.accuracy:+.2f} points of the FP32 network "
        f"that PublicTest chose (95 %: {100 * change.low:+.2f} to {100 * change.high:+.2f})"
    )
    print(arguments.out)


if __name__ == "__main__":
    main()
