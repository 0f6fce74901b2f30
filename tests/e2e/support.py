"""A lab that runs, and what a scenario asks of it; everything is the real commands, as processes, over real SSH."""

import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecx_hyperv.lab.engine.modules import Engine
from ecx_hyperv.lab.model.things import Event
from ecx_hyperv.lab.model.timings import FAST, FAST_TIMING, Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.service.server import Lab
from tests.powershell.bound import Recorder

ONE, TWO = "ws2019-host-1", "ws2019-host-2"
# More than anything here may take on a busy machine.
LIMIT_S = 45.0
# The same where each look starts a real PowerShell, which takes seconds there.
ENGINE_LIMIT_S = 660.0


@contextmanager
def running_lab(
    folder: Path,
    *vms: str,
    timings: Timings = FAST,
    timing: Mapping[str, float] = FAST_TIMING,
    stdin: str = "handle",
    engine: Engine | None = None,
) -> Iterator["Scenario"]:
    """Run a lab for the length of a with block; with an engine the hosts' side runs in it, which takes longer.

    Whatever is asked of its hosts must bind in the real agent too, where a PowerShell is there.
    """
    lab = Lab(folder, vms or ("vm1",), timings, timing, stdin=stdin, engine=engine)
    recorder = Recorder()
    lab.on_request = recorder.take
    lab.start()
    try:
        yield Scenario(lab, LIMIT_S if engine is None else ENGINE_LIMIT_S)
    finally:
        lab.stop()
    recorder.check()


def run_at_terminal(
    environment: Mapping[str, str], *command: str, answer: str = "", ctrl_c: Callable[[], None] | None = None
) -> tuple[int, str]:
    """Run a command with a terminal that controls it, and return how it ended and what the terminal showed.

    `answer` is typed at once, for a command that asks; Ctrl-C once `ctrl_c` has returned.
    """
    child, terminal = pty.fork()
    if child == 0:
        # Tests that run in the background are started with Ctrl-C ignored, which a child takes over.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execvpe(command[0], list(command), dict(environment))  # noqa: S606
    if answer:
        os.write(terminal, f"{answer}\n".encode())
    if ctrl_c is not None:
        ctrl_c()
        os.write(terminal, b"\x03")
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.decode("utf-8", "replace")


class Scenario:
    """A lab, and the words in which a test tells its story."""

    def __init__(self, lab: Lab, limit: float = LIMIT_S) -> None:
        self.lab = lab
        self.limit = limit

    def do(self, act: Callable[[World], Any]) -> Any:
        """Do something to the world, or read something from it."""
        with self.lab.world_now() as world:
            return act(world)

    def on_each_host(self, act: Callable[[World, str], object]) -> None:
        """Do something to each host, at the same moment."""
        with self.lab.world_now() as world:
            for host in world.hosts:
                act(world, host)

    def wait(self, until: Callable[[World], bool], what: str) -> None:
        """Wait until something is so in the world."""
        limit = time.monotonic() + self.limit
        while time.monotonic() < limit:
            if self.do(until):
                return
            time.sleep(0.02)
        raise AssertionError(f"not so within {self.limit:g} s: {what}\n{self.story()}")

    def run(self, node: str, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command on an EC-VM, as ECX or a person would."""
        return subprocess.run(
            command,
            env={**self.lab.folder.environment(node), **variables},
            capture_output=True,
            text=True,
            timeout=self.limit,
            check=False,
            # As under ECX: without a terminal, at which a monitor would only look.
            start_new_session=True,
        )

    def at_terminal(self, node: str, *command: str, answer: str = "") -> tuple[int, str]:
        """Run a command on an EC-VM as a person at a terminal does; return its exit code and what was shown."""
        environment = {**self.lab.folder.environment(node), "TERM": "dumb", "COLUMNS": "200"}
        return run_at_terminal(environment, *command, answer=answer)

    def run_all(self, node: str, *commands: tuple[str, ...]) -> dict[tuple[str, ...], subprocess.CompletedProcess[str]]:
        """Run several commands at the same time."""
        with ThreadPoolExecutor(len(commands)) as pool:
            done = pool.map(lambda command: self.run(node, *command), commands)
            return dict(zip(commands, done, strict=True))

    def start_group(self, node: str = "ec1") -> None:
        """Start the group on a node, and wait for it."""
        with self.lab.world_now():
            assert self.lab.ecx.start_group(node) == 0
        self.settled(node)

    def move_group(self, node: str) -> None:
        """Move the group to a node, and wait for it."""
        with self.lab.world_now():
            assert self.lab.ecx.move_group(node) == 0
        self.settled(node)

    def stop_group(self) -> None:
        """Stop the group, and wait for it."""
        with self.lab.world_now():
            assert self.lab.ecx.stop_group() == 0
        servers = self.lab.ecx.servers
        self.wait(
            lambda _: self.lab.ecx.is_idle and not any(one.is_active for one in servers.values()), "group offline"
        )

    def settled(self, node: str) -> None:
        """Wait until the group is online on a node, and nothing more is under way."""
        ecx = self.lab.ecx
        self.wait(lambda _: ecx.servers[node].group == "Online" and ecx.is_idle, f"group online on {node}")

    def stop_watching(self) -> None:
        """Have ECX run no monitor any more, and wait for those that run: one may start ECX on the peer."""
        ecx = self.lab.ecx
        ecx.monitoring = False
        monitors = [one for server in ecx.servers.values() for one in server.monitors.values()]
        self.wait(lambda _: all(one.job is None or one.job.poll() is not None for one in monitors), "no monitor runs")

    def online(self, *nodes: str) -> None:
        """Wait until ECX is online on these nodes, their mirror disks whole."""
        servers = self.lab.ecx.servers
        self.wait(
            lambda _: all(servers[node].service == "Online" and self.lab.ecx.mirror.is_whole(node) for node in nodes),
            f"ECX online on {', '.join(nodes)}",
        )

    def running_on(self, vm: str) -> str:
        """Return the host that a VM runs on; empty if it runs nowhere."""

        def where(world: World) -> str:
            hosts = [host for host, guest in world.vms[vm].guests.items() if guest.state == "Running"]
            return " and ".join(hosts)

        return str(self.do(where))

    def booted(self, vm: str) -> float | None:
        """Return when a VM was last started."""
        started: float | None = self.do(lambda world: next((g.started for g in world.vms[vm].guests.values()), None))
        return started

    def events(self, what: str) -> list[Event]:
        """Return what happened of a kind."""
        found: list[Event] = self.do(lambda world: [event for event in world.history if event.what == what])
        return found

    def guest_states(self, vm: str) -> list[str]:
        """Return the states that a VM's guest went through."""
        return [event.state for event in self.events("guest") if event.who == vm]

    def story(self) -> str:
        """Return the world's history and the ends of the logs, for a test that failed."""
        history = self.do(
            lambda world: [f"{one.at:7.2f} {one.what}: {one.who} {one.where} {one.state}" for one in world.history]
        )
        logs = []
        for path in sorted(self.lab.folder.path.glob("ec*/log/*.log")):
            text = path.read_text(encoding="utf-8", errors="replace")
            logs.append(f"--- {path.parent.parent.name} {path.name}\n{text[-1500:]}")
        return "\n".join([*history, *logs])

    def broken_rules(self) -> list[str]:
        """Return what must never happen and did."""
        found: list[str] = self.do(lambda world: list(world.violations))
        return found

    def check(self) -> None:
        """Fail if anything happened that must never happen."""
        assert [] == self.broken_rules(), self.story()
