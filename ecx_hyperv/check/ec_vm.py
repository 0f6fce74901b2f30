"""How this EC-VM must be set up: ECX, its own name and address, files, protections, the disk and the target."""

import ipaddress
import os
import shlex
from collections.abc import Iterator, Sequence

from ecx_hyperv.check.disks import judge_disk
from ecx_hyperv.check.firewall_path import Packet, Way, passage
from ecx_hyperv.check.linux_facts import FileFacts, LinuxFacts
from ecx_hyperv.check.outcome import (
    Finding,
    Outcome,
    Remedy,
    Unavailable,
    cannot_tell,
    here,
    is_so,
    judged,
    ok,
    warning,
    words,
    wrong,
)
from ecx_hyperv.check.target import PORT
from ecx_hyperv.check.target_path import judge_target
from ecx_hyperv.config import Config
from ecx_hyperv.desired.quoting import is_device, is_iqn
from ecx_hyperv.desired.windows import MIRROR_DEVICE
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.ip_addresses import InterfaceAddress
from ecx_hyperv.ecx.maintenance import Flag

# States of firewalld in which it lets everything through.
_OFF = frozenset({"inactive", "failed", "unknown", "deactivating"})


def judge_ec_vm(
    facts: LinuxFacts, config: Config, pair: Pair, flags: Sequence[Flag] | Unavailable, initiators: Sequence[str]
) -> Iterator[Finding]:
    """Judge this EC-VM; `initiators` are those of the hosts, as far as they are known."""
    place = pair.local.name
    yield judged("ecx-installed", place, facts.ecx_version, lambda version: _installed(place, version, facts))
    yield judged("node-name", place, facts.servers, lambda servers: _node_name(pair, servers))
    yield judged("node-address", place, facts.addresses, lambda found: _address(pair, found))
    yield _programs(place, facts)
    yield _folders(place, facts)
    yield _config_file(place, facts)
    yield judged("maintenance", place, flags, lambda found: _maintenance(place, found))
    yield _key(place, facts.key)
    yield _known_hosts(place, facts.known_hosts)
    yield from _protections(place, facts, config.cluster.iscsi_target)
    yield from judge_disk(place, facts)
    if isinstance(facts.disk, Unavailable):
        yield from (cannot_tell(name, place, facts.disk) for name in ("target-backstore", "target-lun", "target-acl"))
        return
    served, address = facts.disk.served, config.cluster.iscsi_target
    yield from judge_target(place, facts.saved, served, address, initiators, iscsi_setup_remedy(initiators, served))


def judge_configuration(place: str, mistakes: Sequence[str], notes: Sequence[str]) -> Finding:
    """Judge the configuration file: what keeps it from being used as it is, and what is probably not meant."""
    remedy = words("correct the file, then: ecx-hyperv config check; config/config.toml says what each value means")
    if mistakes:
        return wrong("configuration", place, "; ".join([*mistakes, *notes]), "a file that can be used", remedy)
    if notes:
        return warning("configuration", place, "; ".join(notes), "no doubt", remedy)
    return ok("configuration", place, "good")


def _installed(place: str, version: str, facts: LinuxFacts) -> Finding:
    if not version and "clpstat" not in facts.missing_programs:
        return ok("ecx-installed", place, "clpstat is there; its package is not known")
    remedy = words("install EXPRESSCLUSTER X: rpm -i expresscls-VERSION.x86_64.rpm, its licences, then reboot")
    return is_so(
        "ecx-installed", place, version or "not installed", so=bool(version), expected="installed", remedy=remedy
    )


def _node_name(pair: Pair, servers: clpstat.Clpstat) -> Finding:
    local, peer = servers.find(pair.local.name), servers.find(pair.peer.name)
    known = ", ".join(f"{'*' if one.is_local else ''}{one.name}" for one in servers.servers)
    return is_so(
        "node-name",
        pair.local.name,
        f"clpstat: {known}",
        so=local is not None and local.is_local and peer is not None and not peer.is_local,
        expected=f"*{pair.local.name}, {pair.peer.name}",
        remedy=words("write both names under [[node]] as clpstat shows them; * marks this EC-VM"),
    )


