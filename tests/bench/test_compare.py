"""`edgefer compare`: what is compared, what is refused, and how scripts detect a regression."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from edgefer import bundle, console
from edgefer.bench.figures import figures_of
from edgefer.bench.measurement import bench
from edgefer.bench.result import BenchResult
from edgefer.bench.result_file import read
from edgefer.cli.main import app
from edgefer.compare import conditions
from edgefer.compare.conditions import Condition, parse
from edgefer.compare.pairs import Compared, NamedResult, compare, difference
from edgefer.errors import InputError
from edgefer.evaluation.metrics import wilson
from edgefer.evaluation.timing import Interval
from edgefer.labels import LABELS
from tests.helpers import samples

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a real result as JSON."""
    made = samples.write(tmp_path_factory.mktemp("bundles") / "made")
    result: dict[str, Any] = bench([made], samples.dataset(), seconds=0.05).model_dump(mode="json")
    return result


@pytest.fixture
def place(measured: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes the result into this folder, with a change."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, edit: Edit = lambda raw: None) -> Path:
        raw = json.loads(json.dumps(measured))
        edit(raw)
        path = Path(name)
        path.write_text(json.dumps(raw), encoding="utf-8")
        return path

    return write


def type_in(*arguments: str | Path, **settings: str) -> Result:
    try:
        return CliRunner(env=settings).invoke(app, ["compare", *map(str, arguments)])
    finally:
        console.enable(False)


def network(raw: dict[str, Any], name: str = "int8-cpu") -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in raw["networks"] if entry["network"] == name)
    return found


def slower(factor: float, name: str = "int8-cpu") -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        latency = network(raw, name)["latency"]
        for key in ("p50", "p50_low", "p50_high", "p90", "p95", "p99", "mean", "fastest", "slowest"):
            latency[key] = latency[key] and latency[key] * factor

    return edit


def changed(*path: str | int, to: Any) -> Edit:
    """Return an edit that sets the value at a path."""

    def edit(raw: Any) -> None:
        for step in path[:-1]:
            raw = raw[step]
        raw[path[-1]] = to

    return edit


def new_file(name: str) -> Edit:
    return lambda raw: network(raw, name).update(sha256="0" * 64)


def steady(raw: dict[str, Any]) -> None:
    """Give the networks intervals of 1.7 % either way."""
    for entry in raw["networks"]:
        latency = entry["latency"]
        latency |= {"p50_low": latency["p50"] / 1.017, "p50_high": latency["p50"] * 1.017}


def known(raw: dict[str, Any]) -> None:
    """Give the networks intervals of 1 % either way."""
    for entry in raw["networks"]:
        latency = entry["latency"]
        latency |= {"p50_low": latency["p50"] / 1.01, "p50_high": latency["p50"] * 1.01}


def both(*edits: Edit) -> Edit:
    def edit(raw: dict[str, Any]) -> None:
        for each in edits:
            each(raw)

    return edit


def held(a: Path, b: Path, *texts: str, **options: bool) -> Compared:
    return compare(NamedResult(a, read(a)), NamedResult(b, read(b)), [parse(text) for text in texts], **options)


def test_a_result_is_what_was_written_or_printed_or_the_folder_of_it(
    place: Callable[..., Path], measured: dict[str, Any]
) -> None:
    alone = place("a.json")
    printed = place("b.json", lambda raw: raw.update(command="bench", result="x/result.json", report="x/report.html"))
    Path("run").mkdir()
    place("run/result.json")
    expected = BenchResult.model_validate(measured)
    assert read(alone) == read(printed) == read(Path("run")) == expected


def test_a_result_beside_itself_has_not_changed(place: Callable[..., Path]) -> None:
    compared = held(place("a.json"), place("b.json"))
    assert [each.network for each in compared.networks] == ["fp32", "int8-cpu"]
    for each in compared.networks:
        assert each.same_file
        for change in each.changes:
            assert change.a == change.b
            assert change.ratio in (1, None)
            assert not change.may_be_noise
    assert [*compared.only_in_a, *compared.only_in_b, *compared.software, *compared.differences] == []


