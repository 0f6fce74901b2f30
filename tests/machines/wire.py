"""The machine `host` as both Windows hosts: two addresses, a real sshd on each, the lab's agent behind it.

What of ECX a command asks for is played on the EC-VMs, and named so: clpstat hears the other EC-VM by ping, as a LAN
heartbeat would, and clplogcmd keeps each alert in a file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.machines.qemu import Machine
from tests.machines.site import CHECKOUT, ECX_SCRIPTS, FLOATING, LIB, Site, wait_until

VM = "Cent8.2-1"
# Who the lab's hosts are, by their addresses in the sample of the configuration.
HOSTS = {"192.168.137.196": "ws2019-host-1", "192.168.137.197": "ws2019-host-2"}
ALERTS = "/root/alerts"
_USER = "Administrator@2016dom.local"
_FOLDER = "/root/lab"
_SSHD = """\
Port 22
ListenAddress {address}
HostKey {folder}/{name}.key
AuthorizedKeysFile /root/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
UsePAM no
PidFile /run/sshd.{name}.pid
ForceCommand {forced} {name}
"""
_FORCED = """\
#!/bin/sh
exec env PYTHONPATH={lib} python3 -P /usr/lib/machines/forced.py {folder}/lab.sock "$1"
"""
# As clpstat prints it; a server is Online while it is heard on one of the networks.
_CLPSTAT = """\
#!/bin/sh
own=$(hostname)
[ "$own" = ec1 ] && other=ec2 number=200 || other=ec1 number=199
state=Offline
for network in 137 138; do
    ping -n -c 1 -W 3 "192.168.$network.$number" >/dev/null 2>&1 && state=Online && break
done
echo " ========================  CLUSTER STATUS  ==========================="
echo "  Cluster : machines"
echo "  <server>"
for name in ec1 ec2; do
    [ "$name" = "$own" ] && mark='*' said=Online || mark=' ' said=$state
    printf '   %s%s: %-17s\\n' "$mark" "$name .............................." "$said"
done
echo " ======================================================================"
"""
# An emulated host on a busy machine takes minutes to let somebody in.
_TIMING = {"patience": 600, "confirm_peer": 2}
_PLACE = "/opt/nec/clusterpro/scripts"


@dataclass(frozen=True, slots=True)
class HostPlayed:
    """What the lab's world shows of the VM: the host it runs on, empty if none, and what must never be and was."""

    runs_on: str
    states: Mapping[str, str]
    violations: tuple[str, ...]


def key_pair() -> tuple[str, str]:
    """Return a private key as OpenSSH keeps it, and its line for authorized_keys."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode() + "\n"


def play_hosts(site: Site, program: Path, *ec_vms: Machine) -> None:
    """Have `host` answer the wire at both addresses, and let these EC-VMs in."""
    host = site.host
    site.install(host, program)
    for name, source in (("windows.py", "tests/machines/guest"), ("forced.py", "tests/wire")):
        host.put(f"/usr/lib/machines/{name}", (CHECKOUT / source / name).read_bytes())
    host.put("/root/forced", _FORCED.format(lib=LIB, folder=_FOLDER), 0o755)
    # Root by another name: the agent asks the lab's socket, which is root's.
    host.must(f"echo '{_USER}:x:0:0::/root:/bin/sh' >>/etc/passwd; mkdir -p -m 755 /run/sshd")
    lines = []
    for one in ec_vms:
        private, public = key_pair()
        one.put("/root/.ssh/id_rsa", private, 0o600)
        lines.append(public)
    host.put("/root/authorized_keys", "".join(lines), 0o600)
    host.must(
        f"systemd-run --quiet --unit=windows --setenv=PYTHONPATH={LIB}"
        f" python3 -P /usr/lib/machines/windows.py {_FOLDER} {FLOATING} {VM}"
    )
    for address, name in HOSTS.items():
        text = _SSHD.format(address=address, folder=_FOLDER, name=name, forced="/root/forced")
        host.put(f"/root/{name}.sshd", text)
    host.must(
        f"for one in $(seq 600); do [ -e {_FOLDER}/ready ] && exit; sleep 0.5; done; journalctl -u windows; false"
    )
    for name in HOSTS.values():
        host.must(f"systemd-run --quiet --unit=sshd-{name} /usr/sbin/sshd -D -f /root/{name}.sshd")


def play_ecx(site: Site, machine: Machine) -> None:
    """Give an EC-VM what ECX would: clpstat, clplogcmd, the scripts in their folders; and pin the hosts' keys."""
    machine.put("/usr/bin/clpstat", _CLPSTAT, 0o755)
    machine.put("/usr/bin/clplogcmd", f'#!/bin/sh\necho "$*" >>{ALERTS}\n', 0o755)
    for folder, kind in ((exec_folder(), "vm"), (genw_folder(), "monitor-vm")):
        machine.must(f"mkdir -p {folder} && cp {ECX_SCRIPTS}/{kind}/*.sh {folder} && chmod 755 {folder}/*.sh")
    configure(site, machine)
    pinned = machine.must("ecx-hyperv trust --yes")
    assert all(address in pinned for address in HOSTS), pinned


def configure(site: Site, machine: Machine, **timing: float) -> None:
    """Give an EC-VM its configuration, with these values of [timing] in place of those of the tests."""
    text = site.configuration
    for key, value in {**_TIMING, **timing}.items():
        text = text.replace(f"# {key} = ", f"{key} = {value} # ")
    machine.put("/etc/ecx-hyperv/config.toml", text)


def exec_folder() -> str:
    """Return the folder of the scripts of exec-VMNAME."""
    return f"{_PLACE}/failover1/exec-{VM}"


def genw_folder() -> str:
    """Return the folder of the script of genw-VMNAME."""
    return f"{_PLACE}/monitor.s/genw-{VM}"


def start_line() -> str:
    """Return the line by which ECX calls start.sh."""
    return f"cd {exec_folder()} && CLP_EVENT=START CLP_RESOURCENAME=exec-{VM} ./start.sh"


def stop_line() -> str:
    """Return the line by which ECX calls stop.sh."""
    return f"cd {exec_folder()} && CLP_FACTOR=GROUPSTOP CLP_RESOURCENAME=exec-{VM} ./stop.sh"


def monitor_line() -> str:
    """Return the line by which ECX calls genw.sh of the VM's monitor."""
    return f"cd {genw_folder()} && ./genw.sh"


def shown(site: Site) -> HostPlayed:
    """Return what the lab's world shows at this moment."""
    data = json.loads(_ask(site, "show"))
    guests: dict[str, str] = {where: str(one["state"]) for where, one in data["vms"][VM]["guests"].items()}
    running = [where for where, state in guests.items() if state == "Running"]
    return HostPlayed(" and ".join(running), guests, tuple(data["violations"]))


def history(site: Site, what: str) -> tuple[str, ...]:
    """Return what has happened of a kind in the lab's world: who, where, state."""
    lines = [line.split() for line in _ask(site, "history").splitlines()]
    return tuple(" ".join(words[2:]) for words in lines if len(words) > 1 and words[1] == what)


def _ask(site: Site, what: str) -> str:
    # The stand-in starts in a part of the time that the program takes.
    return site.host.must(f"ECX_HYPERV_LAB={_FOLDER}/lab.sock python3 -I {_FOLDER}/standin.py {what}")


def wait_for_state(site: Site, state: str, seconds: float = 300) -> None:
    """Wait until the VM is so on a host."""
    wait_until(
        lambda: state in shown(site).states.values(),
        seconds,
        lambda: (shown(site), site.host.run("journalctl -u windows | tail").all),
    )
