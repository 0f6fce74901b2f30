"""clpstat: its rows as ECX prints them, its being busy, and what is made of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.peer import PeerEcx
from ecx_hyperv.ecx.clpstat import BUSY, Clpstat, ClpstatGroup, ClpstatServer, ask, judge, parse
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.errors import LocalError
from tests.unit.always import always
from tests.unit.clock import FakeClock
from tests.unit.runner import FakeRunner, printed

# The column of the colon: in a name cell of 16, and in that of --long.
SHORT, LONG = 21, 38
_BANNER = " ========================  CLUSTER STATUS  ==========================="
_RULE = " ====================================================================="


def row(name: str, status: str, colon: int = SHORT, *, local: bool = False) -> str:
    """Return a server's or group's row: dots up to the colon, the status filled up to 17 columns."""
    cell = f"{name[: colon - 5]} ".ljust(colon - 4, ".")
    return f"   {'*' if local else ' '}{cell}: {status:17}"


def sub(name: str, status: str, colon: int = SHORT, third: str = "") -> str:
    """Return a row below a server or a group."""
    return f"      {name:{colon - 7}} : " + (f"{status:17}{third}" if third else status)


def page(servers: list[str], groups: list[str], monitors: list[str]) -> str:
    """Return what clpstat prints around its rows."""
    parts = ["  <server>", *servers, "  <group>", *groups, "  <monitor>", *monitors]
    return "\n".join([_BANNER, "  Cluster : cluster-x", *parts, _RULE]) + "\n"


def states(status: Clpstat) -> Clpstat:
    """Return servers and groups with their states alone."""
    servers = (replace(one, may_be_cut=False, comment="", heartbeats=()) for one in status.servers)
    groups = (replace(one, may_be_cut=False, comment="", resources=()) for one in status.groups)
    return Clpstat(tuple(servers), tuple(groups))


_KERNEL = "Kernel Mode LAN Heartbeat"

STOPPED = page(
    [
        row("116rhel94", "Offline", local=True),
        sub("lankhb1", "Offline", third=_KERNEL),
        sub("pingnp1", "Offline", third="ping resolution"),
        row("117rhel94", "Offline"),
        sub("lankhb1", "Offline", third=_KERNEL),
    ],
    [row("failover1", "Offline"), sub("current", "None"), sub("exec1", "Offline")],
    ["    userw            : Offline          "],
)
RUNNING = page(
    [
        row("server1", "Online", local=True),
        sub("lankhb1", "Normal", third=_KERNEL),
        row("server2", "Online"),
        sub("lankhb1", "Normal", third=_KERNEL),
        sub("witnesshb1", "Normal", third="Witness Heartbeat"),
        sub("httpnp1", "Normal", third="http resolution"),
    ],
    [row("failover", "Online"), sub("current", "server1"), sub("fip", "Online"), sub("md", "Online")],
    ["    fipw1            : Normal           ", "    userw            : Normal           "],
)
SINGLE = page(
    [row("mariadb-sss-0", "Online", local=True), sub("lanhb1", "Normal", third="LAN Heartbeat")],
    [row("container-recovery", "Online"), sub("current", "mariadb-sss-0"), sub("exec", "Online")],
    ["    mysqlw           : Normal           "],
)
WIDE = page(
    [
        row("ws2022-01", "Online", LONG, local=True),
        sub("lankhb1", "Normal", LONG, "Kernel Mode LAN Heartbe"),
        row("ws2022-02", "Online", LONG),
        sub("lankhb1", "Normal", LONG, "Kernel Mode LAN Heartbe"),
    ],
    [row("failover", "Online", LONG), sub("current", "ws2022-01", LONG), sub("md", "Online", LONG)],
    ["    mdw1                              : Normal           "],
)

SAMPLES = {
    "stopped": (
        STOPPED,
        Clpstat(
            (
                ClpstatServer("116rhel94", "Offline", is_local=True),
                ClpstatServer("117rhel94", "Offline", is_local=False),
            ),
            (ClpstatGroup("failover1", "Offline", ""),),
        ),
    ),
    "running": (
        RUNNING,
        Clpstat(
            (ClpstatServer("server1", "Online", is_local=True), ClpstatServer("server2", "Online", is_local=False)),
            (ClpstatGroup("failover", "Online", "server1"),),
        ),
    ),
    "single": (
        SINGLE,
        Clpstat(
            (ClpstatServer("mariadb-sss-0", "Online", is_local=True),),
            (ClpstatGroup("container-recove", "Online", "mariadb-sss-0"),),
        ),
    ),
    "long": (
        WIDE,
        Clpstat(
            (ClpstatServer("ws2022-01", "Online", is_local=True), ClpstatServer("ws2022-02", "Online", is_local=False)),
            (ClpstatGroup("failover", "Online", "ws2022-01"),),
        ),
    ),
}


@pytest.mark.parametrize("name", list(SAMPLES))
@pytest.mark.parametrize("ends", ["padded", "stripped", "crlf"])
def test_a_page_is_read(name: str, ends: str) -> None:
    """Every known page must be read alike, whether its rows keep or lose their trailing blanks, or end as Windows'."""
    text, expected = SAMPLES[name]
    if ends == "stripped":
        text = "\n".join(line.rstrip() for line in text.splitlines())
    elif ends == "crlf":
        text = text.replace("\n", "\r\n")
    assert expected == states(parse(text))


