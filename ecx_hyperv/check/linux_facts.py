"""What this EC-VM says of itself: its files and what its commands print, as typed facts."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ecx_hyperv.check import answers, target, udev_rules
from ecx_hyperv.check.firewalld import SERVICES, Firewall, FirewallZone, ServicePorts, parse_service, parse_zones
from ecx_hyperv.check.outcome import Unavailable, here, words
from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.desired import clpconf
from ecx_hyperv.desired.clpconf import ClpConf
from ecx_hyperv.desired.ecx import Disk
from ecx_hyperv.desired.names import names_in
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.commands import Completed, Runner, find
from ecx_hyperv.ecx.environment import interface_addresses
from ecx_hyperv.ecx.file_access import other_writers
from ecx_hyperv.ecx.ip_addresses import InterfaceAddress
from ecx_hyperv.errors import EcxHypervError, LocalError

_T = TypeVar("_T")

SAVED = "etc/target/saveconfig.json"
PROGRAMS = ("vm-start", "vm-unregister", "genw-vm", "genw-remote-node", "ecx-hyperv", "clpstat", "clpcl", "ping")
PACKAGE = "expresscls"
_COMMAND_S = 15.0
_MOST_SERVICES = 40


@dataclass(frozen=True, slots=True)
class System:
    """Where the facts come from: commands, and the files below a root."""

    run: Runner
    root: Path
    deadline: Deadline

    def file(self, name: str) -> Path:
        """Return the path of a file of this EC-VM, with or without its leading slash."""
        return self.root / name.lstrip("/")

    def answer(self, *command: str) -> Completed | Unavailable:
        """Return how a command ended, whatever its exit code."""
        try:
            done = self.run(command, min(_COMMAND_S, self.deadline.remaining()))
        except LocalError as error:
            return Unavailable(why=error.what)
        return Unavailable(why=f"{command[0]} {done.why_killed}") if done.code is None else done

    def read(self, read_it: Callable[[Completed], _T | Unavailable], *command: str) -> _T | Unavailable:
        """Return what a command's answer says."""
        done = self.answer(*command)
        return done if isinstance(done, Unavailable) else read_it(done)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file that must be guarded; mode and owner are None where it is not there."""

    path: str
    mode: int | None
    owner: int | None


@dataclass(frozen=True, slots=True)
class LinuxFacts:
    """Everything that this EC-VM said; an Unavailable stands in place of what it would not say.

    `devices` tells for each device that ECX names whether it is there, `rules` are udev's; `config_writers` tells who
    else may change the configuration.
    """

    firewalld: str | Unavailable
    firewall: Firewall | Unavailable
    selinux: str | Unavailable
    dnf_makecache: str | Unavailable
    target_service: str | Unavailable
    ecx_version: str | Unavailable
    servers: clpstat.Clpstat | Unavailable
    addresses: tuple[InterfaceAddress, ...] | Unavailable
    rules: tuple[udev_rules.UdevRule, ...]
    disk: Disk | Unavailable
    devices: dict[str, bool]
    saved: target.Saved | Unavailable
    key: FileFacts
    known_hosts: FileFacts
    config_file: str
    config_writers: tuple[str, ...]
    missing_programs: tuple[str, ...]
    folders: dict[str, bool]
    conf: ClpConf | Unavailable
    os_name: str


def read(system: System, config: Config, path: Path) -> LinuxFacts:
    """Read everything; what cannot be read is an Unavailable. `path` is where the configuration is."""
    conf = _told(lambda: clpconf.read(system.file(str(clpconf.LIVE))))
    disk = disk_of(conf, config)
    return LinuxFacts(
        firewalld=system.read(answers.active_state, "systemctl", "is-active", "firewalld"),
        firewall=_firewall(system),
        selinux=system.read(answers.selinux_mode, "getenforce"),
        dnf_makecache=system.read(answers.enabled_state, "systemctl", "is-enabled", "dnf-makecache.timer"),
        target_service=system.read(answers.enabled_state, "systemctl", "is-enabled", "target.service"),
        ecx_version=_version(system),
        servers=_told(lambda: clpstat.ask(system.run, system.deadline)),
        addresses=_told(lambda: interface_addresses(system.run)),
        rules=udev_rules.read(system.root),
        disk=disk,
        devices=_devices(system, disk),
        saved=_saved(system),
        key=_file(config.ssh.key),
        known_hosts=_file(config.ssh.known_hosts),
        config_file=str(path),
        config_writers=tuple(other_writers(path)),
        missing_programs=tuple(name for name in PROGRAMS if not _is_found(name)),
        folders={folder: _is_usable(Path(folder)) for folder in (config.paths.state, config.paths.run)},
        conf=conf,
        os_name=_os_name(system.file("etc/os-release")),
    )


def disk_of(conf: ClpConf | Unavailable, config: Config) -> Disk | Unavailable:
    """Return the mirror disk's devices, as ECX has them; the usual ones where it says nothing."""
    usual = Disk()
    names = None if isinstance(conf, Unavailable) else names_in(conf, config)
    if names is not None and not names.md:
        return Unavailable(why=f"nobody can tell which of {', '.join(names.mirrors)} holds the VMs: see ecx-mirror")
    md = None if isinstance(conf, Unavailable) or names is None else conf.find_resource(names.md)
    if md is None:
        return usual
    said = md.parameters.get
    return Disk(
        data=said("parameters/diskdev/dppath") or usual.data,
        cluster=said("parameters/diskdev/cppath") or usual.cluster,
        served=said("parameters/nmppath") or usual.served,
    )


