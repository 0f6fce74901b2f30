"""What a check shows, offers to be run, and passes on from the other EC-VM: nothing of it controls or deceives."""

import io
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from ecx_hyperv.check import host_facts
from ecx_hyperv.check.catalogue import CATALOGUE
from ecx_hyperv.check.cluster import judge_cluster
from ecx_hyperv.check.context import CheckContext
from ecx_hyperv.check.ec_vm import iscsi_setup_remedy
from ecx_hyperv.check.host_facts import FactsRequest
from ecx_hyperv.check.hosts import judge_host
from ecx_hyperv.check.linux_facts import System
from ecx_hyperv.check.outcome import Finding, Outcome, Remedy, Where, here, on_host, words
from ecx_hyperv.check.run import CheckReport, ask_peer, ordered
from ecx_hyperv.cli import findings
from ecx_hyperv.cli.findings import problems_in, show_findings
from ecx_hyperv.config import Config, Node, ProtectedVm
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.errors import SessionLost
from ecx_hyperv.host.rows import GroupSettings, Network, NodeRow, Quorum
from ecx_hyperv.host.wire import Hello, Reply
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.plain import as_json, flat
from tests.unit.always import always
from tests.virtual.contexts import make_config

EVIL = "\x1b[31mred\x1b]0;title\x07\nFAKE LINE\r\x9b2J \u202egnp.exe\u2066 [bold]x[/bold]"
IQN = "iqn.1991-05.com.microsoft:host1.example.com"
NAME = "mirror-device"


def hidden(text: str) -> list[str]:
    """Return what of a text could control a terminal."""
    return [one for one in text if not one.isprintable() and one != "\n"]


def evil(**more: object) -> Finding:
    """Return a finding that is evil in each of its texts."""
    remedy = Remedy(run=EVIL, where=Where.HOST, on=EVIL, said=(EVIL,), by=EVIL)
    values = {"name": NAME, "place": EVIL, "seen": EVIL, "expected": EVIL, "means": EVIL, "remedy": remedy, **more}
    return Finding(outcome=Outcome.WRONG, **values)  # type: ignore[arg-type]


def test_u03_nothing_that_a_check_shows_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever hosts and the other EC-VM say, the table and the remedies must be plain text, a line each."""
    show_findings([evil(), evil(name="mirror-device")])
    seen = capsys.readouterr().out
    assert [] == hidden(seen)
    assert [] == [line for line in seen.splitlines() if line.startswith("FAKE")]
    assert "[bold]" in seen


def test_b2_problems_hides_what_is_ok(capsys: pytest.CaptureFixture[str]) -> None:
    """With --problems only what is not ok must be listed, all must be counted, and what is told at once be one line."""
    good = Finding(name="csv", place="cluster", outcome=Outcome.OK, seen="Online")
    bad = Finding(name="memory", place="HOST-1", outcome=Outcome.WRONG, seen="too little", remedy=words("add some"))
    show_findings([good, bad], problems=True)
    shown = capsys.readouterr().out
    assert ("memory" in shown, "csv" in shown, "1 ok, 1 wrong" in shown) == (True, False, True)
    assert ["wrong: memory (HOST-1): too little"] == problems_in([good, bad])
    show_findings([good], problems=True)
    assert "1 ok\n" == capsys.readouterr().out
    assert [] == hidden("".join(problems_in([evil()])))


def test_u04_json_escapes_what_could_control_a_terminal() -> None:
    """JSON must hold each value unchanged, and not a character that a terminal would obey."""
    text = as_json(msgspec.to_builtins(evil()), indent=2)
    assert [] == hidden(text)
    assert msgspec.json.decode(msgspec.json.encode(evil())) == json.loads(text)


@always
@given(st.recursive(st.text() | st.integers(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)))
def test_u04_json_is_the_same_for_whoever_reads_it(value: object) -> None:
    """Whatever a value holds, JSON must give it back, and show nothing that is hidden."""
    text = as_json(value)
    assert [] == hidden(text)
    assert value == json.loads(text)


@pytest.mark.parametrize("initiator", ["iqn.x; reboot", f"{IQN}\nreboot", "$(reboot)", "--help", "\x1b[2J", "a b"])
def test_u03_an_initiator_that_is_none_is_not_offered(initiator: str) -> None:
    """A host's name for its initiator must get into a command for root only where it is one."""
    remedy = iscsi_setup_remedy([initiator, IQN])
    assert ["ecx-hyperv", "setup", "iscsi", "--initiator", IQN, "--initiator", "IQN_OF_HOST_2"] == shlex.split(
        remedy.run
    )
    assert (IQN,) == remedy.said