def _address(pair: Pair, found: Sequence[InterfaceAddress]) -> Finding:
    local = {ipaddress.ip_address(one.address) for one in found}
    seen = ", ".join(str(one) for one in sorted(local, key=str) if not one.is_loopback or len(local) == 1)
    return is_so(
        "node-address",
        pair.local.name,
        seen or "no address",
        so=ipaddress.ip_address(pair.local.address) in local,
        expected=pair.local.address,
        remedy=words(f"correct address in the [[node]] of {pair.local.name}, or this EC-VM's network"),
    )


def _programs(place: str, facts: LinuxFacts) -> Finding:
    missing = facts.missing_programs
    return is_so(
        "programs",
        place,
        f"not found: {', '.join(missing)}" if missing else "all found",
        so=not missing,
        expected="on PATH or in /usr/bin",
        remedy=words("link the five commands into /usr/bin; install iputils; install ECX"),
    )


def _folders(place: str, facts: LinuxFacts) -> Finding:
    bad = [folder for folder, usable in facts.folders.items() if not usable]
    return is_so(
        "folders",
        place,
        f"cannot be written: {', '.join(bad)}" if bad else ", ".join(facts.folders),
        so=not bad,
        expected="folders that root can write",
        remedy=words("see [paths], and what is in the way there"),
    )


def _maintenance(place: str, flags: Sequence[Flag]) -> Finding:
    if not flags:
        return ok("maintenance", place, "nothing")
    names = [flag.name for flag in flags]
    remedy = here("; ".join(f"ecx-hyperv maintenance off {shlex.quote(name)}" for name in names))
    return warning("maintenance", place, f"in maintenance: {', '.join(names)}", "nothing, in daily work", remedy)


def _config_file(place: str, facts: LinuxFacts) -> Finding:
    path = shlex.quote(facts.config_file)
    both = f'{path} "$(dirname {path})"'
    is_foreign = any("belongs to" in one for one in facts.config_writers)
    return is_so(
        "config-file",
        place,
        "; ".join(facts.config_writers) or f"only root changes {facts.config_file}",
        so=not facts.config_writers,
        expected="a file and a folder of root that nobody else can write",
        remedy=here(f"{f'chown root: {both} && ' if is_foreign else ''}chmod go-w {both}"),
        outcome=Outcome.WARNING,
    )


def _key(place: str, key: FileFacts) -> Finding:
    if key.mode is None:
        return wrong("key-file", place, f"no {key.path}", "a private key", here("ecx-hyperv setup ssh"))
    return _guarded("key-file", place, key, 0o077, "600")


def _known_hosts(place: str, known: FileFacts) -> Finding:
    if known.mode is None:
        return wrong("known-hosts-file", place, f"no {known.path}", "the hosts' keys", here("ecx-hyperv trust"))
    return _guarded("known-hosts-file", place, known, 0o022, "644")


def _guarded(name: str, place: str, file: FileFacts, not_these: int, mode: str) -> Finding:
    path = shlex.quote(file.path)
    if file.owner not in (0, os.geteuid()):
        return wrong(name, place, f"{file.path} is of user {file.owner}", "of root", here(f"chown root: {path}"))
    return is_so(
        name,
        place,
        f"{file.path} {file.mode:o}",
        so=not (file.mode or 0) & not_these,
        expected=mode,
        remedy=here(f"chmod {mode} {path}"),
    )


def _protections(place: str, facts: LinuxFacts, address: str) -> Iterator[Finding]:
    """NEC's guide switches some of these off; this program needs none of them off, only what is said here."""
    yield judged("firewalld", place, facts.firewalld, lambda state: _firewall(place, state, facts, address))
    yield judged("selinux", place, facts.selinux, lambda mode: _selinux(place, mode))
    yield judged("dnf-makecache", place, facts.dnf_makecache, lambda state: _timer(place, state))
    yield judged("target-service", place, facts.target_service, lambda state: _service(place, state))


