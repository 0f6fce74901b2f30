"""The agent's first words, its frames, and how it ends."""

import hashlib
import re
import secrets
import time
from collections.abc import Callable

import pytest

from tests.powershell.agent import Agent, Ended, call, line, script
from tests.powershell.conftest import Launch
from tests.powershell.world import VM_A, World

ECHO = call("Agent-Echo", ("Text",), args={"Text": "x"})
WAYS = ("handle", "input")


def _digest() -> str:
    return hashlib.sha256(script("agent.ps1").encode()).hexdigest()


@pytest.mark.parametrize("way", WAYS)
def test_hello_tells_what_the_wire_says(launch: Launch, way: str) -> None:
    """The hello must have each field of the wire's second edition, of the kind that it says, in both ways of stdin."""
    agent = launch(way=way)
    if way == "input":
        agent.end_input()
    kind, hello = agent.frame()
    assert "hello" == kind
    fields = {"agent", "host", "ps", "os", "pid", "language", "utc", "up_ms", "free_memory", "digest", "sent"}
    assert fields | {"installed", "scope"} == set(hello)
    assert (2, agent.process.pid, "FullLanguage") == (hello["agent"], hello["pid"], hello["language"])
    assert (False, None, None) == (hello["installed"], hello["sent"], hello["scope"])
    assert _digest() == hello["digest"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", hello["utc"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", hello["os"])
    assert isinstance(hello["up_ms"], int)


def test_digest_leaves_out_the_line_with_the_nonce(launch: Launch) -> None:
    """A first line that begins with the program's name must run, and must not change the digest."""
    agent = launch(first=f"# ecx-hyperv nonce={secrets.token_hex(16)} agent=2\n")
    assert _digest() == agent.frame()[1]["digest"]


def test_digest_takes_any_other_first_line_in(launch: Launch) -> None:
    """A first line of another kind must change the digest."""
    agent = launch(first="# something else\n")
    assert _digest() != agent.frame()[1]["digest"]


def test_up_ms_is_one_count_for_all_processes(agent: Agent, launch: Launch) -> None:
    """Two agents on one host must count the time since its boot alike."""
    other = launch()
    before = agent.ask()["up_ms"]
    hello = other.frame()[1]["up_ms"]
    assert before <= other.ask()["up_ms"] <= agent.ask()["up_ms"] <= before + 30000
    assert before - 30000 < hello
    assert abs(time.monotonic() * 1000 - agent.ask()["up_ms"]) < 5000


def test_reply_tells_its_times_and_what_it_loaded(launch: Launch, world: World) -> None:
    """A reply must tell how long it took, and each module that it had to load, the first time only."""
    agent = launch()
    agent.frame()
    get_vm = call("Get-VM", args={"Id": VM_A})
    first, second = agent.ask(get_vm), agent.ask(get_vm)
    assert {"results", "ms", "up_ms", "modules"} == set(first)
    assert {"Hyper-V"} == set(first["modules"])
    assert first["ms"] >= first["modules"]["Hyper-V"] > 0
    assert {} == second["modules"]
    assert first["up_ms"] <= second["up_ms"]


def test_request_without_calls_is_a_ping(agent: Agent) -> None:
    """A request without calls must be answered without results."""
    assert [] == agent.ask()["results"]


def test_requests_may_be_pipelined(agent: Agent) -> None:
    """Requests that are sent at once must be answered in turn, each under its own number."""
    texts = ["a", "b", "c"]
    lines = [line(100 + at, {"calls": [call("Agent-Echo", ("Text",), args={"Text": t})]}) for at, t in enumerate(texts)]
    agent.send(b"".join(lines))
    frames = [agent.frame() for _ in texts]
    assert ["100", "101", "102"] == [kind for kind, _ in frames]
    assert texts == [reply["results"][0]["value"][0]["Text"] for _, reply in frames]


def test_all_lines_may_come_before_powershell_does(launch: Launch) -> None:
    """Whoever closes its side at once must get the answers to all that it wrote, then the end."""
    agent = launch(way="input")
    agent.send(line(1, {"calls": [ECHO]}) + line(2, {"calls": [ECHO, ECHO]}))
    agent.end_input()
    assert ["hello", "1", "2"] == [agent.frame()[0] for _ in range(3)]
    with pytest.raises(Ended, match=r"has ended: 0, $"):
        agent.frame()


def test_agent_leaves_when_its_input_ends(launch: Launch) -> None:
    """The end of stdin must end the agent at once, without a word."""
    agent = launch()
    agent.frame()
    agent.end_input()
    with pytest.raises(Ended, match=r"has ended: 0, $"):
        agent.frame(5)


@pytest.mark.parametrize("words", [b"1 2\n", b"1 1000 %%%\n", b"1 1000 ew==\n"])
def test_line_that_makes_no_sense_ends_the_agent(launch: Launch, words: bytes) -> None:
    """A line that cannot be parsed must be answered by the fatal frame, and nothing after it may be carried out."""
    agent = launch(way="input")
    agent.send(words + line(2, {"calls": [ECHO]}))
    agent.end_input()
    kinds = [agent.frame() for _ in range(2)]
    assert ["hello", "fatal"] == [kind for kind, _ in kinds]
    assert kinds[1][1]["message"]
    with pytest.raises(Ended):
        agent.frame()


def test_deadman_ends_what_hangs(launch: Launch) -> None:
    """A request that hangs must take the whole PowerShell with it 5 s after its limit, not before."""
    agent = launch()
    agent.frame()
    start = time.monotonic()
    agent.send(
        line(1, {"calls": [call("Agent-Sleep", args={"Milliseconds": 60000})]}, 500) + line(2, {"calls": [ECHO]})
    )
    with pytest.raises(Ended):
        agent.frame()
    assert 5.3 < time.monotonic() - start < 20


def _idle_for(milliseconds: int) -> Callable[[str], str]:
    """Return what makes the idle limit short in the script's text, from its hello on."""
    line_there = "$Deadman.Due = $Clock.ElapsedMilliseconds + $IdleLimit\n"
    assert 1 == script("agent.ps1").count(line_there)
    return lambda text: text.replace(line_there, line_there.replace("$IdleLimit", str(milliseconds)))


def test_deadman_ends_who_is_left_alone(launch: Launch) -> None:
    """An agent that nobody asks any more must end by itself; its limit is made short here."""
    agent = launch(edit=_idle_for(1500))
    agent.frame()
    start = time.monotonic()
    with pytest.raises(Ended):
        agent.frame()
    assert 1.2 < time.monotonic() - start < 20


def test_slow_request_within_its_limit_is_left_alone(launch: Launch) -> None:
    """A request may take longer than the idle limit, which counts only while none is under way."""
    agent = launch(edit=_idle_for(1000))
    agent.send(line(1, {"calls": [call("Agent-Sleep", args={"Milliseconds": 1800}), ECHO]}))
    assert ["hello", "1"] == [agent.frame()[0] for _ in range(2)]
