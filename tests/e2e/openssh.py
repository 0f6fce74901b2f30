"""A real OpenSSH sshd in front of the lab's hosts, and what can be done to it."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ecx_hyperv.host.ssh import SshTarget
from ecx_hyperv.lab.linux import files
from tests.e2e.support import ONE, TWO, Scenario, running_lab

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")

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
ForceCommand {forced} {host}
"""


def start_sshd(scenario: Scenario, number: int, host: str) -> subprocess.Popen[bytes]:
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
        config.write_text(text.replace(files.address(node, number), address_of(node, number)), encoding="utf-8")
        known = folder.node(node) / "known_hosts"
        known.write_text(
            known.read_text(encoding="ascii").replace(files.address(node, number), address_of(node, number)),
            encoding="ascii",
        )
    path = folder.path / f"{host}.sshd"
    text = _CONFIG.format(
        port=scenario.lab.port,
        address=address_of("ec1", number),
        host_key=folder.host_key(host),
        authorized=authorized,
        folder=folder.path,
        forced=_forced(scenario),
        host=host,
    )
    path.write_text(text + f"ListenAddress {address_of('ec2', number)}\n", encoding="utf-8")
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


@contextmanager
def behind_real_sshds(folder: Path, **given: Any) -> Iterator[Scenario]:
    """Return a lab whose hosts are reached through real sshds; `given` is as for the lab."""
    with running_lab(folder, **given) as running:
        running.lab.ecx.monitoring = False
        daemons = [start_sshd(running, number, host) for number, host in enumerate((ONE, TWO), 1)]
        try:
            yield running
            running.check()
        finally:
            for daemon in daemons:
                daemon.terminate()
                daemon.wait(10)


def _forced(scenario: Scenario) -> str:
    """Return what an exec request runs there: the lab's agent, or the real PowerShell of a lab with an engine."""
    folder, hosts = scenario.lab.folder, scenario.lab.engine_hosts
    if hosts is None:
        return f"{sys.executable} -P {Path(__file__).parents[1] / 'wire' / 'forced.py'} {folder.socket}"
    for host in (ONE, TWO):
        hosts.write(host)
    return f"{sys.executable} -P -m ecx_hyperv.lab.engine {hosts.folder}"


def address_of(node: str, number: int) -> str:
    """Return the address at which an EC-VM finds a host's real sshd."""
    return files.address(node, number).replace("127.77.", "127.78.")


def family(pid: int) -> list[int]:
    """Return a process and everything that it has started, itself first."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def signal_all(pids: list[int], what: signal.Signals) -> None:
    """Send a signal to processes, as far as they are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)


class PlainSshd:
    """A real sshd by itself, with whatever a test writes into its sshd_config, and how it is reached."""

    def __init__(self, folder: Path, address: str, *kinds: str) -> None:
        self.folder = folder
        self.known_hosts = folder / "known_hosts"
        with socket.socket() as probe:
            probe.bind((address, 0))
            self.place: tuple[str, int] = (address, probe.getsockname()[1])
        self.host_keys = {kind: self._make_key(f"host_{kind}", kind) for kind in kinds or ("ed25519",)}
        self._make_key("id", "ed25519")
        self.target = SshTarget(*self.place, getpass.getuser(), str(folder / "id"), str(self.known_hosts))

    def _make_key(self, name: str, kind: str) -> str:
        """Make a key pair, and return its public half as it stands in known_hosts."""
        path = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", str(path)], check=True)
        return " ".join(path.with_suffix(".pub").read_text(encoding="ascii").split()[:2])

    @contextmanager
    def running(self, *lines: str) -> Iterator[None]:
        """Run it with these lines of sshd_config, until the end of the block."""
        address, port = self.place
        pid, log, config = (self.folder / name for name in ("pid", "log", "sshd_config"))
        common = _CONFIG.replace("ForceCommand {forced} {host}\n", "").replace(
            "HostKey {host_key}\n", "".join(f"HostKey {self.folder}/host_{kind}\n" for kind in self.host_keys)
        )
        text = common.format(
            port=port, address=address, authorized=self.folder / "id.pub", folder=self.folder, host="plain"
        )
        config.write_text(
            text.replace(f"{self.folder}/plain.pid", str(pid)) + "\n".join(lines) + "\n", encoding="utf-8"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        assert SSHD is not None
        daemon = subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", str(log)])
        try:
            limit = time.monotonic() + 10
            while not pid.exists():
                assert time.monotonic() < limit, log.read_text(encoding="utf-8")
                assert daemon.poll() is None, log.read_text(encoding="utf-8")
                time.sleep(0.02)
            yield
        finally:
            daemon.terminate()
            daemon.wait(10)
            pid.unlink(missing_ok=True)

    def ssh(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Log in with OpenSSH's own client, which takes the same file of pinned keys."""
        address, port = self.place
        every = ("BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={self.known_hosts}", *options)
        return subprocess.run(
            [
                *(
                    "ssh",
                    "-F",
                    "/dev/null",
                    "-p",
                    str(port),
                    "-i",
                    self.target.key,
                    "-o",
                    "GlobalKnownHostsFile=/dev/null",
                ),
                *(word for option in every for word in ("-o", option)),
                *(f"{self.target.user}@{address}", "true"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
