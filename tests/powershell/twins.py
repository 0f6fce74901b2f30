"""The real agent in the engine beside the lab's Python one, each over a world of its own that is made the same way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from ecx_hyperv.host.wire import Call, Hello, Reply, Request, Result, changes
from ecx_hyperv.lab.engine.desk import Answer, Desk, Question
from ecx_hyperv.lab.engine.doors import WorldDoor
from ecx_hyperv.lab.engine.launch import write_host
from ecx_hyperv.lab.engine.modules import Engine, environment
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.powershell import PowerShell
from tests.powershell.agent import Agent

HOSTS = ("ws2019-host-1", "ws2019-host-2")
TARGET = "127.77.0.201"
# By how much an act is early or late, as far as a test wants either.
_FAR_MS = 600_000


class _Sign:
    """Stands at the door for a host, and leads to whatever desk is open for it just now."""

    def __init__(self, host: str, desks: dict[str, Desk]) -> None:
        self._host = host
        self._desks = desks

    def answer(self, question: Question) -> Answer:
        return self._desks[self._host].answer(question)


class RealHosts:
    """One real agent for each host, and the desks at which their stand-ins ask."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.desks: dict[str, Desk] = {}
        self._engine = engine
        self._folder = folder
        self._door = WorldDoor(folder / "d", lambda host: _Sign(host, self.desks))
        self._door.start()
        self._agents: dict[str, Agent] = {}
        self._answered: set[bytes] = set()

    def is_new(self, request: Request, reply: Reply) -> bool:
        """Tell whether a question and its answer were not seen before, whatever the uptimes in it."""
        shown = msgspec.to_builtins((request.calls, reply.results))
        for result in shown[1]:
            for row in result["value"]:
                row.pop("Uptime.TotalSeconds", None)
        key = msgspec.json.encode(shown)
        was_new = key not in self._answered
        self._answered.add(key)
        return was_new

    def close(self) -> None:
        """End the agents."""
        for agent in self._agents.values():
            agent.kill()
        self._door.stop()

    def agent(self, host: str) -> Agent:
        """Return the agent of a host, started at its first use."""
        if host not in self._agents:
            told = environment(self._engine, self._folder / "d", host)
            told["ECX_DRIVE_C"] = str(self._folder / f"{host}.C")
            Path(told["ECX_DRIVE_C"]).mkdir()
            agent = self._agents[host] = Agent(self._engine.pwsh, told)
            assert "hello" == agent.frame()[0]
        return self._agents[host]

    def open_desk(
        self, host: str, world: World, target: str = TARGET, took: Callable[[float], None] = lambda _: None
    ) -> Desk:
        """Have the host's stand-ins ask this world from now on; no time passes there."""
        self.agent(host)
        self.desks[host] = Desk(world, host, target, sleep=took, enter=nullcontext)
        write_host(self._folder, host, world, self._engine.modules)
        return self.desks[host]

    def ask(self, host: str, request: Request, *, late: bool | None = None) -> tuple[Result, ...]:
        """Have the real agent carry out a request whose time is over, or not, or that has none."""
        told = msgspec.to_builtins(request)
        told["not_after"] = None
        if late is not None:
            told["not_after"] = self.agent(host).ask()["up_ms"] + (-_FAR_MS if late else _FAR_MS)
        reply = self.agent(host).ask(*told.pop("calls"), **told)
        return msgspec.convert(reply["results"], tuple[Result, ...])


class RealShell:
    """A simulated host's PowerShell in which the real agent does what changes something.

    What only reads is read by both at one moment of one world, and must be the same; a question whose answer was the
    same before is not put to the real agent again. Time passes by the simulated PowerShell's rules.
    """

    def __init__(
        self,
        real: RealHosts,
        world: World,
        host: str,
        target: str,
        *,
        sleep: Callable[[float], None],
        watch: Callable[[str, Call], None] = lambda _host, _call: None,
    ) -> None:
        self._real = real
        self._host = host
        self._took: list[float] = []
        self._sleep = sleep
        self._world = world
        self._python = PowerShell(world, host, target, sleep=self._took.append, watch=watch)
        self._desk = real.open_desk(host, world, target, self._took.append)
        # Both repeat what this one PowerShell has read of a VM.
        self._desk._cmdlets = self._python._cmdlets

    def hello(self) -> Hello:
        """Return the agent's first words, as the lab's host says them."""
        return self._python.hello()

    def perform(self, request: Request) -> Reply:
        """Carry out a request: what changes something in the engine, what only reads in both."""
        self._real.desks[self._host] = self._desk
        self._took.clear()
        # A refusal that is given so many times is used up by whoever meets it.
        if any(changes(call) for call in request.calls) or self._world.hosts[self._host].refusals:
            return self._act(request)
        reply = self._python.perform(request)
        took = sum(self._took)
        if self._real.is_new(request, reply):
            seen = self._real.ask(self._host, request)
            assert plain(reply.results) == plain(seen), msgspec.json.encode(request)
        self._sleep(took)
        return reply

    def _act(self, request: Request) -> Reply:
        now = self.hello().up_ms or 0
        late = None if request.not_after is None else now > request.not_after
        results = self._real.ask(self._host, request, late=late)
        took = sum(self._took) + sum(self._cost(call) for call in request.calls[: len(results)])
        self._sleep(took)
        return Reply(results=results, ms=round(took * 1000), up_ms=now + int(took * 1000))

    def _cost(self, call: Call) -> float:
        """Return what calls cost beside what they block for; the modules cost nothing in these worlds."""
        fed = (one for one in (call.from_, call.guard) if one is not None)
        return self._world.timings.call + sum(self._cost(one) for one in fed)


@contextmanager
def real_hosts(engine: Engine, folder: Path) -> Iterator[RealHosts]:
    """Run real agents for the length of a with block."""
    real = RealHosts(engine, folder)
    try:
        yield real
    finally:
        real.close()


def plain(results: tuple[Result, ...]) -> Any:
    """Return results as data to be compared."""
    return msgspec.to_builtins(results)
