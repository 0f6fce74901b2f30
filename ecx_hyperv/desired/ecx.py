"""What clp.conf must say of this program's resources and monitors: the one table for `setup ecx` and for `check`.

The paths, and most defaults, are those of NEC's public notes on clpcfset and of configurations that ECX wrote itself.
Where nobody could confirm what ECX takes for a parameter that is not there, the parameter is wanted explicitly.
"""

import math
from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.config import Config, ProtectedVm
from ecx_hyperv.desired.windows import MIRROR_DEVICE
from ecx_hyperv.errors import UsageError

LOGS = "/opt/nec/clusterpro/log"
ISCSI = "exec-iscsi"
REMOTE_NODE = "genw-remote-node"
# ECX takes no script timeout above this, in seconds.
LONGEST_S = 9999
# ECX's own default for a script; what it asks for on top of it as the timeout of the resource.
_SCRIPT_S, _ON_TOP_S = 1800, 180
_MONITOR_S = 120
# A command must have ended, and said how, before ECX ends it.
_SPARE_S = 10


class ConfSection(Enum):
    """The two kinds of objects that this program needs, as clp.conf names their sections."""

    RESOURCE = "resource"
    MONITOR = "monitor"


class MatchRule(Enum):
    """How a value is held against what is expected."""

    IS = "is"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    SOMETHING = "anything but nothing"


class Scripts(Enum):
    """The folder of ecx_scripts whose scripts belong to an object."""

    VM = "vm"
    ISCSI = "iscsi"
    MONITOR_VM = "monitor-vm"
    MONITOR_REMOTE_NODE = "monitor-remote-node"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `value` is what setup writes, `bound` what check accepts, where that is not the same.

    `absent` is what ECX takes where the file says nothing; None: that is not known well enough to rely on.
    """

    path: str
    value: str
    why: str
    rule: MatchRule = MatchRule.IS
    bound: int = 0
    absent: str | None = None

    @property
    def wanted(self) -> str:
        """Return what is accepted, in words."""
        if self.rule is MatchRule.IS:
            return self.value
        return self.rule.value if self.rule is MatchRule.SOMETHING else f"{self.rule.value} {self.bound}"

    def accepts(self, seen: str | None) -> bool:
        """Tell whether a value is right; None where the file has none."""
        text = (self.absent if seen is None else seen) or ""
        if self.rule in (MatchRule.IS, MatchRule.SOMETHING):
            return text == self.value if self.rule is MatchRule.IS else bool(text)
        if not (text.isascii() and text.isdecimal()):
            return False
        return int(text) >= self.bound if self.rule is MatchRule.AT_LEAST else int(text) <= self.bound


@dataclass(frozen=True, slots=True)
class Expected:
    """One resource or monitor that must be there; `depends` are resources that it must depend on, others may be too.

    `must` is false for what ECX's own editor adds by itself, under names of its own choice, and this program can do
    without: an object of the type with the first of the parameters right is it, whatever its name.
    """

    section: ConfSection
    type: str
    name: str
    parameters: tuple[Parameter, ...]
    depends: tuple[str, ...] = ()
    scripts: Scripts | None = None
    vm: str | None = None
    must: bool = True


@dataclass(frozen=True, slots=True)
class EcxNames:
    """How the parts that the configuration file does not name are called in ECX.

    `md` is empty where nobody can tell which of `mirrors` is the VMs' mirror disk: then nothing is expected of any.
    """

    group: str = "failover1"
    fip: str = "fip1"
    md: str = "md1"
    iscsi: str = ISCSI
    remote_node: str = REMOTE_NODE
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    """The mirror disk's devices on the EC-VMs, as the udev rule of `setup iscsi` names them, and its own device.

    `connection` is the id of the servers' mirror connection in clp.conf.
    """

    data: str = "/dev/cp-diska2"
    cluster: str = "/dev/cp-diska1"
    served: str = MIRROR_DEVICE
    connection: str = "400"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that clp.conf has otherwise than expected; `path` is empty where the whole object is missing.

    `place` is where it is set, if that is for a single server only.
    """

    expected: Expected
    path: str
    wanted: str
    seen: str
    why: str
    place: str = ""


