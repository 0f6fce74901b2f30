"""What holds for all tests."""

import os
import tempfile
from pathlib import Path

import pytest

from ecx_hyperv.lab.engine.modules import Engine, build
from tests.powershell import bound, engine
from tests.proof.counts import gather, in_lines
from tests.skips import NO_ENGINE, last_line


@pytest.fixture(scope="session")
def pwsh() -> str:
    """Find a PowerShell, or skip what needs it."""
    found = engine.find()
    if found is None:
        pytest.skip(NO_ENGINE)
    return found


@pytest.fixture(scope="session")
def standins(pwsh: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Build the modules of the stand-ins, and make a home folder for the PowerShells."""
    cache = request.config.cache
    assert cache is not None
    return Engine(pwsh, build(pwsh, cache.mkdir("standins")), tmp_path_factory.mktemp("home"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have each process begin with its part of the tests that wait for the clock, so that all end at the same time.

    With `--dist worksteal` each has one stretch of the tests; what is left of it others take.
    """
    waiting = [item for item in items if item.path.parent.name == "e2e"]
    waiting.sort(key=lambda item: item.path.name != "test_engine.py")
    others = [item for item in items if item.path.parent.name != "e2e"]
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = [one for at in range(count) for part in (waiting, others) for one in _stretch(part, at, count)]


def _stretch(items: list[pytest.Item], at: int, count: int) -> list[pytest.Item]:
    return items[at * len(items) // count : (at + 1) * len(items) // count]


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


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the marks that all processes of a run share."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="ecx-")
        config.add_cleanup(folder.cleanup)
        bound.begin(Path(folder.name))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Say last of all, below the counts, that the PowerShell was not run."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    line = last_line(str(one.longrepr) for one in reporter.stats.get("skipped", []))
    if line:
        config.get_terminal_writer().line(line, red=True)
