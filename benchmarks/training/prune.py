"""Prune a trained plain residual network: cut the channels that matter least to the loss.

python benchmarks/training/prune.py RUN OUT --widths 16 32 48 [--data fer2013.zip] [--images 4096]

OUT is a checkpoint to go on from (`edgefer train RECIPE --from OUT`): a network loses much where it is cut. Branches
that are added keep the same channels. A channel's importance is the first-order Taylor expansion of the loss when its
normalized output is set to 0 (Molchanov et al. 2019, arXiv:1906.10771), squared and summed over batches of training
images. PublicTest says what is left before any further training; PrivateTest is not opened.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.common import FER2013
from edgefer import console, data
from edgefer.data.dataset import Split
from edgefer.learning import checkpoint, evaluate
from edgefer.models import mirroring
from edgefer.models.plain_resnet import PlainResNet
from edgefer.preprocessing import Preprocessing

_BATCH = 64


def main() -> None:
    """Write the narrower checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--widths", type=int, nargs="+", required=True)
    parser.add_argument("--data", type=Path, default=FER2013)
    parser.add_argument("--images", type=int, default=4096)
    arguments = parser.parse_args()
    console.enable()
    dataset = data.load(arguments.data)
    found = checkpoint.read(arguments.run)
    wide = checkpoint.build(found)
    if not isinstance(wide, PlainResNet):
        raise SystemExit(f"{arguments.run} is no plain-resnet")
    model = found.recipe.model.model_copy(
        update={"args": {**found.recipe.model.args, "widths": arguments.widths}, "initial_weights": None}
    )
    recipe = found.recipe.model_copy(update={"model": model})
    channels = recipe.preprocessing.channels
    narrow = PlainResNet(len(found.classes), channels, **model.args)
    scores = importance(wide, data.split(dataset, "train"), recipe.preprocessing, arguments.images)
    cut(wide, narrow, scores)
    validation = data.split(dataset, "val")
    accuracies = [evaluate.accuracy(network, validation, recipe.preprocessing) for network in (wide, narrow)]
    checkpoint.write(
        arguments.out,
        dataclasses.replace(found, recipe=recipe, weights=narrow.state_dict(), val_accuracy=accuracies[1]),
    )
    sizes = [sum(each.numel() for each in network.parameters()) for network in (wide, narrow)]
    print(f"PublicTest {accuracies[0]:.2%} with {sizes[0]:,} parameters, {accuracies[1]:.2%} with {sizes[1]:,}")


def importance(network: PlainResNet, split: Split, spec: Preprocessing, images: int) -> dict[str, Tensor]:
    """Return the score of each channel, float32, (channels,), by the stream names of `mirroring.layers`."""
    network.eval()
    layers = mirroring.layers(network)
    scores = {layer.writes: torch.zeros(layer.norm.num_features) for layer in layers}
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(0)).numpy()[:images]
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        x = torch.from_numpy(spec.apply(split.take(part)))
        network.zero_grad()
        F.cross_entropy(network(x), torch.from_numpy(split.labels[part])).backward()
        change = {name: torch.zeros_like(score) for name, score in scores.items()}
        for layer in layers:
            for values in (layer.norm.weight, layer.norm.bias):
                assert values.grad is not None
                change[layer.writes] += (values * values.grad).detach()
        for name, value in change.items():
            scores[name] += value.square()
    return scores


def cut(wide: PlainResNet, narrow: PlainResNet, scores: dict[str, Tensor]) -> None:
    """Copy the weights of the channels with the highest scores, in order, into a narrower network."""
    pairs = list(zip(mirroring.layers(wide), mirroring.layers(narrow), strict=True))
    kept: dict[str, Tensor] = {}
    with torch.no_grad():
        for old, new in pairs:
            count = new.norm.num_features
            kept.setdefault(old.writes, scores[old.writes].topk(count).indices.sort().values)
            weight = old.convolution.weight[kept[old.writes]]
            new.convolution.weight.copy_(weight if old.reads is None else weight[:, kept[old.reads]])
            for name, values in new.norm.state_dict().items():
                if values.ndim:
                    values.copy_(old.norm.state_dict()[name][kept[old.writes]])
        narrow.head.weight.copy_(wide.head.weight[:, kept[pairs[-1][0].writes]])
        narrow.head.bias.copy_(wide.head.bias)


if __name__ == "__main__":
    main()