def test_the_change_of_every_figure_is_there(place: Callable[..., Path]) -> None:
    a = place("a.json")
    b = place("b.json", both(slower(2), lambda raw: network(raw).update(file_bytes=3 * network(raw)["file_bytes"])))
    changes = {each.metric: each for each in held(a, b).networks[1].changes}
    assert list(changes) == list(figures_of(read(a).networks[1]))
    assert changes["latency.p50"].ratio == pytest.approx(2)
    assert changes["latency.p99"].ratio == pytest.approx(2)
    assert changes["file_bytes"].ratio == 3
    assert changes["per_class.fear.recall"].a == 0
    assert changes["per_class.fear.recall"].ratio is None


def test_newcombe_s_example_has_newcombe_s_interval() -> None:
    # Table II of the paper: 56/70 - 48/80, method 10.
    found = difference(Interval(48 / 80, *wilson(48, 80)), Interval(56 / 70, *wilson(56, 70)))
    assert (found.estimate, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_an_accuracy_s_change_is_held_against_both_intervals_and_said_to_be_unpaired(
    place: Callable[..., Path],
) -> None:
    def lost(raw: dict[str, Any]) -> None:
        network(raw, "fp32")["quality"] |= {"accuracy": 0.5, "low": 0.386, "high": 0.614}

    compared = held(place("a.json"), place("b.json", lost))
    (change,) = [each for each in compared.networks[0].changes if each.metric == "quality.accuracy"]
    assert change.interval is not None
    assert change.interval_of == "difference"
    assert change.interval.low < -0.5 < change.interval.high < 0
    assert change.may_be_noise is False
    assert any("does not record which were right" in note for note in compared.notes)


def test_a_small_change_of_the_median_may_be_noise_and_a_large_one_is_not(place: Callable[..., Path]) -> None:
    # Two independent intervals of 1.7 %: sqrt(2) times that is 2.4 %.
    a = place("a.json", steady)
    for factor, within in ((1.023, True), (1.025, False), (0.977, True), (0.975, False)):
        compared = held(a, place("b.json", both(steady, slower(factor), new_file("int8-cpu"))))
        (change,) = [each for each in compared.networks[1].changes if each.metric == "latency.p50"]
        assert change.may_be_noise is within, factor
    others = [each for each in compared.networks[1].changes if each.metric in ("latency.p99", "quality.macro_f1")]
    assert [each.interval for each in others] == [None, None]
    assert "proves nothing" in " ".join(compared.notes)


def test_the_interval_of_a_median_decides_what_is_noise(place: Callable[..., Path]) -> None:
    # 1 % on each side: the square root of 2 is 1.41 % for both.
    a = place("a.json", known)
    for factor, noise in ((1.0135, True), (1.015, False)):
        compared = held(a, place("b.json", both(known, slower(factor), new_file("int8-cpu"))))
        (change,) = [each for each in compared.networks[1].changes if each.metric == "latency.p50"]
        assert change.may_be_noise is noise, factor


def test_a_network_whose_file_is_the_same_says_how_far_runs_are_apart(place: Callable[..., Path]) -> None:
    b = place("b.json", slower(1.1, "fp32"))
    notes = " ".join(held(place("a.json"), b).notes)
    assert "fp32 is the same file on the same runtime in both: its p50 at 1.10x" in notes
    other = place("b.json", both(slower(1.1, "fp32"), new_file("fp32"), new_file("int8-cpu")))
    compared = held(place("a.json"), other)
    assert "comes from machine and run" not in " ".join(compared.notes)
    assert "run-to-run variation is unknown" in " ".join(compared.notes)
    assert not compared.networks[0].same_file
    assert compared.networks[1].beside is None


def test_what_changed_no_more_than_a_network_that_is_the_same_may_be_noise(place: Callable[..., Path]) -> None:
    a = place("a.json", known)
    for factor, noise in ((1.2, True), (1 / 1.2, True), (1.3, False)):
        b = place("b.json", both(known, slower(1.25, "fp32"), slower(factor), new_file("int8-cpu")))
        same, new = held(a, b).networks
        marks = [each.may_be_noise for side in (same, new) for each in side.changes if each.metric == "latency.p50"]
        assert marks == [True, noise], factor


def test_what_slowed_the_machine_is_told_from_what_slowed_the_network(place: Callable[..., Path]) -> None:
    a = place("a.json", changed("comparisons", 0, "latency", to={"estimate": 0.5, "low": 0.49, "high": 0.51}))
    b = place("b.json", changed("comparisons", 0, "latency", to={"estimate": 0.6, "low": 0.59, "high": 0.61}))
    beside = held(a, b).networks[1].beside
    assert beside is not None
    assert beside.network == "fp32"
    assert beside.latency.estimate == pytest.approx(1.2)
    assert 0.59 / 0.51 < beside.latency.low < 1.2 < beside.latency.high < 0.61 / 0.49


def test_networks_are_matched_by_name_where_there_is_one_bundle_each(place: Callable[..., Path]) -> None:
    def renamed(raw: dict[str, Any]) -> None:
        raw["bundles"][0]["title"] = "other"
        for each in (*raw["networks"], *raw["comparisons"], *raw["recommendations"]):
            each["bundle"] = "other"

    def without_fp32(raw: dict[str, Any]) -> None:
        raw["networks"] = [network(raw)]

    compared = held(place("a.json"), place("b.json", both(renamed, without_fp32)))
    assert [each.network for each in compared.networks] == ["int8-cpu"]
    assert compared.only_in_a == ["fp32"]


def test_networks_of_several_bundles_are_matched_by_both_names(place: Callable[..., Path]) -> None:
    def twice(raw: dict[str, Any]) -> None:
        raw["bundles"].append({**raw["bundles"][0], "title": "other"})
        for name in ("networks", "comparisons", "recommendations"):
            raw[name] += [{**each, "bundle": "other"} for each in raw[name]]

    several = place("b.json", twice)
    compared = held(place("a.json"), several)
    assert [each.network for each in compared.networks] == ["grey fp32", "grey int8-cpu"]
    assert compared.only_in_b == ["other fp32", "other int8-cpu"]
    judged = held(several, several, "int8-cpu: file_bytes > 1", "other fp32: file_bytes > 1").conditions
    assert [each.network for each in judged] == ["grey int8-cpu", "other int8-cpu", "other fp32"]


def test_a_network_that_is_gone_does_not_pass_a_gate(place: Callable[..., Path]) -> None:
    def without_int8(raw: dict[str, Any]) -> None:
        raw["networks"] = [network(raw, "fp32")]
        raw["comparisons"], raw["recommendations"] = [], []

    place("a.json")
    place("b.json", without_int8)
    for condition in ("latency.p50 > 2x", "int8-cpu: latency.p50 > 2x"):
        done = type_in("a.json", "b.json", "--fail-if", condition)
        assert (done.exit_code, "the new result has no network int8-cpu" in done.stderr) == (2, True)
    assert (
        "name the networks it applies to: 'fp32: latency.p50 > 2x'"
        in type_in("a.json", "b.json", "--fail-if", "latency.p50 > 2x").stderr
    )
    assert type_in("a.json", "b.json", "--fail-if", "fp32: latency.p50 > 2x").exit_code == 0
    assert type_in("a.json", "b.json").exit_code == 0  # no gate: only_in_a reports it


def test_results_without_a_network_in_common_are_refused(place: Callable[..., Path]) -> None:
    def renamed(raw: dict[str, Any]) -> None:
        for number, each in enumerate(raw["networks"]):
            each["network"] = f"n{number}"

    with pytest.raises(InputError, match=r"no network in common: fp32, int8-cpu; and n0, n1"):
        held(place("a.json"), place("b.json", renamed))


JETSON = {
    "model": "NVIDIA Jetson Orin Nano Developer Kit",
    "linux": "36.4.3",
    "jetpack": "6.2",
    "power_mode": "15W",
    "clocks_locked": True,
    "temperatures": {"cpu": 50.0},
    "watts": {"VDD_IN": 5.0},
    "throttled": 0,
}
CARD = {"name": "RTX", "driver": "570", "temperature": 40.0, "clock": 1000.0, "max_clock": 2000.0}
CARD |= {"watts": 20.0, "max_watts": 115.0, "throttled": False}
GPU = {
    "bus": "0000:00:00.0",
    "name": "Orin",
    "compute": "87",
    "cuda": "12.6",
    "memory": 8 << 30,
    "integrated": True,
    "layer": "pycuda",
}


def test_a_card_with_another_power_limit_is_another_machine(place: Callable[..., Path]) -> None:
    a = place("a.json", changed("conditions", "gpu_before", to=CARD))
    b = place("b.json", changed("conditions", "gpu_before", to={**CARD, "max_watts": 80.0}))
    done = type_in(a, b)
    assert done.exit_code == 2
    assert "hardware: power limit 115" in done.stderr


def test_a_machine_that_was_busy_is_noted(place: Callable[..., Path]) -> None:
    a = place("a.json", changed("conditions", "load_before", to=900.0))
    done = type_in(a, place("b.json"), COLUMNS="200")
    assert done.exit_code == 0, done.output
    assert "note: A was measured with 900.0 processes running on" in done.stdout


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (changed("protocol", "threads", to=2), "protocol: threads 1 and 2"),
        (changed("protocol", "min_seconds", to=3.0), "protocol: min_seconds 0.05 and 3"),
        (changed("device", to="rtx"), "device: device cpu and rtx"),
        (changed("machine", "cpu", to="i7"), "hardware: cpu"),
        (changed("machine", "cores", to=64), "hardware: cores"),
        (changed("machine", "architecture", to="riscv"), "hardware: architecture"),
        (changed("machine", "flags", to=["avx2"]), "hardware: instructions"),
        (changed("gpu", to=GPU), "hardware: GPU unknown and Orin"),
        (changed("conditions", "jetson_before", to=JETSON), "hardware: Jetson unknown and NVIDIA Jetson Orin Nano"),
        (changed("conditions", "gpu_before", to=CARD), "hardware: GPU unknown and RTX"),
        (changed("data", "digest", to="e" * 64), "data: digest dddddd"),
        (changed("data", "split", to="val"), "data: split test and val"),
        (changed("data", "images", to=71), "data: images 70 and 71"),
        (changed("data", "classes", to=list(LABELS[::-1])), "data: classes angry"),
    ],
)
def test_what_is_not_to_be_compared_is_refused_unless_it_is_asked_for(
    place: Callable[..., Path], edit: Edit, said: str
) -> None:
    a, b = place("a.json"), place("b.json", edit)
    done = type_in(a, b)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "--allow-different compares them anyway" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    allowed = type_in(a, b, "--allow-different", COLUMNS="200")
    assert allowed.exit_code == 0, allowed.output
    assert allowed.stdout.startswith(f"warning: A and B differ in {said}")
    told = json.loads(type_in(a, b, "--allow-different", "--json").stdout)
    assert told["differences"]
    assert "Not comparable, compared anyway" in type_in(a, b, "--allow-different", "--markdown").stdout


