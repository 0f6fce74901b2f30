"""The lab's folder: what an EC-VM would have of its own, once for each, and the stand-ins for ECX's commands."""

import os
import shlex
import shutil
import socket
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ecx_hyperv.config_file import parse
from ecx_hyperv.desired.scripts import find_scripts
from ecx_hyperv.lab.linux import clpconf
from ecx_hyperv.lab.linux.commands import make_root, put
from ecx_hyperv.lab.model.facts import initiator
from ecx_hyperv.lab.model.servers import GROUP, ISCSI, PEER_MONITOR
from ecx_hyperv.lab.model.timings import PACE

if TYPE_CHECKING:
    import paramiko

NODES = ("ec1", "ec2")
TARGET = "127.77.0.201"
USER = "Administrator@2016dom.local"
CSV = "Cluster Disk 1"
COMMANDS = (
    *("clpstat", "clpcl", "clpgrp", "clplogcmd", "clpmdstat", "clpmdctrl", "ping"),
    *("systemctl", "firewall-cmd", "getenforce", "setenforce", "rpm", "ip", "clpfwctrl.sh"),
)

_CONFIG = """\
# Made by the lab for {node}.
[cluster]
csv = "{csv}"
iscsi_target = "{target}"
[ssh]
user = "{user}"
key = "{folder}/id_ed25519"
known_hosts = "{folder}/known_hosts"
port = {port}
stdin = "{stdin}"
[paths]
state = "{folder}/state"
run = "{folder}/run"
[timing]
{timing}
[[node]]
name = "ec1"
address = "127.77.0.1"
vm = "EC-VM1"
host = "{host_1}"
[[node]]
name = "ec2"
address = "127.77.0.2"
vm = "EC-VM2"
host = "{host_2}"
"""


@dataclass(frozen=True, slots=True)
class Folder:
    """Where things are in a lab's folder."""

    path: Path

    @property
    def socket(self) -> Path:
        """Return the socket that the lab is driven by."""
        return self.path / "lab.sock"

    @property
    def bin(self) -> Path:
        """Return the folder of the stand-ins for ECX's commands."""
        return self.path / "bin"

    def node(self, name: str) -> Path:
        """Return an EC-VM's own folder."""
        return self.path / name

    def root(self, name: str) -> Path:
        """Return the folder that stands for an EC-VM's root, as far as anything reads from it."""
        return self.path / name / "root"

    def host_key(self, host: str) -> Path:
        """Return a host's private key."""
        return self.path / f"{host}.key"

    def environment(self, node: str) -> dict[str, str]:
        """Return the environment of a command on an EC-VM: little, as under ECX, and what makes it the lab's."""
        return {
            "PATH": os.pathsep.join([str(self.bin), sysconfig.get_path("scripts"), "/usr/bin", "/bin"]),
            "ECX_HYPERV_CONFIG": str(self.node(node) / "config.toml"),
            "ECX_HYPERV_NODE": node,
            "ECX_HYPERV_LAB": str(self.socket),
            "ECX_HYPERV_ROOT": str(self.root(node)),
            "ECX_HYPERV_PACE": f"{PACE:g}",
            "LANG": "C.UTF-8",
        }


def address(node: str, host_number: int) -> str:
    """Return the address at which an EC-VM finds a host."""
    return f"127.77.{NODES.index(node) + 1}.{host_number}"


def node_address(node: str) -> str:
    """Return the address of an EC-VM."""
    return f"127.77.0.{NODES.index(node) + 1}"


def free_port() -> int:
    """Return a port that nobody listens on at the lab's addresses."""
    with socket.socket() as probe:
        probe.bind((address(NODES[0], 1), 0))
        port: int = probe.getsockname()[1]
        return port


def make(
    folder: Folder, hosts: Sequence[str], vms: Sequence[str], port: int, timing: Mapping[str, float], stdin: str
) -> None:
    """Make everything that the lab needs; what is there is replaced."""
    folder.path.mkdir(parents=True, exist_ok=True)
    for host in hosts:
        _make_key(folder.host_key(host))
    _make_commands(folder)
    for node in NODES:
        _make_node(folder, node, hosts, vms, port, timing, stdin)


def load_key(path: Path) -> "paramiko.PKey":
    """Return a private key of the lab's."""
    import paramiko

    return paramiko.PKey.from_path(path)


