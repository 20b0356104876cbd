"""The settings of a compression, for `edgefer.compress`, `edgefer compress` and the manifest."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from edgefer.errors import InputError

SCHEME = "stratified-300"
MAX_DROP = 0.5


def _setting(default: Any, help: str, at_least: float | None = None, metavar: str | None = None) -> Any:
    """Return a field with a command-line option."""
    return field(default=default, metadata={"help": help, "at_least": at_least, "metavar": metavar})


@dataclass(frozen=True, kw_only=True)
class CompressConfig:
    """Settings of a compression; see also `edgefer compress --help`.

    Attributes:
        ptq: calibrate only, without fine-tuning.
        qat_epochs: passes over the training images; by default one, of at most 300 steps.
        qat_lr: learning rate of the first step; by default one that suits the recipe's optimizer.
        scheme: name or file of a calibration scheme.
        max_drop: points of validation accuracy that INT8 may lose.
        require_speedup: minimum speedup over FP32 on this machine's CPU, one thread.
        allow_float: accept an INT8 file that is not smaller than FP32's, or with less
            than half of its multiply-accumulates in integers. Without it such a network is not fine-tuned.
        activation: ``relu`` fine-tunes a copy with ReLU instead of SiLU and HardSwish, which ONNX Runtime
            does not fuse. FP32, its teacher, is unchanged; the copy before INT8 is added as ``fp32-relu``.
        ignore: name patterns of layers to keep in FP32 (`edgefer.compression.quantization.layers`).
        diagnose: measure what each tensor and layer costs, and write ``<out>.diagnosis``.
        auto_repair: if INT8 lost more than `max_drop`, keep the costliest parts in FP32 until it passes.
        seed: of the fine-tuning.
        half_range: weights within -64 to 64, for CPUs with saturating 8-bit products; by default as this CPU needs.

    Raises:
        InputError: conflicting settings, or a number out of bounds.
    """

    ptq: bool = _setting(False, "Calibrate only, without fine-tuning.")
    qat_epochs: int | None = _setting(None, "Epochs of fine-tuning. Default: 300 steps.", 1)
    qat_lr: float | None = _setting(None, "Its initial learning rate. Default: by the optimizer.", 1e-9)
    scheme: str = _setting(SCHEME, "Calibration scheme: a name or a TOML file.")
    max_drop: float = _setting(MAX_DROP, f"Accuracy points that INT8 may lose. Default: {MAX_DROP}.")
    require_speedup: float | None = _setting(None, "Required speedup over FP32.", 0)
    allow_float: bool = _setting(False, "Accept INT8 that is not smaller or runs in FP32.")
    activation: Literal["relu"] | None = _setting(
        None, "relu: fine-tune with ReLU instead of SiLU and HardSwish. Default: unchanged."
    )
    ignore: tuple[str, ...] = _setting((), "Layers to keep in FP32: stem.*. May be repeated.", metavar="PATTERN")
    diagnose: bool = _setting(False, "Report what each tensor and layer costs.")
    auto_repair: bool = _setting(False, "Keep the parts that lose most in FP32.")
    seed: int = _setting(0, "Seed of the fine-tuning. Default: 0.", 0)
    half_range: bool | None = None  # on the command line: --cpu

    def __post_init__(self) -> None:
        if self.ptq and (self.qat_epochs or self.qat_lr):
            raise InputError("--ptq skips fine-tuning; omit --qat-epochs and --qat-lr")
        if self.ptq and self.activation:
            raise InputError("--activation needs fine-tuning; omit --ptq")
        if self.activation not in (None, "relu"):
            raise InputError(f"--activation is relu, not {self.activation}")
        if self.seed >= 1 << 63:
            raise InputError(f"--seed is under 2^63, not {self.seed}")
        for each in fields(self):
            value, least = getattr(self, each.name), each.metadata.get("at_least")
            option = f"--{each.name.replace('_', '-')}"
            if isinstance(value, float) and not math.isfinite(value):  # every network passes a bound of NaN
                raise InputError(f"{option} needs a finite number, not {value}")
            if least is not None and value is not None and value < least:
                raise InputError(f"{option} is at least {least:g}, not {value}")

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        return {**asdict(self), "ignore": list(self.ignore)}

    @classmethod
    def from_dict(cls, values: Any) -> CompressConfig:
        """Return the settings that `as_dict` gave.

        Raises:
            TypeError, KeyError: they are invalid.
            InputError: see `CompressConfig`.
        """
        return cls(**{**values, "ignore": tuple(values["ignore"])})
