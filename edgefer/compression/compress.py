"""Checkpoint to bundle. `compress` reads from top to bottom: calibrate, fine-tune, export, lower, check, write."""

from __future__ import annotations

import math
import shutil
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch
from onnx import ModelProto

from edgefer import bundle, console, data, models, paths, public, recipes, versions
from edgefer.bundle import Change, Speed
from edgefer.compression import (
    calibrate,
    confidence,
    diagnose,
    export,
    fine_tuning,
    gate,
    repair,
    speed,
    targets,
    worth,
)
from edgefer.compression import quantize as quantization
from edgefer.compression.activation import Activation, with_relu
from edgefer.compression.diagnose import Damage
from edgefer.compression.extension import load_nncf
from edgefer.data.contents import name_shown
from edgefer.data.dataset import Dataset, Division
from edgefer.devices import machine
from edgefer.errors import GateFailed, InputError
from edgefer.graph import count
from edgefer.graph.half import half
from edgefer.learning import checkpoint as checkpoints
from edgefer.learning import private, state
from edgefer.lines import shell

SCHEME = "stratified-300"
MAX_DROP = 0.5
MOST_STEPS = 300  # of the default fine-tuning
RELU_EPOCHS = 2  # with new activations, before INT8
REJECTED, UNFINISHED, DIAGNOSIS = ".rejected", ".unfinished", ".diagnosis"
_TABLE = "diagnosis.csv"
_NOTE = "diagnosis.sha256"  # in the folder of the fine-tuning: which diagnosis is its own
_TIMED_IMAGES = 50
_WORST = 10
_PACKAGES = ("torch", "nncf", "torchao", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Result:
    """What a compression leaves.

    Attributes:
        bundle: the folder; its name ends in ``.rejected`` where `passed` is False.
        method: ``qat`` where the weights are those of an epoch of fine-tuning; ``ptq`` where they are the calibrated
            ones, since none was asked for or no epoch was better.
        tuned: epochs of fine-tuning that were run.
        passed: False if an INT8 network lost more validation accuracy than it may, is not as fast as it has to be, or
            gains neither bytes nor 8-bit arithmetic.
        integer_share: of the multiply-accumulates, those in ONNX Runtime's 8-bit kernels, 0 to 1.
        accuracy: of each network on the validation split, 0 to 1.
        macro_f1: likewise.
        changes: of each INT8 network against FP32, image by image.
        speed: of the INT8 network for CPUs against FP32, on this machine.
        agreement: share of the validation split where FP32 and the INT8 network for CPUs predict the same.
        bytes: size of each network's file.
        drop: validation accuracy that the worst INT8 network lost, in points.
        in_fp32: titles of the parts that auto-repair left in FP32.
        diagnosis: folder of the table and the picture, if one was asked for.
        worst: the parts that cost most before a repair, the worst first, if there was a diagnosis.
        images: of the validation split.
        seconds: all of it.
        data: the data set's name.
        drawn: True for the built-in faces.
        division: how edgefer took the validation images from the training images; None where it did not.
        classes: their names, in the order of `Change.recall`.
    """

    bundle: Path
    method: str
    tuned: int
    passed: bool
    integer_share: float
    accuracy: dict[str, float]
    macro_f1: dict[str, float]
    changes: dict[str, Change]
    speed: Speed
    agreement: float
    bytes: dict[str, int]
    drop: float
    in_fp32: tuple[str, ...]
    diagnosis: Path | None
    worst: tuple[Damage, ...]
    images: int
    seconds: float
    data: str
    drawn: bool
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
    """INT8 loses too much accuracy or gains too little; the bundle was written under a name that says so.

    Args:
        message: one line.
        result: what was written.
    """

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


def compress(
    checkpoint: Path,
    dataset: Dataset,
    out: Path,
    *,
    ptq: bool = False,
    qat_epochs: int | None = None,
    qat_lr: float | None = None,
    scheme: str = SCHEME,
    max_drop: float = MAX_DROP,
    require_speedup: float | None = None,
    allow_float: bool = False,
    half_range: bool | None = None,
    activation: Activation | None = None,
    ignore: tuple[str, ...] = (),
    with_diagnosis: bool = False,
    auto_repair: bool = False,
    seed: int = 0,
    resume: Path | None = None,
) -> Result:
    """Make an INT8 bundle of a trained network.

    Args:
        checkpoint: a training's folder, or its ``best.json``.
        dataset: the data that the network was trained on.
        out: folder for the bundle; it is there whole or not at all.
        ptq: calibrate only, without fine-tuning.
        qat_epochs: passes over the training images; by default one that ends after 300 steps at the latest.
        qat_lr: rate of the first step; by default one that suits the recipe's optimizer.
        scheme: name or file of a calibration scheme.
        max_drop: points of validation accuracy that INT8 may lose.
        require_speedup: least quotient of FP32's latency and INT8's on this machine's CPU, one thread.
        allow_float: accept a network whose INT8 file is not smaller than FP32's, or of whose multiply-accumulates
            ONNX Runtime runs less than half in integers. Without it such a network is not fine-tuned.
        half_range: weights within -64 to 64, for CPUs whose 8-bit products saturate; by default this CPU is asked.
        activation: ``relu`` fine-tunes a copy with ReLU in the place of SiLU and HardSwish, which ONNX Runtime does not
            fuse. FP32, its teacher, stays as it was trained; the copy before INT8 stands beside it as ``fp32-relu``.
        ignore: name patterns of layers that stay FP32 (`edgefer.compression.quantize.layers`).
        with_diagnosis: find out what each tensor and layer costs, and write ``<out>.diagnosis``.
        auto_repair: where INT8 lost more than `max_drop`, leave the parts that cost most in FP32 until it did not.
        seed: of the fine-tuning.
        resume: folder of a fine-tuning that was interrupted, or whose network was rejected (``<out>.unfinished``, or
            where that was moved to), to go on with. What it left beside itself is replaced.

    Raises:
        Rejected: INT8 lost more than `max_drop`, misses `require_speedup` or takes `allow_float`; the bundle is in
            ``<out>.rejected``, and what was fine-tuned stays in ``<out>.unfinished``, to be judged by other bounds.
        GateFailed: `activation` leaves a network that takes `allow_float`; nothing was fine-tuned or written.
        InputError: checkpoint, data and settings do not fit each other, or `out` exists.
        Diverged: the fine-tuning's loss is not finite.
        Interrupted: Ctrl-C; ``<out>.unfinished`` can be resumed.
    """
    # Setup.
    started = time.monotonic()
    load_nncf()  # what is not installed is said before the work, not in the middle of it
    if with_diagnosis:
        from edgefer.compression import plot  # and this needs the extra report
    if ptq and (qat_epochs or qat_lr):
        raise InputError("--ptq is without fine-tuning, so it does not go with --qat-epochs and --qat-lr")
    if ptq and activation:
        raise InputError("--activation takes fine-tuning, so it does not go with --ptq")
    for option, value in {"max-drop": max_drop, "require-speedup": require_speedup, "qat-lr": qat_lr}.items():
        if value is not None and not math.isfinite(value):  # every network passes a bound that is no number
            raise InputError(f"--{option} takes a finite number, not {value}")
    plan = calibrate.load(scheme)
    head = checkpoints.find(checkpoint)
    trained = checkpoints.read(head)
    dataset = data.as_recorded(dataset, trained.data)
    if trained.data["digest"] != dataset.digest:
        raise InputError(f"{head} was trained on {trained.data['name']}, not on these data; name that with --data")
    dataset = data.only(dataset, trained.classes)
    paths.check_unused(out)
    work = resume or _beside(out, UNFINISHED)
    _check_folders(out, work, with_diagnosis, resume is not None)
    recipe, spec = trained.recipe, trained.recipe.preprocessing
    training = data.split(dataset, "train", recipe.data.split)
    validation = data.split(dataset, "val", recipe.data.split)
    half_range = machine.describe().saturates if half_range is None else half_range
    if half_range:
        console.say("weights at half range, for CPUs without VNNI, whose fast 8-bit products saturate")

    notes = {
        "checkpoint": public.name(head.resolve()),
        "checkpoint_sha256": paths.sha256(head),
        "qat_epochs": qat_epochs,
        "qat_lr": qat_lr,
        "scheme": plan.name,
        "max_drop": max_drop,
        "require_speedup": require_speedup,
        "allow_float": allow_float,
        "half_range": half_range,
        "activation": activation,
        "ignore": ignore,
        "with_diagnosis": with_diagnosis,
        "auto_repair": auto_repair,
        "seed": seed,
    }
    places = {
        "checkpoint": str(head.resolve()),
        "data": None if dataset.drawn else private.absolute(dataset.origin),
        "scheme": private.absolute(scheme) if scheme != plan.name else None,
    }

    # Calibrate and fine-tune.
    network = models.merged(checkpoints.build(trained))
    chosen = calibrate.choose(plan, training, dataset)
    console.say(f"calibrating on {len(chosen)} training images ({plan.name})")
    inputs = spec.apply(chosen.take(slice(None)))
    example = torch.from_numpy(inputs[:1])
    models.with_constant_weights(network, example)
    models.fix_padding(network, example)
    models.fix_pooling(network, example)
    fp32 = {"fp32": export.fp32(network, example)}
    halved = half(fp32["fp32"])
    for name, model in {**fp32, **dict.fromkeys(targets.HALVES, halved)}.items():
        targets.check_float(name, model)
    macs = count.macs(fp32["fp32"])
    images = torch.from_numpy(inputs)
    student, replaced, adapted = network, None, None
    if activation:
        student, replaced = with_relu(network, images)
        # What cannot be quantized or exported, or gains nothing, is said before the long work.
        quantized = quantization.quantize(student, images, plan.observer, half_range, ignore)
        gain = worth.judge(fp32["fp32"], targets.lowered(export.int8(quantized, example, half_range)))
        if gain.complaint and not allow_float:
            raise GateFailed(f"{gain.complaint}; nothing was fine-tuned")
        change = fine_tuning.settings("relu", recipe, training, RELU_EPOCHS, MOST_STEPS, seed)
        adapted = fine_tuning.finetune(student, network, training, validation, recipe, change, work, notes, places)
        fp32["fp32-relu"] = export.fp32(student, example)
        targets.check_float("fp32-relu", fp32["fp32-relu"])
    quantized = quantization.quantize(student, images, plan.observer, half_range, ignore)
    gain = worth.judge(fp32["fp32"], targets.lowered(export.int8(quantized, example, half_range)))  # as above
    worthwhile = allow_float or not gain.complaint
    if not (worthwhile or ptq):
        console.say("INT8 gains little, so it is not fine-tuned")
    tuned = None
    if worthwhile and not ptq:
        settings = fine_tuning.settings("int8", recipe, training, qat_epochs, MOST_STEPS, seed, qat_lr)
        tuned = fine_tuning.finetune(quantized, network, training, validation, recipe, settings, work, notes, places)

    # Export, and one graph for each target, beside FP32.
    signed = export.int8(quantized, example, half_range)
    classes = len(trained.classes)
    answers = {name: gate.predictions(model, spec, validation, f"checking {name}") for name, model in fp32.items()}
    answers |= dict.fromkeys(targets.HALVES, gate.predictions(halved, spec, validation, "checking FP16"))

    def judge(model: ModelProto) -> gate.Verdict:
        graphs = {name: graph.model for name, graph in targets.lowered(model).items()}
        return gate.judge(validation, classes, answers, graphs, spec)

    verdict = judge(signed)

    # What costs most, and whether it passes without that.
    damages: list[Damage] = []
    repaired = None
    diagnosis = _beside(out, DIAGNOSIS) if with_diagnosis else None
    most = max_drop + 1e-9  # a drop is a quotient of whole images: rounding decides nothing
    if diagnosis or (auto_repair and verdict.drop > most):
        floats = export.fp32(quantization.unquantized(student, quantized), example)
        diagnosed = partial(diagnose.diagnose, signed, floats, spec, validation, inputs)
        damages = diagnosed()
        if diagnosis:
            if resume and _is_diagnosis_of(work, diagnosis):
                shutil.rmtree(diagnosis)
            with paths.write_folder_atomically(diagnosis) as part:
                diagnose.write_table(part / _TABLE, damages)
                plot.draw(part / "diagnosis.png", damages, f"{recipe.name}: what INT8 costs, and where")
                if tuned:
                    (work / _NOTE).write_text(paths.sha256(part / _TABLE))
        if auto_repair and verdict.drop > most:
            console.say(f"INT8 lost {verdict.drop:.2f} points; leaving what costs most in FP32")
            repaired = repair.repair(signed, floats, damages, diagnosed, judge, most)
            if repaired:
                signed, verdict = repaired.signed, repaired.verdict

    # The gate, and how sure the network may be.
    graphs = targets.lowered(signed)
    sure = confidence.fit("int8-cpu", gate.logits(graphs["int8-cpu"].model, spec, validation, "confidence"), validation)
    drop, changes = verdict.drop, {change.network: change for change in verdict.changes}
    measured = speed.measure("int8-cpu", fp32["fp32"], graphs["int8-cpu"].model, inputs[:_TIMED_IMAGES])
    speedup = 1 / measured.ratio
    complaints = []
    if drop > most and (worthwhile or ptq):
        more = "without --ptq" if ptq else f"more --qat-epochs, another --qat-lr than {settings.lr:g}"
        hint = (
            f"leaving its worst parts in FP32 was not enough; try {more}"
            if auto_repair
            else f"try {more} or --auto-repair"
        )
        complaints.append(
            f"INT8 lost {drop:.2f} points of validation accuracy, more than the {max_drop:g} allowed ({hint}, or "
            "accept it with --max-drop)"
        )
    if require_speedup is not None and speedup < require_speedup:
        complaints.append(f"INT8 is {speedup:.2f} times as fast as FP32 on this CPU, not {require_speedup:g} times")
    gain = worth.judge(fp32["fp32"], graphs)  # again, since a repair leaves more in FP32
    if gain.complaint and not allow_float:
        complaints.append(gain.complaint)
    passed = not complaints

    # The bundle.
    method = "qat" if tuned and tuned.best_epoch else "ptq"
    folder = out if passed else _beside(out, REJECTED)
    description = bundle.Description(
        name=recipe.name,
        labels=trained.classes,
        preprocessing=spec,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=macs,
        data=bundle.Data(**{**trained.data, "name": name_shown(trained.data["name"])}),
        calibration=calibrate.record(plan, chosen),
        scores=verdict.scores,
        agreement=changes["int8-cpu"].agreement,
        changes=verdict.changes,
        speed=measured,
        confidence=sure,
        recipe=recipes.named(recipe).model_dump(mode="json"),
        compression={
            "checkpoint": {
                "epoch": trained.epoch,
                "epochs": trained.epochs,
                "val_accuracy": trained.val_accuracy,
                "start": public.value(trained.start),
                "sources": public.value(trained.sources),
            },
            "method": method,
            "observer": plan.observer,
            "half_range": half_range,
            "activation": {"to": activation, "replaced": replaced, **asdict(change), "history": adapted.history}
            if adapted
            else None,
            "fine_tuning": {**asdict(settings), "best_epoch": tuned.best_epoch, "history": tuned.history}
            if tuned
            else None,
            "quantizers": quantization.quantizers(quantized),
            "ignored": list(ignore),
            "repair": {"left_in_fp32": [asdict(part) for part in repaired.left], "tried": repaired.tried}
            if repaired
            else None,
            "targets": targets.apart(signed, graphs, inputs),
            "gate": {
                "max_drop": max_drop,
                "drop": round(drop, 4),
                "require_speedup": require_speedup,
                "speedup": round(speedup, 4),
                "allow_float": allow_float,
                "integer_share": round(gain.integer, 4),
                "passed": passed,
            },
        },
        versions=versions.installed(*_PACKAGES),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    files = {
        name: bundle.Part(f"{name.replace('-', '.')}.onnx", model.SerializeToString(), "fp32", "any")
        for name, model in fp32.items()
    }
    files |= {name: targets.part(name, halved) for name in targets.HALVES}
    files |= {name: targets.part(name, graph.model) for name, graph in graphs.items()}
    if resume and _is_rejected_of(work, _beside(out, REJECTED)):
        shutil.rmtree(_beside(out, REJECTED))
    written = bundle.write(folder, description, files)
    if passed:
        shutil.rmtree(work, ignore_errors=True)
    result = Result(
        bundle=folder,
        method=method,
        tuned=tuned.epoch if tuned else 0,
        passed=passed,
        integer_share=round(gain.integer, 4),
        accuracy={score.network: score.accuracy for score in verdict.scores},
        macro_f1={score.network: score.macro_f1 for score in verdict.scores},
        changes=changes,
        speed=measured,
        agreement=changes["int8-cpu"].agreement,
        bytes={name: network_file.bytes for name, network_file in written.manifest.networks.items()},
        drop=round(drop, 4),
        in_fp32=tuple(part.title for part in repaired.left) if repaired else (),
        diagnosis=diagnosis,
        worst=tuple(damage for damage in damages[:_WORST] if damage.loss > 0),
        images=len(validation),
        seconds=round(time.monotonic() - started, 1),
        data=dataset.name,
        drawn=dataset.drawn,
        division=dataset.division,
        classes=trained.classes,
    )
    if not passed:
        option = "--allow-float" if gain.complaint and not allow_float else "--auto-repair"
        kept = f"; its fine-tuning is kept: edgefer compress --resume {shell(work)} {option}" if tuned else ""
        raise Rejected(f"{'; '.join(complaints)}; the bundle is in {folder}{kept}", result)
    return result


def resumed(work: Path, out: Path | None = None, checkpoint: Path | None = None) -> dict[str, Any]:
    """Return the arguments that an interrupted `compress` was called with, all but the data set.

    Args:
        work: folder of the fine-tuning, wherever it is now.
        out: folder for the bundle; by default the one beside `work` whose name lacks ``.unfinished``.
        checkpoint: the network's, where it was moved too.

    Raises:
        InputError: `work` holds no state or does not say where the bundle goes, or the checkpoint or the calibration
            scheme is not the one it was.
    """
    if out is None:
        named = work.absolute().name
        if not named.endswith(UNFINISHED) or named == UNFINISHED:
            raise InputError(f"the name of {work} does not end in {UNFINISHED}; say where the bundle goes with --out")
        beside = work.parent if work.name == named else work.absolute().parent  # ``.`` has no name
        out = beside / named.removesuffix(UNFINISHED)
    heads = [head for stage in fine_tuning.STAGES if (head := work / f"{stage}.json").exists()]
    notes: dict[str, Any] | None = state.read(heads[0]).get("notes") if heads else None
    if notes is None:
        if work.is_dir() and state.is_unbegun(work, fine_tuning.STAGES, [private.FILE]):
            raise InputError(f"{work} was interrupted before its first step; compress again from the start")
        raise InputError(f"{work} holds no interrupted compression; name a folder that ends in {UNFINISHED}")
    named, digest = notes.pop("checkpoint"), notes.pop("checkpoint_sha256")
    head = Path(private.text(work, "checkpoint") or named) if checkpoint is None else checkpoints.find(checkpoint)
    if not head.is_file() or paths.sha256(head) != digest:
        raise InputError(
            f"{work} began with {named}, which is gone or was trained anew ({head}); if it was moved, name it before "
            "--resume, or compress again from the start"
        )
    scheme = private.text(work, "scheme")
    if scheme:
        if not Path(scheme).is_file():
            raise InputError(f"{work} began with the calibration scheme {scheme}, which is gone; put it there again")
        notes["scheme"] = scheme
    notes.pop("out", None)  # which an older edgefer noted
    return {**notes, "checkpoint": head, "out": out, "resume": work}


def data_of(work: Path) -> Path | None:
    """Return where the data lie that an interrupted `compress` began with, or None where they are gone."""
    place = private.text(work, "data")
    return Path(place) if place and Path(place).exists() else None


def unfinished(out: Path, resume: Path | None = None) -> Path | None:
    """Return the folder of an interrupted compression into `out`, or resumed from `resume`, if it can be resumed."""
    work = resume or _beside(out, UNFINISHED)
    return work if any((work / f"{stage}.json").exists() for stage in fine_tuning.STAGES) else None


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.name + ending)


def _check_folders(out: Path, work: Path, with_diagnosis: bool, resume: bool) -> None:
    """Refuse, before the long work, what could not be written after it."""
    rejected, diagnosis = _beside(out, REJECTED), _beside(out, DIAGNOSIS)
    if not (resume and _is_rejected_of(work, rejected)):
        paths.check_unused(rejected)
    if with_diagnosis and not (resume and _is_diagnosis_of(work, diagnosis)):
        paths.check_unused(diagnosis)
    if (
        not resume
        and work.exists()
        and not (work.is_dir() and state.is_unbegun(work, fine_tuning.STAGES, [private.FILE]))
    ):
        raise InputError(f"{work} is an interrupted compression; go on with --resume {shell(work)}, or delete it")


def _is_rejected_of(work: Path, rejected: Path) -> bool:
    """Return whether a bundle was made of the fine-tuning in `work`: the seconds of its epochs are no other's."""
    try:
        of: Any = bundle.load(rejected).manifest.compression["fine_tuning"]
        history = state.plain(work / "int8.json")["progress"]["history"]
    except (InputError, KeyError):
        return False
    return bool(of) and of["history"] == history


def _is_diagnosis_of(work: Path, diagnosis: Path) -> bool:
    try:
        return paths.sha256(diagnosis / _TABLE) == (work / _NOTE).read_text()
    except OSError:
        return False
