"""The same commands against a real OpenSSH sshd on loopback, a stand-in for the host behind its ForceCommand."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.openssh import SSHD, address_of, behind_real_sshds
from tests.e2e.support import Scenario

pytestmark = pytest.mark.skipif(SSHD is None, reason="no sshd on this machine: install openssh-server")


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab whose hosts are reached through real sshds."""
    with behind_real_sshds(tmp_path) as running:
        yield running


def test_the_main_job_over_a_real_sshd(scenario: Scenario) -> None:
    """Start, live migration, monitor, status and stop work over OpenSSH as they do over the lab's own server."""
    scenario.do(lambda world: world.storage.serve("ec1", on=True))
    started = scenario.run("ec1", "vm-start", "vm1")
    assert (0, "vm1 is running on ws2019-host-1\n") == (started.returncode, started.stdout), started.stderr
    moved = scenario.run("ec2", "vm-start", "vm1")
    assert (0, "vm1 is running on ws2019-host-2\n") == (moved.returncode, moved.stdout), moved.stderr

    watched = scenario.run("ec2", "genw-vm", "vm1")
    assert (0, "vm1 is running on ws2019-host-2\n") == (watched.returncode, watched.stdout), watched.stderr
    assert "Running" in scenario.run("ec1", "ecx-hyperv", "status").stdout
    stopped = scenario.run("ec1", "vm-unregister", "--yes", "vm1")
    assert 0 == stopped.returncode, stopped.stderr
    assert ["Starting", "Running", "Off"] == scenario.guest_states("vm1")


def test_trust_over_a_real_sshd(scenario: Scenario) -> None:
    """Trust fetches and pins what a real sshd shows."""
    known = scenario.lab.folder.node("ec1") / "known_hosts"
    known.unlink()
    assert 5 == scenario.run("ec1", "vm-start", "vm1").returncode
    assert 0 == scenario.run("ec1", "ecx-hyperv", "trust", "--yes").returncode

    assert 0 == scenario.run("ec1", "ecx-hyperv", "status").returncode


def test_the_check_over_a_real_sshd(scenario: Scenario) -> None:
    """All that the wire takes for granted holds over OpenSSH too, in both ways in; what sleeps is ended."""
    done = scenario.run("ec1", "ecx-hyperv", "check", "--idle", "1", "--json")
    findings = json.loads(done.stdout)["findings"]
    wire = {one["name"]: one["outcome"] for one in findings if one["name"].startswith("wire-")}
    assert {"ok"} == set(wire.values()), done.stdout
    assert {"wire-stdin", "wire-idle", "wire-end", "wire-deadman", "wire-reply"} <= set(wire)
    # Nobody has started the group.
    assert ["group"] == [one["name"] for one in findings if one["outcome"] != "ok"], done.stdout
    assert 0 == done.returncode


def test_a_command_that_is_not_ours_is_refused(scenario: Scenario) -> None:
    """The stand-in behind the forced command runs nothing but a launch of the agent."""
    key = scenario.lab.folder.node("ec1") / "id_ed25519"
    refused = subprocess.run(
        [
            *("ssh", "-p", str(scenario.lab.port), "-i", str(key), "-o", "StrictHostKeyChecking=no"),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", address_of("ec1", 1), "whoami"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert 9009 % 256 == refused.returncode % 256
    assert "is not recognized" in refused.stderr