def _firewall(place: str, state: str, facts: LinuxFacts, address: str) -> Finding:
    if state in _OFF:
        return ok("firewalld", place, "off, as in NEC's guide; the program does not need it off")
    if isinstance(facts.firewall, Unavailable):
        return cannot_tell("firewalld", place, facts.firewall)
    found = passage(facts.firewall, _packet(facts, address))
    zones = " and ".join(found.zones)
    if found.way is Way.UNKNOWN:
        why = f"on, {PORT}/tcp may be open or closed in {zones}: that depends on each host's address, or on a rule"
        return cannot_tell("firewalld", place, Unavailable(why=why, remedy=words("firewall-cmd --list-all-zones")))
    # The default zone needs no name, and a name from elsewhere must be quoted.
    named = "" if found.zones in ((), (facts.firewall.default,)) else f"--zone={shlex.quote(found.zones[0])} "
    line = f"firewall-cmd --permanent {named}--add-service=iscsi-target && clpfwctrl.sh --add && firewall-cmd --reload"
    return is_so(
        "firewalld",
        place,
        f"on, the iSCSI target open in {zones}" if found.way is Way.OPEN else f"on, {PORT}/tcp closed in {zones}",
        so=found.way is Way.OPEN,
        expected=f"{PORT}/tcp open for the hosts, ECX's ports for the other EC-VM",
        remedy=here(line),
    )


def _packet(facts: LinuxFacts, address: str) -> Packet:
    """Return what a host sends to the target: it comes from the floating address's network, by its interface."""
    destination = ipaddress.ip_address(address)
    anywhere = ipaddress.ip_network("0.0.0.0/0" if destination.version == 4 else "::/0")
    found = [] if isinstance(facts.addresses, Unavailable) else facts.addresses
    fits = [
        (network.prefixlen, one.interface, network)
        for one in found
        if (network := one.network) is not None and network.version == destination.version and destination in network
    ]
    # The floating address itself may be there as a network of its own.
    near = max((one for one in fits if one[0] < destination.max_prefixlen), key=lambda one: one[0], default=None)
    return Packet(near[1] if near else None, near[2] if near else anywhere, destination, PORT)


def _selinux(place: str, mode: str) -> Finding:
    if mode != "Enforcing":
        return ok("selinux", place, mode)
    remedy = here("setenforce 0 && sed -i 's/^SELINUX=.*/SELINUX=permissive/' /etc/selinux/config")
    expected = "Permissive is enough, or Enforcing with NEC's policy for ECX's drivers"
    return warning("selinux", place, mode, expected, remedy)


def _timer(place: str, state: str) -> Finding:
    is_on = state.startswith("enabled")
    remedy = here("systemctl disable --now dnf-makecache.timer")
    return is_so(
        "dnf-makecache",
        place,
        "not there" if state == "not-found" else state,
        so=not is_on,
        expected="disabled",
        remedy=remedy,
        outcome=Outcome.WARNING,
    )


def _service(place: str, state: str) -> Finding:
    if state == "not-found":
        return wrong("target-service", place, "not there", "installed", here("dnf -y install targetcli"))
    remedy = here("systemctl disable target")
    seen = f"{state}; ECX starts it"
    return is_so("target-service", place, seen, so=not state.startswith("enabled"), expected="disabled", remedy=remedy)


def iscsi_setup_remedy(initiators: Sequence[str], device: str = MIRROR_DEVICE) -> Remedy:
    """Return what has the target serve the mirror disk to the hosts.

    A host says what it likes of its initiator, and the line is for root: only what is an iSCSI name gets into it.
    """
    known = [one for one in initiators if one == one.strip() and is_iqn(one)]
    names = [*map(shlex.quote, known), "IQN_OF_HOST_1", "IQN_OF_HOST_2"][: max(2, len(known))]
    # The first of the two that is not known is the second host's.
    names = [*names[:1], "IQN_OF_HOST_2"] if len(known) == 1 else names
    # Another mirror disk than the first may be another's.
    is_other = device != MIRROR_DEVICE
    served = [f"--device {shlex.quote(device) if is_device(device) else 'DEVICE'}"] if is_other else []
    line = " ".join(["ecx-hyperv setup iscsi", *served, *(f"--initiator {name}" for name in names)])
    return here(line, said=known)
