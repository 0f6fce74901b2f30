"""Both EC-VMs, the lab's ECX and the real programs on one stage, in virtual time, and the log that an operator reads.

Each program runs in a thread of its own, but only one thread at a time has the word: a program that sleeps hands it
back, and gets it again when its time has come. So a story always goes the same way.
"""

import dataclasses
import io
import itertools
import re
import threading
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.servers import GROUP, ISCSI, PEER_MONITOR
from ecx_hyperv.lab.model.things import EcVm
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.log import LogFormat, open_log
from tests.virtual.contexts import InMemoryStates, MemoryFlags, MemoryLocks, SimulatedNode, make_config
from tests.virtual.invariants import ProgramKind
from tests.virtual.programs import ProgramOutcome, run_program

# As long as things take on real hosts.
TIMINGS = Timings(
    host_boot=120,
    host_shutdown=30,
    ec_boot=45,
    guest_boot=20,
    guest_shutdown=25,
    turn_off=2,
    save=10,
    pause=1,
    live=25,
    quick=5,
    notice=10,
    quorum_stop=20,
    join=15,
    resource=3,
    csv_move=3,
    io_patience=20,
    heal=5,
    iscsi_reconnect=20,
    csv_failed_after=60,
    heartbeat=90,
    script_timeout=1800,
    ecx_start=10,
    mirror_recovery=30,
    # A person must end that: a golden story, the random stories and tests/e2e/test_mirror.py tell it.
    both_red=False,
    monitor_interval=60,
    monitor_timeout=120,
    peer_interval=60,
    powershell=1,
    failover_clusters=2,
    hyper_v=1,
    iscsi=0.5,
    call=0.02,
)
_TICK_S = 1.0
_LONGEST_S = 7200.0
_AGAIN = "  [said "
# What happens in the world that an operator could see, in the words of a story.
_UNTOLD = frozenset({"script", "cut", "restored", "isolated"})


class _Killed(BaseException):
    """The program was killed where it stood."""


class Process:
    """A program that runs on an EC-VM: an ECX job, in virtual time."""

    def __init__(self, simulation: "Simulation", node: str, act: Callable[[Callable[[float], None]], int]) -> None:
        self._simulation = simulation
        self.node = node
        self._act = act
        self._word = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._killed = False
        self.code: int | None = None
        self.trouble: BaseException | None = None
        self.wakes = simulation.world.now
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self.code

    def kill(self) -> None:
        """Have it end where it stands."""
        if self.code is not None or self._killed:
            return
        self._killed = True
        if threading.current_thread() is not self._thread:
            self.go_on()

    def go_on(self) -> None:
        """Give it the word until it sleeps or ends."""
        self._word.release()
        self._back.acquire()

    def _run(self) -> None:
        self._word.acquire()
        try:
            code = -9 if self._killed else self._act(self._sleep)
        except _Killed:
            code = -9
        except BaseException as trouble:  # noqa: BLE001 - it is the story's, which raises it
            self.trouble, code = trouble, -1
        self.code = code
        self._back.release()

    def _sleep(self, seconds: float) -> None:
        if self._killed:
            raise _Killed
        self.wakes = self._simulation.world.now + seconds
        self._back.release()
        self._word.acquire()
        if self._killed:
            raise _Killed


