"""Looking at the hosts, and performing on the way what was decided."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Observation, Side
from ecx_hyperv.decide.steps import Act, Do
from ecx_hyperv.errors import HostError
from ecx_hyperv.host.actions import Action, action_for
from ecx_hyperv.host.link import Ask, Exchanged
from ecx_hyperv.host.observe import HostSnapshot, SnapshotRequest, read
from ecx_hyperv.host.situation import HostNames, Snapshots, name_hosts
from ecx_hyperv.host.wire import RemoteError, Request, Result
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.tasks import Task

# What is noted of a step whose answer did not come: it may have been carried out, or not.
_UNKNOWN = RemoteError(message="its answer did not come", id="NoAnswer")
# What a look may take, a slow host's module loading included.
LOOK_S = 60.0


class ActionTarget(Protocol):
    """What an action is performed for: a VM's task, or a volume's; `name` is the VM's, or the volume's."""

    name: str

    def issued(self, do: Do, now: float, error: RemoteError | None) -> None:
        """Take note of a step that was sent, and of its error, or that its outcome is unknown."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An action, and who wants it: several VMs need their common volume brought online but once."""

    action: Action
    targets: list[ActionTarget]


class Plan:
    """What a look is to perform before it observes."""

    def __init__(self) -> None:
        self._planned: dict[tuple[Side, str], Planned] = {}

    def __bool__(self) -> bool:
        return bool(self._planned)

    def add(self, task: Task, step: Act, seen: Observation, snapshots: Snapshots) -> None:
        """Add a step's action, once for all the tasks that want it."""
        snapshot = None if seen.observer is None else snapshots.snapshot(seen.observer)
        self.put(task, action_for(step, seen, snapshot))

    def put(self, target: ActionTarget, action: Action) -> None:
        """Add an action, once for all who want it."""
        planned = self._planned.setdefault((action.side, repr(action.call)), Planned(action, []))
        planned.targets.append(target)

    def on(self, side: Side) -> list[Planned]:
        """Return what is planned on a host."""
        return [planned for planned in self._planned.values() if planned.action.side is side]


class HostPair:
    """The two hosts, acted on and looked at together, and their names; `iscsi` is who is asked for its connections."""

    def __init__(self, context: RunContext, vms: Sequence[str], iscsi: Container[Side] = ()) -> None:
        self._context = context
        self._vms = tuple(vms)
        self._iscsi = iscsi
        self.names = HostNames(context.pair.local.host, context.pair.peer.host, peer_is_known=False)

    def act_and_observe(
        self,
        sides: Sequence[Side],
        plan: Plan,
        deadline: Deadline,
        *,
        volumes_of: tuple[str, ...] = (),
    ) -> Snapshots:
        """Perform and observe, each host in one request, both side by side."""
        wanted = {
            side: SnapshotRequest(vms=self._vms, iscsi=side in self._iscsi, volumes_of=volumes_of) for side in sides
        }
        asks = {side: self._ask(wanted[side], plan.on(side)) for side in sides}
        answers = self._context.hosts.exchange(asks, deadline)
        snapshots = self._snapshots(
            {side: self._snapshot(answers[side], plan.on(side), wanted[side]) for side in sides}
        )
        self.names = name_hosts(snapshots, self.names)
        return snapshots

    def _ask(self, wanted: SnapshotRequest, planned: Sequence[Planned]) -> Ask:
        settle = self._context.config.timing.settle
        seconds = LOOK_S + sum(settle for one in planned if one.action.do.value.blocks)
        calls = (*(one.action.call for one in planned), *wanted.calls())
        return Ask(Request(calls=calls, stop_on_error=False), seconds)

    def _snapshots(self, found: Mapping[Side, HostSnapshot | HostError]) -> Snapshots:
        return Snapshots(local=found.get(Side.LOCAL), peer=found.get(Side.PEER))

    def _snapshot(
        self, answer: Exchanged, planned: Sequence[Planned], wanted: SnapshotRequest
    ) -> HostSnapshot | HostError:
        if isinstance(answer, HostError):
            for one in planned if answer.may_have_been_done else ():
                self._note(one, _UNKNOWN, f"outcome unknown: {answer.summary}")
            return answer
        hello, reply = answer
        for one, result in zip_longest(planned, reply.results[: len(planned)]):
            error = None if result is None else _error(result)
            refused = "" if error is None else f"refused: {error}"
            self._note(one, error, "outcome unknown: no result of it" if result is None else refused)
        return read(hello, reply.results[len(planned) :], wanted)

    def _note(self, planned: Planned, error: RemoteError | None, trouble: str) -> None:
        now = self._context.clock.monotonic()
        for target in planned.targets:
            target.issued(planned.action.do, now, error)
            if trouble:
                self._context.log.warning(f"{planned.action.do.words}: {trouble}", vm=target.name)


def _error(result: Result) -> RemoteError | None:
    return None if result.ok else result.error or RemoteError(message="failed without a reason")