def test_the_samples_have_their_columns() -> None:
    """The pages of these tests must have their colons where ECX prints them."""
    assert "    server2 .........: Online           " == row("server2", "Online")
    assert "    container-recove : Online           " == row("container-recovery", "Online")
    assert "      lankhb1        : Normal" == sub("lankhb1", "Normal")
    assert "    ws2022-02 ........................: Online           " == row("ws2022-02", "Online", LONG)
    for name in ("a", "n" * 40):
        for colon in (SHORT, LONG):
            assert colon == row(name, "Online", colon).index(":") == sub(name[:9], "Online", colon).index(":")


@pytest.mark.parametrize("status", ["Online Pending", "Offline Pending", "Online Failure", "Suspend", "某状態"])
@pytest.mark.parametrize("colon", [SHORT, LONG])
def test_a_status_is_read_whole(status: str, colon: int) -> None:
    """A status of two words, or one that nobody knows, must be read to its end."""
    text = page([row("ec1", status, colon, local=True)], [row("failover1", status, colon)], [])
    assert status == parse(text).servers[0].status
    assert status == parse(text).groups[0].status


@pytest.mark.parametrize("length", [1, 14, 15, 16, 17, 32, 33, 34, 63])
@pytest.mark.parametrize(("colon", "width"), [(SHORT, 16), (LONG, 33)])
def test_a_long_name_is_read_as_far_as_it_is_printed(length: int, colon: int, width: int) -> None:
    """A name must be read without its dots, and one that is cut be found by its whole name."""
    name = "n" * length
    status = parse(page([row(name, "Online", colon, local=True), row("ec2", "Offline", colon)], [], []))
    assert name[:width] == status.servers[0].name
    assert status.servers[0] is status.find(name)


def test_a_group_that_moves_has_no_place_of_an_earlier_one() -> None:
    """Each group must have its own server, and none where it is active nowhere."""
    groups = [
        row("failover1", "Online"),
        sub("current", "ec1"),
        row("failover2", "Offline"),
        sub("current", "None"),
        row("failover3", "Online Pending"),
    ]
    expected = (
        ClpstatGroup("failover1", "Online", "ec1"),
        ClpstatGroup("failover2", "Offline", ""),
        ClpstatGroup("failover3", "Online Pending", ""),
    )
    assert expected == parse(page([], groups, [])).groups


@pytest.mark.parametrize("text", ["", "\n\n", "Error: cluster is not running\n", "    ec1 ....: Online\n", "\x00"])
def test_a_page_that_is_none_has_no_rows(text: str) -> None:
    """What is not clpstat's page must give no rows rather than wrong ones."""
    assert Clpstat((), ()) == replace(parse(text), unknown=())


_LINES = [line for text, _ in SAMPLES.values() for line in text.splitlines()]


@always
@given(lines=st.lists(st.one_of(st.sampled_from(_LINES), st.text(), st.text(" *.:<>a", max_size=60))))
def test_any_text_is_read_without_an_error(lines: list[str]) -> None:
    """Whatever is printed, reading it must raise nothing, and a row must have a name and a status."""
    status = parse("\n".join(lines))
    assert all(server.name and server.status for server in status.servers)
    assert all(group.name and group.status for group in status.groups)
    assert judge(status, "ec1", "ec2") in PeerEcx


def test_clpstat_is_asked_for_whole_names() -> None:
    """The long form must be asked for, once, with a limit of half a minute."""
    runner = FakeRunner(printed(RUNNING))
    clock = FakeClock()
    assert SAMPLES["running"][1] == states(ask(runner, Deadline.after(clock, 90)))
    assert [(["clpstat", "--long"], 30)] == runner.calls
    assert [] == clock.slept


def test_clpstat_gets_no_more_time_than_there_is() -> None:
    """A run that is nearly over must not wait half a minute for clpstat."""
    runner = FakeRunner(printed(RUNNING))
    ask(runner, Deadline.after(FakeClock(), 7))
    assert [7] == [seconds for _, seconds in runner.calls]


