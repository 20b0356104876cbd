"""Result of a compression."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefer.bundle import AnswerChange, Speed
from edgefer.compression.diagnosis import Damage
from edgefer.data.dataset import Division
from edgefer.errors import GateFailed


@dataclass(frozen=True)
class CompressResult:
    """Result of a compression.

    Attributes:
        bundle: the folder; its name ends in ``.rejected`` if `passed` is False.
        method: ``qat`` for fine-tuned weights; ``ptq`` for calibrated ones, if none
            was requested or no epoch was better.
        tuned: epochs of fine-tuning.
        passed: False if an INT8 network lost too much validation accuracy, is too slow, or gains neither bytes nor
            8-bit arithmetic.
        integer_share: share of multiply-accumulates in ONNX Runtime's 8-bit kernels, 0 to 1.
        accuracy: of each network on the validation split, 0 to 1.
        macro_f1: of each network on the validation split, 0 to 1.
        changes: of each INT8 network against FP32, image by image.
        speed: of the INT8 network for CPUs against FP32, on this machine.
        agreement: share of the validation split with the same prediction from FP32 and the INT8 CPU network.
        bytes: size of each network's file.
        drop: validation accuracy lost by the worst INT8 network, in points.
        in_fp32: titles of the parts that auto-repair kept in FP32.
        diagnosis: folder of the table and the plot, if requested.
        worst: the costliest parts before a repair, worst first, if diagnosed.
        images: of the validation split.
        seconds: total time.
        world_size: number of fine-tuning processes.
        data: the data set's name.
        synthetic: True for the built-in faces.
        division: how edgefer split the validation images off the training images; None if it did not.
        classes: their names, in the order of `Change.recall`.
    """

    bundle: Path
    method: str
    tuned: int
    passed: bool
    integer_share: float
    accuracy: dict[str, float]
    macro_f1: dict[str, float]
    changes: dict[str, AnswerChange]
    speed: Speed
    agreement: float
    bytes: dict[str, int]
    drop: float
    in_fp32: tuple[str, ...]
    diagnosis: Path | None
    worst: tuple[Damage, ...]
    images: int
    seconds: float
    world_size: int
    data: str
    synthetic: bool
    division: Division | None
    classes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as plain JSON values."""
        return {
            **vars(self),
            "bundle": str(self.bundle),
            "diagnosis": str(self.diagnosis) if self.diagnosis else None,
            "worst": [damage.as_dict() for damage in self.worst],
            "changes": {name: change.model_dump() for name, change in self.changes.items()},
            "speed": self.speed.model_dump(),
            "division": asdict(self.division) if self.division else None,
        }


class Rejected(GateFailed):
    """INT8 loses too much accuracy or gains too little; the bundle was written as rejected.

    Args:
        message: one line.
        result: the result that was written.
    """

    def __init__(self, message: str, result: CompressResult) -> None:
        super().__init__(message)
        self.result = result