@pytest.mark.parametrize(("name", "value"), [("power_mode", "MAXN"), ("clocks_locked", False), ("model", "Nano")])
def test_a_jetson_s_mode_and_clocks_are_hardware(place: Callable[..., Path], name: str, value: object) -> None:
    a = place("a.json", changed("conditions", "jetson_before", to=JETSON))
    b = place("b.json", changed("conditions", "jetson_before", to={**JETSON, name: value}))
    with pytest.raises(InputError, match="they differ in hardware"):
        held(a, b)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (changed("machine", "versions", "onnxruntime", to="9.9"), "onnxruntime"),
        (changed("machine", "versions", "edgefer", to="9.9"), "edgefer"),
        (changed("machine", "kernel", to="9.9"), "kernel"),
        (changed("conditions", "load_before", to=0.0), None),
        (changed("machine", "memory_bytes", to=1 << 30), None),
        (changed("data", "origin", to="elsewhere.zip"), None),
        (changed("host", to="me@there"), None),
    ],
)
def test_versions_are_noted_and_what_a_bench_happened_upon_is_no_difference(
    place: Callable[..., Path], edit: Edit, said: str | None
) -> None:
    compared = held(place("a.json"), place("b.json", edit))
    assert compared.differences == []
    assert [each.name for each in compared.software] == ([said] if said else [])


