"""The JetPack of a Jetson Linux, its content, and whether edgefer runs on it.

Sources: NVIDIA's JetPack archive and Jetson Linux archive (release, TensorRT, CUDA); NVIDIA's support matrix for which
module a JetPack is for. JetPack 4 and 5 have Python 3.6 and 3.8 and TensorRT 8, JetPack 6.0 has TensorRT 8.6: none has
`NetworkDefinitionCreationFlag.STRONGLY_TYPED` (TensorRT 10.0 release notes), which edgefer's engines are built with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Module = Literal["older", "Orin", "Thor"]

SUPPORTED = "Orin with JetPack 6.1, 6.2 or 7.2, and Thor with JetPack 7"


@dataclass(frozen=True)
class JetPack:
    """A JetPack.

    Attributes:
        name: its version: ``6.2.1``.
        tensorrt: first two numbers of its TensorRT; empty: not in NVIDIA's archive.
        cuda: version of its CUDA; likewise.
        modules: supported by edgefer; may be empty.
    """

    name: str
    tensorrt: str = ""
    cuda: str = ""
    modules: tuple[Module, ...] = ()


_ORIN: tuple[Module, ...] = ("Orin",)
_THOR: tuple[Module, ...] = ("Thor",)
# Jetson Linux, or its first numbers. The longest match is used.
_RELEASES = {
    "39": JetPack("7.2 or later", modules=(*_ORIN, *_THOR)),
    "39.0": JetPack("7.2", "10.16", "13.2", (*_ORIN, *_THOR)),
    "39.2": JetPack("7.2", "10.16", "13.2", (*_ORIN, *_THOR)),
    "38": JetPack("7", modules=_THOR),
    "38.4": JetPack("7.1", modules=_THOR),
    "38.2": JetPack("7.0", modules=_THOR),
    "36": JetPack("6", modules=_ORIN),
    "36.5": JetPack("6.2.2", "10.3", "12.6", _ORIN),
    "36.4.7": JetPack("6.2.1", "10.3", "12.6", _ORIN),
    "36.4.4": JetPack("6.2.1", "10.3", "12.6", _ORIN),
    "36.4.3": JetPack("6.2", "10.3", "12.6", _ORIN),
    "36.4.2": JetPack("6.1", "10.3", "12.6", _ORIN),
    "36.4.0": JetPack("6.1", "10.3", "12.6", _ORIN),
    "36.3": JetPack("6.0", "8.6", "12.2"),
    "36.2": JetPack("6.0 DP", "8.6", "12.2"),
    "35": JetPack("5"),
    "35.6.0": JetPack("5.1.4"),
    "35.6.1": JetPack("5.1.5"),
    "35.6.2": JetPack("5.1.5"),
    "35.6": JetPack("5.1.4 to 5.1.6"),
    "35.5": JetPack("5.1.3"),
    "35.4": JetPack("5.1.2"),
    "35.3": JetPack("5.1.1"),
    "35.2": JetPack("5.1"),
    "35.1": JetPack("5.0.2"),
    "32": JetPack("4"),
    "32.7": JetPack("4.6.1 or later"),
    "32.6": JetPack("4.6"),
}


def of(linux: str | None) -> JetPack | None:
    """Return the JetPack of a Jetson Linux (``36.4.3``), or None if unknown."""
    fitting = [prefix for prefix in _RELEASES if f"{linux}.".startswith(f"{prefix}.")]
    return _RELEASES[max(fitting, key=len)] if fitting else None


def releases() -> dict[str, JetPack]:
    """Return the releases of Jetson Linux with an exactly known JetPack."""
    return {linux: found for linux, found in _RELEASES.items() if "." in linux}


def module(model: str) -> Module | None:
    """Return the generation of a board by its name, or None."""
    words = model.lower()
    if "thor" in words:
        return "Thor"
    if "orin" in words:
        return "Orin"
    old = ("nano", "tx1", "tx2", "xavier")
    return "older" if any(each in words for each in old) else None


def not_runnable(model: str, linux: str | None) -> str:
    """Return why edgefer's engines cannot run on a board with its JetPack, or an empty string.

    An unknown release is assumed to work.
    """
    board, found = module(model), of(linux)
    if board == "older":
        return f"not runnable: no JetPack for this board has TensorRT 10; edgefer runs on {SUPPORTED}"
    if found is None or (found.modules and (board is None or board in found.modules)):
        return ""
    return f"not runnable with JetPack {found.name}: edgefer runs on {SUPPORTED}"