def expected(config: Config, names: EcxNames, disk: Disk | None = None) -> tuple[Expected, ...]:
    """Return all that must be in clp.conf for a configuration, in the order in which ECX wants it added.

    Raises UsageError where no timeout of ECX is long enough for the program's own.
    """
    timing = config.timing
    start, stop = _script_timeout(timing.start, "start"), _script_timeout(timing.unregister, "unregister")
    return (
        _fip(config, names),
        *([_md(names, disk or Disk())] if names.md else []),
        _exec(names.iscsi, (names.fip, *_md_of(names)), Scripts.ISCSI, (_SCRIPT_S, 60), (_SCRIPT_S, 60)),
        *(_exec(vm.resource_name, (names.iscsi,), Scripts.VM, start, stop, vm=vm.name) for vm in config.vm),
        *(_genw_vm(config, names, vm) for vm in config.vm),
        _genw_remote_node(config, names),
        *_usual_monitors(names),
    )


def _md_of(names: EcxNames) -> tuple[str, ...]:
    return (names.md,) if names.md else ()


def _script_timeout(seconds: float, key: str) -> tuple[int, int]:
    floor = math.ceil(seconds) + 60
    if floor > LONGEST_S - _ON_TOP_S:
        raise UsageError(
            f"[timing] {key} is longer than any timeout that ECX has",
            seen=f"{seconds:g} s; ECX: {LONGEST_S} s",
            remedy=f"set [timing] {key} to {LONGEST_S - _ON_TOP_S - 60} or less",
        )
    return max(_SCRIPT_S, floor), floor


def _exec(
    name: str,
    depends: tuple[str, ...],
    scripts: Scripts,
    start: tuple[int, int],
    stop: tuple[int, int],
    vm: str | None = None,
) -> Expected:
    by_itself = "the program ends by itself before; ECX would kill it in the middle"
    parameters = (
        Parameter("parameters/act/path", "start.sh", "the script that ECX runs", MatchRule.SOMETHING),
        Parameter("parameters/deact/path", "stop.sh", "the script that ECX runs", MatchRule.SOMETHING),
        Parameter("parameters/timeout/start", str(start[0]), by_itself, MatchRule.AT_LEAST, start[1], str(_SCRIPT_S)),
        Parameter("parameters/timeout/stop", str(stop[0]), by_itself, MatchRule.AT_LEAST, stop[1], str(_SCRIPT_S)),
        _on_top("act/timeout", start),
        _on_top("deact/timeout", stop),
        Parameter("parameters/act/sync", "1", "ECX must wait for how the start ends", absent="1"),
        Parameter("parameters/deact/sync", "1", "ECX must wait for how the stop ends", absent="1"),
        Parameter("parameters/act/postrunothers", "0", "a start on the standby would start a VM twice", absent="0"),
        Parameter("parameters/deact/prerunothers", "0", "a stop on the standby would stop a VM that runs", absent="0"),
        *_log(name),
    )
    return Expected(ConfSection.RESOURCE, "exec", name, parameters, depends, scripts, vm)


def _on_top(path: str, timeout: tuple[int, int]) -> Parameter:
    why = f"ECX wants its timeout {_ON_TOP_S} s above the script's"
    value, floor = timeout[0] + _ON_TOP_S, timeout[1] + _ON_TOP_S
    return Parameter(path, str(value), why, MatchRule.AT_LEAST, floor, str(_SCRIPT_S + _ON_TOP_S))


def _log(name: str) -> tuple[Parameter, ...]:
    return (
        Parameter("parameters/userlog", f"{LOGS}/{name}.log", "else what it says is lost", MatchRule.SOMETHING),
        Parameter("parameters/logrotate/use", "1", "else the log fills the disk", absent="0"),
    )


def _fip(config: Config, names: EcxNames) -> Expected:
    why = "[cluster] iscsi_target: the hosts find the mirror disk there"
    return Expected(
        ConfSection.RESOURCE, "fip", names.fip, (Parameter("parameters/ip", config.cluster.iscsi_target, why),)
    )


def _md(names: EcxNames, disk: Disk) -> Expected:
    stable = "a name that stays the same when disks are found in another order"
    parameters = (
        Parameter("parameters/netdev@0/priority", "0", "the mirror's connection", absent="0"),
        Parameter("parameters/netdev@0/device", disk.connection, "the mirror's connection", MatchRule.SOMETHING),
        Parameter("parameters/netdev@0/mdcname", "mdc1", "the mirror's connection", MatchRule.SOMETHING),
        Parameter("parameters/nmppath", disk.served, "what the iSCSI target serves", MatchRule.SOMETHING),
        Parameter("parameters/diskdev/dppath", disk.data, stable, MatchRule.SOMETHING),
        Parameter("parameters/diskdev/cppath", disk.cluster, stable, MatchRule.SOMETHING),
        Parameter("parameters/fs", "none", "the file system on it belongs to the hosts"),
        # What ECX's editor sets for a mirror disk without a file system.
        Parameter("act/timeout", "190", "as ECX sets it", MatchRule.SOMETHING, absent="190"),
        Parameter("deact/timeout", "190", "as ECX sets it", MatchRule.SOMETHING, absent="190"),
    )
    return Expected(ConfSection.RESOURCE, "md", names.md, parameters)


