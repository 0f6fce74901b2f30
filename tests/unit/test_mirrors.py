"""The mirror disks of the pair: asked for here and on the peer, within bounds; no mirror at all is not a fault."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.mirror import MirrorHealth, PairMirrors
from ecx_hyperv.decide.mirror_judgement import judge_mirrors
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.mirrors import has_mirror, read_mirrors
from ecx_hyperv.errors import CommandMissing
from tests.unit.clock import FakeClock
from tests.unit.runner import FakeRunner, printed
from tests.unit.samples import EC1, EC2

PAIR = Pair(EC1, EC2)

GREEN, RED = "Mirror Color  GREEN  GREEN\n", "Mirror Color  RED  RED\n"
TIMES = "Mirror Color  RED  RED\nLastupdate Time  {}  {}\n"
OLD, NEW = "2026/03/04 09:10:02", "2026/03/04 09:12:31"


class BothEcVms:
    """Answers clpmdstat here and, by ssh, on the peer; `calls` holds what was run."""

    def __init__(self, here: dict[str, Completed], there: dict[str, Completed] | Completed) -> None:
        self._here, self._there = here, there
        self.calls: list[list[str]] = []

    def __call__(self, command: Sequence[str], seconds: float) -> Completed:
        """Run a command for at most that many seconds."""
        self.calls.append(list(command))
        assert 0 < seconds <= 30
        if command[0] == "ssh":
            return self._there if isinstance(self._there, Completed) else self._there[command[-1].split()[-1]]
        return self._here[command[-1]]


def read(
    run: BothEcVms | FakeRunner, pair: Pair = PAIR, *, expected: bool | None = None, ask_peer: bool = False
) -> PairMirrors:
    """Read all mirrors of the pair."""
    return read_mirrors(run, pair, Deadline.after(FakeClock(), 90), expected=expected, ask_peer=ask_peer)


def test_only_this_ec_vm_is_asked_unless_the_peer_is_wanted() -> None:
    """Each mirror that is listed must be asked for, here alone."""
    run = BothEcVms({"-l": printed("<md1>\n<md2>\n"), "md1": printed(GREEN), "md2": printed(RED)}, printed("", 255))
    found = read(run)
    assert [("md1", MirrorHealth.GREEN), ("md2", MirrorHealth.BOTH_RED)] == [(m.name, m.health) for m in found.mirrors]
    assert all(call[0] == "clpmdstat" for call in run.calls)
    assert GREEN == (found.mirrors[0].answers[0].said or pytest.fail("no answer")).text


def test_the_peer_is_asked_as_a_check_asks_it() -> None:
    """With the peer's answer the sides of two bad copies must be known, by one ssh as root that asks nobody."""
    run = BothEcVms(
        {"-l": printed("<md1>\n"), "md1": printed(TIMES.format(OLD, NEW))}, {"md1": printed(TIMES.format(NEW, OLD))}
    )
    found = read(run, ask_peer=True)
    assert [PAIR.peer.name] == [one.node for one in judge_mirrors(found)]
    ssh = next(call for call in run.calls if call[0] == "ssh")
    assert f"root@{PAIR.peer.address}" in ssh
    assert "BatchMode=yes" in ssh
    assert ssh[-1].endswith(" clpmdstat -m md1")


@pytest.mark.parametrize(
    ("answer", "why"),
    [(printed("", 255), "cannot be asked"), (printed("", None), "took too long"), (printed("", 1), "1")],
)
def test_a_peer_that_says_nothing_is_asked_once(answer: Completed, why: str) -> None:
    """A peer that cannot be asked must cost one wait, be told, and leave what the local answer says."""
    run = BothEcVms({"-l": printed("<md1>\n<md2>\n"), "md1": printed(GREEN), "md2": printed(GREEN)}, answer)
    found = read(run, ask_peer=True)
    assert found.are_green
    assert why in found.peer_why
    assert 1 == sum(call[0] == "ssh" for call in run.calls)
    assert all(why in one.answers[1].why for one in found.mirrors)


@pytest.mark.parametrize(
    ("answer", "expected", "is_fault"),
    [
        (CommandMissing("no clpmdstat"), None, False),
        (CommandMissing("no clpmdstat"), False, False),
        (CommandMissing("no clpmdstat"), True, True),
        (printed("", 1), None, True),
        (printed("", None), True, True),
        (printed("", 1), False, False),
        (printed(""), None, False),
        (printed(""), False, False),
        (printed(""), True, True),
    ],
)
def test_no_mirror_at_all(answer: Completed | CommandMissing, expected: bool | None, is_fault: bool) -> None:
    """A cluster without a mirror disk must be no fault, and one whose mirrors cannot be listed must not be GREEN."""
    found = read(FakeRunner(answer), expected=expected)
    assert () == found.mirrors
    assert is_fault is not found.are_green
    assert is_fault is bool(judge_mirrors(found))


def test_a_mirror_that_does_not_say_how_it_is() -> None:
    """A mirror whose clpmdstat fails must be kept, as one of which nobody can tell."""
    run = BothEcVms({"-l": printed("<md1>\n"), "md1": printed(GREEN, 1)}, printed("", 255))
    assert [MirrorHealth.CANNOT_TELL] == [one.health for one in read(run).mirrors]


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ('<resource><types name="md"/><types name="exec"/></resource>', True),
        ("<types name='hd'></types>", True),
        ('<resource><types name="disk"/></resource><monitor><types name="mdw"/></monitor>', False),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "euc-jp"])
def test_whether_ecx_has_a_mirror(tmp_path: Path, text: str, has: bool, encoding: str) -> None:
    """ECX's configuration must tell whether there is a mirror disk, in whatever encoding; one that is away, nothing."""
    conf = tmp_path / "clp.conf"
    assert has_mirror(conf) is None
    conf.write_bytes(
        f'<?xml version="1.0" encoding="{encoding}"?><root><comment>鏡</comment>{text}</root>'.encode(encoding)
    )
    assert has is has_mirror(conf)
