"""The command line: one file per command; `main` registers them, `ending` maps errors to exit codes."""
