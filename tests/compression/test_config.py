"""Settings of a compression: defined once, the same on the command line, in Python and in the manifest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgefer.cli.from_config import given, with_options_of
from edgefer.cli.main import app
from edgefer.compression.config import CompressConfig
from edgefer.errors import InputError


def test_every_setting_is_an_option_with_its_help() -> None:
    said = " ".join(CliRunner().invoke(app, ["compress", "--help"]).output.split())
    for each in fields(CompressConfig):
        if "help" in each.metadata:
            assert f"--{each.name.replace('_', '-')} " in said
            assert each.metadata["help"] in said
    assert "--cpu " in said


def test_settings_come_back_from_json_as_they_were() -> None:
    config = CompressConfig(qat_lr=1e-4, ignore=("stem", "*.conv1"), activation="relu", half_range=True, seed=3)
    assert CompressConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"qat_epochs": 0}, "--qat-epochs is at least 1, not 0"),
        ({"qat_lr": 0.0}, "--qat-lr is at least 1e-09, not 0.0"),
        ({"require_speedup": -1.0}, "--require-speedup is at least 0"),
        ({"seed": -1}, "--seed is at least 0"),
        ({"seed": 1 << 63}, "--seed is under 2"),
        ({"activation": "gelu"}, "--activation is relu, not gelu"),
        ({"ptq": True, "activation": "relu"}, "omit --ptq"),
    ],
)
def test_a_setting_out_of_its_bounds_is_refused_in_python_too(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        CompressConfig(**settings)


def test_only_what_was_typed_is_given_and_zero_is_typed() -> None:
    @dataclass(frozen=True)
    class Config:
        often: float = field(default=0.5, metadata={"help": "how often", "at_least": 0, "metavar": None})
        names: tuple[str, ...] = field(default=(), metadata={"help": "which", "at_least": None, "metavar": "NAME"})
        loud: bool = field(default=False, metadata={"help": "aloud", "at_least": None, "metavar": None})

    heard: list[Config] = []
    shout = typer.Typer()

    @shout.command()
    @with_options_of(Config, after="word")
    def say(word: str, last: str = "end", **settings: Any) -> None:
        heard.append(Config(**given(settings)))
        assert (word, last, list(settings)) == ("hello", "end", ["often", "names", "loud"])

    for words in ([], ["--often", "0", "--names", "a", "--names", "b", "--loud"]):
        assert CliRunner().invoke(shout, ["hello", *words]).exit_code == 0
    assert heard == [Config(), Config(0.0, ("a", "b"), True)]
    assert CliRunner().invoke(shout, ["hello", "--often", "-1"]).exit_code == 2
