"""A pytest plugin: in CI, an unlisted skip fails the run, with any number of processes."""

from __future__ import annotations

import os
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Skips:
    """Records the skips that are not listed.

    Attributes:
        unlisted: the test and its reason.
    """

    def __init__(self, listed: Path) -> None:
        self._listed = tomllib.loads(listed.read_text(encoding="utf-8"))["skip"]
        self.unlisted: dict[str, None] = {}  # in order, without repeats

    # Reports of other processes arrive at these two, so test processes record nothing.
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        place = report.longrepr
        reason = place[2].removeprefix("Skipped: ") if isinstance(place, (list, tuple)) else report.longreprtext
        if not any(fnmatch(report.nodeid, skip["test"]) and fnmatch(reason, skip["reason"]) for skip in self._listed):
            self.unlisted[f"{report.nodeid}: {reason}"] = None

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unlisted and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unlisted:
            terminalreporter.section("skips that tests/skips.toml does not list: these fail CI")
            for line in self.unlisted:
                terminalreporter.line(line)
