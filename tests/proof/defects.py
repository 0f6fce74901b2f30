"""What the tests of the forerunner's defects share."""

import dataclasses
from collections.abc import Callable

from msgspec.structs import replace

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.wire import Call, RemoteError, Result
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.world import World
from tests.virtual.contexts import SimulatedNode
from tests.virtual.hosts import Proceed

ERROR = RemoteError(message="何かが失敗しました。", id="OperationFailed", category="NotSpecified")
# A row of a table on a terminal of 80 columns would cut this, and its blanks shift the columns.
LONG = "Cent8.2-1 of the accounting department, second floor, with a name that no table has room for - " + "x" * 90


def events(world: World, what: str) -> list[tuple[str, str]]:
    """Return whom something happened to, and what came of it."""
    return [(event.who, event.state) for event in world.history if event.what == what]


def refusing(wanted: Callable[[Side, Call], bool]) -> Callable[[Side, Ask, Deadline, Proceed], Exchanged]:
    """Have some calls fail on the host, without having done anything."""

    def disturb(side: Side, ask: Ask, _deadline: Deadline, proceed: Proceed) -> Exchanged:
        answer = proceed(ask)
        if isinstance(answer, HostError):
            return answer
        pairs = zip(ask.request.calls, answer.reply.results, strict=True)
        results = tuple(Result(ok=False, error=ERROR) if wanted(side, call) else result for call, result in pairs)
        return dataclasses.replace(answer, reply=replace(answer.reply, results=results))

    return disturb


def peer_desk(world: World) -> tuple[SimulatedEcx, SimulatedNode]:
    """Return ECX on both EC-VMs, and the node of the first."""
    ecx = SimulatedEcx(world, lambda *_: None, ["vm1"])  # type: ignore[arg-type]
    return ecx, SimulatedNode(world, "ec1", ecx)
