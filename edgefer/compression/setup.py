"""The inputs of a compression, checked: checkpoint, data, settings and folders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgefer import console, data, paths, public
from edgefer.compression import calibrate, unfinished
from edgefer.compression.calibrate import Scheme
from edgefer.compression.config import CompressConfig
from edgefer.compression.extension import load_nncf
from edgefer.data.dataset import Dataset, Split
from edgefer.devices import machine
from edgefer.errors import InputError
from edgefer.learning import checkpoint as checkpoints
from edgefer.learning import private
from edgefer.learning.checkpoint import Checkpoint
from edgefer.preprocessing import Preprocessing
from edgefer.recipes import Recipe


@dataclass(frozen=True)
class CompressSetup:
    """A prepared compression, from `prepare`.

    Attributes:
        out: folder for the bundle.
        work: folder of the fine-tuning.
        resume: `work`, if resumed.
        diagnosis: folder for the table and the plot, if requested.
        config: all settings, with `half_range` decided and the scheme's name instead of its file.
        half_range: see `CompressConfig`.
        plan: the calibration scheme.
        trained: the network.
        dataset: the data set with the network's classes.
        training: the images that calibrate and fine-tune.
        validation: the images for selection and the gate.
        notes: saved in the fine-tuning's state, for `edgefer.compression.unfinished.resumed`.
        where: paths of checkpoint, data and scheme on this machine.
    """

    out: Path
    work: Path
    resume: Path | None
    diagnosis: Path | None
    config: CompressConfig
    half_range: bool
    plan: Scheme
    trained: Checkpoint
    dataset: Dataset
    training: Split
    validation: Split
    notes: dict[str, Any]
    where: dict[str, Any]

    @property
    def recipe(self) -> Recipe:
        """The recipe that trained the network."""
        return self.trained.recipe

    @property
    def spec(self) -> Preprocessing:
        """The network's preprocessing."""
        return self.recipe.preprocessing


def prepare(
    checkpoint: Path, dataset: Dataset, out: Path, config: CompressConfig, resume: Path | None
) -> CompressSetup:
    """Prepare a compression. See `edgefer.compression.compressor.compress`.

    Raises:
        InputError: checkpoint, data and settings do not fit each other, or a folder exists.
    """
    load_nncf()  # report missing packages before the work
    if config.diagnose:
        from edgefer.compression import plot  # noqa: F401 - needs the extra report
    plan = calibrate.load(config.scheme)
    checkpoint_path = checkpoints.find(checkpoint)
    trained = checkpoints.read(checkpoint_path)
    dataset = data.as_recorded(dataset, trained.data)
    if trained.data["digest"] != dataset.digest:
        raise InputError(
            f"{checkpoint_path} was trained on {trained.data['name']}, not on these data; give that with --data"
        )
    dataset = data.only(dataset, trained.classes)
    paths.check_unused(out)
    work = resume or unfinished.beside(out, unfinished.UNFINISHED)
    unfinished.check_folders(out, work, config.diagnose, resume is not None)
    training = data.split(dataset, "train", trained.recipe.data.split)
    validation = data.split(dataset, "val", trained.recipe.data.split)
    half_range = machine.describe().saturates if config.half_range is None else config.half_range
    if half_range:
        console.say("weights at half range, for CPUs without VNNI: their fast 8-bit products saturate")
    settled = replace(config, scheme=plan.name, half_range=half_range)
    return CompressSetup(
        out=out,
        work=work,
        resume=resume,
        diagnosis=unfinished.beside(out, unfinished.DIAGNOSIS) if config.diagnose else None,
        config=settled,
        half_range=half_range,
        plan=plan,
        trained=trained,
        dataset=dataset,
        training=training,
        validation=validation,
        notes={
            "checkpoint": public.name(checkpoint_path.resolve()),
            "checkpoint_sha256": paths.sha256(checkpoint_path),
            "config": settled.as_dict(),
        },
        where={
            "checkpoint": str(checkpoint_path.resolve()),
            "data": None if dataset.synthetic else private.absolute(dataset.origin),
            "scheme": private.absolute(config.scheme) if config.scheme != plan.name else None,
        },
    )
