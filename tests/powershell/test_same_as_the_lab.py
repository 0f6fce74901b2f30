"""The lab's Python agent and the real one give the same replies; what the lab proves is then true of the real one.

Every named world of the proof is run twice: by the lab alone, and with the real agent in the engine for whatever
changes something, while all that is read is read by both. A world that is added is in by itself.
"""

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from ecx_hyperv.host.wire import Request, Result, changes
from ecx_hyperv.lab.engine.modules import Engine
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.powershell import PowerShell
from tests.powershell.requests import generate
from tests.powershell.twins import HOSTS, TARGET, RealHosts, RealShell, plain, real_hosts
from tests.proof.facts import build
from tests.proof.worlds import WORLDS, Named
from tests.virtual import hosts as virtual_hosts
from tests.virtual.programs import run_program

GENERATED = 500
# Each is asked so many of the generated requests, one after the other.
ROUND = 25
STATES: dict[str, dict[str, str]] = {
    "it runs": {},
    "it is off": {"state": "Off"},
    "it is saved": {"state": "Saved"},
    "it is paused": {"state": "Paused"},
    "it is critical": {"state": "PausedCritical", "iSCSI": "lost"},
    "it is on its way": {"state": "Saving"},
    "it is nowhere": {"configuration": "Offline"},
    "it runs on the peer": {"owner": "peer", "volume's owner": "peer"},
    "its resource has failed": {"state": "Off", "machine": "Failed"},
    "there is no cluster": {"local node": "service stopped"},
    "in Japanese": {"state": "Off", "memory": "short", "language": "ja"},
}


@pytest.fixture(scope="module")
def real(standins: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHosts]:
    """Return the real agents of both hosts."""
    with real_hosts(standins, tmp_path_factory.mktemp("r")) as agents:
        yield agents


def played(named: Named, shell: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Any]]:
    """Run a program in a world whose PowerShells are of a kind; return how it ended, and each reply."""
    replies = []

    class Recorded:
        def __init__(self, world: World, host: str, target: str, **more: Any) -> None:
            self._shell = shell(world, host, target, **more)
            self._host = host
            self.hello = self._shell.hello

        def perform(self, request: Request) -> Any:
            reply = self._shell.perform(request)
            replies.append((self._host, request.calls, plain(reply.results), round(reply.ms)))
            return reply

    monkeypatch.setattr(virtual_hosts, "PowerShell", Recorded)
    case = build(named.values)
    end = run_program(case.sim, named.job, "vm1", factor=case.factor)
    return (end.exit, end.said), replies


@pytest.mark.parametrize("name", list(WORLDS))
def test_every_world_ends_alike_with_the_real_agent(
    real: RealHosts, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program must get the same replies from both agents, one by one, and end alike."""
    alone = played(WORLDS[name], PowerShell, monkeypatch)
    with_real = played(WORLDS[name], lambda *given, **more: RealShell(real, *given, **more), monkeypatch)
    for one, other in zip(alone[1], with_real[1], strict=False):
        assert one == other
    assert (alone[0], len(alone[1])) == (with_real[0], len(with_real[1]))


def without_times(results: tuple[Result, ...]) -> Any:
    """Return results as data, without the counts that TooLate tells: each host counts from its own boot."""
    shown = plain(results)
    for one in shown:
        if one["error"] is not None and one["error"]["id"] == "TooLate":
            one["error"]["message"] = re.sub(r"\d+", "N", one["error"]["message"])
    return shown


@pytest.mark.parametrize("seed", range(GENERATED // ROUND))
def test_generated_requests_are_answered_alike(real: RealHosts, seed: int) -> None:
    """Whatever is asked in the wire's form, sense or nonsense, both agents must answer and do the same."""
    source = random.Random(seed)  # noqa: S311 - the same requests each time
    state = list(STATES)[seed % len(STATES)]
    host = HOSTS[seed % 2]
    worlds = [build(STATES[state]).world for _ in range(2)]
    shell = PowerShell(worlds[0], host, TARGET, sleep=lambda _: None)
    real.open_desk(host, worlds[1], TARGET)
    for _ in range(ROUND):
        request, late = generate(source, worlds[0])
        up = shell.hello().up_ms or 0
        limit = None if late is None else up + (-600_000 if late else 600_000)
        told = Request(calls=request.calls, stop_on_error=request.stop_on_error, not_after=limit)
        expected = shell.perform(told)
        seen = real.ask(host, request, late=late)
        assert without_times(expected.results) == without_times(seen), (state, request)
        for world in worlds:
            world.advance(7 if any(changes(call) for call in request.calls) else 0.5)
