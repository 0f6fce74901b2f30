"""The same commands against a real OpenSSH sshd on loopback, a stand-in for the host behind its ForceCommand."""

import getpass
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecx_hyperv.lab import files
from tests.e2e.support import ONE, TWO, Scenario, running_lab

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(SSHD is None, reason="no sshd on this machine: install openssh-server")

_CONFIG = """\
Port {port}
ListenAddress {address}
HostKey {host_key}
AuthorizedKeysFile {authorized}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
UsePAM no
StrictModes no
PidFile {folder}/{host}.pid
ForceCommand {python} -m ecx_hyperv.lab.forced {socket} {host}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab whose hosts are reached through real sshds."""
    with running_lab(tmp_path) as running:
        running.lab.ecx.monitoring = False
        daemons = [_start_sshd(running, number, host) for number, host in enumerate((ONE, TWO), 1)]
        try:
            yield running
            running.check()
        finally:
            for daemon in daemons:
                daemon.terminate()
                daemon.wait(10)


def _start_sshd(scenario: Scenario, number: int, host: str) -> subprocess.Popen[bytes]:
    """Put a real sshd in place of the lab's own, at the addresses of one host."""
    folder = scenario.lab.folder
    authorized = folder.path / "authorized_keys"
    public = [
        f"{key.get_name()} {key.get_base64()}\n"
        for key in (files.load_key(folder.node(node) / "id_ed25519") for node in files.NODES)
    ]
    authorized.write_text("".join(public), encoding="ascii")
    for node in files.NODES:
        config = folder.node(node) / "config.toml"
        text = config.read_text(encoding="utf-8").replace(f'user = "{files.USER}"', f'user = "{getpass.getuser()}"')
        # One address of loopback for each host and EC-VM that the lab's own server does not listen on.
        config.write_text(text.replace(files.address(node, number), _address(node, number)), encoding="utf-8")
        known = folder.node(node) / "known_hosts"
        known.write_text(
            known.read_text(encoding="ascii").replace(files.address(node, number), _address(node, number)),
            encoding="ascii",
        )
    path = folder.path / f"{host}.sshd"
    text = _CONFIG.format(
        port=scenario.lab.port,
        address=_address("ec1", number),
        host_key=folder.host_key(host),
        authorized=authorized,
        folder=folder.path,
        python=sys.executable,
        socket=folder.socket,
        host=host,
    )
    path.write_text(text + f"ListenAddress {_address('ec2', number)}\n", encoding="utf-8")
    Path("/run/sshd").mkdir(exist_ok=True)
    assert SSHD is not None
    log = folder.path / f"{host}.sshd.log"
    daemon = subprocess.Popen([SSHD, "-D", "-f", str(path), "-E", str(log)])
    limit = time.monotonic() + 10
    while not (folder.path / f"{host}.pid").exists():
        assert time.monotonic() < limit, log.read_text(encoding="utf-8")
        assert daemon.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.02)
    return daemon


def _address(node: str, number: int) -> str:
    return files.address(node, number).replace("127.77.", "127.78.")


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


def test_a_command_that_is_not_ours_is_refused(scenario: Scenario) -> None:
    """The stand-in behind the forced command runs nothing but a launch of the agent."""
    key = scenario.lab.folder.node("ec1") / "id_ed25519"
    refused = subprocess.run(
        [
            *("ssh", "-p", str(scenario.lab.port), "-i", str(key), "-o", "StrictHostKeyChecking=no"),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", _address("ec1", 1), "whoami"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert 9009 % 256 == refused.returncode % 256
    assert "is not recognized" in refused.stderr
