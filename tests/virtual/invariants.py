"""What must hold after every step of every run, checked against what the world really is at that moment.

A run sees hosts through requests; the referee sees the world itself. Each cmdlet call is judged before it is made,
each run when it ends. What is wrong goes into the world's violations. Two kinds of them: a judgement of one step bears
the node's name (" on ec1: "), and is dropped where somebody changed the world between the look and that step; what
became of a VM, a guest or a node bears none, and nothing excuses it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ecx_hyperv.host.wire import Call, changes
from ecx_hyperv.lab.model.roles import CONFIGURATION
from ecx_hyperv.lab.model.things import EcVm, Host, Sshd, Vm
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows import acts
from ecx_hyperv.lab.windows.messages import Failure
from ecx_hyperv.lab.windows.rows import Rows

_MOST = 3
# A judgement of when something is done leaves room for the answers on their way.
_SLACK_S = 5.0
# How long all must have been well before a stop that failed could have succeeded, and how often that is looked at.
_WELL_S = 60.0
_SAMPLE_S = 5.0
# What a stop can do without, if it hangs or is refused.
_DISPENSABLE = frozenset({"Get-ClusterSharedVolume", "Get-IscsiConnection", "Get-ClusterParameter"})
_ENDABLE = frozenset({"Running", "Paused", "Off", "Saved", "FastSaved"})
_OF_GUESTS = frozenset({"Start-VM", "Stop-VM", "Resume-VM", "Restart-VM", "Agent-ShutdownGuest"})
_OF_RESOURCES = frozenset({"Start-ClusterResource", "Stop-ClusterResource"})


class ProgramKind(Enum):
    """Which program runs."""

    START = "vm-start"
    STOP = "vm-unregister"
    WATCH = "genw-vm"
    PEER = "genw-remote-node"


class Rule(Enum):
    """The rules of the second edition."""

    IDENTITY = "nothing is done to a VM that is not the configured role's"
    ENDED = "nothing is done by a run that has ended"
    GRACE = "no guest loses its power before it was asked and had its grace"
    TWO_LOOKS = "nothing is destroyed after a single look"
    STOP = "no stop fails that could have succeeded"


IN_FORCE = frozenset(Rule)


@dataclass(slots=True)
class InvariantChecker:
    """Judges one run of one program on one EC-VM.

    `names` are the VMs that the run is asked for, `meant` the ids that it may act on for each; `ends_at` is when the
    run will have ended at the latest, by the world's clock; `reserve`, `grace` and `interval` are its [timing].
    """

    world: World
    job: ProgramKind
    node: str
    maintained: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()
    meant: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rules: frozenset[Rule] = IN_FORCE
    ends_at: float = float("inf")
    reserve: float = 0.0
    grace: float = 0.0
    interval: float = 0.0
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    # Which VMs ran on the local host when it was last asked: what happens after the last look, no run can know.
    seen_running: dict[str, bool] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    # When the run looked, at what matters for what it destroys, and at the guests of each host.
    looked: list[float] = field(default_factory=list)
    looked_at_guests: dict[str, list[float]] = field(default_factory=dict)
    # Since which look each host could tell of its guests without a break: one that is back, the run need not know yet.
    told: dict[str, float] = field(default_factory=dict)
    # When each host last showed the run a guest or the EC-VM: without its EC-VM, what it does not show says nothing.
    shown: dict[str, float] = field(default_factory=dict)
    well_since: float | None = None
    stood_still: float = 0.0
    over: bool = False

    def begins(self) -> None:
        """Begin to judge the run."""
        self.stood_still = self.world.ec_vms[self.node].stood_still(self.world.now)
        if self.job is ProgramKind.STOP and Rule.STOP in self.rules:
            self._sample()

    def watch(self, host: str, call: Call) -> None:
        """Judge a call before it is made on a host."""
        targets = self._targets(host, call)
        if call.cmdlet == "Get-VM" and host == self.world.ec_vms[self.node].host:
            self._look(host, str(call.args.get("Id", call.args.get("Name", ""))))
        if call.cmdlet in ("Get-VM", "Get-ClusterGroup", "Get-ClusterResource"):
            self.looked.append(self.world.now)
            tell = filter(self._tells, self.world.hosts)
            self.told = {one: self.told.get(one, self.world.now) for one in tell}
        if call.cmdlet == "Get-VM":
            self.looked_at_guests.setdefault(host, []).append(self.world.now)
            self.shown |= {host: self.world.now} if self._shows(host, call) else {}
        if not changes(call):
            return
        name = self._name_of(call, targets)
        self.changes.append(f"{call.cmdlet} {name}")
        if Rule.ENDED in self.rules and (self.over or self.world.now > self.ends_at + _SLACK_S):
            self.world.violated(f"{call.cmdlet} {name} is done by a {self.job.value} that has ended")
        if self.job is ProgramKind.WATCH:
            self._violation(f"a monitor calls {call.cmdlet} {name}")
        if self.job is ProgramKind.PEER:
            self._judge_peer(call, name, targets)
            return
        for one in targets:
            self._judge_identity(call, one)
            if isinstance(one, Vm):
                if self._configured(one) & self.maintained and self.job is ProgramKind.START:
                    self._violation(f"{call.cmdlet} {name} in maintenance")
                self._judge_vm(host, call, one, name)
        if call.cmdlet == "Stop-ClusterResource" and not targets:
            self._judge_looks(f"{name} is taken offline", self.looked)

    def ended(self, code: int, vms: tuple[str, ...], *, stays: bool = False) -> None:
        """Judge how a run ended."""
        self.over = True
        local = self.world.ec_vms[self.node].host
        for name in vms:
            for vm in self._meant(name):
                self._judge_end(code, name, vm, local, stays=stays)

    def _judge_end(self, code: int, name: str, vm: Vm, local: str, *, stays: bool) -> None:
        live = _live(self.world, vm)
        # A VM that is in no role is asked, never turned off: it may run on, as long as its storage stays.
        is_left = not vm.is_clustered and all(self.world.volumes[one].state == "Online" for one in vm.volumes if one)
        if self.job is ProgramKind.STOP and code == 0 and live and not stays and not is_left:
            self._violation(f"a stop of {name} ends with 0 while it runs on {' and '.join(live)}")
        if self.job is ProgramKind.STOP and code != 0 and Rule.STOP in self.rules:
            self._judge_failed_stop(code, name, vm)
        runs = self.seen_running.get(vm.id, False)
        if self.job is ProgramKind.START and code == 0 and name not in self.maintained and not runs:
            self._violation(f"a start of {name} ends with 0 while it does not run on {local}")
        if self.job is ProgramKind.WATCH and code == 1:
            self._judge_alarm(vm, local)

    # Whom a call means, and whom the run may mean.

    def _targets(self, host: str, call: Call) -> list[Vm | EcVm]:
        """Return what a call would act on, or look at."""
        args: Mapping[str, Any] = call.args
        if call.from_ is not None and not {"Id", "Name"} & set(args):
            args = call.from_.args
        try:
            if call.cmdlet in _OF_GUESTS and {"Id", "Name"} & set(args):
                return acts.vms_meant(self.world, host, args)
        except Failure:
            return []
        if call.cmdlet in _OF_RESOURCES:
            found = Rows(self.world, host, "").find_resource(str(args.get("Name", "")))
            return [] if found is None else [found[0]]
        if call.cmdlet == "Move-ClusterVirtualMachineRole":
            group = list(self.world.in_group(str(args.get("Name", ""))))
            # A migration is the group's. Whoever must cancel it for one VM cannot spare the others, which stay where
            # they are; to let it go on would have a stop fail.
            own = [one for one in group if self._configured(one)] if "Cancel" in args else []
            return [*(own or group)]
        return []

    def _shows(self, host: str, call: Call) -> bool:
        try:
            return bool(acts.vms_meant(self.world, host, call.args))
        except Failure:
            return False

    def _name_of(self, call: Call, targets: list[Vm | EcVm]) -> str:
        for key in ("Name", "TargetPortalAddress"):
            if key in call.args:
                return str(call.args[key])
        return " and ".join(one.vm if isinstance(one, EcVm) else one.name for one in targets)

    def _meant(self, name: str) -> list[Vm]:
        """Return the VMs that a configured name may mean: the one that had it from the beginning, unless said."""
        usual = self.world.vms.get(name)
        ids = self.meant.get(name, frozenset() if usual is None else frozenset({usual.id}))
        return [vm for vm in self.world.all_vms if vm.id in ids]

    def _configured(self, vm: Vm) -> frozenset[str]:
        """Return the configured names by which the run may mean a VM."""
        return frozenset(name for name in self.names if vm in self._meant(name))

    def _look(self, host: str, about: str) -> None:
        for name in self.names:
            for vm in self._meant(name):
                if about.casefold() not in (vm.id, vm.name.casefold()):
                    continue
                guest = vm.guests.get(host)
                self.seen_running[vm.id] = guest is not None and guest.state == "Running"

    def _judge_identity(self, call: Call, one: Vm | EcVm) -> None:
        if Rule.IDENTITY not in self.rules:
            return
        if isinstance(one, EcVm):
            self.world.violated(f"{call.cmdlet} is done to the EC-VM {one.vm}")
        elif not self._configured(one):
            self.world.violated(
                f"{call.cmdlet} is done to {one.name} of role {one.role!r} ({one.id}), not to {' or '.join(self.names)}"
            )
        elif not one.is_clustered and call.cmdlet != "Agent-ShutdownGuest":
            self.world.violated(f"{call.cmdlet} is done to {one.name}, which is in no role")

    # The steps.

    def _judge_alarm(self, vm: Vm, local: str) -> None:
        guest = vm.guests.get(local)
        if guest is not None and guest.state == "Running" and guest.heartbeat != "LostCommunication":
            self._violation(f"a false alarm: {vm.name} runs on {local}")

    def _judge_peer(self, call: Call, name: str, targets: list[Vm | EcVm]) -> None:
        ec_vm = next((one for one in targets if isinstance(one, EcVm)), None)
        if ec_vm is None or len(targets) > 1:
            self._violation(f"the peer's monitor calls {call.cmdlet} {name}")
        elif ec_vm.name in self.maintained:
            self._violation(f"{call.cmdlet} {name} in maintenance")
        elif call.cmdlet == "Restart-VM" and not ec_vm.hung:
            self._violation(f"{name} is restarted although it does not hang")

    def _judge_vm(self, host: str, call: Call, vm: Vm, name: str) -> None:
        live = _live(self.world, vm)
        elsewhere = [one for one in live if one != host]
        is_start = self.job is ProgramKind.START
        is_configuration = name.casefold() == vm.configuration_name.casefold()
        match call.cmdlet:
            case "Start-VM" | "Resume-VM":
                self._count(vm, "start", host, call)
                self._start(vm, host, elsewhere, call)
            case "Start-ClusterResource" if not is_configuration:
                self._count(vm, "clear", host, call)
                self._start(vm, vm.owner, [one for one in live if one != vm.owner], call)
            case "Stop-VM" | "Agent-ShutdownGuest" if is_start:
                self._violation(f"a start calls {call.cmdlet} {vm.name}")
            case "Stop-VM" if call.args.get("TurnOff"):
                self._judge_power(vm, host)
            case "Stop-ClusterResource" if is_start:
                self._count(vm, "registration" if is_configuration else "clear", host, call)
                if vm.owner in live:
                    self._violation(f"a start stops {name}, whose guest is {vm.guests[vm.owner].state}")
            case "Move-ClusterVirtualMachineRole":
                self._judge_move(host, call, vm, live)
        if call.cmdlet == "Stop-ClusterResource" and is_configuration:
            self._judge_looks(f"the {CONFIGURATION} of {vm.name} is stopped", self._looks_at(vm.owner))

    def _judge_move(self, host: str, call: Call, vm: Vm, live: list[str]) -> None:
        if call.args.get("Cancel"):
            if self.job is ProgramKind.START:
                self._violation(f"a start cancels the move of {vm.name}")
            return
        if self.job is not ProgramKind.START:
            self._violation(f"a stop moves {vm.name}")
        self._count(vm, "migration", host, call)
        states = {vm.guests[host].state for host in live}
        if call.args.get("MigrationType") != "Quick":
            return
        self._judge_looks(f"{vm.name} is fetched by quick migration", self._looks_at(vm.owner))
        if states & {"Running", "Paused", "Starting"}:
            self._violation(
                f"a quick migration of {vm.name}, which is {', '.join(sorted(states))} on {' and '.join(live)}"
            )

    def _start(self, vm: Vm, host: str, elsewhere: list[str], call: Call) -> None:
        # A stop resumes a paused guest, to ask it to shut down.
        if self.job is not ProgramKind.START and call.cmdlet != "Resume-VM":
            self._violation(f"a {self.job.value} calls {call.cmdlet} {vm.name}")
        if not all(self._is_given_up(one) for one in elsewhere):
            self._violation(f"{call.cmdlet} {vm.name} on {host} while it lives on {' and '.join(elsewhere)}")

    def _is_given_up(self, host: str) -> bool:
        """Tell whether the cluster has shut a host out that answers nobody here: its disk's reservation decides."""
        is_silent = self.world.ssh_answers(self.node, host) is Sshd.SILENT
        return is_silent and not self.world.cluster.is_member(host)

    def _judge_power(self, vm: Vm, host: str) -> None:
        """Judge a power cut: the guest must have been asked, and had its grace, unless time is nearly up."""
        guest = vm.guests.get(host)
        if guest is None or not guest.is_live:
            return
        self._judge_looks(f"the power of {vm.name} is cut", self._looks_at(host))
        now = self.world.now
        if Rule.GRACE not in self.rules or now >= self.ends_at - self.reserve - _SLACK_S:
            return
        since = guest.starved if guest.state.endswith("Critical") else guest.asked
        # One that is paused or has no storage gets half of it to be able to be asked at all.
        grace = self.grace / 2 if guest.state != "Running" else self.grace
        if since is None and guest.state == "Paused":
            since = guest.paused
        had = "was not asked" if since is None else f"had {now - since:.0f} s of {grace:.0f} s"
        if since is None or now - since < grace - _SLACK_S:
            self.world.violated(f"{vm.name}, {guest.state} on {host}, loses its power: it {had}")

    def _looks_at(self, host: str) -> list[float]:
        """Return when the run looked at a host's guests; at anything, if that host tells nothing or is only just back.

        One that is back counts from when it has shown anything, and after an interval in any case.
        """
        if not self._tells(host) or host not in self.told:
            return self.looked
        since = self.told[host]
        is_known = self.shown.get(host, -math.inf) >= since or self.world.now - since >= self.interval
        return self.looked_at_guests.get(host, []) if is_known else self.looked

    def _tells(self, host: str) -> bool:
        answers = self.world.ssh_answers(self.node, host) is Sshd.UP and self.world.hosts[host].vmms
        return answers and "Get-VM" not in self.world.hosts[host].hangs

    def _judge_looks(self, what: str, looks: list[float]) -> None:
        """Judge whether the run has looked at least twice, an interval apart, before it destroys anything."""
        if Rule.TWO_LOOKS not in self.rules:
            return
        if not looks or looks[-1] - looks[0] < self.interval * 0.9:
            self.world.violated(f"{what} by a {self.job.value} that has looked once")

    # The end of a stop.

    def _sample(self) -> None:
        """Take note of since when a stop has had nothing in its way, again and again until it ends."""
        if self.over:
            return
        if not all(self._is_well(host) for host in self.world.hosts.values()):
            self.well_since = None
        elif self.well_since is None:
            self.well_since = self.world.now
        self.world.at(_SAMPLE_S, self._sample)

    def _is_well(self, host: Host) -> bool:
        is_known = host.vmms and self.world.now >= host.blind_until
        is_reached = self.world.ssh_answers(self.node, host.name) is Sshd.UP
        in_the_way = host.hangs | {one.cmdlet for one in host.refusals}
        return is_known and is_reached and self.world.cluster.is_member(host.name) and in_the_way <= _DISPENSABLE

    def _judge_failed_stop(self, code: int, name: str, vm: Vm) -> None:
        states = {guest.state for guest in vm.guests.values()}
        now = self.world.now
        is_well = self.well_since is not None and now - self.well_since >= _WELL_S
        # A run that stood still has ended, whatever it could have done: another one may have begun elsewhere.
        is_whole = self.world.ec_vms[self.node].stood_still(now) == self.stood_still
        if is_well and is_whole and states <= _ENDABLE and not vm.moving_to and code not in (2, 3):
            what = ", ".join(f"{guest.state} on {host}" for host, guest in vm.guests.items()) or "off"
            self.world.violated(f"a stop of {name} takes its node down with {code}: the VM is {what}, all answer")

    def _count(self, vm: Vm, what: str, host: str, call: Call) -> None:
        # What is refused was not done, and may be asked for again.
        if self.world.refuses(host, call.cmdlet) is not None:
            return
        key = (vm.id, what)
        self.counts[key] = self.counts.get(key, 0) + 1
        if self.job is ProgramKind.START and self.counts[key] > _MOST:
            self._violation(f"{self.counts[key]} {what}s of {vm.name} in one run")

    def _violation(self, rule: str) -> None:
        self.world.violated(f"{self.job.value} on {self.node}: {rule}")


def _live(world: World, vm: Vm) -> list[str]:
    return [host for host, guest in vm.guests.items() if guest.is_live and world.hosts[host].on]
