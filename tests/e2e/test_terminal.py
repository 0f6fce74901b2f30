"""What a person sees on a terminal: the commands as processes behind a pty, drawn by a terminal emulator."""

from collections.abc import Iterator

import pytest

from ecx_hyperv.lab.model.things import Sshd
from tests.e2e.support import ONE, TWO, Scenario, running_lab
from tests.e2e.terminals import run_on
from tests.unit.screens import Terminal, squeezed

JAPANESE = "業務サーバ01"
VMS = ("vm1", JAPANESE, "Web Server")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a lab of three VMs, whose group ec1 has."""
    with running_lab(tmp_path_factory.mktemp("lab"), *VMS) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.start_group()
        yield scenario


def _have(lab: Scenario, state: Sshd) -> None:
    """Have the SSH server of the second host be otherwise, at once."""
    lab.do(lambda world: setattr(world.hosts[TWO], "sshd", state))
    lab.lab._tend_endpoints()


def test_b1_no_line_of_the_log_is_overprinted_or_lost(lab: Scenario) -> None:
    """Three VMs with wide names that start on 80 columns must leave each line of the log whole (U17), and no other."""
    lab.on_each_host(lambda world, host: [world.guests.turn_off(vm, host) for vm in world.vms.values() if host == ONE])
    terminal = Terminal(80)
    assert 0 == run_on(terminal, lab, "vm-start", *VMS), terminal.rows()
    for vm in VMS:
        assert squeezed(f"{vm}: power on") in terminal.text(), terminal.rows()
        assert squeezed(f"{vm} is running on {ONE}") in terminal.text(), terminal.rows()
    assert [] == [row for row in terminal.rows() if "gives up in" in row or row.count("waiting:") > 1]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            ("vm-start", "vm9"),
            ["Error: no VM named 'vm9'", f"Seen:  configured: vm1, {JAPANESE}, Web Server", "Do:    name one of these"],
        ),
        (
            ("vm-unregister", "vm1"),
            [
                "Error: vm1: not stopped, since nobody said that it should be",
                "Seen:  no CLP_FACTOR, so it is not ECX that calls, and no --yes",
                "Do:    to stop by hand: vm-unregister --yes vm1",
            ],
        ),
    ],
)
def test_b3_an_error_is_told_in_three_lines_without_a_stamp(
    lab: Scenario, command: tuple[str, ...], expected: list[str]
) -> None:
    """On a terminal an error must be told as Error, Seen and Do; with --log-format as a stamped line."""
    terminal = Terminal(100)
    assert 2 == run_on(terminal, lab, *command)
    # A wide character is followed by an empty cell.
    assert list(map(squeezed, expected)) == [squeezed(row) for row in terminal.rows() if row]
    stamped = Terminal(250)
    assert 2 == run_on(stamped, lab, *command, "--log-format", "text")
    assert 1 == len([row for row in stamped.rows() if row])
    assert "exit: 2" in stamped.rows()[0]


def test_b2_a_check_shows_a_bar_and_each_problem_at_once(lab: Scenario) -> None:
    """While a check runs a bar must show how far it has come, and what is wrong must stand above it at once."""
    _have(lab, Sshd.STOPPED)
    try:
        terminal = Terminal(100, 200)
        code = run_on(terminal, lab, "ecx-hyperv", "check", "--problems", "--idle", "1")
    finally:
        _have(lab, Sshd.UP)
    rows = terminal.rows()
    assert 1 == code
    assert b"of 9" in terminal.raw
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}".encode() in terminal.raw
    first = next(number for number, row in enumerate(rows) if row.startswith("wrong: reachable"))
    table = next(number for number, row in enumerate(rows) if row.startswith("check  "))
    assert first < table
    assert [] == [row for row in rows[table:] if " ok " in row and "wrong" not in row]


def test_a6_a_status_is_colored_where_it_may_be(lab: Scenario) -> None:
    """A terminal must show the verdict in color; NO_COLOR, TERM=dumb and a pipe must not."""
    for variables, is_colored in ({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False):
        terminal = Terminal(100)
        assert 0 == run_on(terminal, lab, "ecx-hyperv", "status", variables=variables)
        assert any(row.startswith("HOST ") for row in terminal.rows())
        assert is_colored is (b"\x1b[1;3" in terminal.raw)
    assert "\x1b" not in lab.run("ec1", "ecx-hyperv", "status").stdout


def test_a_watch_keeps_one_session_a_host(lab: Scenario) -> None:
    """-w must look again and again with one login and one PowerShell a host, and end by Ctrl-C with the last code."""
    lab.lab.audits.clear()
    terminal = Terminal(100, 40)

    def seen_often(one: Terminal) -> bool:
        return one.raw.count(b"Ctrl-C ends it") >= 3

    code = run_on(terminal, lab, "ecx-hyperv", "status", "-w", "0.5", typed=b"\x03", until=seen_often)
    assert 0 == code
    assert seen_often(terminal)
    for host in (ONE, TWO):
        audit = lab.lab.audit("ec1", host)
        assert (1, 1, []) == (audit.logins, audit.powershells, audit.changes)


def test_a_mistake_at_the_prompt_is_told_whole(lab: Scenario) -> None:
    """A mistake in the command line of the group must be told through the writer too, and end with 2."""
    for command in (("statsu",), ("status", "--nope"), ("maintenance", "nope"), ("status", "--json", "--short")):
        done = lab.run("ec1", "ecx-hyperv", *command)
        assert 2 == done.returncode
        assert done.stderr.rstrip().splitlines()[-1].count("rror") == 1