def _genw(config: Config, name: str, target: str) -> tuple[Parameter, ...]:
    timing = config.timing
    timeout = math.ceil(timing.monitor) + _SPARE_S
    stale = max(1, math.floor(timing.stale / 2))
    by_itself = "the program ends by itself before; ECX would take a kill for a failure"
    blind = "a monitor that is late cannot tell, and that is no reason to move a VM"
    return (
        Parameter("parameters/path", "genw.sh", "the script that ECX runs", MatchRule.SOMETHING),
        Parameter("parameters/sync", "1", "ECX must wait for what the monitor answers", absent="1"),
        Parameter("parameters/normalval", "0", "0 is healthy", absent="0"),
        Parameter(
            "polling/interval",
            str(min(60, stale)),
            "[timing] stale: looks must follow one another",
            MatchRule.AT_MOST,
            stale,
            "60",
        ),
        Parameter("polling/timeout", str(max(_MONITOR_S, timeout + 20)), by_itself, MatchRule.AT_LEAST, timeout),
        Parameter("polling/timing", "1", "only where the group is active", absent="0"),
        *([Parameter("target", target, "only where the group is active")] if target else []),
        Parameter("emergency/timeout/notreconfirmation/use", "1", blind),
        Parameter("emergency/timeout/notrecovery/use", "1", blind),
        *_log(name),
    )


def _genw_vm(config: Config, names: EcxNames, vm: ProtectedVm) -> Expected:
    name = vm.monitor_name
    over = "a VM that failed here is started on the other host"
    parameters = (
        *_genw(config, name, vm.resource_name),
        Parameter("polling/reconfirmation", "1", "one failure alone moves no VM", MatchRule.AT_LEAST, 1),
        Parameter("relation/type", "grp", over),
        Parameter("relation/name", names.group, over),
        Parameter("emergency/threshold/restart", "0", over),
        Parameter("emergency/threshold/fo", "1", over, MatchRule.AT_LEAST, 1),
        Parameter("emergency/action", "1", "no final action: it would take the EC-VM down", absent="1"),
    )
    return Expected(ConfSection.MONITOR, "genw", name, parameters, scripts=Scripts.MONITOR_VM, vm=vm.name)


def _genw_remote_node(config: Config, names: EcxNames) -> Expected:
    none = "it acts by itself; ECX must do nothing on this EC-VM because the other one is down"
    parameters = (
        *_genw(config, names.remote_node, names.md),
        Parameter("relation/type", "cls", none),
        Parameter("relation/name", "LocalServer", none),
        Parameter("emergency/threshold/restart", "0", none),
        Parameter("emergency/threshold/fo", "0", none),
        Parameter("emergency/action", "1", none, absent="1"),
    )
    return Expected(ConfSection.MONITOR, "genw", names.remote_node, parameters, scripts=Scripts.MONITOR_REMOTE_NODE)


def _usual_monitors(names: EcxNames) -> tuple[Expected, ...]:
    """Return what ECX's own editor adds by itself beside a floating IP and a mirror disk."""
    here = (
        Parameter("relation/type", "cls", "as ECX sets it", MatchRule.SOMETHING),
        Parameter("relation/name", "LocalServer", "as ECX sets it", MatchRule.SOMETHING),
    )
    fip = (
        Parameter("target", names.fip, "the address must be watched"),
        Parameter("relation/type", "rsc", "as ECX sets it", MatchRule.SOMETHING),
        Parameter("relation/name", names.fip, "as ECX sets it", MatchRule.SOMETHING),
    )
    watched = Expected(ConfSection.MONITOR, "fipw", f"fipw-{names.fip}", fip, must=False)
    if not names.md:
        return (watched,)
    md = Parameter("parameters/object", names.md, "the mirror must be watched")
    return (
        watched,
        Expected(ConfSection.MONITOR, "mdw", f"mdw-{names.md}", (md, *here), must=False),
        Expected(ConfSection.MONITOR, "mdnw", f"mdnw-{names.md}", (md, *here), must=False),
    )
