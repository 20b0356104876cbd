"""`python -m edgefer` is `edgefer`."""

from edgefer.cli.main import main

main()