def _devices(system: System, disk: Disk | Unavailable) -> dict[str, bool]:
    parts = () if isinstance(disk, Unavailable) else (disk.data, disk.cluster, disk.served)
    return {one: os.path.lexists(system.file(one)) for one in parts}


def _told(read_it: Callable[[], _T]) -> _T | Unavailable:
    try:
        return read_it()
    except EcxHypervError as error:
        why = error.what + (f": {error.seen}" if error.seen else "")
        return Unavailable(why=why, remedy=words(error.remedy) if error.remedy else None)


def _version(system: System) -> str | Unavailable:
    """Return the version of the package that NEC ships; empty where it is not installed."""
    asked = [
        system.read(answers.rpm_version, "rpm", "-q", "--qf", "%{VERSION}-%{RELEASE} ", PACKAGE),
        system.read(answers.dpkg_version, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}\n", PACKAGE),
    ]
    told = [one for one in asked if isinstance(one, str)]
    if any(told):
        return next(filter(None, told))
    if told:
        return ""
    # A database that cannot be read says nothing, which is more than that the program is not there.
    why = [one.why for one in asked if isinstance(one, Unavailable) and not one.why.endswith("is not there")]
    return Unavailable(why=why[0] if why else "neither rpm nor dpkg-query is there")


def _firewall(system: System) -> Firewall | Unavailable:
    """Ask firewalld for all its zones, its policies, and the services whose ports are not known beforehand."""
    zones: tuple[FirewallZone, ...] = ()
    done = system.answer("firewall-cmd", "--list-all-zones")
    if not isinstance(done, Unavailable):
        zones = parse_zones(done.text)
    if not zones:
        done = system.answer("firewall-cmd", "--list-all")
        zones = () if isinstance(done, Unavailable) else parse_zones(done.text)
    if not zones:
        why = done.why if isinstance(done, Unavailable) else f"firewall-cmd: {done.text.strip() or 'nothing printed'}"
        return Unavailable(why=why)
    default = system.read(lambda answer: answer.text.strip(), "firewall-cmd", "--get-default-zone")
    policies = system.read(lambda answer: parse_zones(answer.text), "firewall-cmd", "--list-all-policies")
    firewall = Firewall(
        zones,
        default if isinstance(default, str) and default in {one.name for one in zones} else zones[0].name,
        () if isinstance(policies, Unavailable) else policies,
    )
    return replace(firewall, services={**SERVICES, **_services(system, firewall.named_services())})


def _services(system: System, names: tuple[str, ...]) -> dict[str, ServicePorts]:
    found: dict[str, ServicePorts] = {}
    wanted = [name for name in names if name not in SERVICES]
    while wanted and len(found) < _MOST_SERVICES:
        name = wanted.pop(0)
        known = system.read(lambda answer: parse_service(answer.text), "firewall-cmd", f"--info-service={name}")
        if isinstance(known, ServicePorts):
            found[name] = known
            wanted += [one for one in known.includes if one not in (*SERVICES, *found, *wanted)]
    return found


def _saved(system: System) -> target.Saved | Unavailable:
    path = system.file(SAVED)
    try:
        return target.parse(path.read_bytes(), f"/{SAVED}")
    except OSError as error:
        return Unavailable(
            why=f"/{SAVED}: {error.strerror}",
            remedy=here("ecx-hyperv setup iscsi --initiator IQN_OF_HOST_1 --initiator IQN_OF_HOST_2"),
        )


def _file(path: str) -> FileFacts:
    try:
        found = os.stat(path)
    except OSError:
        return FileFacts(path, None, None)
    return FileFacts(path, found.st_mode & 0o777, found.st_uid)


def _is_found(name: str) -> bool:
    try:
        find(name)
    except LocalError:
        return False
    return True


def _is_usable(folder: Path) -> bool:
    """Tell whether a folder can be written, or made."""
    existing = next(one for one in (folder, *folder.parents) if one.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _os_name(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown"
    named = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return named[0] if named else "unknown"
