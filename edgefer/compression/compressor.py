"""From checkpoint to bundle: calibrate, fine-tune, export, lower, check, write."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from edgefer import bundle, console, models, paths, public, recipes, versions
from edgefer.bundle import Speed
from edgefer.compression import (
    calibrate,
    confidence,
    diagnosis,
    export,
    fine_tuning,
    fp32_fallback,
    gate,
    quantization,
    speed,
    targets,
    unfinished,
    worth,
)
from edgefer.compression.activation import with_relu
from edgefer.compression.config import CompressConfig
from edgefer.compression.diagnosis import Damage
from edgefer.compression.fp32_fallback import Repaired
from edgefer.compression.gate import Verdict
from edgefer.compression.result import CompressResult, Rejected
from edgefer.compression.setup import CompressSetup, prepare
from edgefer.compression.worth import Worth
from edgefer.data.contents import name_shown
from edgefer.data.dataset import Dataset
from edgefer.errors import GateFailed
from edgefer.graph import count
from edgefer.graph.fp16 import to_fp16
from edgefer.learning import checkpoint as checkpoints
from edgefer.learning import distributed
from edgefer.learning.loop import Progress
from edgefer.lines import shell
from edgefer.models.mirroring import ChannelPairs, is_mirrored

MAX_STEPS = 300  # of the default fine-tuning
RELU_EPOCHS = 2  # with new activations, before INT8
_ROUNDING = 1e-9  # a drop is a ratio of whole images, so rounding decides nothing
_TIMED_IMAGES = 50
_PAIRING_IMAGES = 64  # the outputs of all layers are held for them
_WORST = 10
_PACKAGES = ("torch", "nncf", "torchao", "onnx", "onnxruntime", "numpy")


def compress(
    checkpoint: Path,
    dataset: Dataset,
    out: Path,
    config: CompressConfig | None = None,
    resume: Path | None = None,
) -> CompressResult:
    """Make an INT8 bundle of a trained network.

    Args:
        checkpoint: a training's folder, or its ``best.json``.
        dataset: the data that the network was trained on.
        out: folder for the bundle, written atomically.
        config: all settings; by default `CompressConfig()`.
        resume: folder of an interrupted or rejected fine-tuning to resume (``<out>.unfinished``,
            or its new place). Its other outputs are replaced.

    Raises:
        Rejected: INT8 lost more than `max_drop`, misses `require_speedup` or needs `allow_float`; the
            bundle is in ``<out>.rejected``, and the fine-tuning in ``<out>.unfinished``, for other bounds.
        GateFailed: `activation` gives a network that needs `allow_float`; nothing was fine-tuned or written.
        InputError: checkpoint, data and settings do not fit each other, or `out` exists.
        Diverged: the fine-tuning's loss is not finite.
        Interrupted: Ctrl-C; ``<out>.unfinished`` can be resumed.
    """
    started = time.monotonic()
    job = prepare(checkpoint, dataset, out, config or CompressConfig(), resume)
    config, spec, validation = job.config, job.spec, job.validation

    # Calibrate and fine-tune.
    chosen = calibrate.choose(job.plan, job.training, job.dataset)
    console.say(f"calibrating on {len(chosen)} training images ({job.plan.name})")
    inputs = spec.apply(chosen.take(slice(None)))
    example = torch.from_numpy(inputs[:1])
    network = models.as_exportable(checkpoints.build(job.trained), example)
    pairs = _channel_pairs(job, network, inputs)
    fp32 = {"fp32": export.fp32(network, example)}
    fp16_model = to_fp16(fp32["fp32"])
    for name, model in {**fp32, **dict.fromkeys(targets.FP16_MODELS, fp16_model)}.items():
        targets.check_float(name, model)
    student = _fine_tuned(job, network, fp32, torch.from_numpy(inputs), pairs)
    world_size = distributed.world_size()
    distributed.go_on_alone()

    # Export, and lower to one graph per target, plus FP32.
    qdq = export.int8(student.quantized, example, job.half_range)
    predictions = {name: gate.predictions(model, spec, validation, f"checking {name}") for name, model in fp32.items()}
    predictions |= dict.fromkeys(targets.FP16_MODELS, gate.predictions(fp16_model, spec, validation, "checking FP16"))

    def judge(model: ModelProto) -> Verdict:
        graphs = {name: graph.model for name, graph in targets.lowered(model).items()}
        return gate.judge(validation, len(job.trained.classes), predictions, graphs, spec)

    verdict = judge(qdq)
    damages, repaired = _diagnosed(job, student, qdq, verdict, judge, inputs)
    if repaired:
        qdq, verdict = repaired.qdq, repaired.verdict

    # The gate, and confidence calibration.
    graphs = targets.lowered(qdq)
    logits = gate.logits(graphs["int8-cpu"].model, spec, validation, "confidence")
    sure = confidence.fit("int8-cpu", logits, validation)
    measured = speed.measure("int8-cpu", fp32["fp32"], graphs["int8-cpu"].model, inputs[:_TIMED_IMAGES])
    gain = worth.judge(fp32["fp32"], graphs)  # again, since a repair keeps more in FP32
    complaints = _complaints(config, student, verdict, measured, gain)
    changes = {change.network: change for change in verdict.changes}

    # The bundle.
    description = bundle.Description(
        name=job.recipe.name,
        labels=job.trained.classes,
        preprocessing=spec,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=count.macs(fp32["fp32"]),
        data=bundle.DataEntry(**{**job.trained.data, "name": name_shown(job.trained.data["name"])}),
        calibration=calibrate.record(job.plan, chosen),
        scores=verdict.scores,
        agreement=changes["int8-cpu"].agreement,
        changes=verdict.changes,
        speed=measured,
        confidence=sure,
        recipe=recipes.named(job.recipe).model_dump(mode="json"),
        compression={
            **_how(job, student, repaired),
            "targets": targets.divergence(qdq, graphs, inputs),
            "gate": _gate(config, verdict, measured, gain, passed=not complaints),
        },
        versions=versions.installed(*_PACKAGES),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    int8 = {name: graph.model for name, graph in graphs.items()}
    written = _write(job, description, fp32, {**dict.fromkeys(targets.FP16_MODELS, fp16_model), **int8}, not complaints)
    result = CompressResult(
        bundle=written.path,
        method=student.method,
        tuned=student.tuned.epoch if student.tuned else 0,
        passed=not complaints,
        integer_share=round(gain.integer, 4),
        accuracy={score.network: score.accuracy for score in verdict.scores},
        macro_f1={score.network: score.macro_f1 for score in verdict.scores},
        changes=changes,
        speed=measured,
        agreement=changes["int8-cpu"].agreement,
        bytes={name: network_file.bytes for name, network_file in written.manifest.networks.items()},
        drop=round(verdict.drop, 4),
        in_fp32=tuple(part.title for part in repaired.left) if repaired else (),
        diagnosis=job.diagnosis,
        worst=tuple(damage for damage in damages[:_WORST] if damage.loss > 0),
        images=len(validation),
        seconds=round(time.monotonic() - started, 1),
        world_size=world_size,
        data=job.dataset.name,
        synthetic=job.dataset.synthetic,
        division=job.dataset.division,
        classes=job.trained.classes,
    )
    if complaints:
        raise _rejected(job, result, complaints, gain)
    return result


def _channel_pairs(job: CompressSetup, network: torch.nn.Module, inputs: NDArray[np.float32]) -> ChannelPairs | None:
    """Return the channels by which a network is its own mirror image, and round it to that; None if it is not.

    Weights averaged over epochs are symmetric but for rounding.
    """
    if not (job.recipe.train.mirror and isinstance(network, models.PlainResNet)):
        return None
    images = torch.from_numpy(inputs[:_PAIRING_IMAGES])
    found = distributed.from_first(lambda: models.find_channel_pairs(network, images))
    if not is_mirrored(network, found):
        return None
    models.mirror(network, found)
    return found


@dataclass(frozen=True)
class _Student:
    """Result of fine-tuning.

    Attributes:
        network: in FP32, before INT8: with new activations if requested.
        quantized: in INT8.
        worthwhile: whether INT8 gains enough, or `allow_float` is set.
        settings: of the fine-tuning in INT8, if any.
        tuned: its progress.
        activation: replaced activations, for the manifest.
    """

    network: torch.nn.Module
    quantized: torch.nn.Module
    worthwhile: bool
    settings: fine_tuning.FineTuneSettings | None
    tuned: Progress | None
    activation: dict[str, Any] | None

    @property
    def method(self) -> str:
        """See `Result.method`."""
        return "qat" if self.tuned and self.tuned.best_epoch else "ptq"


def _fine_tuned(
    job: CompressSetup,
    network: torch.nn.Module,
    fp32: dict[str, ModelProto],
    images: torch.Tensor,
    pairs: ChannelPairs | None,
) -> _Student:
    """Quantize and fine-tune a network; a copy with other activations is added to `fp32`.

    With `pairs`, an image and its mirror image keep the same answer.
    """
    config, example = job.config, images[:1]
    student, activation = network, None

    def quantized() -> tuple[torch.nn.Module, Worth]:
        calibrated = quantization.quantize(student, images, job.plan.observer, job.half_range, config.ignore)
        graphs = targets.lowered(export.int8(calibrated, example, job.half_range))
        return calibrated, worth.judge(fp32["fp32"], graphs)

    def finetune(network_to_tune: torch.nn.Module, settings: fine_tuning.FineTuneSettings) -> Progress:
        data = (job.training, job.validation, job.recipe)
        return fine_tuning.finetune(network_to_tune, network, *data, settings, job.work, job.notes, job.where, pairs)

    if config.activation:
        student, replaced = with_relu(network, images)
        # Report what cannot be quantized or exported, or gains nothing, before the long work.
        gain = quantized()[1]
        if gain.complaint and not config.allow_float:
            raise GateFailed(f"{gain.complaint}; nothing was fine-tuned")
        change = fine_tuning.settings("relu", job.recipe, job.training, RELU_EPOCHS, MAX_STEPS, config.seed)
        adapted = finetune(student, change)
        fp32["fp32-relu"] = export.fp32(student, example)
        targets.check_float("fp32-relu", fp32["fp32-relu"])
        activation = {"to": config.activation, "replaced": replaced, **asdict(change), "history": adapted.history}
    calibrated, gain = quantized()
    worthwhile = config.allow_float or not gain.complaint
    if not (worthwhile or config.ptq):
        console.say("INT8 gains little: fine-tuning skipped")
    settings = tuned = None
    if worthwhile and not config.ptq:
        epochs, lr = config.qat_epochs, config.qat_lr
        settings = fine_tuning.settings("int8", job.recipe, job.training, epochs, MAX_STEPS, config.seed, lr)
        tuned = finetune(calibrated, settings)
    return _Student(student, calibrated, worthwhile, settings, tuned, activation)


def _diagnosed(
    job: CompressSetup,
    student: _Student,
    qdq: ModelProto,
    verdict: Verdict,
    judge: Callable[[ModelProto], Verdict],
    inputs: NDArray[np.float32],
) -> tuple[list[Damage], Repaired | None]:
    """Diagnose what costs most, if requested, and whether INT8 passes without it."""
    config, most = job.config, job.config.max_drop + _ROUNDING
    repairs = config.auto_repair and verdict.drop > most
    if not (job.diagnosis or repairs):
        return [], None
    floats = export.fp32(quantization.unquantized(student.network, student.quantized), torch.from_numpy(inputs[:1]))
    diagnosed = partial(diagnosis.diagnose, qdq, floats, job.spec, job.validation, inputs)
    damages = diagnosed()
    if job.diagnosis:
        _write_diagnosis(job, job.diagnosis, damages, noted=student.tuned is not None)
    if not repairs:
        return damages, None
    console.say(f"INT8 lost {verdict.drop:.2f} points; keeping the costliest parts in FP32")
    return damages, fp32_fallback.repair(qdq, floats, damages, diagnosed, judge, most)


def _write_diagnosis(job: CompressSetup, folder: Path, damages: list[Damage], noted: bool) -> None:
    """Write table and plot; with `noted`, record them in the fine-tuning's folder."""
    from edgefer.compression import plot

    if job.resume and unfinished.is_diagnosis_of(job.work, folder):
        shutil.rmtree(folder)
    with paths.write_folder_atomically(folder) as part:
        diagnosis.write_table(part / unfinished.TABLE, damages)
        plot.draw(part / "diagnosis.png", damages, f"{job.recipe.name}: what INT8 costs, and where")
        if noted:
            (job.work / unfinished.NOTE).write_text(paths.sha256(part / unfinished.TABLE))