def test_a_reference_that_is_the_newer_one_is_noted(place: Callable[..., Path]) -> None:
    b = place("b.json", changed("created", to="2001-01-01T00:00:00+00:00"))
    assert "B is older than A" in held(place("a.json"), b).notes[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not valid JSON"),
        (b"[1]", "is not a result of edgefer bench"),
        (b"{}", "is not a result of edgefer bench"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"kind": "edgefer bench", "format": NaN}', "not valid JSON"),
        (b'{"kind": "edgefer bench", "format": 2}', "is not a result of this edgefer"),
        (b'{"kind": "edgefer bench", "format": 3}', "has format 3, this edgefer reads 2"),
        (b'{"kind": "edgefer bench", "format": 2, "x": 1e999}', "out of range"),
        (b'{"kind": "edgefer bench", "format": 2, "x": 1' + b"0" * 400 + b"}", "out of range"),
        (b'{"kind": "edgefer projection", "format": 2}', "it contains no measurement"),
        (b'{"error": "no \\u001b[31mGPU", "exit_code": 3}', r"has an error instead of a result: no \x1b[31mGPU"),
    ],
)
def test_a_file_that_is_no_result_is_refused_in_one_line(place: Callable[..., Path], content: bytes, said: str) -> None:
    a = place("a.json")
    Path("b.json").write_bytes(content)
    done = type_in(a, "b.json")
    assert done.exit_code == 2
    assert said in done.stderr
    assert "b.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_file_cut_short_anywhere_is_refused(place: Callable[..., Path]) -> None:
    whole = place("a.json").read_bytes()
    for end in range(0, len(whole) - 1, len(whole) // 40):
        Path("b.json").write_bytes(whole[:end])
        with pytest.raises(InputError, match=r"b\.json is not valid JSON"):
            read(Path("b.json"))


def test_what_is_not_there_or_no_file_or_too_large_is_refused(
    place: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="nowhere is not there"):
        read(Path("nowhere"))
    Path("empty").mkdir()
    with pytest.raises(InputError, match=r"empty/result\.json is not there"):
        read(Path("empty"))
    Path("empty/projection.json").write_text("{}")
    with pytest.raises(InputError, match="it contains no measurement"):
        read(Path("empty"))
    os.mkfifo("pipe")
    with pytest.raises(InputError, match="not a regular file"):
        read(Path("pipe"))
    with Path("huge").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(InputError, match="huge is larger than"):
        read(Path("huge"))


@pytest.mark.parametrize(
    "edit",
    [
        changed("networks", to=[]),
        lambda raw: raw["networks"].append(raw["networks"][0]),
        changed("networks", 0, "bundle", to="other"),
        changed("networks", 0, "latency", "p50", to=0.0),
        changed("networks", 0, "latency", "p50", to="1"),
        changed("networks", 0, "latency", "p50", to=-1.0),
        changed("networks", 0, "latency", "coefficient_of_variation", to=-1.0),
        changed("networks", 0, "latency", "samples", to=0),
        changed("networks", 0, "file_bytes", to=0),
        changed("networks", 0, "memory", to={"baseline": 1, "steady": 1, "peak": 0}),
        changed("networks", 0, "quality", "accuracy", to=1.5),
        changed("networks", 0, "quality", "low", to=2.0),
        changed("networks", 0, "quality", "unheard of", to=1),
    ],
)
def test_figures_that_no_bench_writes_are_refused(place: Callable[..., Path], edit: Edit) -> None:
    with pytest.raises(InputError, match=r"b\.json"):
        read(place("b.json", edit))


def test_texts_of_a_stranger_reach_neither_terminal_nor_pull_request(place: Callable[..., Path]) -> None:
    name = "\x1b[31m](http://x) |`<img src=x> @everyone [red]"

    def hostile(raw: dict[str, Any]) -> None:
        raw["networks"][0]["network"] = name
        raw["machine"] |= {"cpu": name}

    a = place("a.json", hostile)
    for option in ((), ("--markdown",), ("--json",)):
        done = type_in(a, a, *option, COLUMNS="200")
        assert done.exit_code == 0, done.output
        assert "\x1b" not in done.stdout
    markdown = type_in(a, a, "--markdown").stdout
    for line in markdown.splitlines():
        outside = "".join(line.split("`")[::2])  # the part that is no code
        if not line.startswith(("note:", "    ")):
            assert not {"@", "[red]"} & set(outside.split())
            assert "<img" not in outside
    assert "```" in markdown
    assert "`" not in markdown.split("```")[1].removeprefix("text")


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text("abz09_ #.-é", min_size=1, max_size=20).map(lambda text: f"a{text}z")


@st.composite
def valid(draw: st.DrawFn) -> Condition:
    unit = draw(st.sampled_from(["x", "%", "points", ""]))
    metric = draw(st.sampled_from(["quality.accuracy", "per_class.fear.f1"])) if unit == "points" else draw(NAMES)
    bound = draw(NUMBERS) if unit in ("%", "points") else abs(draw(NUMBERS))
    return Condition(draw(st.none() | NAMES), metric, draw(st.sampled_from(["<", "<=", ">", ">="])), bound, unit)


@given(valid())
def test_a_condition_survives_being_written_and_read(condition: Condition) -> None:
    assert parse(str(condition)) == condition


@given(
    st.text()
    | st.lists(
        st.sampled_from(["latency.p50", "quality.accuracy", ":", " ", "<", ">=", "1", "-0.5", "1e999", "nan", "x", "%"])
    ).map("".join)
)
def test_any_text_is_a_condition_or_an_error_of_one_line(text: str) -> None:
    try:
        found = parse(text)
    except InputError as error:
        said = str(error)
    else:
        said = str(found)
        assert parse(said) == found
    assert said.isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a condition; write METRIC OPERATOR NUMBER"),
        ("latency.p50", "is not a condition"),
        ("latency.p50 > nan", "is not a condition"),
        ("latency.p50 > infx", "is not a condition"),
        ("latency.p50 > 1e999x", "out of range"),
        ("latency.p50 == 1x", "is not a condition"),
        ("latency.p50 > 1,05x", "is not a condition"),
        ("latency.p50 > 1x or True", "is not a condition"),
        ("latency.p50 > 1 > 2", "is not a condition"),
        (": latency.p50 > 1x", "is not a condition"),
        ("x" * 1000 + " > 1", "is not a condition"),
        ("latency.p50 > 1points", "points are for shares"),
        ("quality.images > 1points", "points are for shares"),
        ("quality.accuracy < -0.5%", "use points"),
        ("quality.accuracy < -0.5", "never below 0"),
        ("latency.p50 < -1x", "never below 0"),
        ("quality.accuracy < 65", "is a share from 0 to 1"),
        ("latency.p5 > 1.05x", "unknown metric; did you mean latency.p95? Metrics: file_bytes, quality."),
        ("sha256 > 1", "unknown metric"),
        ("latency.__class__ > 1", "unknown metric"),
        ("int4: latency.p50 > 1.05x", "neither has a network int4; they share fp32, int8-cpu"),
        (
            "energy.rails.VDD_IN.joules > 1.1x",
            "cannot be decided: energy.rails.VDD_IN.joules of fp32 is not in A and B",
        ),
        ("per_class.fear.recall < 0.9x", "cannot be decided: per_class.fear.recall of int8-cpu is 0 in A"),
    ],
)
def test_a_condition_that_cannot_be_decided_is_an_error(place: Callable[..., Path], text: str, said: str) -> None:
    place("a.json")
    done = type_in("a.json", "a.json", "--fail-if", text)
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("side", ["a.json", "b.json"])
def test_a_figure_that_one_result_lacks_does_not_pass(place: Callable[..., Path], side: str) -> None:
    place("a.json")
    place("b.json")
    place(side, changed("networks", 0, "memory", to=None))
    done = type_in("a.json", "b.json", "--fail-if", "memory.peak > 1.1x")
    assert done.exit_code == 2
    assert f"memory.peak of fp32 is not in {side[0].upper()}" in done.stderr
    assert type_in("a.json", "b.json").exit_code == 0


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("latency.p50 > 1.05x", True),
        ("int8-cpu: latency.p50 > 1.05x", True),
        ("fp32: latency.p50 > 1.05x", False),
        ("latency.p50 > 1.15x", False),
        ("latency.p50 > 5%", True),
        ("latency.p50 > 15 %", False),
        ("int8-cpu:latency.p50>=1.1x", True),
        ("int8-cpu: latency.p50 > 1.1x", False),
        ("int8-cpu: quality.accuracy < -0.5points", False),
        ("int8-cpu: quality.accuracy <= -0.5 points", True),
        ("int8-cpu: quality.accuracy < -0.4points", True),
        ("int8-cpu: quality.accuracy < 0.645", False),
        ("int8-cpu: quality.accuracy < 0.65", True),
        ("file_bytes > 1000000", False),
        ("file_bytes > 100", True),
        ("file_bytes > 1x", False),
        ("per_class.happy.recall < -1points", False),
    ],
)
def test_conditions_mean_what_they_say(place: Callable[..., Path], text: str, holds: bool) -> None:
    def share(accuracy: float) -> Edit:
        return lambda raw: network(raw)["quality"].update(accuracy=accuracy, low=0.6, high=0.7)

    place("a.json", share(0.65))
    place("b.json", both(share(0.645), slower(1.1)))
    done = type_in("a.json", "b.json", "--fail-if", text)
    assert done.exit_code == int(holds), done.output
    assert ("holds" in done.stderr) is holds


