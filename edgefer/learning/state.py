"""Trees of tensors and plain values on disk: safetensors plus JSON, written atomically.

Each save writes the tensors to a new file. The JSON holds that file's name and hash and is renamed last, so it always
belongs to a complete tensor file. The JSON also has a hash of its own values, to detect damage and edits. Nothing is
ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize

from edgefer import limits, paths
from edgefer.errors import InputError

_TENSOR, _TUPLE, _ARRAY = "__tensor__", "__tuple__", "__array__"


def save(folder: Path, stem: str, tree: dict[str, Any]) -> Path:
    """Write `tree` as ``<stem>.json`` and ``<stem>-<id>.safetensors``; return the JSON's path.

    Args:
        folder: where; made if missing.
        stem: ``best`` or ``last``.
        tree: dicts with str or int keys, lists, tuples, numbers, strings, None, numpy arrays and tensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    values = _flatten(tree, "", tensors)
    file = folder / f"{stem}-{uuid.uuid4().hex[:8]}.safetensors"
    with paths.write_atomically(file) as part:
        part.write_bytes(serialize(tensors))  # safetensors' save_file hides a full disk behind another error
    json_path = folder / f"{stem}.json"
    with paths.write_atomically(json_path) as part:
        content = {"tensors": file.name, "sha256": paths.sha256(file), "values": values}
        part.write_text(json.dumps({**content, "digest": _digest(content)}, indent=1), encoding="utf-8")
    for old in folder.glob(f"{stem}-*.safetensors"):
        if old != file:
            old.unlink(missing_ok=True)
    return json_path


def is_unbegun(folder: Path, stems: Iterable[str], others: Iterable[str] = ()) -> bool:
    """Return whether a folder holds only the remains of a process killed before its first `save` ended.

    Args:
        folder: an existing folder, which may be empty.
        stems: of the states that are saved there.
        others: names of files written before them.
    """
    tensors = [re.compile(rf"{re.escape(stem)}-[0-9a-f]{{8}}\.safetensors") for stem in stems]
    names = [path.name for path in folder.iterdir()]
    return all(paths.is_part(name) or name in others or any(each.fullmatch(name) for each in tensors) for name in names)


def read(json_path: Path) -> dict[str, Any]:
    """Return the tree that `save` wrote.

    Raises:
        InputError: a file is missing, damaged or not one of ours.
    """
    name, digest, values = _read(json_path)
    if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
        raise InputError(f"{json_path} names a file outside its folder")
    file = json_path.parent / name
    if not file.exists():
        raise InputError(f"{json_path} names {name}, which is missing")
    if limits.sha256(file, limits.TENSORS) != digest:
        raise InputError(f"{file} is damaged: its SHA-256 is not the one in {json_path.name}")
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        raise InputError(f"{file} is not a safetensors file") from None
    try:
        tree = _unflatten(values, tensors)
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise InputError(f"{json_path} and {name} do not match") from None
    return _checked(tree, json_path)


def plain(json_path: Path) -> dict[str, Any]:
    """Return the tree that `save` wrote, with None instead of each tensor and array.

    Only the JSON is read, so a running training may write new tensors meanwhile.

    Raises:
        InputError: it is missing, damaged or not one of ours.
    """
    try:
        tree = _unflatten(_read(json_path)[2], None)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{json_path} is damaged or was not written by edgefer") from None
    return _checked(tree, json_path)


@contextmanager
def taking_up(json_path: Path, instead: str) -> Iterator[None]:
    """Turn errors from a part of a state that doesn't fit into an InputError.

    Args:
        json_path: the state's JSON.
        instead: what to do without it.

    Raises:
        InputError: a part is missing, or has the wrong type or shape.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError, OverflowError):
        raise InputError(
            f"{json_path} is damaged, or was left by another version of edgefer, torch or timm; {instead}"
        ) from None


def _read(json_path: Path) -> tuple[Any, Any, Any]:
    """Return the JSON's contents: name and hash of the tensor file, and the tree with tensor names."""
    if not json_path.exists():
        raise InputError(f"{json_path} does not exist")
    content = limits.read_json(json_path, limits.STATE, values=limits.STATE_VALUES)
    if not isinstance(content, dict) or not {"tensors", "sha256", "values"} <= content.keys():
        raise InputError(f"{json_path} is damaged or was not written by edgefer")
    if content.pop("digest", None) != _digest(content):
        raise InputError(f"{json_path} is damaged or was edited: its digest differs")
    return content["tensors"], content["sha256"], content["values"]


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _checked(tree: Any, json_path: Path) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise InputError(f"{json_path} is damaged or was not written by edgefer")
    return tree


def _flatten(node: Any, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, torch.Tensor | np.ndarray):
        tensor = torch.as_tensor(node).detach().cpu()
        tensors[path] = tensor.clone(memory_format=torch.contiguous_format)  # safetensors rejects shared storage
        return {_TENSOR if isinstance(node, torch.Tensor) else _ARRAY: path}
    if isinstance(node, dict):
        # Keys may be int (optimizers number their weights), which JSON would convert to text.

        return [[key, _flatten(value, f"{path}/{key}", tensors)] for key, value in node.items()]
    if isinstance(node, list | tuple):
        items = {str(i): _flatten(value, f"{path}/{i}", tensors) for i, value in enumerate(node)}
        return {_TUPLE if isinstance(node, tuple) else "__list__": list(items.values())}
    if isinstance(node, np.generic):
        return node.item()
    return node


def _unflatten(node: Any, tensors: dict[str, torch.Tensor] | None) -> Any:
    if isinstance(node, list):
        return {key: _unflatten(value, tensors) for key, value in node}
    if not isinstance(node, dict):
        return node
    ((kind, value),) = node.items()
    if kind in (_TENSOR, _ARRAY):
        if tensors is None:
            return None
        return tensors[value] if kind == _TENSOR else tensors[value].numpy()
    items = [_unflatten(item, tensors) for item in value]
    return tuple(items) if kind == _TUPLE else items