def _complaints(config: CompressConfig, student: _Student, verdict: Verdict, speed: Speed, gain: Worth) -> list[str]:
    """Return why the bundle is rejected, or an empty list."""
    complaints = []
    if verdict.drop > config.max_drop + _ROUNDING and (student.worthwhile or config.ptq):
        lr = student.settings.lr if student.settings else 0.0
        more = "without --ptq" if config.ptq else f"more --qat-epochs, another --qat-lr than {lr:g}"
        hint = (
            f"keeping its worst parts in FP32 was not enough; try {more}"
            if config.auto_repair
            else f"try {more} or --auto-repair"
        )
        complaints.append(
            f"INT8 lost {verdict.drop:.2f} points of validation accuracy, more than the {config.max_drop:g} allowed "
            f"({hint}, or accept it with --max-drop)"
        )
    speedup, least = 1 / speed.ratio, config.require_speedup
    if least is not None and speedup < least:
        complaints.append(f"INT8 is {speedup:.2f} times as fast as FP32 on this CPU, not {least:g} times")
    if gain.complaint and not config.allow_float:
        complaints.append(gain.complaint)
    return complaints


def _how(job: CompressSetup, student: _Student, repaired: Repaired | None) -> dict[str, Any]:
    """Return the manifest's entry on how INT8 was made."""
    trained, tuned, settings = job.trained, student.tuned, student.settings
    return {
        "checkpoint": {
            "epoch": trained.epoch,
            "epochs": trained.epochs,
            "val_accuracy": trained.val_accuracy,
            "initial_weights": public.value(trained.initial_weights),
            "sources": public.value(trained.sources),
        },
        "config": job.config.as_dict(),
        "method": student.method,
        "observer": job.plan.observer,
        "activation": student.activation,
        "fine_tuning": {**asdict(settings), "best_epoch": tuned.best_epoch, "history": tuned.history}
        if tuned and settings
        else None,
        "quantizers": quantization.quantizers(student.quantized),
        "repair": {"kept_in_fp32": [asdict(part) for part in repaired.left], "tried": repaired.tried}
        if repaired
        else None,
    }


