"""What can be asked of a running lab: ECX's commands as its EC-VMs run them, and the hand that plays fate."""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ecx_hyperv.host.wire import Request
from ecx_hyperv.lab.linux import clpstat, files
from ecx_hyperv.lab.linux import commands as linux
from ecx_hyperv.lab.model import facts
from ecx_hyperv.lab.model.world import Plane, Sshd, World
from ecx_hyperv.lab.service.control import Answer, Question
from ecx_hyperv.lab.windows import remedies
from ecx_hyperv.lab.windows.agent import Mischief
from ecx_hyperv.lab.windows.powershell import PowerShell

if TYPE_CHECKING:
    from ecx_hyperv.lab.service.server import Lab

_SUCCEEDED = "Command succeeded.\n"


class Orders:
    """Answers questions; each is a method, named in the table below."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab

    def answer(self, question: Question) -> Answer:
        """Do what is asked, and say what came of it."""
        order = self._ORDERS.get(question.do)
        if order is None:
            return Answer(code=2, text=f"{question.do}: the lab knows no such order\n")
        with self._lab.world_now() as world:
            try:
                return order(self, world, question)
            except (KeyError, IndexError, ValueError, StopIteration) as error:
                return Answer(code=2, text=f"{question.do} {' '.join(question.arguments)}: {error!r}\n")

    # ECX's commands, and the system's.

    def _clpstat(self, _world: World, question: Question) -> Answer:
        if not self._lab.ecx.servers[question.node]:
            return Answer(code=1)
        return Answer(text=clpstat.render(self._lab.ecx, question.node, long="--long" in question.arguments))

    def _clpcl(self, _world: World, question: Question) -> Answer:
        target = _after(question.arguments, "-h") or question.node
        ecx = self._lab.ecx
        code = ecx.start_service(target) if "-s" in question.arguments else ecx.stop_service(target)
        return Answer(code=code, text=f"{target} : {_SUCCEEDED}" if code == 0 else f"{target} : Command failed.\n")

    def _clpgrp(self, _world: World, question: Question) -> Answer:
        ecx, arguments = self._lab.ecx, question.arguments
        if "-n" in arguments:
            active = [one.name for one in ecx.servers.values() if one.is_active]
            return Answer(code=0 if active else 1, text="".join(f"{name}\n" for name in active[:1]))
        target = _after(arguments, "-a") or _after(arguments, "-h") or question.node or "ec1"
        if "-s" in arguments:
            code = ecx.start_group(target)
        else:
            code = ecx.stop_group() if "-t" in arguments else ecx.move_group(target)
        return Answer(code=code, text=_SUCCEEDED if code == 0 else "Command failed.\n")

    def _clplogcmd(self, world: World, question: Question) -> Answer:
        level, text = _after(question.arguments, "-l"), _after(question.arguments, "-m")
        if not text or level not in ("INFO", "WARN", "ERR"):
            return Answer(code=1, text="clplogcmd: invalid option\n")
        world.record("alert", text, question.node, level)
        return Answer()

    def _ping(self, world: World, question: Question) -> Answer:
        wanted = question.arguments[-1]
        other = next(name for number, name in enumerate(files.NODES, 1) if wanted == f"127.77.0.{number}")
        return Answer(code=0 if world.ping_answers(question.node, other) else 1)

    def _systemctl(self, world: World, question: Question) -> Answer:
        verb, unit = question.arguments[0], question.arguments[-1]
        if verb not in ("start", "stop"):
            return self._linux(world, question)
        if unit not in ("target", "target.service"):
            return Answer(code=5, text=f"Unit {unit} not found.\n")
        world.storage.serve(question.node, on=verb == "start")
        return Answer()

    def _linux(self, world: World, question: Question) -> Answer:
        """Answer for the commands of an EC-VM's Linux that only show or set how it is set up."""
        said = linux.answer(world.ec_vms[question.node].linux, [question.do, *question.arguments])
        return Answer(code=127) if said is None else Answer(code=said[0], text=said[1])

    # Fate.

    def _power(self, world: World, question: Question) -> Answer:
        what, how = question.arguments
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
        acts[how]()
        return Answer(text=f"{what}: {how}\n")

    def _iscsi(self, world: World, question: Question) -> Answer:
        if question.arguments[0] == "cut":
            for host in world.hosts:
                for ec_vm in world.ec_vms:
                    world.cut(host, ec_vm, Plane.STORAGE)
        else:
            world.mend_all()
        return Answer(text=f"iSCSI: {question.arguments[0]}\n")

    def _network(self, world: World, question: Question) -> Answer:
        verb, *machines = question.arguments
        names = [one if one in world.ec_vms or one == "witness" else self._host(world, one) for one in machines]
        if verb == "isolate":
            world.isolate(names[0])
        elif verb == "cut":
            world.cut(names[0], names[1])
        else:
            world.mend_all()
        return Answer(text=f"network: {' '.join(question.arguments)}\n")

    def _move_vm(self, world: World, question: Question) -> Answer:
        vm = world.vms[question.arguments[0]]
        code = world.cluster.move(vm, world.other(vm.owner).name, live=True)
        return Answer(code=1 if code else 0, text=f"{vm.name}: {f'refused, error {code}' if code else 'on its way'}\n")

    def _sshd(self, world: World, question: Question) -> Answer:
        world.hosts[self._host(world, question.arguments[0])].sshd = Sshd(question.arguments[1])
        return Answer()

    def _mischief(self, world: World, question: Question) -> Answer:
        host = self._host(world, question.arguments[0])
        self._lab.mischief[host] = msgspec.json.decode(question.arguments[1], type=Mischief)
        return Answer()

    def _set(self, world: World, question: Question) -> Answer:
        where, name, value = question.arguments
        facts.change(facts.find(world, where), name, value)
        return Answer(text=f"{where}: {name} is {value!r} now\n")

    def _powershell(self, world: World, question: Question) -> Answer:
        """Carry out what a person would type on a host."""
        host, line = question.arguments
        try:
            remedies.run(world, self._host(world, host), line)
        except remedies.NotUnderstood as error:
            return Answer(code=1, text=f"{error}\n")
        return Answer(text=f"{host}: done\n")

    def _monitors(self, _world: World, question: Question) -> Answer:
        self._lab.ecx.monitoring = question.arguments[0] == "on"
        return Answer()

    # What is, and was.

    def _show(self, world: World, _question: Question) -> Answer:
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
            for name, one in self._lab.ecx.servers.items()
        }
        volumes = {name: {"owner": one.owner, "state": one.state} for name, one in world.volumes.items()}
        data: dict[str, Any] = {
            "now": world.now,
            "hosts": hosts,
            "vms": vms,
            "volumes": volumes,
            "ecx": ecx,
            "idle": self._lab.ecx.is_idle,
            "violations": world.violations,
        }
        return Answer(data=data, text=msgspec.json.format(msgspec.json.encode(data)).decode() + "\n")

    def _history(self, world: World, question: Question) -> Answer:
        since = float(question.arguments[0]) if question.arguments else 0.0
        events = [event for event in world.history if event.at >= since]
        lines = [f"{one.at:8.2f}  {one.what:20} {one.who} {one.where} {one.state}".rstrip() for one in events]
        return Answer(data=[msgspec.to_builtins(one) for one in events], text="\n".join(lines) + "\n")

    def _audit(self, _world: World, question: Question) -> Answer:
        data = [
            {
                "node": node,
                "host": host,
                "logins": audit.logins,
                "powershells": audit.powershells,
                "requests": len(audit.asked),
                "changes": audit.changes,
            }
            for (node, host), audit in self._lab.audits.items()
        ]
        if question.arguments == ["clear"]:
            self._lab.audits.clear()
        return Answer(data=data)

    def _perform(self, world: World, question: Question) -> Answer:
        """Carry out one request on a host, for a stand-in behind another SSH server."""
        host, request = question.arguments
        waited: list[float] = []
        shell = PowerShell(world, host, files.TARGET, sleep=waited.append)
        reply = shell.perform(msgspec.json.decode(request, type=Request))
        data = {"hello": msgspec.to_builtins(shell.hello()), "reply": msgspec.to_builtins(reply)}
        return Answer(data=data)

    def _stop(self, _world: World, _question: Question) -> Answer:
        threading.Timer(0.05, self._lab.stop).start()
        return Answer(text="the lab is stopping\n")

    def _host(self, world: World, name: str) -> str:
        return {"host1": "ws2019-host-1", "host2": "ws2019-host-2"}.get(name) or world.hosts[name].name

    _ORDERS: Mapping[str, Callable[["Orders", World, Question], Answer]] = {
        "clpstat": _clpstat,
        "clpcl": _clpcl,
        "clpgrp": _clpgrp,
        "clplogcmd": _clplogcmd,
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
        "mischief": _mischief,
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


def _guest(world: World, guest: Any) -> dict[str, Any]:
    uptime = None if guest.started is None else round(world.now - guest.started, 2)
    return {"state": guest.state, "uptime": uptime, "doing": guest.doing}