def test_a_busy_clpstat_is_asked_again() -> None:
    """Exit code 9 must lead to another try three seconds later, and what that says must count."""
    runner, clock = FakeRunner(printed("busy", BUSY), printed("busy", BUSY), printed(RUNNING)), FakeClock()
    assert SAMPLES["running"][1] == states(ask(runner, Deadline.after(clock, 90)))
    assert [3, 3] == clock.slept
    assert 3 == len(runner.calls)


@pytest.mark.parametrize(("left", "waited"), [(90, 20), (10, 10), (0, 0)])
def test_a_clpstat_that_stays_busy_is_given_up(left: float, waited: float) -> None:
    """One that stays busy must be given up after twenty seconds, or when the run has no time left."""
    runner, clock = FakeRunner(printed("clpstat: busy", BUSY)), FakeClock(1000)
    with pytest.raises(LocalError) as caught:
        ask(runner, Deadline.after(clock, left))
    assert "exit code 9" in caught.value.seen
    assert 1000 + waited == clock.seconds


@pytest.mark.defect(51)
@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        (printed(RUNNING, 1), "exit code 1"),
        (Completed(1, b"", "一行目\n二行目\n".encode()), "exit code 1, 二行目"),
        (printed("", 251), "exit code 251, nothing printed"),
        (printed(RUNNING, None), "took too long"),
        (printed("", 0), "nothing printed"),
        (printed("no such thing\n", 0), "exit code 0, no such thing"),
        (Completed(1, b"", b"\xff\xfe"), "exit code 1"),
        (printed(RUNNING, -9), "exit code -9"),
    ],
    ids=["code", "stderr", "timeout", "killed", "empty", "no page", "bytes", "signal"],
)
def test_a_clpstat_that_fails_is_not_believed(answer: Completed, seen: str) -> None:
    """Whatever a clpstat that fails has printed must not count, and be asked for only once."""
    runner = FakeRunner(answer)
    with pytest.raises(LocalError) as caught:
        ask(runner, Deadline.after(FakeClock(), 90))
    assert seen in caught.value.seen
    assert "clpstat" in caught.value.remedy
    assert 1 == len(runner.calls)


def test_a_missing_clpstat_is_told() -> None:
    """Where there is no such command, its own error must be passed on."""
    with pytest.raises(LocalError, match="clpstat is not there"):
        ask(FakeRunner(LocalError("the command clpstat is not there")), Deadline.after(FakeClock(), 90))


def seen_as(local: str, other: str) -> PeerEcx:
    """Return what is made of the peer where the two servers' rows have those statuses."""
    return judge(parse(page([row("ec1", local, local=True), row("ec2", other)], [], [])), "ec1", "ec2")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Online", PeerEcx.ONLINE),
        ("Caution", PeerEcx.ONLINE),
        ("Offline", PeerEcx.OFFLINE),
        ("Online Pending", PeerEcx.PENDING),
        ("Offline Pending", PeerEcx.PENDING),
        ("Suspend", PeerEcx.PENDING),
        ("Unknown", PeerEcx.SENSELESS),
        ("Online Failure", PeerEcx.SENSELESS),
        ("offline", PeerEcx.SENSELESS),
        ("Offline?", PeerEcx.SENSELESS),
        ("オフライン", PeerEcx.SENSELESS),
    ],
)
def test_the_peer_is_as_its_row_says(status: str, expected: PeerEcx) -> None:
    """Each status must mean what ECX means by it, and one that nobody knows nothing at all."""
    assert expected is seen_as("Online", status)
    assert expected is seen_as("Caution", status)


@pytest.mark.parametrize("local", ["Offline", "Online Pending", "Offline Pending", "Suspend", "Unknown"])
@pytest.mark.parametrize("other", ["Online", "Offline"])
def test_a_server_that_is_not_in_the_cluster_knows_nothing(local: str, other: str) -> None:
    """A stopped cluster goes on printing, so without the local server Online the page must mean nothing."""
    assert PeerEcx.SENSELESS is seen_as(local, other)


@pytest.mark.parametrize(
    ("local", "other"),
    [
        ("ec1", "ec3"),
        ("ec3", "ec2"),
        ("ec", "ec2"),
        ("ec1", "e"),
        ("ec2", "ec1"),
        ("ec1", "ec1"),
        ("EC1", "ec2"),
        ("ec1", "ec22"),
    ],
)
def test_a_page_about_others_means_nothing(local: str, other: str) -> None:
    """Where a row is missing, or the mark of the local server is not on the local row, the page must mean nothing."""
    status = parse(page([row("ec1", "Online", local=True), row("ec2", "Offline")], [], []))
    assert PeerEcx.SENSELESS is judge(status, local, other)