def test_the_first_condition_that_holds_is_named_and_the_others_counted(place: Callable[..., Path]) -> None:
    place("a.json", steady)
    place("b.json", both(steady, slower(1.5), new_file("int8-cpu")))
    asked = ["--fail-if", "file_bytes > 2x", "--fail-if", "int8-cpu: latency.p50 > 1.05x"]
    asked += ["--fail-if", "latency.p99 > 1.05x", "--fail-if", "file_bytes > 1"]
    done = type_in("a.json", "b.json", *asked)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("edgefer: int8-cpu: latency.p50 > 1.05x holds: ")
    assert line.endswith("1.5x; 3 more hold")
    assert "failed: 4 of 7 conditions met" in done.stdout
    told = type_in("a.json", "b.json", *asked, "--json")
    assert told.exit_code == 1
    assert told.stderr == done.stderr
    said = json.loads(told.stdout)  # exactly one object
    assert (said["command"], said["exit_code"]) == ("compare", 1)
    assert said["error"] in line
    assert [each["met"] for each in said["conditions"]] == [False, False, True, False, True, True, True]


def test_a_condition_that_noise_alone_can_meet_says_so(place: Callable[..., Path]) -> None:
    place("a.json", steady)
    place("b.json", both(steady, slower(1.01)))
    done = type_in("a.json", "b.json", "--fail-if", "latency.p50 > 1.005x")
    assert done.exit_code == 1
    assert "1.01x, which may be noise" in done.stderr


