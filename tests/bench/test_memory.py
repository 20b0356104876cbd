"""Memory of a network in a separate process."""

from __future__ import annotations

import mmap
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgefer.bench.probes import memory
from edgefer.errors import InputError
from tests.helpers import samples

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident sets are read from /proc")

SHAPE = (1, samples.SIZE, samples.SIZE)
HEAVY = 48_000_000


def _heavy() -> bytes:
    """Return a network with 48 MB of weights."""
    pixels = samples.SIZE**2
    hidden = HEAVY // 4 // pixels
    random = np.random.default_rng(0)
    weights = {
        "first": random.normal(size=(pixels, hidden)).astype(np.float32),
        "second": random.normal(size=(hidden, 7)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("MatMul", ["flat", "first"], ["hidden"]),
            helper.make_node("MatMul", ["hidden", "second"], ["logits"]),
        ],
        "heavy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 7])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("light") / "light.onnx"
    path.write_bytes(samples.network())
    return path


def _measured(path: Path) -> memory.Memory:
    found = memory.of_network(path, SHAPE)
    assert found is not None
    return found


def test_a_network_s_weights_show_and_the_baseline_does_not_depend_on_them(light: Path, tmp_path: Path) -> None:
    (tmp_path / "heavy.onnx").write_bytes(_heavy())
    heavy, small = _measured(tmp_path / "heavy.onnx"), _measured(light)
    assert 0 < small.baseline < small.steady <= small.peak
    assert abs(heavy.baseline - small.baseline) < 10_000_000
    assert heavy.steady - small.steady > 0.9 * HEAVY
    assert heavy.peak >= heavy.steady


def test_what_this_process_holds_does_not_count(light: Path) -> None:
    before = _measured(light)
    held = np.ones(300_000_000, dtype=np.uint8)
    after = _measured(light)
    assert held.sum() == 300_000_000
    assert abs(after.peak - before.peak) < 20_000_000


def test_a_network_that_does_not_load_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(
        InputError, match=r"broken\.onnx: memory cannot be measured: .*broken\.onnx is truncated"
    ) as caught:
        memory.of_network(tmp_path / "broken.onnx", SHAPE)
    assert "\n" not in str(caught.value)


def test_modules_in_the_current_folder_are_not_imported(
    light: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    assert _measured(light).peak > 0


def test_a_system_without_proc_gives_none(light: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_STATUS", Path("/nowhere/status"))
    assert memory.of_network(light, SHAPE) is None


def test_memory_of_one_s_own_has_what_was_taken_and_no_mapped_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(50_000_000))
    before = memory.own()
    # Not from malloc: its heap may have that much free after earlier tests.
    held = mmap.mmap(-1, 50_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held.write(b"1" * 50_000_000)
    after = memory.own()
    mapped = np.memmap(tmp_path / "file", mode="r")
    assert int(mapped.sum()) + int(held[:1]) == 1
    assert 50_000_000 <= after - before < 55_000_000
    assert memory.own() - after < 5_000_000
