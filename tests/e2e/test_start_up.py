"""No command imports what it does not use: a monitor runs every minute, and a start while a guest is down."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points

import pytest

from tests.e2e.support import LIMIT_S, Scenario, running_lab

_ENTRIES = {
    entry.name: entry.value for entry in entry_points(group="console_scripts") if entry.value.startswith("ecx_hyperv.")
}
_HEAVY = {"paramiko", "cryptography", "rich.console", "structlog", "ecx_hyperv.lab.service.server", "asyncio"}


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a lab whose target ec1 serves, and whose monitors rest."""
    with running_lab(tmp_path_factory.mktemp("lab")) as running:
        running.lab.ecx.monitoring = False
        running.do(lambda world: world.storage.serve("ec1", on=True))
        yield running


def imported(scenario: Scenario, *command: str) -> set[str]:
    """Run a command on the lab as its launcher does, and return every module that it imported."""
    module, function = _ENTRIES[command[0]].split(":")
    launch = f"import sys; sys.argv = sys.argv[1:]; from {module} import {function}; {function}()"
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", "-c", launch, *command],
        env=scenario.lab.folder.environment("ec1"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip() for line in lines}


@pytest.mark.parametrize("command", _ENTRIES)
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_explaining_itself_needs_little(scenario: Scenario, command: str, option: str) -> None:
    """A command that only explains itself imports neither SSH nor tables nor the log."""
    assert set() == _HEAVY & imported(scenario, command, option)


@pytest.mark.parametrize(
    "command",
    [("config", "check"), ("maintenance", "list"), ("maintenance", "on", "vm1", "--dry-run")],
    ids=" ".join,
)
def test_what_stays_on_this_machine_needs_no_ssh(scenario: Scenario, command: tuple[str, ...]) -> None:
    """A command that asks no host imports no SSH and no tables."""
    assert set() == {"paramiko", "cryptography", "rich.console", "ecx_hyperv.lab.service.server"} & imported(
        scenario, "ecx-hyperv", *command
    )


@pytest.mark.parametrize(
    "command",
    [("vm-start", "vm1"), ("genw-vm", "vm1"), ("genw-remote-node",), ("vm-unregister", "--dry-run", "--yes", "vm1")],
    ids=" ".join,
)
def test_what_ecx_calls_needs_no_tables(scenario: Scenario, command: tuple[str, ...]) -> None:
    """What ECX calls imports SSH, and no tables: nobody sits at its terminal."""
    modules = imported(scenario, *command)

    assert set() == {"rich.console", "ecx_hyperv.lab.service.server", "ecx_hyperv.cli.main"} & modules
    assert "paramiko" in modules


def test_status_imports_tables_only_to_show_them(scenario: Scenario) -> None:
    """Status as JSON imports no tables; as tables it does."""
    assert "rich.console" not in imported(scenario, "ecx-hyperv", "status", "--json")
    assert "rich.console" in imported(scenario, "ecx-hyperv", "status")
