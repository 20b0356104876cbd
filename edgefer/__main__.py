"""`python -m edgefer` is `edgefer`."""

from edgefer.cli.main import run_command

run_command()
