"""The Python API: its docstrings' examples work, and `import edgefer` is cheap."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

import edgefer
from edgefer.bench import from_paths
from edgefer.errors import InputError

EXAMPLES: dict[str, Any] = {
    "load": edgefer.load,
    "train": edgefer.train,
    "compress": edgefer.compress,
    "bench": from_paths.bench,
    "data.load": edgefer.data.load,
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_the_docstring_shows_is_what_it_does(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    (shown,) = doctest.DocTestFinder(recurse=False).find(EXAMPLES[name], name, globs={})
    assert shown.examples
    said: list[str] = []
    ran = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(shown, out=said.append)
    assert ran.failed == 0, "".join(said)


def test_each_function_is_documented_and_typed() -> None:
    for function in EXAMPLES.values():
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty
        assert "Raises:" in (function.__doc__ or "")
        for name, parameter in signature.parameters.items():
            assert parameter.annotation is not inspect.Parameter.empty
            assert f"        {name}: " in (function.__doc__ or "") or f"    {name}: " in (function.__doc__ or "")


def test_bench_is_called_and_is_the_package_too() -> None:
    importlib.import_module("edgefer.bench.measurement")
    with pytest.raises(InputError, match="nowhere"):
        edgefer.bench("nowhere")


def test_a_training_goes_on_in_the_folder_that_it_was_given(tmp_path: Path) -> None:
    faces = edgefer.data.builtin(train=64, val=21, test=21)
    small = ["train.batch_size=32", "model.args.widths=[8, 16]", "model.args.blocks=[1, 1]"]
    first = edgefer.train("quickstart", faces, tmp_path / "run", settings=small, epochs=1)
    again = edgefer.train("quickstart", faces, tmp_path / "run", settings=small, epochs=1)
    assert again.history == first.history
    with pytest.raises(InputError, match="other settings"):
        edgefer.train("quickstart", faces, tmp_path / "run", settings=small, epochs=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(InputError, match="is not empty"):
        edgefer.train("quickstart", faces, tmp_path / "mine", settings=small)
