"""Heads on EfficientNet-B0 with the parameter counts of "Human Emotion Recognition", Fig. 1.

python benchmarks/training/attention_head.py

Layers as Keras makes them by default (with biases). Each candidate is one block of attention, BatchNorm over some of
the maps or dense layers, and up to three dense layers, none wider than the one before it, in front of the classifier.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from edgefer import models, paths

OUT = Path(__file__).parents[1] / "results" / "attention_head.json"
LEARNING, OTHERS = 6_438_787, 44_583  # Fig. 1
CHANNELS, CLASSES = 1280, 7
SIDES = (1, 3, 5, 7)
WIDTHS = tuple(2**power for power in range(4, 12))  # widths of dense layers and bottlenecks


def conv(inputs: int, outputs: int, side: int) -> int:
    return inputs * outputs * side * side + outputs


def attentions() -> Iterator[tuple[str, int, tuple[int, ...]]]:
    """Yield a block's name, its parameters, and the maps that BatchNorm may follow."""
    for side in SIDES:
        yield f"CBAM: {side}x{side} over mean and maximum", conv(2, 1, side), (1,)
        yield f"{side}x{side} to 1 map", conv(CHANNELS, 1, side), (1,)
        yield f"{side}x{side} to {CHANNELS} maps", conv(CHANNELS, CHANNELS, side), (CHANNELS,)
        yield f"{side}x{side} depthwise", CHANNELS * (side * side + 1), (CHANNELS,)
        for width in WIDTHS:
            for last in (1, CHANNELS):
                name = f"{side}x{side} to {width}, 1x1 to {last} maps"
                yield name, conv(CHANNELS, width, side) + conv(width, last, 1), (width, last)


def heads(attention: int, maps: tuple[int, ...], learning: int, others: int) -> Iterator[dict[str, list[int]]]:
    for depth in range(4):
        for widths in itertools.combinations_with_replacement(sorted(WIDTHS, reverse=True), depth):
            sides = [CHANNELS, *widths, CLASSES]
            dense = sum(conv(before, after, 1) for before, after in itertools.pairwise(sides))
            if attention + dense + others != learning:  # BatchNorm has as many trainable values as running ones
                continue
            places = (CHANNELS, *maps, *widths)
            norms = {
                tuple(sorted(chosen))
                for count in range(len(places) + 1)
                for chosen in itertools.combinations(places, count)
                if 2 * sum(chosen) == others
            }
            yield from ({"dense": list(widths), "batchnorm_over": list(norm)} for norm in sorted(norms))


def main() -> None:
    backbone = models.create("efficientnet_b0", CLASSES, 3)
    learning, others = models.count_like_keras(backbone)
    learning -= conv(CHANNELS, CLASSES, 1)
    wanted = LEARNING - learning, OTHERS - others
    looked = list(attentions())
    found = [
        {"attention": name, "parameters_of_attention": count, **head}
        for name, count, maps in looked
        for head in heads(count, maps, *wanted)
    ]
    result = {
        "what": "heads on EfficientNet-B0 with 6,438,787 parameters that learn and 44,583 that do not, as Keras counts",
        "backbone": {"learning": learning, "others": others},
        "head": {"learning": wanted[0], "others": wanted[1]},
        "blocks_of_attention": len(looked),
        "found": found,
    }
    paths.write_json(OUT, result, indent=2)
    for each in found:
        print(each)
    print(f"{len(found)} of the heads on {len(looked)} blocks of attention: {OUT}")


if __name__ == "__main__":
    main()
