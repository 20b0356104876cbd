"""Bundles: written ones are read back, and anything else is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgefer import bundle, paths
from edgefer.backends import registry
from edgefer.errors import InputError, MissingRequirement
from edgefer.labels import LABELS
from tests.helpers import samples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return samples.write(tmp_path / "made").path


def test_a_bundle_comes_back_as_it_was_written(folder: Path) -> None:
    loaded = bundle.load(folder)
    assert loaded.manifest.labels == LABELS
    assert loaded.manifest.preprocessing == samples.PREPROCESSING
    assert loaded.file("fp32").read_bytes() == samples.network()
    assert registry.get("cpu").networks(loaded) == ["fp32", "int8-cpu"]
    assert registry.get("jetson").networks(loaded) == ["fp32", "int8-tensorrt"]


def test_a_network_can_be_given_as_a_file(tmp_path: Path) -> None:
    source = tmp_path / "network.onnx"
    source.write_bytes(samples.network())
    bundle.write(
        tmp_path / "made", samples.description(), {"fp32": bundle.NetworkFile("a.onnx", source, "fp32", "any")}
    )
    assert bundle.load(tmp_path / "made").file("fp32").read_bytes() == source.read_bytes()


def test_a_folder_that_cannot_be_finished_is_not_there(tmp_path: Path) -> None:
    parts = {**samples.parts(), "fp16": bundle.NetworkFile("fp16.onnx", tmp_path / "missing", "fp16", "any")}
    with pytest.raises(FileNotFoundError):
        bundle.write(tmp_path / "made", samples.description(), parts)
    assert list(tmp_path.iterdir()) == []


def test_files_already_there_are_not_overwritten(folder: Path) -> None:
    before = (folder / "fp32.onnx").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        bundle.write(folder, samples.description(), {"fp32": bundle.NetworkFile("fp32.onnx", b"new", "fp32", "any")})
    assert (folder / "fp32.onnx").read_bytes() == before


def test_two_targets_that_run_one_graph_share_its_file(tmp_path: Path) -> None:
    parts = samples.parts()
    shared = parts["int8-tensorrt"]
    parts["int8-rtx"] = bundle.NetworkFile(shared.file, shared.content, "int8", "rtx")
    made = bundle.load(bundle.write(tmp_path / "made", samples.description(), parts).path)
    assert made.file("int8-rtx") == made.file("int8-tensorrt")
    assert registry.get("rtx").networks(made) == ["fp32", "int8-rtx"]


@pytest.mark.parametrize("file", ["fp32.onnx", "FP32.onnx", "manifest.json"])
def test_two_files_of_one_name_are_refused(tmp_path: Path, file: str) -> None:
    parts = {**samples.parts(), "other": bundle.NetworkFile(file, b"x", "fp16", "any")}
    with pytest.raises(ValueError, match="share a name"):
        bundle.write(tmp_path / "made", samples.description(), parts)


def test_an_unknown_network_is_an_error_that_lists_the_known_ones(folder: Path) -> None:
    with pytest.raises(InputError, match=r"no network 'int4'; it has .*fp32"):
        bundle.load(folder).file("int4")


def _manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        path = folder / "manifest.json"
        raw = json.loads(path.read_text())
        change(raw)
        path.write_text(json.dumps(raw))

    return damage


def _network(**values: object) -> Callable[[Path], object]:
    return _manifest(lambda raw: raw["networks"]["fp32"].update(values))


def _flip_a_bit(folder: Path) -> None:
    path = folder / "fp32.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _cut(name: str) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def _link_out(name: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return damage


def _replace(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return damage


def _write(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "manifest.json").write_bytes(content)


def _labels(*labels: str) -> Callable[[Path], object]:
    return _manifest(lambda raw: raw.update(labels=labels))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (_flip_a_bit, r"fp32\.onnx differs from its manifest's SHA-256"),
    "a network cut short": (_cut("fp32.onnx"), r"fp32\.onnx has \d+ bytes"),
    "a network missing": (lambda folder: (folder / "int8-cpu.onnx").unlink(), r"int8-cpu\.onnx is missing"),
    "a network that is a folder": (_replace("fp32.onnx", Path.mkdir), r"fp32\.onnx is not a regular file"),
    "a network that is a pipe": (_replace("fp32.onnx", os.mkfifo), r"fp32\.onnx is not a regular file"),
    "a link out": (_link_out("fp32.onnx"), r"fp32\.onnx points outside"),
    "a link to itself": (_replace("fp32.onnx", lambda path: path.symlink_to(path)), r"fp32\.onnx points outside"),
    "a manifest linked from outside": (_link_out("manifest.json"), r"manifest\.json points outside"),
    "a manifest that is a pipe": (_replace("manifest.json", os.mkfifo), r"manifest\.json is not a regular file"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), r"has no manifest\.json"),
    "a manifest cut short": (_cut("manifest.json"), r"manifest\.json is not valid JSON"),
    "an empty manifest": (_write(b""), r"manifest\.json is not valid JSON"),
    "a manifest of zeros": (_write(b"\0" * 100), r"manifest\.json is not valid JSON"),
    "a manifest of lists in lists": (_write(b"[" * 100_000), r"manifest\.json is not valid JSON"),
    "a manifest that is a list": (_write(b"[1]"), r"manifest\.json is not an edgefer manifest"),
    "a manifest of another program": (_write(b'{"name": "x"}'), r"manifest\.json is not an edgefer manifest"),
    "a huge manifest": (_write(b'{"format": 1, "x": "' + b"x" * (1 << 20) + b'"}'), r"manifest\.json is larger"),
    "a later format": (
        _manifest(lambda raw: raw.update(format=5)),
        r"manifest\.json has format '5'.* reads 4",
    ),
    "an earlier format": (_manifest(lambda raw: raw.update(format=3)), r"has format '3'.* reads 4"),
    "a format that is a word": (_manifest(lambda raw: raw.update(format="one")), r"has format 'one'"),
    "a field missing": (_manifest(lambda raw: raw.pop("macs")), r"manifest\.json: macs: Field required"),
    "a field too many": (_manifest(lambda raw: raw.update(run="rm -rf")), r"manifest\.json: run: unknown key"),
    "a number in words": (_network(bytes="12"), r"manifest\.json: networks\.fp32\.bytes"),
    "a name that climbs out": (_network(file="../secret"), r"manifest\.json: networks\.fp32\.file"),
    "an absolute name": (_network(file="/etc/passwd"), r"networks\.fp32\.file"),
    "a name in a folder": (_network(file="a/b.onnx"), r"networks\.fp32\.file"),
    "a hidden name": (_network(file=".onnx"), r"networks\.fp32\.file"),
    "a name with a line break": (_network(file="a\n"), r"networks\.fp32\.file"),
    "an unknown precision": (_network(precision="int4"), r"networks\.fp32\.precision"),
    "no networks": (_manifest(lambda raw: raw.update(networks={})), r"manifest\.json: networks"),
    "one label": (_labels("happy"), r"manifest\.json: labels"),
    "a label twice": (_labels("happy", "happy"), r"manifest\.json: labels.*equal"),
    "a label that moves the cursor": (_labels("happy", "\x1b[2Jsad"), r"manifest\.json: labels.*printable"),
    "a data set's name that moves the cursor": (
        _manifest(lambda raw: raw["data"].update(name="\x1b[2Jfaces")),
        r"manifest\.json: data\.name.*printable",
    ),
    "a key that moves the cursor": (
        _manifest(lambda raw: raw.update({"\x1b[2J": 1})),
        r"\\x1b\[2J: unknown key",
    ),
    "no number": (_manifest(lambda raw: raw.update(agreement=float("nan"))), r"manifest\.json is not valid JSON"),
    "a temperature that makes NaN": (
        _manifest(
            lambda raw: raw.update(
                confidence={
                    **{"network": "fp32", "split": "val", "images": 1, "temperature": 1e-300},
                    **{"error_before": 0.0, "error_after": 0.0},
                }
            )
        ),
        r"manifest\.json: confidence\.temperature",
    ),
    "a recipe whose data are a word": (
        _manifest(lambda raw: raw.update(recipe={"data": "fer2013"})),
        r"manifest\.json: recipe.*official or stratified",
    ),
    "data divided in an unknown way": (
        _manifest(lambda raw: raw.update(recipe={"data": {"split": ["official"]}})),
        r"manifest\.json: recipe.*official or stratified",
    ),
    "a std of zero": (_manifest(lambda raw: raw["preprocessing"].update(std=[0.0])), r"preprocessing.*positive"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bundle_that_is_not_whole_is_refused_in_one_line_that_names_the_file(folder: Path, damage: str) -> None:
    damaged, message = DAMAGES[damage]
    damaged(folder)
    with pytest.raises(InputError, match=message) as caught:
        bundle.load(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(("writes", "left"), [(0, [b"old"]), (1, [b"old"]), (2, [b"old"]), (3, [])])
def test_an_engine_whose_replacement_is_cut_short_leaves_a_whole_bundle(
    folder: Path, monkeypatch: pytest.MonkeyPatch, writes: int, left: list[bytes]
) -> None:
    fields = {"network": "fp32", "runtime": "tensorrt_rtx", "version": "1", "max_batch": 32, "compute": ["87"]}
    added = bundle.add_engine(bundle.load(folder), b"old", file="fp32.engine", **fields)
    assert bundle.load(folder).manifest.engines == added.manifest.engines
    real, done = paths.write_atomically, []

    def full(path: Path) -> AbstractContextManager[Path]:
        done.append(path)
        if len(done) > writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path)

    monkeypatch.setattr(paths, "write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        bundle.add_engine(added, b"another", file="fp32.engine", **fields)
    monkeypatch.undo()
    assert [(folder / engine.file).read_bytes() for engine in bundle.load(folder).manifest.engines] == left
    again = bundle.add_engine(bundle.load(folder), b"another", file="fp32.engine", **fields)
    assert bundle.load(folder).manifest == again.manifest


def test_a_link_within_the_bundle_is_fine(folder: Path) -> None:
    (folder / "fp32.onnx").rename(folder / "blob")
    (folder / "fp32.onnx").symlink_to("blob")
    assert bundle.load(folder).file("fp32").read_bytes() == samples.network()


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not there"):
        bundle.load(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="no folder"):
        bundle.load(tmp_path / "file")


def test_the_newest_bundle_is_found_without_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="edgefer compress --int8"):
        bundle.newest()
    for name in ("first", "second"):
        paths.mark_latest(samples.write(paths.new_run("compress", name), name=name).path)
    assert bundle.newest().manifest.name == "second"


def test_a_name_that_would_leave_the_runs_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        samples.description(name="../../etc")


def test_a_network_whose_weights_lie_in_a_file_that_the_manifest_does_not_name_is_refused(tmp_path: Path) -> None:
    network = onnx.load_from_string(samples.network())
    for tensor in network.graph.initializer:
        onnx.external_data_helper.set_external_data(tensor, "secret.bin")
    onnx.save(network, tmp_path / "network.onnx")
    assert (tmp_path / "secret.bin").stat().st_size
    part = bundle.NetworkFile("fp32.onnx", tmp_path / "network.onnx", "fp32", "any")
    bundle.write(tmp_path / "made", samples.description(), {"fp32": part})
    with pytest.raises(InputError, match=r"fp32\.onnx keeps weights in a separate file"):
        bundle.load(tmp_path / "made")


@pytest.fixture
def without_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """edgefer as in the wheel: pretrained networks without their checkpoints."""
    installed = tmp_path / "pretrained"
    ours = bundle.shipped("edgefer-nano")
    assert ours
    shutil.copytree(ours, installed / "edgefer-nano", ignore=shutil.ignore_patterns("checkpoint"))
    monkeypatch.setattr("edgefer.bundle.folder._PRETRAINED", installed)
    return tmp_path


def test_a_checkpoint_stands_beside_its_bundle_in_a_checkout() -> None:
    found = bundle.checkpoint("edgefer-nano")
    assert found
    assert (found / "best.json").is_file()
    assert bundle.checkpoint("runs/train/mine") is None


def test_a_checkpoint_that_is_not_installed_names_what_to_install(without_checkpoints: Path) -> None:
    with pytest.raises(
        MissingRequirement, match=r"edgefer-nano is not installed; run: pip install edgefer-checkpoints$"
    ):
        bundle.checkpoint("edgefer-nano")


def test_a_checkpoint_of_the_distribution_is_found(without_checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = without_checkpoints / "site-packages"
    (site / "edgefer_checkpoints" / "edgefer-nano" / "checkpoint").mkdir(parents=True)
    (site / "edgefer_checkpoints-0.1.0.dist-info").mkdir()
    (site / "edgefer_checkpoints-0.1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: edgefer-checkpoints\nVersion: 0.1.0\n"
    )
    monkeypatch.syspath_prepend(site)
    assert bundle.checkpoint("edgefer-nano") == site / "edgefer_checkpoints" / "edgefer-nano" / "checkpoint"
