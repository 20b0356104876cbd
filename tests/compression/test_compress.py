"""From checkpoint to bundle, end to end, with the real NNCF and ONNX Runtime."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from typer.testing import CliRunner

from edgefer import bundle, data, paths
from edgefer.backends import registry
from edgefer.cli.main import app
from edgefer.compression import compressor, fine_tuning, speed, unfinished
from edgefer.compression.compressor import compress
from edgefer.compression.config import CompressConfig
from edgefer.compression.result import CompressResult, Rejected
from edgefer.errors import InputError
from edgefer.evaluation import metrics, predict, timing
from edgefer.evaluation.predict import Infer
from edgefer.graph.linter import check
from tests.helpers.onnx_networks import kinds

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(trained: Path, csv: Path, tmp_path_factory: pytest.TempPathFactory) -> CompressResult:
    """Return a compression with default settings."""
    torch.set_num_threads(1)
    return compress(trained, data.load(csv), tmp_path_factory.mktemp("made") / "bundle")


def test_a_bundle_holds_what_its_manifest_says(made: CompressResult, csv: Path) -> None:
    opened = bundle.load(made.bundle)
    manifest = opened.manifest
    assert list(manifest.networks) == ["fp32", "fp16-tensorrt", "fp16-rtx", "int8-cpu", "int8-tensorrt", "int8-rtx"]
    assert opened.file("int8-rtx") == opened.file("int8-tensorrt")
    assert opened.file("fp16-rtx") == opened.file("fp16-tensorrt")
    assert 0.45 < manifest.networks["fp16-rtx"].bytes / manifest.networks["fp32"].bytes < 0.75
    validation = data.split(data.load(csv), "val")
    for score in manifest.scores:
        with registry.open_network(opened, score.network) as session:
            answers = predict.logits(session.infer, manifest.preprocessing, validation)
        matrix = metrics.confusion(validation.labels, answers.argmax(1), 7)
        assert (score.split, score.images) == ("val", len(validation))
        assert score.accuracy == pytest.approx(metrics.accuracy(matrix))
        assert score.macro_f1 == pytest.approx(metrics.macro_f1(matrix))
    assert made.passed
    assert manifest.agreement is not None
    assert manifest.agreement > 0.9
    assert manifest.data.digest == data.load(csv).digest
    assert list(made.bundle.parent.iterdir()) == [made.bundle]


def test_the_manifest_tells_how_int8_was_made(made: CompressResult, csv: Path) -> None:
    manifest = bundle.load(made.bundle).manifest
    how = manifest.compression
    assert how["method"] == made.method == ("qat" if how["fine_tuning"]["best_epoch"] else "ptq")
    assert made.tuned == 1
    assert (how["fine_tuning"]["epochs"], how["fine_tuning"]["steps"]) == (1, 14)
    assert how["gate"]["passed"] is True
    assert manifest.calibration is not None
    assert manifest.calibration.scheme == "stratified-300"
    training = set(data.split(data.load(csv), "train").rows)
    assert len(manifest.calibration.rows) == 300
    assert set(manifest.calibration.rows) <= training


def test_test_images_change_nothing_and_validation_images_choose_and_fit_confidence(
    made: CompressResult, trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chose = []
    real = fine_tuning.finetune

    def note(*arguments: Any) -> Any:
        chose.append((arguments[2].name, arguments[3].name))
        return real(*arguments)

    monkeypatch.setattr(fine_tuning, "finetune", note)
    whole = data.load(csv)
    images = np.array(whole.images)
    images[whole.splits == 2] = np.random.default_rng(0).integers(0, 256, images[whole.splits == 2].shape)
    changed = compress(trained, dataclasses.replace(whole, images=images), tmp_path / "other")
    plain, other = (bundle.load(each.bundle).manifest for each in (made, changed))
    assert chose == [("train", "val")]
    assert plain.networks == other.networks
    assert plain.scores == other.scores
    assert plain.confidence is not None
    assert plain.confidence == other.confidence
    assert (plain.confidence.split, plain.confidence.images) == ("val", 140)


def test_each_targets_file_passes_its_linter_and_differs_where_the_manifest_says(made: CompressResult) -> None:
    opened = bundle.load(made.bundle)
    cpu, tensorrt = (onnx.load(opened.file(name)) for name in ("int8-cpu", "int8-tensorrt"))
    check(cpu, "cpu")
    check(tensorrt, "tensorrt")
    divergence = opened.manifest.compression["targets"]
    unclipped, dropped = (
        {line["quantizer"] for line in divergence["quantizers"] if line["kind"] == kind}
        for kind in ("unclipped", "dropped")
    )
    assert unclipped
    assert unclipped | dropped <= {node.name for node in cpu.graph.node}
    assert not dropped & {node.name for node in tensorrt.graph.node}
    assert len(dropped) == kinds(tensorrt).count("Add") == 2
    assert divergence["images"] == 100
    # A single one has an effect, at most about the effect of all of them.
    changes = [line["largest_logit_change"] for line in divergence["quantizers"]]
    assert 0 < max(changes) < 3 * divergence["largest_logit_change"]


@pytest.mark.slow
def test_a_killed_compression_is_resumed_to_the_same_files(
    made: CompressResult, trained: Path, csv: Path, tmp_path: Path
) -> None:
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
import torch
torch.set_num_threads(1)
from edgefer import data
from edgefer.compression import compressor, fine_tuning
from edgefer.learning import loop
loop.SECONDS_BETWEEN_SAVES = 0.0
real, count = fine_tuning.state.save, 0
def save(*args):
    global count
    count += 1
    if count == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
fine_tuning.state.save = save
compressor.compress(Path(sys.argv[1]), data.load(Path(sys.argv[2])), Path(sys.argv[3]))
"""
    out = tmp_path / "bundle"
    command = [sys.executable, "-c", script, str(trained), str(csv), str(out)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert not out.exists()
    with pytest.raises(InputError, match=r"--resume .*bundle\.unfinished"):
        compress(trained, data.load(csv), out)
    there = tmp_path / "elsewhere"
    there.mkdir()
    for ending in ("", ".rejected", ".diagnosis"):  # somebody else's, at its old path
        (tmp_path / f"bundle{ending}").mkdir()
        (tmp_path / f"bundle{ending}" / "file").touch()
    (tmp_path / "bundle.unfinished").rename(there / "moved.unfinished")
    arguments = unfinished.resumed(there / "moved.unfinished")
    torch.set_num_threads(1)
    result = compress(dataset=data.load(csv), **arguments)
    assert result.bundle == there / "moved"
    networks = [bundle.load(each.bundle).manifest.networks for each in (made, result)]
    assert {name: file.sha256 for name, file in networks[0].items()} == {
        name: file.sha256 for name, file in networks[1].items()
    }
    assert [path.name for path in there.iterdir()] == ["moved"]
    assert len(list(tmp_path.rglob("file"))) == 3


def test_ctrl_c_after_fine_tuning_says_how_to_go_on(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compressor, "MAX_STEPS", 1)
    monkeypatch.setattr(speed, "measure", interrupted)
    out = tmp_path / "bundle"
    stopped = CliRunner().invoke(
        app, ["compress", str(trained), "--data", str(csv), "--out", str(out), "--threads", "1", "--json"]
    )
    assert stopped.exit_code == 130
    assert f"edgefer compress --resume {out}.unfinished" in " ".join(stopped.output.split())


def test_a_compression_is_not_resumed_with_another_checkpoint(trained: Path, csv: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    scheme = tmp_path / "few.toml"
    scheme.write_text('images = 100\nsplit = "train"\nstratified = true\nseed = 1\nobserver = "minmax"\n')
    asked: dict[str, Any] = {
        "scheme": str(scheme),
        "qat_epochs": 2,
        "qat_lr": 1e-4,
        "seed": 3,
        "half_range": True,
        "max_drop": 1.5,
    }
    asked |= {"require_speedup": 0.1, "ignore": ("stem",), "auto_repair": True}

    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgefer.learning.loss.distillation", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compress(copy, data.load(csv), tmp_path / "bundle", CompressConfig(**asked))
    arguments = unfinished.resumed(tmp_path / "bundle.unfinished")
    assert arguments["checkpoint"] == copy / "best.json"
    assert arguments["out"] == tmp_path / "bundle"
    assert unfinished.resumed(tmp_path / "bundle.unfinished", tmp_path / "other")["out"] == tmp_path / "other"
    assert unfinished.resumed(tmp_path / "bundle.unfinished", checkpoint=trained)["checkpoint"] == trained / "best.json"
    (tmp_path / "bundle.unfinished").rename(tmp_path / "renamed")
    with pytest.raises(InputError, match="give the bundle's folder with --out"):
        unfinished.resumed(tmp_path / "renamed")
    (tmp_path / "renamed").rename(tmp_path / "bundle.unfinished")
    assert arguments["config"] == CompressConfig(**asked)
    (copy / "best.json").write_text((copy / "best.json").read_text() + " ")
    with pytest.raises(InputError, match="trained again"):
        unfinished.resumed(tmp_path / "bundle.unfinished")


def test_int8_that_loses_too_much_is_rejected_under_a_name_that_says_so(
    trained: Path, csv: Path, tmp_path: Path
) -> None:
    with pytest.raises(Rejected, match=r"INT8 lost .* points .*--max-drop.*bundle\.rejected") as caught:
        compress(trained, data.load(csv), tmp_path / "bundle", CompressConfig(ptq=True, max_drop=-101))
    assert not (tmp_path / "bundle").exists()
    rejected = bundle.load(tmp_path / "bundle.rejected")
    assert caught.value.result.bundle == rejected.path
    assert rejected.manifest.compression["gate"] == {
        "max_drop": -101,
        "drop": caught.value.result.drop,
        "require_speedup": None,
        "speedup": pytest.approx(1 / caught.value.result.speed.ratio, abs=1e-3),
        "allow_float": False,
        "integer_share": pytest.approx(1, abs=1e-3),
        "passed": False,
    }
    with pytest.raises(InputError, match=r"bundle\.rejected exists already"):
        compress(trained, data.load(csv), tmp_path / "bundle", CompressConfig(ptq=True))


@pytest.mark.slow
def test_a_rejected_network_is_judged_by_other_bounds_without_fine_tuning_again(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    with pytest.raises(Rejected, match=r"edgefer compress --resume .*bundle\.unfinished --auto-repair"):
        compress(trained, data.load(csv), out, CompressConfig(max_drop=-101))
    monkeypatch.setattr("edgefer.learning.loss.distillation", None)  # a step would fail
    command = ["compress", "--resume", str(tmp_path / "bundle.unfinished"), "--data", str(csv), "--threads", "1"]
    refused = CliRunner().invoke(app, [*command, "--qat-epochs", "2"])
    assert refused.exit_code == 2
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 1
    done = CliRunner().invoke(app, [*command, "--max-drop", "100"])
    assert done.exit_code == 0, done.output
    assert bundle.load(out).manifest.compression["fine_tuning"]["best_epoch"] >= 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]


def test_a_rejected_bundle_of_another_fine_tuning_is_not_replaced(
    made: CompressResult, trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressor, "MAX_STEPS", 1)
    out = tmp_path / "bundle"
    with pytest.raises(Rejected):
        compress(trained, data.load(csv), out, CompressConfig(max_drop=-101))
    mine = tmp_path / "mine"
    (tmp_path / "bundle.rejected").rename(mine)
    shutil.copytree(made.bundle, tmp_path / "bundle.rejected")
    arguments = unfinished.resumed(tmp_path / "bundle.unfinished")
    arguments["config"] = dataclasses.replace(arguments["config"], max_drop=100)
    with pytest.raises(InputError, match=r"bundle\.rejected exists already"):
        compress(dataset=data.load(csv), **arguments)
    bundle.load(tmp_path / "bundle.rejected")
    shutil.rmtree(tmp_path / "bundle.rejected")
    mine.rename(tmp_path / "bundle.rejected")
    compress(dataset=data.load(csv), **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_compression_that_was_killed_before_its_first_state_can_be_begun_again(
    trained: Path, csv: Path, tmp_path: Path
) -> None:
    work = tmp_path / "bundle.unfinished"
    work.mkdir()
    (work / "int8-0123abcd.safetensors").touch()
    with pytest.raises(InputError, match="compress again from the start"):
        unfinished.resumed(work)
    compress(trained, data.load(csv), tmp_path / "bundle", CompressConfig(ptq=True, max_drop=100))
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_two_compressions_into_one_folder_are_told_apart(trained: Path, csv: Path, tmp_path: Path) -> None:
    command = ["compress", str(trained), "--data", str(csv), "--out", str(tmp_path / "bundle"), "--ptq"]
    with paths.run_folder(tmp_path / "bundle", "compress", ""):
        refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert "another edgefer is writing" in refused.stderr


def test_settings_that_do_not_fit_are_refused_before_any_work(trained: Path, csv: Path, tmp_path: Path) -> None:
    dataset = data.load(csv)
    other = data.builtin(train=70, val=7, test=7)
    with pytest.raises(InputError, match=r"was trained on .*, not on these data; give that with --data"):
        compress(trained, other, tmp_path / "bundle")
    with pytest.raises(InputError, match="--qat-epochs"):
        compress(trained, dataset, tmp_path / "bundle", CompressConfig(ptq=True, qat_epochs=1))
    with pytest.raises(InputError, match="unknown calibration scheme"):
        compress(trained, dataset, tmp_path / "bundle", CompressConfig(scheme="random"))
    with pytest.raises(InputError, match="contains no checkpoint"):
        compress(tmp_path, dataset, tmp_path / "bundle")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    with pytest.raises(InputError, match="exists already"):
        compress(trained, dataset, tmp_path / "full")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_the_command_finds_checkpoint_and_data_and_moves_latest_only_when_int8_passes(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEFER_DATA", str(csv))
    shutil.copytree(trained, Path("runs/train/first"))
    paths.mark_latest(Path("runs/train/first"))
    runner = CliRunner()

    done = runner.invoke(app, ["compress", "--int8", "--ptq", "--json", "--max-drop", "100", "--threads", "1"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["passed"] is True
    assert paths.latest("compress") == Path(said["bundle"])
    assert bundle.newest().manifest.compression["method"] == said["method"] == "ptq"

    failed = runner.invoke(app, ["compress", "--int8", "--ptq", "--json", "--max-drop", "-101", "--threads", "1"])
    assert failed.exit_code == 1
    refused = json.loads(failed.stdout)
    assert refused["passed"] is False
    assert refused["bundle"].endswith(".rejected")
    assert paths.latest("compress") == Path(said["bundle"])

    for options in (["--resume", "x", "--ptq"], ["--ptq", "--qat-epochs", "2"], ["nowhere"]):
        assert runner.invoke(app, ["compress", *options]).exit_code == 2


def test_what_int8_changed_and_how_sure_that_is_stands_beside_the_scores(made: CompressResult, csv: Path) -> None:
    manifest = bundle.load(made.bundle).manifest
    accuracy = {score.network: score.accuracy for score in manifest.scores}
    assert [change.network for change in manifest.changes] == ["int8-cpu", "int8-tensorrt", "int8-rtx"]
    for change in manifest.changes:
        assert change.accuracy == pytest.approx(accuracy[change.network] - accuracy["fp32"])
        assert change.low < change.accuracy < change.high
        assert (change.gained - change.lost) / 140 == pytest.approx(change.accuracy)
        assert sum(recall or 0 for recall in change.recall) / 7 == pytest.approx(change.accuracy)  # equal classes
    assert "standing in for TensorRT" in manifest.changes[1].runtime
    assert manifest.changes[0].agreement == manifest.agreement
    assert manifest.compression["gate"]["drop"] == pytest.approx(
        -100 * min(change.accuracy for change in manifest.changes), abs=1e-3
    )


def test_speed_is_measured_against_fp32_and_stands_in_the_manifest(made: CompressResult) -> None:
    speed = bundle.load(made.bundle).manifest.speed
    assert speed == made.speed
    assert speed.low <= speed.ratio <= speed.high
    assert (speed.threads, speed.network) == (1, "int8-cpu")
    assert speed.samples >= timing.samples_for(90)
    assert bool(speed.slow) is not speed.faster  # on any machine: not faster is explained


def test_int8_that_is_not_as_fast_as_it_has_to_be_is_rejected(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["compress", str(trained), "--data", str(csv), "--ptq", "--max-drop", "100", "--threads", "1"]
    done = CliRunner().invoke(app, [*command, "--require-speedup", "1000", "--cpu", "no-vnni"])
    assert done.exit_code == 1
    assert "times as fast as FP32 on this CPU, not 1000 times" in done.output
    assert "95 %" in done.output
    assert "ONNX Runtime stood in" in done.output
    assert paths.latest("compress") is None
    (folder,) = Path("runs/compress").iterdir()
    assert folder.name.endswith(".rejected")
    how = bundle.load(folder).manifest.compression
    assert how["config"]["half_range"] is True
    weights = [
        numpy_helper.to_array(each)
        for each in onnx.load(folder / "int8.cpu.onnx").graph.initializer
        if each.data_type == onnx.TensorProto.INT8
    ]
    assert max(np.abs(array.astype(int)).max(initial=0) for array in weights) <= 64
    assert CliRunner().invoke(app, ["compress", "--cpu", "fast"]).exit_code == 2


def test_int8_that_is_slower_is_said_with_the_nodes_and_what_would_help(
    trained: Path, csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slower(infers: Sequence[Infer], inputs: object, **settings: object) -> list[np.ndarray]:
        return [np.full((25, 4), 1e-3), np.full((25, 4), 2e-3)]

    monkeypatch.setattr("edgefer.evaluation.timing.in_turn", slower)
    out = tmp_path / "bundle"
    command = ["compress", str(trained), "--data", str(csv), "--ptq", "--max-drop", "100", "--threads", "1"]
    done = CliRunner().invoke(app, [*command, "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "1.000 -> 2.000 ms (2.00x" in done.output
    assert "INT8 is not faster than FP32 on this CPU" in done.output
    assert "remedy: " in done.output
    speed = bundle.load(out).manifest.speed
    assert speed is not None
    assert speed.slow


def test_engines_are_built_with_the_bundle_where_sm_asks_for_them(trained: Path, csv: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    command = ["compress", str(trained), "--data", str(csv), "--ptq", "--max-drop", "100", "--threads", "1"]
    refused = CliRunner().invoke(app, [*command, "--sm", "87", "--out", str(tmp_path / "refused")])
    assert refused.exit_code == 2
    assert "unknown compute capability 87" in refused.output
    done = CliRunner().invoke(app, [*command, "--sm", "8.9", "--out", str(tmp_path / "made"), "--json"])
    assert done.exit_code == 0, done.output
    engines = bundle.load(tmp_path / "made").manifest.engines
    assert [(engine.network, engine.compute) for engine in engines] == [("fp16-rtx", ["89"]), ("int8-rtx", ["89"])]
    assert [each["file"] for each in json.loads(done.stdout)["engines"]] == [engine.file for engine in engines]


@pytest.mark.parametrize("option", ["max_drop", "require_speedup", "qat_lr"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bound_that_is_no_number_is_refused_since_every_network_would_pass_it(
    trained: Path, csv: Path, tmp_path: Path, option: str, value: float
) -> None:
    changed: Any = {option: value}
    with pytest.raises(InputError, match=f"--{option.replace('_', '-')} needs a finite number"):
        compress(trained, data.load(csv), tmp_path / "bundle", CompressConfig(**changed))
    assert not list(tmp_path.iterdir())
