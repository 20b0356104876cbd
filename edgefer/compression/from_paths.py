"""`edgefer.compress`: compress from the names or paths of checkpoint and data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgefer import paths
from edgefer.compression.config import CompressConfig
from edgefer.data.dataset import Dataset
from edgefer.data.default import given
from edgefer.errors import MissingExtra

if TYPE_CHECKING:
    from edgefer.compression.result import CompressResult


def compress(
    checkpoint: Path | str | None = None,
    data: Dataset | Path | str | None = None,
    out: Path | str | None = None,
    config: CompressConfig | None = None,
) -> CompressResult:
    """Make an INT8 bundle of a trained network: calibrate, fine-tune, one file for each target, checked against FP32.

    >>> import edgefer
    >>> faces = edgefer.data.builtin(train=64, val=21, test=21)
    >>> trained = edgefer.train("quickstart", faces, settings=["train.batch_size=32"], epochs=1)
    >>> config = edgefer.CompressConfig(ptq=True, max_drop=100, allow_float=True)
    >>> small = edgefer.compress(trained.run, faces, "my-bundle", config)
    >>> small.bytes["int8-cpu"] < small.bytes["fp32"]
    True
    >>> edgefer.load(small.bundle, device="cpu").labels == small.classes
    True

    Args:
        checkpoint: a training's folder, or the name of a pretrained network; by default the newest in
            ``runs/train``.
        data: its training data set or the path; by default the one that `edgefer.data.find` finds.
        out: folder for the bundle; by default a new one in ``runs/compress``.
        config: all settings.

    Raises:
        GateFailed: INT8 lost too much accuracy or gains too little; the bundle is in ``<out>.rejected``.
        InputError: checkpoint, data and settings don't fit each other, or `out` exists.
        MissingExtra: the extra ``compress`` is not installed.
        Interrupted: Ctrl-C; run ``edgefer compress --resume``.
    """
    try:
        from edgefer.compression import compressor
        from edgefer.learning import checkpoint as checkpoints
    except ModuleNotFoundError as error:
        raise MissingExtra.of(error, "compress") from None
    checkpoint_path = checkpoints.find(None if checkpoint is None else Path(checkpoint))
    dataset = given(data)
    with paths.run_folder(
        None if out is None else Path(out), "compress", checkpoints.read(checkpoint_path).recipe.name
    ) as folder:
        compressed = compressor.compress(checkpoint_path, dataset, folder, config)
    if out is None:
        paths.mark_latest(folder)
    return compressed
