"""What holds for all tests."""

import os

import pytest

from tests.proof.counts import gather, in_lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the proof counted, and which tests were skipped where none may be."""
    reports = terminalreporter.stats.get("passed", [])
    lines = in_lines(gather(one for report in reports for one in report.user_properties))
    if lines:
        terminalreporter.section("proof")
        for line in lines:
            terminalreporter.write_line(line)
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and os.environ.get("ECX_HYPERV_NO_SKIPS"):
        terminalreporter.write_line(f"{len(skipped)} tests were skipped, and none may be here", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a test was skipped where none may be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and os.environ.get("ECX_HYPERV_NO_SKIPS") and reporter.stats.get("skipped"):
        session.exitstatus = 1
