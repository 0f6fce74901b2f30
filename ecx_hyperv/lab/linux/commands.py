"""The Linux of the lab's EC-VMs, as far as `ecx-hyperv check` reads it: some files, and what some commands say."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from ecx_hyperv.desired.windows import MIRROR_DEVICE, TARGET
from ecx_hyperv.lab.model.facts import LinuxSetup

_SERIAL = "3600224804fb4d824c64c0f4156f86fc9"
_UDEV = f"""\
KERNEL=="sd*[^0-9]",ENV{{ID_SERIAL}}=="",IMPORT{{program}}="/lib/udev/scsi_id --whitelisted --device=/dev/%k"
KERNEL=="sd*[^0-9]",ENV{{ID_SERIAL}}=="",IMPORT{{parent}}=="ID_*"
ENV{{ID_SERIAL}}=="{_SERIAL}",SYMLINK+="cp-diska%n"
"""
_OS_RELEASE = 'NAME="CentOS Linux"\nVERSION_ID="8"\nPRETTY_NAME="CentOS Linux 8 (Core), of the lab"\n'

Said = tuple[int, str]


def make_root(root: Path, initiators: Sequence[str]) -> None:
    """Make the files of an EC-VM that is set up as it should be."""
    put(root, "etc/os-release", _OS_RELEASE)
    put(root, "etc/selinux/config", "SELINUX=disabled\n")
    put(root, "etc/udev/rules.d/99-clusterpro-devices.rules", _UDEV)
    put(root, "etc/target/saveconfig.json", json.dumps(target_config(initiators), indent=2))
    for name in ("NMP1", "sdb", "sdb1", "sdb2"):
        put(root, f"dev/{name}", "")
    for number in ("", "1", "2"):
        link = root / f"dev/cp-diska{number}"
        link.unlink(missing_ok=True)
        link.symlink_to(f"sdb{number}")


def put(root: Path, name: str, text: str) -> Path:
    """Write a file of an EC-VM."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def target_config(initiators: Sequence[str], device: str = MIRROR_DEVICE) -> dict[str, object]:
    """Return what targetcli saves once the target is set up."""
    acls = [{"node_wwn": one, "mapped_luns": [{"index": 0, "tpg_lun": 0}]} for one in initiators]
    luns = [{"index": 0, "storage_object": "/backstores/block/idisk1"}]
    tpg = {"tag": 1, "enable": True, "luns": luns, "node_acls": acls}
    return {
        "storage_objects": [{"plugin": "block", "name": "idisk1", "dev": device}],
        "targets": [
            {"fabric": "iscsi", "wwn": TARGET, "tpgs": [{**tpg, "portals": [{"ip_address": "0.0.0.0", "port": 3260}]}]}  # noqa: S104
        ],
    }


def answer(facts: LinuxSetup, command: Sequence[str]) -> Said | None:
    """Return what a command says and does; None for one that is not of this machine's."""
    name = command[0].rsplit("/", 1)[-1]
    known = _COMMANDS.get(name)
    return None if known is None else known(facts, list(command[1:]))


def _systemctl(facts: LinuxSetup, arguments: list[str]) -> Said:
    words = [one for one in arguments if not one.startswith("-")]
    verb, unit = words[0], words[-1].removesuffix(".service").removesuffix(".timer")
    attribute = unit.replace("-", "_")
    state = getattr(facts, attribute, None) if attribute in ("firewalld", "dnf_makecache", "target") else None
    if state is None:
        return (4, "not-found\n") if verb == "is-enabled" else (3, "inactive\n")
    if verb in ("enable", "disable"):
        setattr(facts, attribute, f"{verb}d")
        return 0, ""
    if verb == "is-enabled":
        return (0 if state == "enabled" else 1), f"{state}\n"
    return (0, "active\n") if state == "enabled" else (3, "inactive\n")


def _firewall(facts: LinuxSetup, arguments: list[str]) -> Said:
    if facts.firewalld != "enabled":
        return 252, "FirewallD is not running\n"
    added = [one.partition("=")[2] for one in arguments if one.startswith("--add-service=")]
    if added:
        facts.services_open = " ".join([*facts.services_open.split(), *added])
        return 0, "success\n"
    if "--list-all" in arguments:
        return 0, f"public (active)\n  interfaces: eth0\n  services: ssh {facts.services_open}\n  ports: \n"
    return 0, "success\n"


def _getenforce(facts: LinuxSetup, _arguments: list[str]) -> Said:
    return 0, f"{facts.selinux}\n"


def _setenforce(facts: LinuxSetup, arguments: list[str]) -> Said:
    facts.selinux = {"0": "Permissive", "1": "Enforcing"}[arguments[0]]
    return 0, ""


def _rpm(facts: LinuxSetup, arguments: list[str]) -> Said:
    if not facts.ecx_version or "expresscls" not in arguments:
        return 1, f"package {arguments[-1]} is not installed\n"
    return 0, facts.ecx_version


def _ip(facts: LinuxSetup, _arguments: list[str]) -> Said:
    local = [{"local": one} for one in facts.addresses.split()]
    return 0, json.dumps([{"ifname": "eth0", "addr_info": local}])


_COMMANDS: dict[str, Callable[[LinuxSetup, list[str]], Said]] = {
    "systemctl": _systemctl,
    "firewall-cmd": _firewall,
    "getenforce": _getenforce,
    "setenforce": _setenforce,
    "rpm": _rpm,
    "ip": _ip,
    # Opens the firewall for ECX itself.
    "clpfwctrl.sh": lambda _facts, _arguments: (0, ""),
}
