"""Checks an ONNX file without the onnx package, which a device does not have: is it self-contained?

Walks the protobuf encoding (https://protobuf.dev/programming-guides/encoding), with the field numbers
of onnx.proto3. A byte search would not suffice: varints may be padded, and fields may be in any order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgefer import limits
from edgefer.errors import InputError

_FIELDS = 4_000_000  # of a file, including packed numbers: a network of 10,000 nodes has 200,000
_NODES = 50_000
_LARGEST = 1 << 26  # elements that a constant shape may ask for, and the largest pad, kernel or stride: 256 MB
_ENDLESS = (1 << 31) - 1  # numbers from here on mean "to the end"
_DIMENSIONS = 64  # of a tensor, as in NumPy
_SMALL = 16  # elements of a constant that may be a shape
_INT64 = 7

# Messages to descend into: message, field number, message in it.
_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
# Not used by edgefer's networks; a small file could hide a large computation in it.
_REFUSED = {
    ("model", 20): "a training",
    ("model", 25): "local functions",
    ("graph", 15): "sparse weights",
    ("attribute", 22): "sparse weights",
    ("attribute", 23): "sparse weights",
}
_ONCE = (("model", 7), ("attribute", 5), ("attribute", 6))
_LOOPS = (b"Loop", b"Scan", b"SequenceMap", b"BeamSearch", b"GreedySearch", b"Sampling", b"WhisperBeamSearch")
# Operators with an output size set by a number, and the input with that number.
_SIZED = {
    **{b"ConstantOfShape": (0,), b"Expand": (1,), b"Tile": (1,), b"OneHot": (1,), b"Range": (0, 1)},
    **{b"Resize": (3,), b"Pad": (1,), b"MelWeightMatrix": (0, 1)},
    **dict.fromkeys((b"HannWindow", b"HammingWindow", b"BlackmanWindow"), (0,)),
}
_SIZES = (b"shape", b"pads", b"kernel_shape", b"strides", b"dilations", b"output_shape", b"output_padding", b"repeats")


class _Walk:
    """State of one file's check."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.fields = self.nodes = 0
        self.sizes: dict[bytes, int] = {}  # of a small int64 constant: the number of elements it means as a shape
        self.sized: list[bytes] = []  # names of such constants, with their uses

    def message(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield the fields of a message: number, wire type, and where the value starts and ends.

        For a varint, the start is the value itself.
        """
        while start < end:
            self.count()
            tag, start = self.varint(start, end)
            number, kind = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:
                raise ValueError("is truncated or not ONNX")
            if kind == 0:
                value, start = self.varint(start, end)
                yield number, kind, value, start
                continue
            if kind == 2:
                length, start = self.varint(start, end)
            elif kind in (1, 5):
                length = 8 if kind == 1 else 4
            else:  # groups, which onnx.proto3 does not have
                raise ValueError("is truncated or not ONNX")
            if length > end - start:
                raise ValueError("is truncated")
            yield number, kind, start, start + length
            start += length

    def count(self) -> None:
        self.fields += 1
        if self.fields > _FIELDS:
            raise ValueError(f"has more than {_FIELDS:,} fields")

    def varint(self, start: int, end: int) -> tuple[int, int]:
        """Return an unsigned number, and where it ends."""
        content, value = self.content, 0
        for shift in range(0, 70, 7):
            if start >= end:
                raise ValueError("is truncated")
            byte = content[start]
            start += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & ((1 << 64) - 1), start
        raise ValueError("is truncated or not ONNX")

    def look(self, kind: str, start: int, end: int, depth: int = 0) -> None:
        """Check a model, graph, node or attribute, recursively."""
        if depth > limits.DEPTH:
            raise ValueError(f"is nested deeper than {limits.DEPTH} levels")
        parts = _PARTS[kind]
        if kind == "node":
            self.node(start, end)
        once = set()
        for number, wire, at, to in self.message(start, end):
            if wire != 2:
                continue
            if (kind, number) in _REFUSED:
                raise ValueError(f"has {_REFUSED[kind, number]}, which bundles do not use")
            part = parts.get(number)
            if (kind, number) in _ONCE:
                if number in once:  # a parser would merge the two messages
                    raise ValueError("is not ONNX as written by any known program")
                once.add(number)
            if part == "tensor":
                self.tensor(at, to)
            elif part is not None:
                self.look(part, at, to, depth + 1)

    def node(self, start: int, end: int) -> None:
        self.nodes += 1
        if self.nodes > _NODES:
            raise ValueError(f"has more than {_NODES:,} nodes")
        inputs, outputs, attributes, op = [], [], [], b""
        for number, wire, at, to in self.message(start, end):
            if wire != 2:
                continue
            if number == 1:
                inputs.append(self.content[at:to])
            elif number == 2:
                outputs.append(self.content[at:to])
            elif number == 4:
                op = self.content[at:to]
            elif number == 5:
                attributes.append((at, to))
        if op in _LOOPS:
            raise ValueError(f"has a {op.decode()}, which may loop forever")
        self.sized += [inputs[place] for place in _SIZED.get(op, ()) if place < len(inputs)]
        for at, to in attributes:
            self.attribute(at, to, outputs[0] if op == b"Constant" and outputs else None)

    def attribute(self, start: int, end: int, output: bytes | None) -> None:
        """Refuse sizes that no picture has; record a Constant's value by its `output`."""
        name, values = b"", []
        for number, wire, at, to in self.message(start, end):
            if number == 1 and wire == 2:
                name = self.content[at:to]
            elif number in (3, 8) and wire == 0:
                values.append(_signed(at))
            elif number == 8 and wire == 2:
                values += self.packed(at, to)
            elif number == 5 and wire == 2 and output is not None:
                self.tensor(at, to, output)
        if name in _SIZES and any(abs(value) > _LARGEST for value in values):
            raise ValueError(f"has too large a number in {name.decode()}")
        if name == b"shape" and _elements(values) > _LARGEST:
            raise ValueError("has too large a shape")
        if output is not None and values:
            self.sizes[output] = _elements(values)

    def tensor(self, start: int, end: int, name: bytes = b"") -> None:
        """Refuse an external tensor, or one that claims more elements than it has bytes for."""
        kind, dims, values = 0, [], []
        raw: tuple[int, int] | None = None
        for number, wire, at, to in self.message(start, end):
            if number == 13 or (number == 14 and wire == 0 and at):
                raise ValueError("keeps weights in a separate file that its manifest does not list")
            if number == 1:
                dims += [_signed(at)] if wire == 0 else self.packed(at, to) if wire == 2 else []
            elif number == 2 and wire == 0:
                kind = at
            elif number == 7:
                values += [_signed(at)] if wire == 0 else self.packed(at, to, _SMALL) if wire == 2 else []
            elif number == 8 and wire == 2:
                name = name or self.content[at:to]
            elif number == 9 and wire == 2:
                raw = (at, to)
        if len(dims) > _DIMENSIONS:
            raise ValueError(f"has a tensor of more than {_DIMENSIONS} dimensions")
        if any(side < 0 for side in dims) or math.prod(dims) > 2 * (end - start) + _SMALL:
            raise ValueError("has a tensor with fewer values than its shape")
        if kind == _INT64 and math.prod(dims) <= _SMALL:
            if raw is not None:
                at, to = raw
                values = [
                    int.from_bytes(self.content[place : place + 8], "little", signed=True) for place in range(at, to, 8)
                ]
            self.sizes[name] = _elements(values)

    def packed(self, start: int, end: int, most: int | None = None) -> list[int]:
        """Return the first `most` of a sequence of signed numbers."""
        found: list[int] = []
        while start < end and (most is None or len(found) < most):
            self.count()
            value, start = self.varint(start, end)
            found.append(_signed(value))
        return found


def check(content: bytes, name: str) -> None:
    """Refuse a network that is not self-contained, or that could run forever or use all memory.

    Args:
        content: of an ONNX file.
        name: its name in messages.

    Raises:
        InputError: it is not an ONNX file; one of its tensors is external, sparse or has
            fewer values than its shape; it has functions, training information, a loop, or a constant size that no
            picture has.
    """
    walk = _Walk(content)
    if content[4:8] == b"ORTM":  # ONNX Runtime would read it as its own format, which is not checked
        raise InputError(f"{name} is in ONNX Runtime's own format, not ONNX")
    try:
        walk.look("model", 0, len(content))
        for constant in walk.sized:
            if walk.sizes.get(constant, 0) > _LARGEST:
                raise ValueError("has too large a constant size")
    except ValueError as error:
        raise InputError(f"{name} {error}") from None
    if not walk.nodes:
        raise InputError(f"{name} is truncated or not ONNX: it has no nodes")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _elements(values: list[int]) -> int:
    """Return the number of elements of a shape; "unchanged" and "to the end" count as one."""
    elements = 1
    for value in values:
        if 1 < value < _ENDLESS:
            elements *= value
            if elements > _LARGEST:  # stop early: millions of factors would be multiplied for minutes
                break
    return elements
