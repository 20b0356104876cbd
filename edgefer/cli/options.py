"""Options shared by several commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgefer.bundle import Bundle
    from edgefer.data.dataset import Dataset

Bundles = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="BUNDLE", help="Default: the newest in runs/compress, else edgefer-base.", show_default=False
    ),
]
CpuThreads = Annotated[int, typer.Option("--threads", min=1, max=1024, help="CPU threads for one inference.")]
Data = Annotated[Path | None, typer.Option(help="FER2013, class folders, ... (docs/data.md).")]
Detector = Annotated[
    str | None,
    typer.Option("--detector", help="YuNet's file, or cascade. Default: as for `edgefer predict`.", show_default=False),
]
Device = Annotated[str | None, typer.Option(help="cpu or cuda. Default: cuda if there is one.")]
Groups = Annotated[
    str | None,
    typer.Option(
        metavar="CSV|PATTERN",
        help="People to keep in one split: a CSV of path and person, or a pattern: 'S(\\d+)_'.",
        show_default=False,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="Label names: raf-db, ferplus or 'a,b,c'.", show_default=False),
]
Map = Annotated[
    str | None,
    typer.Option("--map", metavar="OLD=NEW,...", help="Rename labels; 'contempt=' drops one.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object only.")]
Judged = Annotated[str, typer.Option("--split", help="Images to evaluate: test, val, public+private, all.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request.")]
RunsOn = Annotated[str, typer.Option("--device", help="auto, cpu, openvino, litert, jetson, tensorrt or rtx.")]
Pretrained = Annotated[
    bool | None,
    typer.Option(
        "--pretrained/--no-pretrained",
        help="ImageNet weights. Default: the recipe's.",
        show_default=False,
    ),
]
Threads = Annotated[int | None, typer.Option(min=1, max=1024, help="CPU threads. Default: one per core.")]


def check_device(device: str | None) -> None:
    """Refuse an unknown device.

    Raises:
        InputError: it is neither cpu nor cuda.
    """
    from edgefer.errors import InputError

    if device not in (None, "cpu", "cuda"):
        raise InputError(f"--device is cpu or cuda, not {device}")


def prepare_torch(device: str | None, threads: int | None) -> None:
    """Refuse cuda if there is none, and set torch's number of threads.

    Raises:
        MissingRequirement: there is no CUDA device.
    """
    import torch

    from edgefer.errors import MissingRequirement

    if device == "cuda" and not torch.cuda.is_available():
        raise MissingRequirement("there is no CUDA device here; omit --device to train on the CPU")
    if threads:
        torch.set_num_threads(threads)


def start_settings(pretrained: bool | None, weights: Path | None) -> list[str]:
    """Return what --pretrained and --weights change in a recipe."""
    if weights:
        return [f"model.weights={json.dumps(named(weights), ensure_ascii=False)}", "model.pretrained=false"]
    return [] if pretrained is None else [f"model.pretrained={json.dumps(pretrained)}"]


def named(path: Path) -> str:
    """Return an absolute path; names of pretrained networks are unchanged."""
    return str(path.resolve() if path.exists() else path)


def opened(bundles: Sequence[Path] | None) -> list[Bundle]:
    """Open the given bundles; by default the newest in ``runs/compress``, else edgefer-base, and print that.

    Raises:
        InputError: one is not a bundle.
    """
    from edgefer import bundle
    from edgefer.bench.from_paths import newest

    return [bundle.load(path) for path in bundles or ()] or [newest()]


def check_printed(markdown: bool, as_json: bool) -> None:
    """Refuse two output formats.

    Raises:
        InputError: both are given.
    """
    from edgefer.errors import InputError

    if markdown and as_json:
        raise InputError("--json and --markdown exclude each other; choose one")


def check_divided(dataset: Dataset, groups: str | None) -> None:
    """Refuse --groups for a data set with its own splits, which it would not change.

    Raises:
        InputError: it has its own splits.
    """
    from edgefer.errors import InputError

    if groups is not None and not dataset.carved:
        raise InputError(
            f"{dataset.origin} has its own splits, which --groups does not change; omit it, or move its "
            "val and test folders into train"
        )
