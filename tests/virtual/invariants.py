"""What must hold after every step of every run, checked against what the world really is at that moment.

A run sees hosts through requests; the referee sees the world itself. Each cmdlet call is judged before it is made,
each run when it ends. What is wrong goes into the world's violations.
"""

from dataclasses import dataclass, field
from enum import Enum

from ecx_hyperv.host.wire import Call, changes
from ecx_hyperv.lab.model.things import Sshd, Vm
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.rows import vm_id

_CONFIGURATION = "Virtual Machine Configuration "
_MACHINE = "Virtual Machine "
_MOST = 3


class ProgramKind(Enum):
    """Which program runs."""

    START = "vm-start"
    STOP = "vm-unregister"
    WATCH = "genw-vm"
    PEER = "genw-remote-node"


@dataclass(slots=True)
class InvariantChecker:
    """Judges one run of one program on one EC-VM."""

    world: World
    job: ProgramKind
    node: str
    maintained: frozenset[str] = frozenset()
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    # Which VMs ran on the local host when it was last asked: what happens after the last look, no run can know.
    seen_running: dict[str, bool] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)

    def watch(self, host: str, call: Call) -> None:
        """Judge a call before it is made on a host."""
        name = self._about(call)
        if call.cmdlet == "Get-VM" and host == self.world.ec_vms[self.node].host:
            self._look(name, host)
        if not changes(call):
            return
        self.changes.append(f"{call.cmdlet} {name}")
        if self.job is ProgramKind.WATCH:
            self._violation(f"a monitor calls {call.cmdlet} {name}")
        vm = self._vm(call.cmdlet, name)
        if self.job is ProgramKind.PEER:
            self._judge_peer(call, name, vm)
        elif vm is not None:
            if vm.name in self.maintained and self.job is ProgramKind.START:
                self._violation(f"{call.cmdlet} {name} in maintenance")
            self._judge_vm(host, call, vm, name)

    def ended(self, code: int, vms: tuple[str, ...], *, stays: bool = False) -> None:
        """Judge how a run ended."""
        for name in vms:
            vm = self.world.vms.get(name)
            if vm is None:
                continue
            live = _live(self.world, vm)
            local = self.world.ec_vms[self.node].host
            if self.job is ProgramKind.STOP and code == 0 and live and not stays:
                self._violation(f"a stop of {name} ends with 0 while it runs on {' and '.join(live)}")
            runs = self.seen_running.get(vm.name, False)
            if self.job is ProgramKind.START and code == 0 and name not in self.maintained and not runs:
                self._violation(f"a start of {name} ends with 0 while it does not run on {local}")
            if self.job is ProgramKind.WATCH and code == 1:
                self._judge_alarm(vm, local)

    def _look(self, name: str, host: str) -> None:
        vm = self._vm("Get-VM", name)
        if vm is not None:
            guest = vm.guests.get(host)
            self.seen_running[vm.name] = guest is not None and guest.state == "Running"

    def _judge_alarm(self, vm: Vm, local: str) -> None:
        guest = vm.guests.get(local)
        if guest is not None and guest.state == "Running" and guest.heartbeat != "LostCommunication":
            self._violation(f"a false alarm: {vm.name} runs on {local}")

    def _judge_peer(self, call: Call, name: str, vm: Vm | None) -> None:
        ec_vm = next((one for one in self.world.ec_vms.values() if one.vm.casefold() == name.casefold()), None)
        if vm is not None or ec_vm is None:
            self._violation(f"the peer's monitor calls {call.cmdlet} {name}")
        elif ec_vm.name in self.maintained:
            self._violation(f"{call.cmdlet} {name} in maintenance")
        elif call.cmdlet == "Restart-VM" and not ec_vm.hung:
            self._violation(f"{name} is restarted although it does not hang")

    def _judge_vm(self, host: str, call: Call, vm: Vm, name: str) -> None:
        live = _live(self.world, vm)
        elsewhere = [one for one in live if one != host]
        is_start = self.job is ProgramKind.START
        match call.cmdlet:
            case "Start-VM" | "Resume-VM":
                self._count(vm, "start")
                self._start(vm, host, elsewhere, call)
            case "Start-ClusterResource" if not name.startswith(_CONFIGURATION):
                self._count(vm, "clear")
                self._start(vm, vm.owner, [one for one in live if one != vm.owner], call)
            case "Stop-VM" | "Agent-ShutdownGuest" if is_start:
                self._violation(f"a start calls {call.cmdlet} {vm.name}")
            case "Stop-ClusterResource" if is_start:
                self._count(vm, "registration" if name.startswith(_CONFIGURATION) else "clear")
                if vm.owner in live:
                    self._violation(f"a start stops {name}, whose guest is {vm.guests[vm.owner].state}")
            case "Move-ClusterVirtualMachineRole":
                self._judge_move(call, vm, live)

    def _judge_move(self, call: Call, vm: Vm, live: list[str]) -> None:
        if call.args.get("Cancel"):
            if self.job is ProgramKind.START:
                self._violation(f"a start cancels the move of {vm.name}")
            return
        if self.job is not ProgramKind.START:
            self._violation(f"a stop moves {vm.name}")
        self._count(vm, "migration")
        states = {vm.guests[host].state for host in live}
        if call.args.get("MigrationType") == "Quick" and states & {"Running", "Paused", "Starting"}:
            self._violation(
                f"a quick migration of {vm.name}, which is {', '.join(sorted(states))} on {' and '.join(live)}"
            )

    def _start(self, vm: Vm, host: str, elsewhere: list[str], call: Call) -> None:
        if self.job is not ProgramKind.START:
            self._violation(f"a {self.job.value} calls {call.cmdlet} {vm.name}")
        if not all(self._is_given_up(one) for one in elsewhere):
            self._violation(f"{call.cmdlet} {vm.name} on {host} while it lives on {' and '.join(elsewhere)}")

    def _is_given_up(self, host: str) -> bool:
        """Tell whether the cluster has shut a host out that answers nobody here: its disk's reservation decides."""
        is_silent = self.world.ssh_answers(self.node, host) is Sshd.SILENT
        return is_silent and not self.world.cluster.is_member(host)

    def _count(self, vm: Vm, what: str) -> None:
        key = (vm.name, what)
        self.counts[key] = self.counts.get(key, 0) + 1
        if self.job is ProgramKind.START and self.counts[key] > _MOST:
            self._violation(f"{self.counts[key]} {what}s of {vm.name} in one run")

    def _about(self, call: Call) -> str:
        """Return the name of what a call is about, also where it is told by its id."""
        fed = call.from_ if call.from_ is not None and "Id" in call.from_.args else call
        if "Id" not in fed.args:
            return str(call.args.get("Name", call.args.get("TargetPortalAddress", "")))
        names = [*self.world.vms, *(one.vm for one in self.world.ec_vms.values())]
        return next((name for name in names if vm_id(name) == str(fed.args["Id"]).casefold()), str(fed.args["Id"]))

    def _vm(self, cmdlet: str, name: str) -> Vm | None:
        if "ClusterResource" in cmdlet:
            name = name.removeprefix(_CONFIGURATION).removeprefix(_MACHINE)
        return next((one for one in self.world.vms.values() if one.name.casefold() == name.casefold()), None)

    def _violation(self, rule: str) -> None:
        self.world.violated(f"{self.job.value} on {self.node}: {rule}")


def _live(world: World, vm: Vm) -> list[str]:
    return [host for host, guest in vm.guests.items() if guest.is_live and world.hosts[host].on]
