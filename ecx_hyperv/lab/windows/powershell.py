"""The lab's PowerShell: carries out requests on the world as a host's cmdlets would, strictly.

A cmdlet or parameter that Microsoft does not document is refused, so that no call passes here which no host knows.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from ecx_hyperv.host.agent import agent_script
from ecx_hyperv.host.wire import Call, Hello, RemoteError, Reply, Request, Result, changes
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows import messages
from ecx_hyperv.lab.windows.allowed import ALLOWED, BUILT_IN, BadRequest, check
from ecx_hyperv.lab.windows.carry_out import HostCmdlets
from ecx_hyperv.lab.windows.enabled import as_agent_reads
from ecx_hyperv.lab.windows.messages import Failure
from ecx_hyperv.lab.windows.rows import NoClusterDatabase

# The hosts were booted a day before the world began.
_UP_MS = 86_400_000


class PowerShell:
    """One powershell.exe with the agent, on a host.

    `enter` is entered for each look at the world or change of it; `sleep` passes the time that a call takes; `watch`
    sees each call before it is made.
    """

    def __init__(
        self,
        world: World,
        host: str,
        target: str,
        *,
        sleep: Callable[[float], None],
        enter: Callable[[], AbstractContextManager[object]] = nullcontext,
        watch: Callable[[str, Call], None] = lambda _host, _call: None,
    ) -> None:
        self._watch = watch
        self._world = world
        self._host = host
        self._target = target
        self._sleep = sleep
        self._enter = enter
        self._cmdlets = HostCmdlets(world, host, target)
        self._loaded: dict[str, float] = {}
        # Seconds: when this request began, what its calls have taken, and what the one under way has.
        self._began = world.now
        self._took = 0.0
        self._blocked = 0.0
        self._top: Call | None = None
        self.calls: list[Call] = []

    def hello(self, pid: int = 4711) -> Hello:
        """Return the agent's first words."""
        name = self._host.upper() if self._world.timings.shout_names else self._host
        memory = self._world.hosts[self._host].memory * 2**30
        facts = self._world.hosts[self._host].facts
        return Hello(
            agent=2,
            host=name,
            ps=facts.powershell,
            os="10.0.17763",
            pid=pid,
            language=facts.language_mode,
            utc=(datetime.now(UTC) + timedelta(seconds=facts.clock_offset)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            up_ms=self._up_ms(),
            free_memory=memory,
            digest=_digest(),
            installed=False,
        )

    def _up_ms(self) -> int:
        """Return the host's count; what this request has taken so far may not be the world's time yet."""
        return _UP_MS + int(max(self._world.now, self._began + self._took + self._blocked) * 1000)

    def perform(self, request: Request) -> Reply:
        """Make the calls of a request, one after the other, each taking its time."""
        before = set(self._loaded)
        self._began, self._took = self._world.now, 0.0
        results = []
        for call in request.calls:
            self._blocked = 0.0
            with self._enter():
                results.append(self._result(call, request.not_after))
            took, self._blocked = self._blocked, 0.0
            self._took += took
            self._sleep(took)
            if not results[-1].ok and request.stop_on_error:
                break
        new = {name: ms for name, ms in self._loaded.items() if name not in before}
        return Reply(results=tuple(results), ms=round(self._took * 1000), up_ms=self._up_ms(), modules=new)

    def _result(self, call: Call, not_after: int | None) -> Result:
        try:
            objects = self._asked(call, not_after)
        except BadRequest as refused:
            return _refused("BadRequest", str(refused))
        except NotAsAsked as found:
            return _refused("NotAsAsked", str(found))
        except TooLate as late:
            return _refused("TooLate", str(late))
        except NoClusterDatabase:
            return _refused("NoClusterDatabase", messages.no_database(self._world.timings.language))
        except Failure as failure:
            return Result(ok=False, error=self._told(failure, call.cmdlet))
        return Result(ok=True, value=tuple(_select(one, call.select) for one in objects) if call.select else ())

    def _told(self, failure: Failure, cmdlet: str) -> RemoteError:
        """Return an error as the cmdlet reports it that failed, which may be one that feeds the call."""
        return messages.render(failure, failure.cmdlet or cmdlet, self._world.timings.language)

    def _asked(self, call: Call, not_after: int | None) -> list[dict[str, Any]]:
        self._top = call
        if not changes(call):
            return self._read(call)
        if not_after is None:
            raise BadRequest(f"{call.cmdlet}: no not_after")
        if call.only:
            raise BadRequest(f"{call.cmdlet}: only belongs to what feeds or guards it")
        return self._invoke(call, not_after)

    def _read(self, call: Call) -> list[dict[str, Any]]:
        """Return what a call gives that changes nothing, as its `only` leaves it."""
        if changes(call):
            raise BadRequest(f"{call.cmdlet} changes something, and can neither feed nor guard")
        return _only(call, self._invoke(call, None), self._cmdlets.fresh_state)

    def _invoke(self, call: Call, not_after: int | None) -> list[dict[str, Any]]:
        check(call)
        self._in_time(not_after)
        if call.guard is not None:
            try:
                self._read(call.guard)
            except Failure as failure:
                told = self._told(failure, call.guard.cmdlet)
                raise NotAsAsked(f"{call.guard.cmdlet} failed: {told.message} [{told.id}]") from None
        piped = None
        if call.from_ is not None:
            piped = self._read(call.from_)
        self._in_time(not_after)
        if call.cmdlet in BUILT_IN:
            return self._built_in(call)
        self._watch_asked(call)
        self._may_run(call)
        self._load(ALLOWED[call.cmdlet])
        self._blocked += self._world.timings.call
        self.calls.append(call)
        try:
            objects = self._cmdlets.call(call.cmdlet, call.args, piped)
        except Failure as failure:
            failure.cmdlet = call.cmdlet
            raise
        self._blocked += self._cmdlets.blocked
        return objects

    def _watch_asked(self, call: Call) -> None:
        """Have a call seen that was asked for, and not one that only feeds or guards it."""
        if call is self._top:
            self._watch(self._host, call)

    def _may_run(self, call: Call) -> None:
        try:
            self._cmdlets.may_run(call.cmdlet)
        except Failure as failure:
            failure.cmdlet = call.cmdlet
            raise

    def _in_time(self, not_after: int | None) -> None:
        if not_after is not None and self._up_ms() > not_after:
            raise TooLate(f"it is {self._up_ms()} ms, not_after was {not_after} ms")

    def _built_in(self, call: Call) -> list[dict[str, Any]]:
        self.calls.append(call)
        match call.cmdlet:
            case "Agent-Sleep":
                self._blocked += float(call.args["Milliseconds"]) / 1000  # type: ignore[arg-type]
                return []
            case "Agent-Echo":
                return [{"Text": str(call.args["Text"]) * int(call.args.get("Repeat", 1))}]  # type: ignore[arg-type]
        self._watch_asked(call)
        self._blocked += self._world.timings.call
        return self._cmdlets.built_in(call.cmdlet, call.args)

    def _load(self, module: str) -> None:
        if module in self._loaded:
            return
        timings = self._world.timings
        if module.startswith("Microsoft.PowerShell."):
            # The agent has them from its start.
            return
        cost = {"FailoverClusters": timings.failover_clusters, "Hyper-V": timings.hyper_v, "iSCSI": timings.iscsi}
        self._loaded[module] = round(cost[module] * 1000)
        self._blocked += cost[module]


@cache
def _digest() -> str:
    return hashlib.sha256(agent_script().encode()).hexdigest()


class NotAsAsked(Exception):
    """Nothing was found that is as a call wants it."""


class TooLate(Exception):
    """A call that comes later than whoever asked for it waits."""


def _refused(identifier: str, message: str) -> Result:
    # As the agent writes what it says no to by itself: the id stands for the kind of exception too.
    error = RemoteError(message=message, id=identifier, category="InvalidOperation", exception=identifier)
    return Result(ok=False, error=error)


def _only(call: Call, objects: list[dict[str, Any]], fresh: Callable[[str], str | None]) -> list[dict[str, Any]]:
    """Return the objects that a call's `only` leaves; the state of a VM by its id is what it is now."""
    if not call.only:
        return objects
    left, found = [], []
    for one in objects:
        wrong = [
            f"{path} is {value}"
            for path, wanted in call.only.items()
            if (value := _state(call, path, _now(call, path, one, fresh))).casefold()
            not in {_state(call, path, word).casefold() for word in wanted}
        ]
        found += wrong
        if not wrong:
            left.append(one)
    if not left:
        raise NotAsAsked(f"{call.cmdlet}: {'; '.join(found) or 'nothing was found'}")
    return left


def _now(call: Call, path: str, one: Mapping[str, Any], fresh: Callable[[str], str | None]) -> object:
    shown = _walk(one, path)
    if not _is_fresh(call, path):
        return shown
    state = fresh(str(one["Id"]))
    return shown if state is None else as_agent_reads(state, str(shown))


def _state(call: Call, path: str, value: object) -> str:
    return str(value).removesuffix("Critical") if _is_fresh(call, path) else str(value)


def _is_fresh(call: Call, path: str) -> bool:
    return call.cmdlet == "Get-VM" and "Id" in call.args and path == "State"


def _select(row: Mapping[str, Any], paths: tuple[str, ...]) -> dict[str, Any]:
    return {path: _plain(_walk(row, path)) for path in paths}


def _walk(value: Any, path: str) -> Any:
    if "." not in path:
        return _enumerated(value, path) if isinstance(value, list) else _member(value, path)
    for part in path.split("."):
        value = _enumerated(value, part) if isinstance(value, list) else _member(value, part)
    return value


def _enumerated(objects: list[Any], part: str) -> Any:
    """Return the members of a list's objects as PowerShell does: none as null, one as itself."""
    if part in ("Count", "Length"):
        return len(objects)
    values = [_member(one, part) for one in objects]
    return values if len(values) > 1 else next(iter(values), None)


def _member(value: Any, part: str) -> Any:
    return value.get(part) if isinstance(value, dict) else None


def _plain(value: Any) -> Any:
    # An object without a plain form shows as what it is called.
    return value.get("Name", "System.Object") if isinstance(value, dict) else value
