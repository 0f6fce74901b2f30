"""The lab's ECX: two servers, one failover group, its exec resources and custom monitors, as one state machine.

Nothing here waits: `tick` looks at what the scripts and the world have come to, and goes on. A resource's script gets
the variables that ECX hands over, and ECX's defaults for what fails: a start makes the group go to the other server,
a stop, or a script that takes too long, shuts the server's OS down.
"""

from collections.abc import Generator, Sequence
from functools import partial

from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.lab.model.jobs import ScriptRunner
from ecx_hyperv.lab.model.mirror import MIRROR, SimulatedMirror
from ecx_hyperv.lab.model.monitors import Monitors
from ecx_hyperv.lab.model.servers import GROUP, ISCSI, SimulatedMonitor, SimulatedServer, Steps
from ecx_hyperv.lab.model.things import EcVm, Plane
from ecx_hyperv.lab.model.world import World

# The exit code by which a script says that it did not end in time.
_TOO_LATE = -1

_Script = Generator[None, None, int]


class SimulatedEcx:
    """The cluster of the two EC-VMs."""

    def __init__(self, world: World, runner: ScriptRunner, vms: Sequence[str]) -> None:
        self.world = world
        self._runner = runner
        self._vms = list(vms)
        self._names = ["fip1", MIRROR, ISCSI, *(f"exec-{vm}" for vm in vms)]
        self._monitors = Monitors(world, runner, on_failure=self._fail_over)
        self.monitoring = True
        # Whether the group is to be active somewhere, and where it was last.
        self._wanted = False
        self._last_active = next(iter(world.ec_vms))
        self.servers = {name: self._fresh(name) for name in world.ec_vms}
        self.mirror = SimulatedMirror(
            world,
            is_active=lambda name: self.servers[name].resources.get(MIRROR, "Offline") == "Online",
            is_up=lambda name: self._is_up(world.ec_vms[name]),
        )
        world.on_boot.append(self._booted)
        world.on_down.append(self._went_down)
        world.on_shutdown.append(self._shuts_down)

    # What an administrator, or our programs, can ask for; each returns an exit code.

    def start_group(self, node: str) -> int:
        """Clpgrp -s: start the group on a server."""
        server = self.servers[node]
        if server.service != "Online" or any(one.is_active or one.is_busy for one in self.servers.values()):
            return 1
        self._wanted = True
        for one in self.servers.values():
            one.failed_start = False
        server.operations.append(lambda: self._activate(server, "START"))
        return 0

    def stop_group(self) -> int:
        """Clpgrp -t: stop the group."""
        active = [one for one in self.servers.values() if one.is_active]
        self._wanted = False
        for server in active:
            server.operations.append(partial(self._deactivate, server, "GROUPSTOP"))
        return 0 if active else 1

    def move_group(self, to: str) -> int:
        """Clpgrp -m: move the group to a server."""
        target = self.servers[to]
        source = self.other(to)
        if not source.is_active or target.service != "Online" or not self._hears(source, target):
            return 1
        if not self._can_take(target):
            self.world.record("move refused", to, state="its mirror disk is RED")
            return 1
        source.operations.append(lambda: self._leave(source, target, "GROUPMOVE", "START"))
        return 0

    def start_service(self, node: str) -> int:
        """Clpcl -s: start ECX on a server."""
        server, ec_vm = self.servers[node], self.world.ec_vms[node]
        if not self._is_up(ec_vm) or server.service != "Offline":
            return 1
        self._start_service(server)
        return 0

    def stop_service(self, node: str) -> int:
        """Clpcl -t: stop ECX on a server; its group fails over."""
        server = self.servers[node]
        if server.service != "Online":
            return 1
        server.operations.append(lambda: self._retire(server, "SERVERSHUTDOWN"))
        return 0

    def other(self, node: str) -> SimulatedServer:
        """Return the other server."""
        return next(one for one in self.servers.values() if one.name != node)

    @property
    def is_idle(self) -> bool:
        """Tell whether no resource is being started or stopped, and none is about to be."""
        return not any(server.is_busy for server in self.servers.values())

    def sees(self, node: str, other: str) -> str:
        """Return the status that clpstat on one server shows of another."""
        here, there = self.servers[node], self.servers[other]
        if node == other or self._hears(here, there):
            return there.service
        return "Offline"

    def sees_mirror(self, node: str, other: str) -> MirrorColor:
        """Return the color that clpmdstat on one server shows of the mirror disk's copy on another."""
        is_linked = self.sees(node, self.other(node).name) == "Online"
        return self.mirror.color(other, by=node, is_linked=is_linked)

    # Time.

    def tick(self) -> None:
        """Go on with what is under way, as far as it can now."""
        self.mirror.write()
        self.mirror.go_on()
        for name in list(self.servers):
            for go in (self._listen, self._go_on, self._watch):
                # Each may take its own EC-VM down, and the server with it.
                if self._is_up(self.world.ec_vms[name]):
                    go(self.servers[name])

    def _go_on(self, server: SimulatedServer) -> None:
        while self.servers[server.name] is server:
            if server.steps is None:
                if not server.operations:
                    return
                server.steps = server.operations.popleft()()
            try:
                next(server.steps)
            except StopIteration:
                server.steps = None
                continue
            return

    def _listen(self, server: SimulatedServer) -> None:
        """Hear the other server, or not; take the group over if nobody has it that should."""
        now = self.world.now
        other = self.other(server.name)
        if server.service != "Online":
            return
        if not self._hears(server, other):
            if now - server.heard > self.world.timings.heartbeat:
                self._alone(server)
            return
        server.heard = now
        if other.service == "Online":
            self.mirror.copy(by_itself=True)
        if server.group == other.group == "Online":
            self._two_active(server, other)
        elif not other.is_active and not other.is_busy and other.service == "Online":
            ours = self._last_active == server.name or not self.mirror.is_whole(other.name)
            if ours:
                self._take_over(server, "START")

    def _alone(self, server: SimulatedServer) -> None:
        if self.world.timings.witness and not self.world.reaches(server.name, "witness", Plane.MANAGEMENT):
            self._panic(server, "it hears neither the other server nor the witness")
        else:
            self._take_over(server, "FAILOVER")

    def _take_over(self, server: SimulatedServer, event: str) -> None:
        is_whole = self.mirror.is_whole(server.name) or self._last_active == server.name
        if self._wanted and is_whole and not server.is_active and not server.is_busy:
            self.world.record("takes over", server.name, state=event)
            server.operations.append(lambda: self._activate(server, event))

    def _two_active(self, server: SimulatedServer, other: SimulatedServer) -> None:
        """Of two active servers the one that has been for longer takes itself down, without a stop of its group."""
        if (server.active_since, server.name) < (other.active_since, other.name):
            self.world.record("both active", server.name)
            self.world.stop_ec_vm(self.world.ec_vms[server.name], "Off")

    # The group.

    def _activate(self, server: SimulatedServer, event: str) -> Steps:
        server.group, server.active_since = "Online Pending", self.world.now
        self._last_active = server.name
        other = self.other(server.name)
        self.world.record("group starts", GROUP, server.name, event)
        for name in self._names:
            server.resources[name] = "Online Pending"
            if name == MIRROR:
                if not self.mirror.is_whole(server.name):
                    server.resources[name] = "Online Failure"
                    self.world.record("start failed", name, server.name, "this copy is not a good one")
                    yield from self._after_failed_start(server)
                    return
                if not self._hears(server, other):
                    self.mirror.part(server.name)
            if name.startswith("exec-"):
                code = yield from self._script(server, name, "start.sh", {"CLP_EVENT": event})
                if code == _TOO_LATE:
                    self._panic(server, f"the start of {name} took too long")
                    return
                if code != 0:
                    server.resources[name] = "Online Failure"
                    self.world.record("start failed", name, server.name, str(code))
                    yield from self._after_failed_start(server)
                    return
            server.resources[name] = "Online"
        server.group = "Online"
        for one in self.servers.values():
            one.failed_start = False
        self.world.record("group online", GROUP, server.name)

    def _after_failed_start(self, server: SimulatedServer) -> Steps:
        other = self.other(server.name)
        server.group, server.failed_start = "Online Failure", True
        can_take = other.service == "Online" and self._can_take(other)
        if can_take and not other.failed_start and self._hears(server, other):
            yield from self._leave(server, other, "GROUPFAILOVER", "FAILOVER")

    def _deactivate(self, server: SimulatedServer, factor: str) -> Steps:
        server.group = "Offline Pending"
        self.world.record("group stops", GROUP, server.name, factor)
        for name in reversed(self._names):
            if server.resources.get(name, "Offline") == "Offline":
                continue
            server.resources[name] = "Offline Pending"
            if name.startswith("exec-"):
                variables = {"CLP_FACTOR": factor, "CLP_EVENT": "START"}
                code = yield from self._script(server, name, "stop.sh", variables)
                if code != 0:
                    self._panic(server, f"the stop of {name} ended with {code}")
                    return
            server.resources[name] = "Offline"
        server.group = "Offline"
        self.world.record("group offline", GROUP, server.name)

    def _leave(self, server: SimulatedServer, to: SimulatedServer, factor: str, event: str) -> Steps:
        yield from self._deactivate(server, factor)
        if not server.is_active and to.service == "Online":
            while self.mirror.target == to.name:
                yield
            to.operations.append(lambda: self._activate(to, event))

    def _retire(self, server: SimulatedServer, factor: str) -> Steps:
        """Stop ECX on a server in good order."""
        server.service = "Offline Pending"
        was_active = server.is_active
        other = self.other(server.name)
        if was_active:
            yield from self._deactivate(server, factor)
        server.service = "Offline"
        if was_active and not server.is_active and other.service == "Online" and self._hears(other, server):
            other.operations.append(lambda: self._activate(other, "FAILOVER"))

    def _script(self, server: SimulatedServer, name: str, script: str, variables: dict[str, str]) -> _Script:
        """Run a resource's script, and return its exit code."""
        handed = {**variables, "CLP_RESOURCENAME": name, "CLP_GROUPNAME": GROUP, "CLP_DISK": "SUCCESS"}
        started = self.world.now
        server.job = self._runner(server.name, f"{GROUP}/{name}", script, handed)
        while (code := server.job.poll()) is None:
            if self.world.now - started > self.world.timings.script_timeout:
                server.job.kill()
                code = _TOO_LATE
                break
            yield
        server.job = None
        self.world.record("script", f"{name}/{script}", server.name, str(code))
        return code

    def _panic(self, server: SimulatedServer, why: str) -> None:
        """What ECX does by default when a resource cannot be stopped: shut the OS down."""
        self.world.record("emergency shutdown", server.name, state=why)
        self.world.stop_ec_vm(self.world.ec_vms[server.name], "Off")

    # The monitors.

    def _watch(self, server: SimulatedServer) -> None:
        if server.service == "Online" and self.monitoring:
            self._monitors.watch(server)

    def _fail_over(self, server: SimulatedServer, monitor: SimulatedMonitor) -> None:
        other = self.other(server.name)
        if other.service == "Online" and self._hears(server, other) and not server.is_busy:
            if not self._can_take(other):
                self.world.record("failover refused", monitor.name, server.name, "the other mirror disk is RED")
                return
            self.world.record("monitor fails over", monitor.name, server.name)
            server.operations.append(lambda: self._leave(server, other, "GROUPFAILOVER", "FAILOVER"))

    def _can_take(self, server: SimulatedServer) -> bool:
        """Tell whether a server's copy of the mirror disk is good, or about to be: ECX makes no use of a RED one."""
        return self.mirror.is_whole(server.name) or self.mirror.target == server.name

    # The servers.

    def _fresh(self, name: str) -> SimulatedServer:
        return SimulatedServer(name, heard=self.world.now, monitors=self._monitors.fresh(self._vms))

    def _is_up(self, ec_vm: EcVm) -> bool:
        return ec_vm.is_alive

    def _hears(self, here: SimulatedServer, there: SimulatedServer) -> bool:
        up = all(self._is_up(self.world.ec_vms[one.name]) for one in (here, there))
        planes = (Plane.MANAGEMENT, Plane.MIRROR)
        linked = any(self.world.reaches(here.name, there.name, plane) for plane in planes)
        return up and linked and there.service != "Offline"

    def _booted(self, ec_vm: EcVm) -> None:
        self._start_service(self.servers[ec_vm.name])

    def _start_service(self, server: SimulatedServer) -> None:
        server.service = "Online Pending"

        def started() -> None:
            if self.servers[server.name] is server and server.service == "Online Pending":
                server.service, server.heard = "Online", self.world.now
                self.world.record("ECX online", server.name)

        self.world.at(self.world.timings.ecx_start, started)

    def _went_down(self, ec_vm: EcVm) -> None:
        old = self.servers[ec_vm.name]
        for monitor in old.monitors.values():
            self._monitors.stop(monitor)
        if old.job is not None:
            old.job.kill()
        fresh = self.servers[ec_vm.name] = self._fresh(ec_vm.name)
        fresh.service = "Offline"
        was_active = old.resources.get(MIRROR, "Offline") == "Online"
        # The other one knows at once that a server has left in good order.
        self.mirror.lost(ec_vm.name, was_active=was_active, is_told=old.service == "Offline")

    def _shuts_down(self, ec_vm: EcVm) -> None:
        server = self.servers[ec_vm.name]

        def shut_down() -> Steps:
            yield from self._retire(server, "SERVERSHUTDOWN")
            self.world.stop_ec_vm(ec_vm, "Off")

        server.operations.append(shut_down)