def _make_node(
    folder: Folder,
    node: str,
    hosts: Sequence[str],
    vms: Sequence[str],
    port: int,
    timing: Mapping[str, float],
    stdin: str,
) -> None:
    mine = folder.node(node)
    mine.mkdir(parents=True, exist_ok=True)
    # As an EC-VM has it, whatever the umask is.
    mine.chmod(0o755)
    _make_key(mine / "id_ed25519")
    text = _CONFIG.format(
        node=node,
        csv=CSV,
        target=TARGET,
        user=USER,
        folder=mine,
        port=port,
        stdin=stdin,
        timing="\n".join(f"{key} = {value:g}" for key, value in timing.items()),
        host_1=address(node, 1),
        host_2=address(node, 2),
    )
    for vm in vms:
        text += f"[[vm]]\nname = {_quoted(vm)}\n"
    (mine / "config.toml").write_text(text, encoding="utf-8")
    (mine / "config.toml").chmod(0o644)
    _make_known_hosts(folder, node, hosts, port)
    _make_scripts(mine / "scripts", vms)
    make_root(folder.root(node), [initiator(host) for host in hosts])
    ecx = folder.root(node) / "opt/nec/clusterpro"
    ecx.mkdir(parents=True, exist_ok=True)
    for name in ("scripts", "log"):
        (mine / name).mkdir(exist_ok=True)
        (ecx / name).unlink(missing_ok=True)
        (ecx / name).symlink_to(mine / name)
    put(folder.root(node), "opt/nec/clusterpro/etc/clp.conf", clpconf.make(parse(text, "config.toml")).decode())


def _make_known_hosts(folder: Folder, node: str, hosts: Sequence[str], port: int) -> None:
    import paramiko

    known = paramiko.HostKeys()
    for number, host in enumerate(hosts, 1):
        key = load_key(folder.host_key(host))
        known.add(f"[{address(node, number)}]:{port}", key.get_name(), key)
    path = folder.node(node) / "known_hosts"
    known.save(str(path))
    path.chmod(0o644)


def _make_scripts(scripts: Path, vms: Sequence[str]) -> None:
    source = find_scripts()
    for name, origin in [(ISCSI, "iscsi"), *((f"exec-{vm}", "vm") for vm in vms)]:
        _place_scripts(source / origin, scripts / GROUP / name)
    for name, origin in [(PEER_MONITOR, "monitor-remote-node"), *((f"genw-{vm}", "monitor-vm") for vm in vms)]:
        _place_scripts(source / origin, scripts / "monitor.s" / name)


def _place_scripts(source: Path, to: Path) -> None:
    """Copy scripts, executable as ECX wants them, whatever mode an installer has given them."""
    to.mkdir(parents=True, exist_ok=True)
    for script in source.glob("*.sh"):
        shutil.copyfile(script, to / script.name)
        (to / script.name).chmod(0o755)


def _make_commands(folder: Folder) -> None:
    folder.bin.mkdir(exist_ok=True)
    # A copy: a lab goes on while an upgrade replaces the program's files.
    stand_in = shutil.copy(Path(__file__).with_name("standin.py"), folder.path)
    for name in COMMANDS:
        path = folder.bin / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{stand_in}" {name} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
    _make_ssh(folder)
    _make_clpcfctrl(folder)


def _make_clpcfctrl(folder: Folder) -> None:
    """Make the stand-in for clpcfctrl --push -l -x FOLDER: what is in the folder holds on both EC-VMs."""
    lines = ["#!/bin/sh -e", 'while [ "$1" != -x ]; do shift; done']
    for node in NODES:
        ecx = shlex.quote(str(folder.root(node) / "opt/nec/clusterpro"))
        lines += [
            f'cp "$2/clp.conf" {ecx}/etc/clp.conf',
            f'[ ! -d "$2/scripts" ] || cp -r "$2/scripts/." {ecx}/scripts/',
        ]
    path = folder.bin / "clpcfctrl"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    path.chmod(0o755)


def _make_ssh(folder: Folder) -> None:
    """Make the stand-in for ssh between the EC-VMs: it runs the command that follows the address there."""
    cases = [
        f"*@{node_address(node)}) exec env -i {shlex.join(f'{k}={v}' for k, v in folder.environment(node).items())}"
        ' sh -c "$2";;'
        for node in NODES
    ]
    path = folder.bin / "ssh"
    text = "\n".join(
        [
            "#!/bin/sh",
            'while [ "${1#-}" != "$1" ]; do shift 2; done',
            # One that is off, or cannot be reached, lets nobody in.
            f'{shlex.quote(str(folder.bin / "ping"))} "${{1#*@}}" >/dev/null || {{',
            '    echo "ssh: connect to host ${1#*@} port 22: Connection timed out" >&2',
            "    exit 255",
            "}",
            'case "$1" in',
            *cases,
            "esac",
            "exit 255",
            "",
        ]
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _make_key(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(private)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
