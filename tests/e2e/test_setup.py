"""ecx-hyperv setup ssh against the lab's SSH servers: from no pinned key to a login that works, and once more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import Scenario, running_lab


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab that is running."""
    with running_lab(tmp_path) as running:
        yield running


def test_setup_ssh_pins_once(scenario: Scenario) -> None:
    """Keys that are new are pinned, with which the hosts are reached; a second run asks nothing and changes nothing."""
    folder = scenario.lab.folder.node("ec1")
    (folder / "known_hosts").unlink()
    assert 4 <= scenario.run("ec1", "ecx-hyperv", "status").returncode <= 5
    first = scenario.run("ec1", "ecx-hyperv", "setup", "ssh", "--yes")
    assert 0 == first.returncode, first.stderr
    assert 0 == scenario.run("ec1", "ecx-hyperv", "status").returncode
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    # Without --yes: nobody is there to answer, and nothing is left to ask.
    second = scenario.run("ec1", "ecx-hyperv", "setup", "ssh")
    assert 0 == second.returncode, second.stderr
    assert f"all pinned already in {folder / 'known_hosts'}" in second.stdout
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