@always
@given(st.text(), st.lists(st.text() | st.just(IQN), max_size=3))
def test_u03_whatever_initiators_the_line_is_one_command(device: str, initiators: list[str]) -> None:
    """Whatever hosts and ECX say, the line must be one command with options that each have a value."""
    remedy = iscsi_setup_remedy(initiators, f"/dev/{device}")
    found = shlex.split(str(remedy), comments=True)
    assert ["ecx-hyperv", "setup", "iscsi"] == found[:3]
    assert {"--device", "--initiator"} >= set(found[3::2])


def test_u03_a_value_from_elsewhere_is_told() -> None:
    """A line that holds a host's words must say so, in a way that does no harm where the whole line is pasted."""
    remedy = on_host("H1", "Start-ClusterResource -Name 'Disk\u2019s'", said=("Disk\u2019s",))
    assert str(remedy).startswith("on H1: Start-ClusterResource -Name 'Disk\u2019s'")
    assert re.search(r" # .*from outside: Disk\u2019s$", str(remedy))
    assert "(from outside: x)" in str(words("write x", said=("x",)))
    assert "from outside" not in str(here("ecx-hyperv trust"))


EVILS = ("x'; reboot; '", "HOST1.\u2019; reboot", "a\nreboot", "$(reboot)", "`reboot`", '"; reboot; "', "\u2018x")


@pytest.mark.parametrize("value", EVILS)
def test_u03_what_a_cluster_says_is_quoted_where_it_is_run(value: str) -> None:
    """Each line for PowerShell must hold what a host says within a literal, whatever quotes that has."""
    remedies = [one.remedy for one in wrong_cluster(value) if one.remedy is not None]
    lines = [one for one in remedies if one.where is Where.HOST]
    assert lines
    for one in lines:
        assert "reboot" not in outside_of_literals(one.run), one.run
        assert one.said


def wrong_cluster(value: str) -> list[Finding]:
    """Return what is found of a cluster of which the names hold this."""
    config, pair = pair_of()
    nothing = host_facts.read(FactsRequest((), ()), Hello(agent=2, host="HOST1"), Reply(results=()))
    target = config.cluster.iscsi_target
    facts = replace(
        nothing,
        nodes=(NodeRow(f"HOST1.{value}", "Paused", frozenset()),),
        networks=(Network(value, value, "Cluster", "Up", target, "255.255.255.0"),),
        barred=(),
        quorum=Quorum(value, "Offline"),
        groups=(GroupSettings("vm1", 1, 1, 1),),
    )
    context = CheckContext(config, pair, {Side.LOCAL: facts, Side.PEER: SessionLost("h", "gone")}, None)
    names = ("cluster-networks", "migration-networks", "quorum", "node")
    found = [*judge_cluster(context), *judge_host(context, Side.LOCAL)]
    assert set(names) <= {one.name for one in found}
    return [one for one in found if one.name in names]


def outside_of_literals(line: str) -> str:
    """Return what of a line PowerShell does not take literally: it has five characters for a quote, doubled within."""
    quotes = "'\u2018\u2019\u201a\u201b"
    kept, is_inside, at = [], False, 0
    while at < len(line):
        if line[at] in quotes:
            if is_inside and line[at + 1 : at + 2] and line[at + 1] in quotes:
                at += 2
                continue
            is_inside = not is_inside
        elif not is_inside:
            kept.append(line[at])
        at += 1
    return "".join(kept)


