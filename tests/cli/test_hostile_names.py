"""Every command with folders, files and labels whose names contain terminal control codes: none gets through.

Each command runs through `edgefer.cli.main.main`, in a folder with a hostile name.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image

from edgefer import console, data
from edgefer.bench.measurement import bench
from edgefer.cli.main import run_command
from edgefer.console import Guarded
from tests.helpers import samples

# Title and clipboard, a bell, carriage return, a C1 CSI, DEL, reversed text, a rich style, a line feed.
HOSTILE = "a\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\rb\x9b2J\x7f\u202e[red]x[b]\n=edgefer: done"
LABELS = ("[red]", "[/nix]", "=1+1", "-2", "+sum(A1)", "@me", "`|<b>x</b>")


@dataclass(frozen=True)
class Done:
    """A command's exit code and its output as bytes."""

    code: int
    out: bytes
    err: bytes


Run: TypeAlias = Callable[..., Done]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / HOSTILE
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    def run(*words: object, terminal: bool = False) -> Done:
        class Screen(io.TextIOWrapper):
            def isatty(self) -> bool:
                return terminal

        streams = [Screen(io.BytesIO(), encoding="utf-8") for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["edgefer", *map(str, words)])
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            with pytest.raises(SystemExit) as ended:
                run_command()
        for stream in streams:
            stream.flush()
        out, err = (stream.buffer.getvalue() for stream in streams)  # type: ignore[attr-defined]
        return Done(int(ended.value.code or 0), out, err)

    yield run
    console.enable(False)


def _harmless(written: bytes, lines: bool = True) -> str:
    """Return the output as a terminal shows it; it has no control or invisible characters."""
    text = written.decode("utf-8")
    odd = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}
    assert not odd, (odd, text)
    # A line feed in a name does not start a new line.
    assert not (lines and any(line.startswith("=edgefer: done") for line in text.splitlines())), text
    return text


def _check(done: Done, code: int, *, as_json: bool = False, names: str = "") -> None:
    out, err = _harmless(done.out), _harmless(done.err)
    assert done.code == code, out + err
    assert "Traceback" not in err
    assert "this is a bug" not in err
    if as_json:
        assert isinstance(json.loads(out), dict)
    elif names:  # it is named, with special characters escaped
        shown = (out + err).replace("\n", "").replace(" ", "").replace("│", "")
        assert names in shown, out + err