def _gate(config: CompressConfig, verdict: Verdict, speed: Speed, gain: Worth, passed: bool) -> dict[str, Any]:
    """Return the manifest's entry on the gate: bounds and measurements."""
    return {
        "max_drop": config.max_drop,
        "drop": round(verdict.drop, 4),
        "require_speedup": config.require_speedup,
        "speedup": round(1 / speed.ratio, 4),
        "allow_float": config.allow_float,
        "integer_share": round(gain.integer, 4),
        "passed": passed,
    }


def _write(
    job: CompressSetup,
    description: bundle.Description,
    fp32: Mapping[str, ModelProto],
    others: Mapping[str, ModelProto],
    passed: bool,
) -> bundle.Bundle:
    """Write the bundle under a name that says whether it passed; keep the fine-tuning if it was rejected."""
    files = {
        name: bundle.NetworkFile(f"{name.replace('-', '.')}.onnx", model.SerializeToString(), "fp32", "any")
        for name, model in fp32.items()
    }
    files |= {name: targets.part(name, model) for name, model in others.items()}
    rejected = unfinished.beside(job.out, unfinished.REJECTED)
    if job.resume and unfinished.is_rejected_of(job.work, rejected):
        shutil.rmtree(rejected)
    written = bundle.write(job.out if passed else rejected, description, files)
    if passed:
        shutil.rmtree(job.work, ignore_errors=True)
    return written


def _rejected(job: CompressSetup, result: CompressResult, complaints: list[str], gain: Worth) -> Rejected:
    option = "--allow-float" if gain.complaint and not job.config.allow_float else "--auto-repair"
    kept = f"; its fine-tuning is saved: edgefer compress --resume {shell(job.work)} {option}" if result.tuned else ""
    return Rejected(f"{'; '.join(complaints)}; the bundle is in {result.bundle}{kept}", result)