@dataclasses.dataclass(slots=True)
class _Ended:
    """A script that did what it did at once; without a code it hangs."""

    code: int | None

    def poll(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.code = -9


class Tape(io.StringIO):
    """Where one program logs: its lines go to the story, with the story's time in place of the day's."""

    def __init__(self, simulation: "Simulation", who: str) -> None:
        super().__init__()
        self._simulation = simulation
        self._who = who

    def write(self, text: str) -> int:
        """Take what is logged."""
        for line in filter(None, text.splitlines()):
            _, _, said = line.partition(" ")
            self._simulation.tell(self._who, said)
        return len(text)


class Simulation:
    """A story's world, and its text so far."""

    def __init__(self, *vms: str, timings: Timings = TIMINGS) -> None:
        self.world = World(timings, vms or ("vm1",))
        self.ecx = SimulatedEcx(self.world, self._script, list(vms or ("vm1",)))
        self.lines: list[str] = []
        self.runs = 0
        # When somebody did something to the world.
        self.touches: list[float] = []
        self.hangs: set[tuple[str, str]] = set()
        self._last: dict[str, tuple[int, str, int]] = {}
        self._told = 0
        self._processes: list[Process] = []
        config = make_config(self.world)
        self._config = replace(config, timing=replace(config.timing, monitor=90))
        self._locks = {node: MemoryLocks() for node in self.world.ec_vms}
        self.flags = {node: MemoryFlags() for node in self.world.ec_vms}
        self._states: dict[str, InMemoryStates] = {}
        # The EC-VMs on which neither the state folder nor the run folder works.
        self.forgetful: set[str] = set()
        # A boot empties /run, and with it the locks.
        self.world.on_down.append(self._lose_locks)
        self._tick()

    # What a story says and does.

    def say(self, text: str) -> None:
        """Tell what is done to the world, or what a person sees."""
        self._flush()
        self.lines.append(f"{self.world.now:8.1f}  --- {text}")

    def tell(self, who: str, text: str) -> None:
        """Enter a line of a log; one that a program has just said is not said again, but counted."""
        self._flush()
        line, said, count = self._last.get(who, (0, "", 0))
        if said == _without_count(text):
            self._last[who] = (line, said, count + 1)
            first = self.lines[line].partition(_AGAIN)[0]
            self.lines[line] = f"{first}{_AGAIN}{count + 1} times, last at {self.world.now:.1f}]"
            return
        self._last[who] = (len(self.lines), _without_count(text), 1)
        self.lines.append(f"{self.world.now:8.1f}  {who:20} {text}".rstrip())

    def run(self, node: str, job: ProgramKind, *vms: str, factor: Factor = Factor.GROUPSTOP) -> ProgramOutcome:
        """Run a program by hand, to its end."""
        ends: list[ProgramOutcome] = []

        def act(sleep: Callable[[float], None]) -> int:
            ends.append(self._perform(node, job, vms, factor, sleep))
            return int(ends[0].exit)

        process = Process(self, node, act)
        self._processes.append(process)
        self.until(lambda: process.code is not None)
        return ends[0]

    def start_group(self, node: str = "ec1") -> None:
        """Start the group and wait until it is online."""
        self.say(f"clpgrp -s {GROUP} -h {node}")
        assert self.ecx.start_group(node) == 0
        self.settled(node)

    def settled(self, node: str) -> None:
        """Wait until the group is online on a node, and nothing more is under way."""
        self.until(lambda: self.ecx.servers[node].group == "Online" and self.ecx.is_idle)

    def online(self, *nodes: str) -> None:
        """Wait until ECX is online on these nodes, their mirror disks whole."""
        servers = self.ecx.servers
        self.until(lambda: all(servers[node].service == "Online" and self.ecx.mirror.is_whole(node) for node in nodes))

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        end = self.world.now + seconds
        self.until(lambda: self.world.now >= end, at=end)

    def until(self, is_so: Callable[[], bool], at: float | None = None) -> None:
        """Let time pass until something is so."""
        limit = self.world.now + _LONGEST_S
        while not is_so():
            if self.world.now > limit:
                raise AssertionError("never so:\n" + "\n".join(self.lines))
            self._step(self.world.now + _TICK_S if at is None else at)

    def text(self, title: str) -> str:
        """Return the story so far."""
        self._flush()
        guests = [
            f"{vm.name} is {guest.state} on {host}"
            for vm in self.world.vms.values()
            for host, guest in vm.guests.items()
        ]
        active = [f"{one.name} ({one.group})" for one in self.ecx.servers.values() if one.is_active]
        ends = f"--- the end: {', '.join(guests) or 'no VM is registered'}; group on {', '.join(active) or 'no node'}"
        return "\n".join([f"# {title}", *self.lines, f"{self.world.now:8.1f}  {ends}", ""])

    def touched(self) -> None:
        """Take note that somebody does something to the world now."""
        self.touches.append(self.world.now)

    def kill_one(self, node: str) -> None:
        """Kill the program that ECX started last on a node, as by kill -9."""
        running = [process for process in self._processes if process.node == node and process.code is None]
        if running:
            running[-1].kill()

    def close(self) -> None:
        """End the story, and whatever still runs in it."""
        for process in self._processes:
            process.kill()
        self._processes.clear()

    # How it goes on.

    def _step(self, limit: float) -> None:
        """Go on to whatever is due next, up to a moment."""
        due = self.world.next_due
        process = min((one for one in self._processes if one.code is None), key=lambda one: one.wakes, default=None)
        if process is not None and process.wakes <= min(limit, limit if due is None else due):
            self.world.advance_to(process.wakes)
            # What happened at this very moment may have killed it.
            if process.code is None:
                process.go_on()
            if process.trouble is not None:
                raise process.trouble
        else:
            self.world.advance_to(limit if due is None else min(limit, due))
        self._processes = [one for one in self._processes if one.code is None]

    def _tick(self) -> None:
        self.ecx.tick()
        self.world.at(_TICK_S, self._tick)

    def _flush(self) -> None:
        """Enter what has happened since the last line."""
        news = itertools.islice(self.world.history, self._told, None)
        for event in list(news):
            self._told += 1
            if event.what not in _UNTOLD:
                words = " ".join(part for part in (event.what, event.who, event.where, event.state) if part)
                self.lines.append(f"{event.at:8.1f}  * {words}")

    # What ECX runs.

    def _script(self, node: str, folder: str, script: str, variables: Mapping[str, str]) -> "Process | _Ended":
        name = folder.rpartition("/")[2]
        if (node, f"{name}/{script}") in self.hangs:
            return _Ended(None)
        if name == ISCSI:
            self.world.storage.serve(node, on=script == "start.sh")
            return _Ended(0)
        job = {"start.sh": ProgramKind.START, "stop.sh": ProgramKind.STOP}.get(script, ProgramKind.WATCH)
        job = ProgramKind.PEER if name == PEER_MONITOR else job
        factor = Factor(variables.get("CLP_FACTOR", Factor.GROUPSTOP.value))
        vms = () if job is ProgramKind.PEER else (name.partition("-")[2],)
        process = Process(self, node, lambda sleep: int(self._perform(node, job, vms, factor, sleep).exit))
        self._processes.append(process)
        return process

    def _perform(
        self, node: str, job: ProgramKind, vms: tuple[str, ...], factor: Factor, sleep: Callable[[float], None]
    ) -> ProgramOutcome:
        self.runs += 1
        who = f"{node} {job.value}"
        sim = SimulatedNode(self.world, node, self.ecx, config=self._config)
        sim.clock.pass_time = sleep
        sim.locks, sim.flags = self._locks[node], self.flags[node]
        sim.states = self._states.setdefault(node, sim.states)
        sim.states.unreadable = sim.states.unwritable = node in self.forgetful

        def alert(level: Level, text: str) -> None:
            self.tell(f"{node} alert", f"{level.value}: {text}")
            if "all is well again" in text and not all(map(self.ecx.mirror.is_whole, self.ecx.mirror.copies)):
                self.world.violated(f"{node} says that all is well while the mirror disk is not GREEN on both sides")

        log = open_log(sim.clock, node, form=LogFormat.TEXT, verbose=False, stream=Tape(self, who))
        sim.context = dataclasses.replace(sim.context, log=log, alert=alert, locks=sim.locks, maintenance=sim.flags)
        if job in (ProgramKind.START, ProgramKind.STOP):
            self.tell(who, f"{' '.join(vms)} begins" + (f": {factor.value}" if job is ProgramKind.STOP else ""))
        outcome = run_program(sim, job, *vms, factor=factor)
        if job in (ProgramKind.START, ProgramKind.STOP):
            self.tell(who, f"ends with {int(outcome.exit)} after {outcome.seconds:.0f} s: {outcome.said}")
        return outcome

    def maintain(self, kind: Kind, name: str, *nodes: str) -> None:
        """Set a maintenance flag on these EC-VMs."""
        self.say(f"ecx-hyperv maintenance on {name}, on {' and '.join(nodes)}")
        for node in nodes:
            self.flags[node].set(Flag(kind=kind, name=name, since=SimulatedNode(self.world, node).clock.wall()))

    def maintain_no_more(self, kind: Kind, name: str, *nodes: str) -> None:
        """Lift a maintenance flag on these EC-VMs."""
        self.say(f"ecx-hyperv maintenance off {name}, on {' and '.join(nodes)}")
        for node in nodes:
            self.flags[node].flags.pop((kind, name))

    def _lose_locks(self, ec_vm: EcVm) -> None:
        self._locks[ec_vm.name].held.clear()


def _without_count(text: str) -> str:
    return re.sub(r" \(seconds: \d+\)$", "", text)