def test_json_has_the_schema_and_passes_without_an_error(place: Callable[..., Path]) -> None:
    place("a.json")
    done = type_in("a.json", "a.json", "--fail-if", "latency.p50 > 1.05x", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said.pop("command") == "compare"
    assert not {"error", "exit_code"} & set(said)
    compared = Compared.model_validate_json(json.dumps(said))
    assert compared == held(Path("a.json"), Path("a.json"), "latency.p50 > 1.05x")


def rails(joules: float) -> Edit:
    rail = {"idle_watts": 1.0, "watts": 5.0, "joules": joules}
    energy = {
        "rails": {"VDD_IN": rail, "odd.|rail": rail},
        "seconds": 3.0,
        "inferences": 100,
        "readings": 99,
        "sensor": "INA3221",
    }
    return changed("networks", 1, "energy", to=energy)


def test_the_table_fits_80_columns_and_has_the_figures(place: Callable[..., Path]) -> None:
    place("a.json", both(rails(0.001), steady))
    place("b.json", both(rails(0.002), steady, slower(1.25)))
    done = type_in("a.json", "b.json", COLUMNS="80")
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    p50 = next(line for line in done.stdout.partition("int8-cpu")[2].splitlines() if line.startswith("p50"))
    assert "1.25x" in p50
    assert "synthetic faces" in done.stdout
    assert "VDD_IN, mJ" in done.stdout
    assert "2.00x" in done.stdout
    wide = type_in("a.json", "b.json", COLUMNS="200").stdout
    assert "1.000" in next(line for line in wide.splitlines() if line.startswith("VDD_IN, mJ"))
    judged = type_in("a.json", "b.json", "--fail-if", "int8-cpu: energy.rails.VDD_IN.joules > 1.5x")
    assert judged.exit_code == 1


def test_markdown_is_a_table_of_six_columns(place: Callable[..., Path]) -> None:
    place("a.json", both(rails(0.001), steady))
    place("b.json", both(rails(0.002), steady, slower(1.25)))
    done = type_in("a.json", "b.json", "--markdown", "--fail-if", "latency.p50 > 1.2x")
    assert done.exit_code == 1
    rows = [line.replace(r"\|", "") for line in done.stdout.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {7}
    assert any("`int8-cpu`" in row and "1.25x" in row for row in rows)
    assert "**Failed: 1 of 2 conditions met.**" in done.stdout
    assert "(synthetic faces)" in done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.json", "a.json", "--json", "--markdown"], "choose one"),
        (["a.json", "nowhere.json"], "nowhere.json is not there"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(
    place: Callable[..., Path], arguments: list[str], said: str
) -> None:
    place("a.json")
    done = type_in(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr
    assert bool(done.stdout) is ("--json" in arguments)


def test_an_error_is_json_too_where_json_is_asked_for(place: Callable[..., Path]) -> None:
    place("a.json")
    done = type_in("a.json", "a.json", "--fail-if", "x > 1", "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_a_quotient_that_says_nothing_is_none() -> None:
    assert conditions.ratio(0, 1) is None
    assert conditions.ratio(5e-324, 1e300) is None
    assert conditions.ratio(2, 1) == 0.5


def test_results_of_two_real_benches_are_compared(place: Callable[..., Path], tmp_path: Path) -> None:
    parts = {
        **samples.parts(),
        "int8-cpu": bundle.NetworkFile("int8-cpu.onnx", samples.network(blind=3), "int8", "cpu"),
    }
    other = bundle.write(tmp_path / "other", samples.description(name="renamed"), parts)
    Path("b.json").write_text(bench([other], samples.dataset(), seconds=0.05).model_dump_json(indent=1))
    compared = held(place("a.json"), Path("b.json"))
    assert [(each.network, each.same_file) for each in compared.networks] == [("fp32", True), ("int8-cpu", False)]
    assert compared.networks[1].beside is not None
    changes = {each.metric: each for each in compared.networks[1].changes}
    assert changes["per_class.fear.recall"].difference == 1
    assert changes["per_class.happy.recall"].difference == -1


def test_what_only_one_of_two_results_measured_beside_the_rest_does_not_forbid_to_compare_the_rest(
    place: Callable[..., Path],
) -> None:
    new = place("new.json", changed("protocol", "energy_seconds", to=3.0))
    old = place("old.json", changed("protocol", "with_preprocessing_seconds", to=None))
    done = type_in(old, new)
    assert done.exit_code == 0, done.output
    assert "p50 from pixels" in done.stdout
    other = place("other.json", changed("protocol", "with_preprocessing_seconds", to=9.0))
    assert "with_preprocessing_seconds" in type_in(new, other).stderr