@pytest.mark.defect(57)
def test_the_peer_is_found_among_more_servers() -> None:
    """With three servers it must be the peer's own row that counts."""
    rows = [row("ec1", "Online", local=True), row("ec2", "Offline"), row("ec3", "Online")]
    assert PeerEcx.OFFLINE is judge(parse(page(rows, [], [])), "ec1", "ec2")
    assert PeerEcx.OFFLINE is judge(parse(page(rows[::-1], [], [])), "ec1", "ec2")


def test_cut_names_are_told_apart_while_they_can_be() -> None:
    """Names cut to 16 columns must be found while they differ, and mean nothing once they are alike."""
    rows = [row("first-server-of-two", "Online", local=True), row("other-server-of-two", "Offline")]
    status = parse(page(rows, [], []))
    assert PeerEcx.OFFLINE is judge(status, "first-server-of-two", "other-server-of-two")
    rows = [row("server-of-cluster-1", "Online", local=True), row("server-of-cluster-2", "Offline")]
    assert PeerEcx.SENSELESS is judge(parse(page(rows, [], [])), "server-of-cluster-1", "server-of-cluster-2")


@pytest.mark.defect(1)
@pytest.mark.parametrize(("colon", "name"), [(LONG, "a-server-of-mine-1"), (LONG, "n" * 16), (SHORT, "server")])
def test_a_name_that_is_not_cut_is_no_other(colon: int, name: str) -> None:
    """A name with columns to spare is whole, so a longer name must not be found by it."""
    assert parse(page([row(name, "Online", colon)], [], [])).find(f"{name}0") is None


def test_a_whole_name_comes_before_a_cut_one() -> None:
    """Where a name stands in full, another that is cut to the same beginning must not be taken for it."""
    rows = [row("x" * 33, "Online", LONG), row("x" * 20, "Offline", LONG)]
    found = parse(page(rows, [], [])).find("x" * 20)
    assert found == ClpstatServer("x" * 20, "Offline", is_local=False)


_COMMENTS = [
    "Main machine",
    "a : b",
    "Offline",
    "Online",
    "two  blanks",
    "予備機",
    "x" * 60,
    ": ",
    "*",
    "....: Offline",
]


@pytest.mark.parametrize("comment", _COMMENTS)
@pytest.mark.parametrize("status", ["Online", "Offline", "Online Pending", "Suspend", "Unknown"])
@pytest.mark.parametrize("colon", [SHORT, LONG])
def test_f01_a_comment_is_no_status(comment: str, status: str, colon: int) -> None:
    """Whatever comment a server or a group has, its status must be read without it."""
    rows = [row("ec1", "Online", colon, local=True) + comment, row("ec2", status, colon) + comment]
    read = parse(page(rows, [row("failover1", status, colon) + comment], []))
    assert ["Online", status] == [one.status for one in read.servers]
    assert [comment.strip()] * 2 == [one.comment for one in read.servers]
    assert [(status, comment.strip())] == [(one.status, one.comment) for one in read.groups]
    assert seen_as("Online", status) is judge(read, "ec1", "ec2")


@pytest.mark.parametrize("status", ["", "Online"])
def test_f01_a_comment_without_a_status_is_none(status: str) -> None:
    """A server whose status is missing must not be what its comment says."""
    read = parse(page([row("ec1", "Online", local=True), row("ec2", "") + "Offline"], [], []))
    assert PeerEcx.SENSELESS is judge(read, "ec1", "ec2")
    assert 1 == len(read.unknown)


def test_f01_a_status_that_leaves_no_gap_means_nothing() -> None:
    """Where one blank alone stands between two words nobody knows whether the second is a comment."""
    rows = [row("ec1", "Online", local=True), "    ec2 .............: Online Spare"]
    assert PeerEcx.SENSELESS is judge(parse(page(rows, [], [])), "ec1", "ec2")


@always
@given(
    comment=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=80)
    | st.just("x\x85    ec2 .............: Offline          "),
    status=st.sampled_from(["Online", "Offline", "Caution", "Online Pending", "Suspend", "Unknown"]),
    colon=st.sampled_from([SHORT, LONG]),
)
def test_f01_no_comment_makes_a_peer_better_or_worse(comment: str, status: str, colon: int) -> None:
    """What is made of the peer must be the same with any comment as without one."""
    rows = [row("ec1", "Online", colon, local=True), row("ec2", status, colon) + comment]
    assert seen_as("Online", status) is judge(parse(page(rows, [], [])), "ec1", "ec2")


def test_two_servers_of_one_name_mean_nothing() -> None:
    """Where two rows have the name that is asked for, neither must be believed."""
    rows = [row("ec1", "Online", local=True), row("ec2", "Offline"), row("ec2", "Online")]
    assert PeerEcx.SENSELESS is judge(parse(page(rows, [], [])), "ec1", "ec2")