def pair_of() -> tuple[Config, Pair]:
    """Return a configuration and its pair."""
    made = make_config(World(Timings()))
    nodes = (
        Node(name="ec1", address="10.0.0.1", vm="EC-VM1", host="10.1.0.1"),
        Node(name="ec2", address="10.0.0.2", vm="EC-VM2", host="10.1.0.2"),
    )
    config = Config(cluster=made.cluster, ssh=made.ssh, node=nodes, vm=(ProtectedVm(name="vm1"),))
    return config, Pair(*nodes)


def peer_says(*findings: Finding, node: str = "ec2", program: str = "1", raw: bytes | None = None) -> list[Finding]:
    """Return what is made of the other EC-VM's answer."""
    config, pair = pair_of()
    report = CheckReport(node=node, program=program, config="0", exit=0, findings=list(findings))

    def run(command: Sequence[str], seconds: float) -> Completed:
        del command, seconds
        return Completed(0, msgspec.json.encode(report) if raw is None else raw, b"")

    system = System(run, Path("/nowhere"), Deadline.after(SystemClock(), 5))
    wanted = frozenset(CATALOGUE)
    return ordered(ask_peer(system, pair, config, wanted))


def test_u03_what_the_peer_would_have_run_is_the_peers() -> None:
    """A line that the other EC-VM offers must be told as that EC-VM's, to be run there, never here."""
    line = here("rm -rf /; ecx-hyperv trust")
    said = Finding(name=NAME, place="ec2", outcome=Outcome.WRONG, seen="x", remedy=line)
    (found,) = [one for one in peer_says(said) if one.name == NAME]
    assert found.remedy is not None
    assert ("ec2", "ec2") == (found.remedy.on, found.remedy.by)
    assert str(found.remedy).startswith("ec2 says: on ec2: rm -rf")


def test_u03_what_the_peer_says_is_flat_and_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the other EC-VM calls itself, its findings and its program, it must be plain, short, and from it."""
    long = EVIL * 10_000
    found = peer_says(evil(place=long, seen=long), *[evil()] * 5000, node=EVIL, program=EVIL)
    assert len(found) < 2000
    assert all(len(one.seen) < 5000 for one in found)
    assert all(one.place == "ec2" or one.place.endswith("(from ec2)") for one in found)
    show_findings(found)
    assert [] == hidden(capsys.readouterr().out)


def test_u03_the_peer_explains_nothing_here() -> None:
    """What a finding means is said by this program, not by whoever answers as the other EC-VM."""
    found = peer_says(Finding(name=NAME, place="ec2", outcome=Outcome.OK, seen="x", means=EVIL))
    assert [""] == [one.means for one in found if one.name == NAME]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"\xff\xfe", b"\x1b[2J", b"[" * 100_000, b'{"findings": ' + b"9" * 5000]
)
def test_u08_an_answer_of_the_peer_that_is_none(raw: bytes) -> None:
    """Whatever the other EC-VM prints, it must be a finding that nobody can tell."""
    assert [Outcome.CANNOT_TELL] == [one.outcome for one in peer_says(raw=raw)]


def test_texts_of_findings_stand_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A remedy of several lines, as the other EC-VM may say it, must be shown on one."""
    show_findings([evil(remedy=here("echo a\nreboot"))])
    assert "  do: echo a reboot\n" in capsys.readouterr().out
    assert flat("a\nb") == "a b"
    assert io.StringIO(as_json("a\nb")).read() == '"a\\nb"'


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_word_of_a_check_is_broken(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of any width each word must stay whole; what was seen stands in its column, or below its check."""
    seen = "emergency/threshold/restart 0, emergency/threshold/fo 1, emergency/timeout/notreconfirmation/use 1"
    one = Finding(name="ecx-recovery", place="genw-remote-node", outcome=Outcome.OK, seen=seen)
    screen = io.StringIO()
    console = partial(Console, file=screen, force_terminal=True, width=width, no_color=True)
    monkeypatch.setattr(findings, "Console", console)
    show_findings([one])
    lines = screen.getvalue().splitlines()
    assert {"ecx-recovery", "genw-remote-node", *seen.split()} <= {word for line in lines for word in line.split()}
    assert not [line for line in lines if cell_len(line) > max(width, 45)]
    assert ("seen" in lines[0]) == (width > 80)
