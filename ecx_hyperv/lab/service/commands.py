"""What can be asked of a running lab: ECX's commands as its EC-VMs run them, and the faults that a person injects."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.errors import UsageError
from ecx_hyperv.host.wire import Request
from ecx_hyperv.lab.linux import clpmdstat, clpstat, files
from ecx_hyperv.lab.linux import commands as linux
from ecx_hyperv.lab.model import facts
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.mirror import MIRROR
from ecx_hyperv.lab.model.things import Guest, Plane, Sshd
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.service import refusals
from ecx_hyperv.lab.service.audit import Audit
from ecx_hyperv.lab.service.control import ControlAnswer, ControlQuestion
from ecx_hyperv.lab.windows import remedies
from ecx_hyperv.lab.windows.agent import InjectedFaults
from ecx_hyperv.lab.windows.powershell import PowerShell

_SUCCEEDED = "Command succeeded.\n"
_INJECTED_FAULTS = msgspec.json.Decoder(InjectedFaults)
_REQUEST = msgspec.json.Decoder(Request)


class Commands:
    """Answers questions; each is a method, named in the table below."""

    def __init__(
        self,
        *,
        ecx: SimulatedEcx,
        world_now: Callable[[], AbstractContextManager[World]],
        faults: dict[str, InjectedFaults],
        audits: dict[tuple[str, str], Audit],
        stop: Callable[[], None],
    ) -> None:
        self._ecx = ecx
        self._world_now = world_now
        self._injected = faults
        self._audits = audits
        self._stop_lab = stop

    def answer(self, question: ControlQuestion) -> ControlAnswer:
        """Do what is asked, and say what came of it."""
        command = self._COMMANDS.get(question.do)
        if command is None:
            return ControlAnswer(code=2, text=f"{question.do}: the lab knows no such command\n")
        with self._world_now() as world:
            try:
                return command(self, world, question)
            except UsageError as error:
                return ControlAnswer(code=2, text=f"{error}\n")
            except (KeyError, IndexError, ValueError, StopIteration) as error:
                words = " ".join([question.do, *question.arguments])
                return ControlAnswer(code=2, text=f"the lab cannot do this: {words} ({error})\n")

    # ECX's commands, and the system's.

    def _clpstat(self, _world: World, question: ControlQuestion) -> ControlAnswer:
        return ControlAnswer(text=clpstat.render(self._ecx, question.node, long="--long" in question.arguments))

    def _clpcl(self, _world: World, question: ControlQuestion) -> ControlAnswer:
        target = _after(question.arguments, "-h") or question.node
        ecx = self._ecx
        code = ecx.start_service(target) if "-s" in question.arguments else ecx.stop_service(target)
        return ControlAnswer(
            code=code, text=f"{target} : {_SUCCEEDED}" if code == 0 else f"{target} : Command failed.\n"
        )

    def _clpgrp(self, _world: World, question: ControlQuestion) -> ControlAnswer:
        ecx, arguments = self._ecx, question.arguments
        if "-n" in arguments:
            active = [one.name for one in ecx.servers.values() if one.is_active]
            return ControlAnswer(code=0 if active else 1, text="".join(f"{name}\n" for name in active[:1]))
        target = _after(arguments, "-a") or _after(arguments, "-h") or question.node or "ec1"
        refusals.named(ecx.servers, target, "server")
        verb = "start" if "-s" in arguments else "stop" if "-t" in arguments else "move"
        # Asked beforehand: what was begun is no reason any more.
        why_not = refusals.of_group(ecx, verb, target)
        if verb == "start":
            code = ecx.start_group(target)
        else:
            code = ecx.stop_group() if verb == "stop" else ecx.move_group(target)
        return ControlAnswer(code=code, text=_SUCCEEDED if code == 0 else f"Command failed. {why_not}\n")

    def _clplogcmd(self, world: World, question: ControlQuestion) -> ControlAnswer:
        level, text = _after(question.arguments, "-l"), _after(question.arguments, "-m")
        if not text or level not in ("INFO", "WARN", "ERR"):
            return ControlAnswer(code=1, text="clplogcmd: invalid option\n")
        world.record("alert", text, question.node, level)
        return ControlAnswer()

    def _clpmdstat(self, _world: World, question: ControlQuestion) -> ControlAnswer:
        code, text = clpmdstat.clpmdstat(self._ecx, question.node, question.arguments)
        return ControlAnswer(code=code, text=text)

    def _clpmdctrl(self, _world: World, question: ControlQuestion) -> ControlAnswer:
        code, text = clpmdstat.clpmdctrl(self._ecx, question.node, question.arguments)
        return ControlAnswer(code=code, text=text)

    def _ping(self, world: World, question: ControlQuestion) -> ControlAnswer:
        wanted = question.arguments[-1]
        other = next(name for number, name in enumerate(files.NODES, 1) if wanted == f"127.77.0.{number}")
        return ControlAnswer(code=0 if world.ping_answers(question.node, other) else 1)

    def _systemctl(self, world: World, question: ControlQuestion) -> ControlAnswer:
        verb, unit = question.arguments[0], question.arguments[-1]
        if verb not in ("start", "stop"):
            return self._linux(world, question)
        if unit not in ("target", "target.service"):
            return ControlAnswer(code=5, text=f"Unit {unit} not found.\n")
        world.storage.serve(question.node, on=verb == "start")
        return ControlAnswer()

    def _linux(self, world: World, question: ControlQuestion) -> ControlAnswer:
        """Answer for the commands of an EC-VM's Linux that only show or set how it is set up."""
        said = linux.answer(world.ec_vms[question.node].linux, [question.do, *question.arguments])
        return ControlAnswer(code=127) if said is None else ControlAnswer(code=said[0], text=said[1])

    # What befalls the lab.

    def _power(self, world: World, question: ControlQuestion) -> ControlAnswer:
        what, how = refusals.words(question.arguments, 2, "power host2 off")
        acts: Mapping[str, Callable[[], None]]
        if what in world.ec_vms:
            ec_vm = world.ec_vms[what]
            acts = {
                "off": lambda: world.stop_ec_vm(ec_vm, "Off"),
                "on": lambda: world.start_ec_vm(ec_vm),
                "shutdown": lambda: world.shut_down_ec_vm(ec_vm),
                "hang": lambda: world.hang_ec_vm(ec_vm),
            }
        else:
            host = self._host(world, what)
            acts = {
                "off": lambda: world.power_off_host(host),
                "on": lambda: world.power_on_host(host),
                "shutdown": lambda: world.shut_down_host(host),
            }
        refusals.named(acts, how, f"way to power {what}")()
        return ControlAnswer(text=f"{what}: {how}\n")

    def _iscsi(self, world: World, question: ControlQuestion) -> ControlAnswer:
        if question.arguments[0] == "cut":
            for host in world.hosts:
                for ec_vm in world.ec_vms:
                    world.cut(host, ec_vm, Plane.STORAGE)
        else:
            world.restore_all()
        return ControlAnswer(text=f"iSCSI: {question.arguments[0]}\n")

    def _network(self, world: World, question: ControlQuestion) -> ControlAnswer:
        verb, *machines = question.arguments
        names = [one if one in world.ec_vms or one == "witness" else self._host(world, one) for one in machines]
        if verb == "isolate":
            world.isolate(*refusals.words(names, 1, "network isolate host1"))
        elif verb == "cut":
            one, other = refusals.words(names, 2, "network cut host1 host2")
            world.cut(one, other)
        else:
            world.restore_all()
        return ControlAnswer(text=f"network: {' '.join(question.arguments)}\n")

    def _move_vm(self, world: World, question: ControlQuestion) -> ControlAnswer:
        vm = refusals.named(world.vms, question.arguments[0], "VM")
        code = world.cluster.move(vm, world.other(vm.owner).name, live=True)
        return ControlAnswer(
            code=1 if code else 0, text=f"{vm.name}: {f'refused, error {code}' if code else 'on its way'}\n"
        )

    def _sshd(self, world: World, question: ControlQuestion) -> ControlAnswer:
        world.hosts[self._host(world, question.arguments[0])].sshd = Sshd(question.arguments[1])
        return ControlAnswer()

    def _faults(self, world: World, question: ControlQuestion) -> ControlAnswer:
        host = self._host(world, question.arguments[0])
        self._injected[host] = _INJECTED_FAULTS.decode(question.arguments[1])
        return ControlAnswer()

    def _set(self, world: World, question: ControlQuestion) -> ControlAnswer:
        where, name, value = question.arguments
        try:
            found = world.facts_of(where)
        except KeyError:
            places = dict.fromkeys(("cluster", "host1", "host2", *world.vms, "EC-VM1", "EC-VM2", *world.ec_vms))
            refusals.named(places, where, "thing that is set up,")
            raise
        facts.change(found, name, value)
        return ControlAnswer(text=f"{where}: {name} is {value!r} now\n")

    def _powershell(self, world: World, question: ControlQuestion) -> ControlAnswer:
        """Carry out what a person would type on a host."""
        host, line = question.arguments
        try:
            remedies.run(world, self._host(world, host), line)
        except remedies.NotUnderstood as error:
            return ControlAnswer(code=1, text=f"{error}\n")
        return ControlAnswer(text=f"{host}: done\n")

    def _mirror(self, _world: World, question: ControlQuestion) -> ControlAnswer:
        """Spoil the mirror disk, or show it: two colors, one for each EC-VM, or `copy`."""
        mirror, words = self._ecx.mirror, question.arguments
        colors = [MirrorColor(word.upper()) for word in words if word != "copy"]
        if words == ["copy"]:
            mirror.shown.clear()
            mirror.spoil(MirrorColor.GREEN, MirrorColor.RED)
            mirror.copy(by_itself=False)
        elif colors:
            mirror.spoil_or_show(*colors)
        shown = [f"{name} {self._ecx.sees_mirror(name, name).value}" for name in self._ecx.servers]
        copied = f", {mirror.percent} % copied from {mirror.source}" if mirror.source else ""
        return ControlAnswer(text=f"{MIRROR}: {', '.join(shown)}{copied}\n")

    def _monitors(self, _world: World, question: ControlQuestion) -> ControlAnswer:
        self._ecx.monitoring = question.arguments[0] == "on"
        return ControlAnswer()

    # What is, and was.

    def _show(self, world: World, _question: ControlQuestion) -> ControlAnswer:
        hosts = {
            name: {"on": host.on, "iscsi": host.session, "service": host.service} for name, host in world.hosts.items()
        }
        vms = {
            name: {
                "owner": vm.owner,
                "group": vm.group,
                "configuration": vm.configuration,
                "guests": {where: _guest(world, guest) for where, guest in vm.guests.items()},
            }
            for name, vm in world.vms.items()
        }
        ecx = {
            name: {"service": one.service, "group": one.group, "resources": one.resources}
            for name, one in self._ecx.servers.items()
        }
        ec_vms = {name: {"state": one.guest.state, "up": one.is_alive} for name, one in world.ec_vms.items()}
        volumes = {name: {"owner": one.owner, "state": one.state} for name, one in world.volumes.items()}
        data: dict[str, Any] = {
            "now": world.now,
            "hosts": hosts,
            "vms": vms,
            "volumes": volumes,
            "ecx": ecx,
            "ec_vms": ec_vms,
            "mirror": {name: self._ecx.sees_mirror(name, name).value for name in self._ecx.servers},
            "idle": self._ecx.is_idle,
            "violations": world.violations,
        }
        return ControlAnswer(data=data, text=msgspec.json.format(msgspec.json.encode(data)).decode() + "\n")

    def _history(self, world: World, question: ControlQuestion) -> ControlAnswer:
        since = float(question.arguments[0]) if question.arguments else 0.0
        events = [event for event in world.history if event.at >= since]
        lines = [f"{one.at:8.2f}  {one.what:20} {one.who} {one.where} {one.state}".rstrip() for one in events]
        return ControlAnswer(data=[msgspec.to_builtins(one) for one in events], text="\n".join(lines) + "\n")

    def _audit(self, _world: World, question: ControlQuestion) -> ControlAnswer:
        data = [
            {
                "node": node,
                "host": host,
                "logins": audit.logins,
                "powershells": audit.powershells,
                "requests": len(audit.asked),
                "changes": audit.changes,
            }
            for (node, host), audit in self._audits.items()
        ]
        if question.arguments == ["clear"]:
            self._audits.clear()
        return ControlAnswer(data=data)

    def _perform(self, world: World, question: ControlQuestion) -> ControlAnswer:
        """Carry out one request on a host, for a stand-in behind another SSH server."""
        host, request = question.arguments
        waited: list[float] = []
        shell = PowerShell(world, host, files.TARGET, sleep=waited.append)
        reply = shell.perform(_REQUEST.decode(request))
        data = {"hello": msgspec.to_builtins(shell.hello()), "reply": msgspec.to_builtins(reply)}
        return ControlAnswer(data=data)

    def _stop(self, _world: World, _question: ControlQuestion) -> ControlAnswer:
        threading.Timer(0.05, self._stop_lab).start()
        return ControlAnswer(text="the lab is stopping\n")

    def host(self, name: str) -> str:
        """Return the node that a host's name means; raises KeyError."""
        with self._world_now() as world:
            return self._host(world, name)

    def _host(self, world: World, name: str) -> str:
        known = {f"host{number}": host for number, host in enumerate(world.hosts, 1)}
        return known.get(name) or refusals.named(world.hosts, name, "machine").name

    _COMMANDS: Mapping[str, Callable[["Commands", World, ControlQuestion], ControlAnswer]] = {
        "clpstat": _clpstat,
        "clpcl": _clpcl,
        "clpgrp": _clpgrp,
        "clplogcmd": _clplogcmd,
        "clpmdstat": _clpmdstat,
        "clpmdctrl": _clpmdctrl,
        "ping": _ping,
        "systemctl": _systemctl,
        **dict.fromkeys(("firewall-cmd", "getenforce", "setenforce", "rpm", "ip", "clpfwctrl.sh"), _linux),
        "set": _set,
        "powershell": _powershell,
        "power": _power,
        "iscsi": _iscsi,
        "network": _network,
        "move-vm": _move_vm,
        "sshd": _sshd,
        "faults": _faults,
        "mirror": _mirror,
        "monitors": _monitors,
        "show": _show,
        "history": _history,
        "audit": _audit,
        "perform": _perform,
        "stop": _stop,
    }


def _after(arguments: list[str], option: str) -> str:
    """Return the argument that follows an option; empty without one."""
    return arguments[arguments.index(option) + 1] if option in arguments[:-1] else ""


def _guest(world: World, guest: Guest) -> dict[str, Any]:
    uptime = None if guest.started is None else round(world.now - guest.started, 2)
    return {"state": guest.state, "uptime": uptime, "doing": guest.doing}
