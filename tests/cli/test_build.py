"""`edgefer build` reports options that conflict."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from edgefer.cli.main import app


@pytest.mark.parametrize("option", [("--sm", "87"), ("--max-batch", "4")])
def test_what_is_for_other_gpus_is_refused_for_the_one_that_is_here(option: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["build", "edgefer-nano", "--device", "jetson", *option])

    assert done.exit_code == 2
    assert "--sm and --max-batch are for engines for other GPUs; omit them with --device" in done.stderr
