"""Folders next to a bundle's: unfinished fine-tuning, rejected bundle, diagnosis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgefer import bundle, paths
from edgefer.compression import fine_tuning
from edgefer.compression.config import CompressConfig
from edgefer.errors import InputError
from edgefer.learning import checkpoint as checkpoints
from edgefer.learning import private, state
from edgefer.lines import shell

REJECTED, UNFINISHED, DIAGNOSIS = ".rejected", ".unfinished", ".diagnosis"
TABLE = "diagnosis.csv"
NOTE = "diagnosis.sha256"  # in the fine-tuning's folder: its diagnosis


def resumed(work: Path, out: Path | None = None, checkpoint: Path | None = None) -> dict[str, Any]:
    """Return the arguments of an interrupted `compress`, except the data set.

    Args:
        work: folder of the fine-tuning.
        out: folder for the bundle; by default `work` without ``.unfinished``.
        checkpoint: the network's, if it was moved.

    Raises:
        InputError: `work` has no state or does not imply the bundle's folder, or the checkpoint
            or the calibration scheme has changed.
    """
    if out is None:
        named = work.absolute().name
        if not named.endswith(UNFINISHED) or named == UNFINISHED:
            raise InputError(f"the name of {work} does not end in {UNFINISHED}; give the bundle's folder with --out")
        around = work.parent if work.name == named else work.absolute().parent  # ``.`` has no name
        out = around / named.removesuffix(UNFINISHED)
    checkpoint_paths = [
        checkpoint_path for stage in fine_tuning.STAGES if (checkpoint_path := work / f"{stage}.json").exists()
    ]
    notes: dict[str, Any] | None = state.read(checkpoint_paths[0]).get("notes") if checkpoint_paths else None
    if notes is None:
        if work.is_dir() and state.is_unbegun(work, fine_tuning.STAGES, [private.FILE]):
            raise InputError(f"{work} was interrupted before its first step; compress again from the start")
        raise InputError(f"{work} holds no interrupted compression; give a folder that ends in {UNFINISHED}")
    path_of = private.text(work, "checkpoint") or notes["checkpoint"]
    checkpoint_path = Path(path_of) if checkpoint is None else checkpoints.find(checkpoint)
    if not checkpoint_path.is_file() or paths.sha256(checkpoint_path) != notes["checkpoint_sha256"]:
        raise InputError(
            f"{work} began with {notes['checkpoint']}, which is missing or was trained again ({checkpoint_path}); if "
            "it was moved, give it before --resume, or compress again from the start"
        )
    with state.taking_up(checkpoint_paths[0], f"delete {work} and compress again"):
        config = CompressConfig.from_dict(notes["config"])
    scheme = private.text(work, "scheme")
    if scheme:
        if not Path(scheme).is_file():
            raise InputError(f"{work} began with the calibration scheme {scheme}, which is missing; restore it")
        config = replace(config, scheme=scheme)
    return {"checkpoint": checkpoint_path, "out": out, "config": config, "resume": work}


def data_of(work: Path) -> Path | None:
    """Return the path of an interrupted `compress`'s data, or None if it is missing."""
    place = private.text(work, "data")
    return Path(place) if place and Path(place).exists() else None


def resumable(out: Path, resume: Path | None = None) -> Path | None:
    """Return the folder of an interrupted compression into `out`, or resumed from `resume`, if it can be resumed."""
    work = resume or beside(out, UNFINISHED)
    return work if any((work / f"{stage}.json").exists() for stage in fine_tuning.STAGES) else None


def beside(out: Path, ending: str) -> Path:
    """Return the folder next to a bundle's with a suffix."""
    return out.with_name(out.name + ending)


def check_folders(out: Path, work: Path, with_diagnosis: bool, resume: bool) -> None:
    """Refuse outputs that could not be written, before the long work."""
    rejected, diagnosis = beside(out, REJECTED), beside(out, DIAGNOSIS)
    if not (resume and is_rejected_of(work, rejected)):
        paths.check_unused(rejected)
    if with_diagnosis and not (resume and is_diagnosis_of(work, diagnosis)):
        paths.check_unused(diagnosis)
    if (
        not resume
        and work.exists()
        and not (work.is_dir() and state.is_unbegun(work, fine_tuning.STAGES, [private.FILE]))
    ):
        raise InputError(f"{work} is an interrupted compression; continue with --resume {shell(work)}, or delete it")


def is_rejected_of(work: Path, rejected: Path) -> bool:
    """Return whether a bundle came from the fine-tuning in `work`: its epochs' seconds identify it."""
    try:
        of: Any = bundle.load(rejected).manifest.compression["fine_tuning"]
        history = state.plain(work / "int8.json")["progress"]["history"]
    except (InputError, KeyError):
        return False
    return bool(of) and of["history"] == history


def is_diagnosis_of(work: Path, diagnosis: Path) -> bool:
    """Return whether a diagnosis came from the fine-tuning in `work`."""
    try:
        return paths.sha256(diagnosis / TABLE) == (work / NOTE).read_text()
    except OSError:
        return False