SHOWN = r"a\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\rb\x9b2J\x7f\u202e[red]x[b]\n=edgefer:done"
NO_SUCH = {  # commands pointed at missing or invalid inputs
    "predict": ("predict", HOSTILE),
    "predict --bundle": ("predict", "face.png", "--bundle", HOSTILE),
    "predict --csv": ("predict", "face.png", "--csv", "."),
    "train": ("train", HOSTILE),
    "train --data": ("train", "quickstart", "--data", HOSTILE),
    "train --set": ("train", "quickstart", "--set", f"{HOSTILE}=1"),
    "train --from": ("train", "--from", HOSTILE),
    "train --resume": ("train", "--resume", HOSTILE),
    "train --teacher": ("train", "quickstart", "--teacher", HOSTILE),
    "train --device": ("train", "quickstart", "--device", HOSTILE),
    "review": ("review", HOSTILE),
    "review --split": ("review", "--split", HOSTILE),
    "ablate": ("ablate", HOSTILE),
    "compress": ("compress", HOSTILE, "--int8"),
    "compress --resume": ("compress", "--resume", HOSTILE),
    "build": ("build", HOSTILE),
    "build --sm": ("build", "bundle", "--sm", HOSTILE),
    "bench": ("bench", HOSTILE),
    "bench --data": ("bench", "bundle", "--data", HOSTILE),
    "bench --device": ("bench", "bundle", "--device", HOSTILE),
    "report": ("report", HOSTILE),
    "report --csv": ("report", "result.json", "--csv", "."),
    "compare": ("compare", HOSTILE, HOSTILE),
    "compare --fail-if": ("compare", "result.json", "result.json", "--fail-if", HOSTILE),
    "claims --results": ("claims", "--results", HOSTILE),
    "bench --host": ("bench", "bundle", "--host", f"-{HOSTILE}"),
    "bench --out": ("bench", "bundle", "--out", "."),
    "lint": ("lint", HOSTILE, "--target", "cpu"),
    "lint --target": ("lint", "bundle/fp32.onnx", "--target", HOSTILE),
    "data info": ("data", "info", HOSTILE),
    "recipes": ("recipes", HOSTILE),
    "no such command": (HOSTILE,),
    "no such option": ("predict", f"--{HOSTILE}"),
    "no such choice": ("predict", "face.png", "--faces", HOSTILE),
    "too much": ("doctor", HOSTILE),
    "no number": ("bench", "--seconds", HOSTILE),
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> str:
    made = samples.write(tmp_path_factory.mktemp("bundles") / "made", labels=LABELS)
    return bench([made], replace(samples.dataset(), classes=LABELS), seconds=0.01).model_dump_json()


@pytest.mark.parametrize("as_json", [False, True], ids=["", "json"])
@pytest.mark.parametrize("words", NO_SUCH.values(), ids=NO_SUCH)
def test_what_is_not_there_is_named_without_its_escapes(
    here: Path, run: Run, words: Sequence[str], as_json: bool, result: str
) -> None:
    samples.write(here / "bundle")
    (here / "result.json").write_text(result)
    Image.new("L", (48, 48), 90).save(here / "face.png")
    done = run(*words, *["--json"] * as_json)
    _check(done, 2, as_json=as_json and words[0] != HOSTILE)


@pytest.fixture
def bundled(here: Path) -> Path:
    samples.write(here / "bundle")
    return here / "bundle"


@pytest.fixture
def folders(here: Path) -> Path:
    """Return a data set of class folders with a hostile name and hostile picture names."""
    found = samples.dataset()
    for row, (image, label, split) in enumerate(zip(found.images, found.labels, found.splits, strict=True)):
        folder = here / HOSTILE / ("train", "val", "test")[split] / found.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{row}{HOSTILE}.png")
    return here / HOSTILE


def _styled(done: Done) -> None:
    """Check terminal output: styles and progress bar resets, and no other control characters."""
    for written in (done.out, done.err):
        _harmless(console._MOVES.sub("", written.decode()).encode())


@pytest.mark.parametrize("terminal", [False, True], ids=["file", "terminal"])
def test_predict(here: Path, run: Run, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = samples.write(here / "bundle", labels=LABELS)
    (here / "in").mkdir()
    for name in (f"1{HOSTILE}.png", "=2.png", "-3.png"):
        Image.new("L", (48, 48), 36 * int(name.strip("=-")[0]) - 18).save(here / "in" / name)
    (here / "in" / f"4{HOSTILE}.png").write_text("no picture")
    (here / "in" / f"{HOSTILE}.txt").write_text("no picture")
    (here / "in" / HOSTILE).mkdir(mode=0)
    monkeypatch.chdir(here / "in")
    options = ("--bundle", made.path, "--faces", "never", "--csv", "../faces.csv", "--annotate", "../copies")
    done = run("predict", *options, "--", ".", "=2.png", "-3.png", terminal=terminal)
    if terminal:
        _styled(done)
        return
    _check(done, 2)
    assert rf"4{SHOWN}.png is not a supported picture".replace(" ", "") in _harmless(done.err).replace(" ", "")
    assert all(label in done.out.decode() for label in LABELS[:2])
    with (here / "faces.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header[11:18] == ["[red]", "[/nix]", "'=1+1", "-2", "'+sum(A1)", "'@me", "`|<b>x</b>"]
    assert {row[0] for row in rows} == {f"1{HOSTILE}.png", "'=2.png", "'-3.png", f"4{HOSTILE}.png"}
    assert all(float(figure) >= 0 for row in rows if row[1] != "0" for figure in row[10:18])


def test_predict_as_json_has_the_names_as_they_are(here: Path, run: Run, bundled: Path) -> None:
    Image.new("L", (48, 48), 90).save(here / f"{HOSTILE}.png")
    done = run("predict", ".", "--bundle", bundled, "--json")
    _check(done, 0, as_json=True)
    assert [each["file"] for each in json.loads(done.out)["pictures"]] == [f"{HOSTILE}.png"]


@pytest.mark.parametrize("as_json", [False, True], ids=["", "json"])
def test_data_info(folders: Path, run: Run, as_json: bool) -> None:
    _check(run("data", "info", folders, *["--json"] * as_json), 0, as_json=as_json, names=SHOWN)
    (folders / "train" / HOSTILE).mkdir()
    Image.new("L", (12, 12)).save(folders / "train" / HOSTILE / "a.png")
    _check(run("data", "info", folders, *["--json"] * as_json), 2, as_json=as_json)


def test_bench(here: Path, folders: Path, run: Run) -> None:
    samples.write(here / f"b{HOSTILE}")
    words = ("bench", f"b{HOSTILE}", "--data", folders, "--seconds", "0.1")
    _check(run(*words, "--out", f"out{HOSTILE}"), 0, names=rf"out{SHOWN}")
    _check(run(*words, "--json", "--out", "bench"), 0, as_json=True)
    _check(run("report", "bench", "--csv", f"{HOSTILE}.csv", "--html", f"{HOSTILE}.html"), 0, names=SHOWN)
    _check(run("report", "bench", "--markdown"), 0)
    projected = run("project", *words[1:4], "--device", "jetson")
    _check(projected, 0)


def test_compare(here: Path, run: Run, result: str) -> None:
    (here / f"{HOSTILE}.json").write_text(result)
    words = ("compare", f"{HOSTILE}.json", f"{HOSTILE}.json", "--fail-if", "latency.p50 > 9x")
    _check(run(*words), 0, names=SHOWN)
    _check(run(*words, "--markdown"), 0, names=SHOWN)
    _check(run(*words, "--json"), 0, as_json=True)
    _styled(run(*words, terminal=True))


def test_lint(here: Path, run: Run) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    scale = numpy_helper.from_array(np.array(0.1, np.float32), f"scale{HOSTILE}")
    zero = numpy_helper.from_array(np.array(5, np.int8), f"zero{HOSTILE}")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", scale.name, zero.name], [f"q{HOSTILE}"], name=HOSTILE),
        helper.make_node("DequantizeLinear", [f"q{HOSTILE}", scale.name, zero.name], ["y"], name=f"d{HOSTILE}"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [scale, zero])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), here / f"{HOSTILE}.onnx")
    _check(run("lint", f"{HOSTILE}.onnx", "--target", "tensorrt"), 1, names=SHOWN)
    _check(run("lint", f"{HOSTILE}.onnx", "--target", "tensorrt", "--json"), 1, as_json=True)


def test_train_review_ablate_and_compress(here: Path, folders: Path, run: Run) -> None:
    from edgefer import recipes

    small = ("model.args.widths=[8]", "model.args.blocks=[1]", "train.batch_size=32", "train.precision=fp32")
    settings = [word for each in small for word in ("--set", each)]
    ablations = '[[ablations]]\nname = "no-flip"\ncites = "[red]section[/nix]"\nset = ["augment.flip=0.0"]\n'
    Path(f"{HOSTILE}.toml").write_text(recipes.text("quickstart") + ablations)
    words = ("--data", folders, "--epochs", "1", "--threads", "1", *settings)
    trained = run("train", f"{HOSTILE}.toml", *words, "--out", f"t{HOSTILE}")
    _check(trained, 0, names=rf"t{SHOWN}")
    _check(run("review", f"t{HOSTILE}", "--data", folders), 0, names=rf"t{SHOWN}")
    _check(run("ablate", f"{HOSTILE}.toml", *words, "--out", f"a{HOSTILE}"), 0, names=rf"a{SHOWN}")
    page = Path(f"t{HOSTILE}", "run.html").read_text()
    _harmless(page.encode(), lines=False)  # a browser shows a line feed as a blank
    assert f"t{SHOWN}".replace("\\n", "\n") in page.replace(" ", "")
    words = ("--int8", "--ptq", "--data", folders, "--max-drop", "100", "--threads", "1")
    _check(run("compress", f"t{HOSTILE}", *words, "--out", f"c{HOSTILE}"), 0, names=rf"c{SHOWN}")
    built = run("build", f"c{HOSTILE}")
    _check(built, built.code)
    assert built.code in (0, 3)  # 3 if the builder is not installed


@pytest.mark.parametrize("words", ["doctor", "recipes", "recipes compact", "--version", "--help", "bench --help"])
def test_what_names_nothing(here: Path, run: Run, words: str) -> None:
    _check(run(*words.split()), 0)


def test_a_bug_is_reported_without_what_was_typed_doing_anything(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError(HOSTILE)

    monkeypatch.setattr(data, "find", broken)
    monkeypatch.setenv("EDGEFER_TRACEBACK", "1")
    done = run("data", "info", HOSTILE)
    assert done.code == 70
    assert done.out == b""
    _harmless(done.err, lines=False)  # a traceback has the lines that the error has


def test_what_other_libraries_print_passes_the_same_way() -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    print(HOSTILE, file=Guarded(out))
    Guarded(out).writelines(["\x1b]0;x\x07", "\n"])
    out.flush()
    written = out.buffer.getvalue().decode()
    assert "\x1b" not in written
    assert written.endswith("\\x1b]0;x\\x07\n")
