"""Whatever the program asks of a lab's hosts is asked of the real agent as well: its parameters must bind.

One agent serves a process of the tests. Its stand-ins find whatever they are asked for, so that every cmdlet of a
request is reached; a question of the same form is put once, whichever process of a run has it first. So a request that
is new is in by itself, and what fails is the test that sent it.
"""

import atexit
import hashlib
import os
import tempfile
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from ecx_hyperv.host.wire import Call, Request, changes
from ecx_hyperv.lab.engine.desk import Answer, Question
from ecx_hyperv.lab.engine.doors import WorldDoor
from ecx_hyperv.lab.engine.modules import Engine, build, environment
from ecx_hyperv.lab.engine.objects import to_object
from ecx_hyperv.lab.windows.enabled import number_of
from tests.powershell import engine
from tests.powershell.agent import Agent

_CACHE = Path(__file__).parents[2] / ".pytest_cache" / "d" / "standins"
_ID = "11111111-aaaa-4aaa-8aaa-111111111111"
_MARKS = "ECX_HYPERV_ASKED"
# An agent ends by itself once it was asked nothing for two minutes.
_IDLE_S = 60.0
# What `check` asks of an agent only to see that the agent refuses it (check/probes.py).
_PROBE = "ecx-hyperv check"
# The agent's own calls that only test the way to it.
_OF_THE_WAY = frozenset({"Agent-Echo", "Agent-Sleep"})


class Recorder:
    """The requests that one lab was sent, one of each form."""

    def __init__(self) -> None:
        self.requests: dict[bytes, Request] = {}

    def take(self, _host: str, request: Request) -> None:
        """Keep a request, if its form is new."""
        calls = tuple(call for call in request.calls if call.cmdlet not in _OF_THE_WAY)
        for call in calls:
            self.requests.setdefault(msgspec.json.encode(_form(call)), Request(calls=(call,)))

    def check(self) -> None:
        """Ask the real agent, where there is an engine, and fail for each call that it or a cmdlet refuses."""
        if engine.find() is None:
            return
        new = {key: mark for key in self.requests if not (mark := _mark(key)).exists()}
        refused = [(self.requests[key], came) for key in new if (came := _real().refusal(self.requests[key]))]
        assert not refused, refused
        for mark in new.values():
            mark.touch()


def _form(call: Call | None) -> Any:
    """Return what makes a call bind as it does: names and types of its arguments, what is selected, fed and guarded."""
    if call is None:
        return None
    args = {name: type(value).__name__ for name, value in sorted(call.args.items())}
    # What is asked to be refused is no form of what is not.
    is_probe = call.args.get("Name") == _PROBE
    only = {key: sorted(values) for key, values in call.only.items()}
    return [call.cmdlet, args, is_probe, call.select, only, *map(_form, _parts(call))]


def _parts(call: Call) -> tuple[Call | None, Call | None]:
    return call.from_, call.guard


def begin(folder: Path) -> None:
    """Have this process, and those that it starts, mark in a folder which forms were asked and are right."""
    os.environ[_MARKS] = str(folder)


def _mark(form: bytes) -> Path:
    return Path(os.environ[_MARKS]) / hashlib.sha256(form).hexdigest()


@cache
def _real() -> "_Real":
    return _Real()


class _Real:
    """The agent, and a desk at which everything is there, in the state that is wanted."""

    def __init__(self) -> None:
        pwsh = engine.find()
        assert pwsh is not None
        _CACHE.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="ecx-"))
        drive = folder / "C" / "ProgramData" / "ssh"
        drive.mkdir(parents=True)
        (drive / "sshd_config").write_text("Port 22\n", encoding="ascii")
        self._states: dict[str, str] = {}
        door = WorldDoor(folder / "s", lambda _host: self)
        door.start()
        told = environment(Engine(pwsh, build(pwsh, _CACHE), folder), folder / "s", "host")
        self._begin = partial(Agent, pwsh, told | {"ECX_DRIVE_C": str(folder / "C")})
        self._agent: Agent | None = None
        self._used = 0.0
        atexit.register(self._end)

    def _end(self) -> None:
        if self._agent is not None:
            self._agent.kill()

    def _awake(self) -> Agent:
        """Return an agent that answers: the one that was asked a moment ago, else a new one."""
        if self._agent is None or time.monotonic() - self._used > _IDLE_S:
            self._end()
            self._agent = self._begin()
            assert "hello" == self._agent.frame()[0]
        self._used = time.monotonic()
        return self._agent

    def refusal(self, request: Request) -> Any:
        """Return what a request is refused with; None if every call of it was made."""
        (call,) = request.calls
        self._states = {one.cmdlet: one.only["State"][0] for one in _all(call) if one.only.get("State")}
        agent = self._awake()
        more = {"not_after": agent.ask()["up_ms"] + 600_000} if changes(call) else {}
        (result,) = agent.ask(msgspec.to_builtins(call), **more)["results"]
        if call.args.get("Name") == _PROBE:
            is_refused = not result["ok"] and result["error"]["id"] == "BadRequest"
            return None if is_refused else "an agent that does what it must refuse"
        return None if result["ok"] else result["error"]

    def answer(self, question: Question) -> Answer:
        """Return one object of the right type for whatever is asked."""
        if "registry" in question:
            return {"exists": True, "children": [], "values": {}}
        cmdlet = question.get("cmdlet", "")
        state = self._states.get(cmdlet, "Running" if cmdlet == "Get-VM" else "Online")
        match cmdlet:
            case "Get-CimInstance":
                number = number_of(self._states.get("Get-VM", "Running"))
                objects: list[Any] = [{"$type": "CimInstance", "EnabledState": number, "SystemName": _ID}]
            case "Invoke-CimMethod":
                objects = [{"$type": "CimMethodResult", "ReturnValue": 0}]
            case "Get-VM" | "Get-ClusterResource" | "Get-ClusterGroup" | "Get-ClusterNode" | "Get-ClusterSharedVolume":
                objects = [to_object(cmdlet, {"Id": _ID, "Name": "x", "State": state})]
            case "Get-ClusterResourceType" | "Get-ClusterNetwork":
                objects = [to_object(cmdlet, {"Name": "x"})]
            case "Get-Acl":
                objects = [to_object(cmdlet, {"Sddl": "O:BAD:P(A;;FA;;;BA)"})]
            case _:
                objects = []
        return {"objects": objects, "errors": []}


def _all(call: Call) -> list[Call]:
    return [call, *(inner for one in _parts(call) if one is not None for inner in _all(one))]
