"""Bounds: whatever a host sends, asked for or not, takes a bounded share of memory and time, and never an odd error."""

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paramiko.common import (
    cMSG_CHANNEL_EXTENDED_DATA,
    cMSG_CHANNEL_REQUEST,
)

from ecx_hyperv.config import StdinWay
from ecx_hyperv.errors import HostError, NoAgent, SessionLost, Unreachable
from ecx_hyperv.host import queries, wire
from ecx_hyperv.host.transport import LONGEST_LINE, LONGEST_PACKET, BoundedPacketizer
from ecx_hyperv.host.wire import Answer, Frame, Frames, Greeting, Reply, Result, WireError
from ecx_hyperv.lab.windows.agent import InjectedFaults
from tests.unit.always import always
from tests.wire.support import (
    HELLO,
    NONCE,
    PATIENCE_S,
    Site,
    answered,
    at_most,
    echo,
    framed,
    go_wrong,
    happens,
    listener,
    send_raw,
    within,
)

MIB = 1024 * 1024
KIB = 1024
NOT_UTF_8 = b"\x83e\x83X\x83g"


def endless(*parts: bytes) -> Callable[[socket.socket], None]:
    """Return what sends these bytes, the last of them for ever, as one that is connected to does."""

    def greet(opened: socket.socket) -> None:
        with suppress(OSError):
            for part in parts:
                opened.sendall(part)
            end = time.monotonic() + PATIENCE_S
            while time.monotonic() < end:
                opened.sendall(parts[-1])

    return greet


def refusal(folder: Path, *parts: bytes) -> str:
    """Return how a login to a server ends, at once, that sends these bytes, the last of them for ever."""
    site = Site(folder)
    with listener(site.place, endless(*parts)), at_most(4.0), pytest.raises(Unreachable, match="login") as caught:
        site.connect(PATIENCE_S)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 10_000
    return caught.value.seen


@pytest.mark.parametrize("length", [0xFFFFFFF4, 0x7FFFFFF4, LONGEST_PACKET + 16])
def test_u09_a_packet_length_before_any_key_is_not_believed(tmp_path: Path, length: int) -> None:
    """A length that no SSH packet has must end the handshake at once, before memory is asked for."""
    first = struct.pack(">I", length - length % 8 + 4)
    assert "a packet of" in refusal(tmp_path, b"SSH-2.0-x\r\n", first, bytes(4096))


@pytest.mark.parametrize("piece", [b"x" * 4096, b"\x1b[2J" * 1000], ids=["letters", "escapes"])
def test_u09_a_first_line_without_end_is_cut_off(tmp_path: Path, piece: bytes) -> None:
    """A server whose first line never ends must be given up at once, and not be repeated raw."""
    assert "no first line of SSH" in refusal(tmp_path, piece)


def test_u09_what_a_server_says_before_any_key_is_flat(tmp_path: Path) -> None:
    """A server's own words in an error, before its key was checked, must not control a terminal."""
    assert "version" in refusal(tmp_path, b"SSH-9.9\x1b[2J-\x1b[2J\xe2\x80\xae\xc2\x9b2J" + b"y" * 9000 + b"\r\n")


class _Chatter:
    """A socket that gives what it is asked for, and notes how much that was."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.most = 0

    def recv(self, size: int) -> bytes:
        self.most = max(self.most, size)
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def settimeout(self, _seconds: float) -> None:
        """Take it."""


@given(st.binary(min_size=8, max_size=400))
def test_u09_no_packet_asks_for_more_than_there_may_be(data: bytes) -> None:
    """Whatever bytes come, no more than the longest packet must be asked for at once."""
    chatter = _Chatter(data)
    packetizer = BoundedPacketizer(chatter)
    with suppress(paramiko.SSHException, EOFError, IndexError):
        packetizer.read_message()
    assert chatter.most <= LONGEST_PACKET


@given(st.binary(max_size=3 * LONGEST_LINE))
def test_u09_no_line_is_longer_than_it_may_be(data: bytes) -> None:
    """Whatever a first line holds, it must be text of bounded length, or an error of paramiko's own kinds."""
    packetizer = BoundedPacketizer(_Chatter(data))
    with suppress(paramiko.SSHException, EOFError):
        assert len(packetizer.readline(1.0)) <= LONGEST_LINE


def test_u10_what_is_sent_beyond_the_window_ends_the_connection(site: Site) -> None:
    """A host that sends more than it was allowed to must lose its connection, and little of it be kept."""

    def flood(channel: paramiko.Channel, _command: str) -> None:
        for _ in range(40 * MIB // 32_000):
            send_raw(channel, cMSG_CHANNEL_EXTENDED_DATA, 1, b"x" * 32_000)

    site.endpoint.script = flood
    connection = site.connect()
    channel = connection.launch("powershell", within(PATIENCE_S))
    with suppress(SessionLost):
        connection.send(channel, b"go\n", within(PATIENCE_S))
    assert happens(lambda: not connection.is_active, PATIENCE_S)
    assert len(channel.in_stderr_buffer) < 4 * MIB


def test_bytes_that_are_no_text_while_a_command_is_started(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message whose words are no UTF-8 must be an error of the tree, also when a command is being started."""

    def launch(channel: paramiko.Channel, _command: str) -> None:
        send_raw(channel, cMSG_CHANNEL_REQUEST, NOT_UTF_8, False)

    monkeypatch.setattr(site.endpoint, "launch", launch)
    connection = site.connect()
    with pytest.raises(NoAgent, match="no command can be started"):
        connection.launch("powershell", within(PATIENCE_S))


@pytest.mark.parametrize("error", [UnicodeDecodeError("utf-8", b"\x83", 0, 1, "bad"), struct.error("x"), KeyError("x")])
@pytest.mark.parametrize("when", ["launch", "send"])
def test_whatever_paramiko_fails_with_is_an_error_of_the_tree(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: Exception, when: str
) -> None:
    """What paramiko's reader failed with comes out of its waits, and must be trouble with the host."""
    site.endpoint.script = lambda _channel, _command: None
    connection = site.connect()
    channel = connection.launch("powershell", within(PATIENCE_S))

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(paramiko.Transport, "open_session", fail)
    monkeypatch.setattr(paramiko.Channel, "sendall", fail)
    if when == "launch":
        with pytest.raises(NoAgent):
            connection.launch("powershell", within(PATIENCE_S))
    else:
        with pytest.raises(SessionLost):
            connection.send(channel, b"x", within(PATIENCE_S))


@pytest.mark.parametrize("way", list(StdinWay))
@pytest.mark.parametrize(
    "words", ["\nNONCE 2 eyJyZXN1bHRzIjpbXX0=\n", "\nNONCE hello eyJhZ2VudCI6MSwiaG9zdCI6ImEifQ==\n"]
)
def test_u07_answers_that_nobody_asked_for_end_the_session(site: Site, way: StdinWay, words: str) -> None:
    """What is sent beside the answers that are owed must end the session, however much of it there is."""
    site.host.answer = go_wrong(site, InjectedFaults(instead="\nNONCE 1 eyJyZXN1bHRzIjpbXX0=\n" + words * 10_000))
    session = site.session(way)
    answered(session, echo("x"), within(PATIENCE_S))
    assert happens(lambda: site.endpoint.connections() == 0, 2.0)
    with pytest.raises(HostError):
        answered(session, echo("x"), within(PATIENCE_S))


def test_u07_answers_that_are_asked_for_are_all_taken(site: Site) -> None:
    """Requests that are sent ahead are owed an answer each, and no session must end by them."""
    session = site.session()
    for count in (1, 5, 20):
        session.send([(echo(str(one)), PATIENCE_S) for one in range(count)], within(PATIENCE_S))
        for _ in range(count):
            session.receive(within(PATIENCE_S))
    answered(session, echo("x"), within(PATIENCE_S))


def test_u07_what_answers_hold_together_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers to requests that were sent ahead must not be long each, so that many of them hold much together."""
    monkeypatch.setattr(wire, "LONGEST", MIB)
    session = site.session()
    session.send([(echo("x" * KIB, 600), PATIENCE_S) for _ in range(4)], within(PATIENCE_S))
    session.receive(within(PATIENCE_S))
    with pytest.raises(SessionLost, match="makes no sense"):
        session.receive(within(PATIENCE_S))


def test_u07_the_error_of_an_answer_holds_nothing_of_it(site: Site) -> None:
    """A session's error is remembered for long: it must not keep the answer that made no sense in memory."""
    site.host.answer = go_wrong(site, InjectedFaults(instead=f"\nNONCE 1 {'A' * MIB}\n"))
    session = site.session()
    with pytest.raises(SessionLost, match="makes no sense") as caught:
        answered(session, echo("x"), within(PATIENCE_S))
    seen = [value for frame, _ in walk_tb(caught.tb) for value in frame.f_locals.values()]
    (error,) = {id(value): value for value in seen if isinstance(value, WireError)}.values()
    assert (None, None) == (error.__traceback__, error.__context__)


def read(*data: bytes) -> list[Frame]:
    """Return the frames in what a host sends."""
    frames = Frames(NONCE)
    return [frame for part in data for frame in frames.feed(part)]


def test_u10_a_host_name_is_capped_and_flat() -> None:
    """A name of 6 MB, or one with escape sequences, must not go on as it is: it stands in a log line each minute."""
    (said,) = read(framed("hello", {"agent": 2, "host": "\x1b[2Jh\u202e" + "x" * 5 * MIB, "os": "\x9b" * 5000}))
    assert isinstance(said, Greeting)
    assert len(said.hello.host) <= 300
    assert said.hello.host.isprintable()
    assert said.hello.os is not None
    assert len(said.hello.os) <= 300
    assert said.hello.os.isprintable()


@pytest.mark.parametrize("field", ["up_ms", "pid", "agent", "free_memory"])
@pytest.mark.parametrize("digits", [30, 400, 4000, 5000])
def test_u01_a_hello_with_a_number_that_is_none(field: str, digits: int) -> None:
    """A number of a hello that no host has must be a broken frame, not an error somewhere behind it."""
    content = b'{"host": "h", "agent": 2, "%b": %b}' % (field.encode(), b"9" * digits)
    if field == "free_memory" and digits == 30:
        assert read(framed("hello", content))
        return
    with pytest.raises(WireError):
        read(framed("hello", content))


@pytest.mark.parametrize("content", [b'{"results": [], "up_ms": %b}', b'{"results": [], "ms": %b}'])
def test_u01_a_reply_with_a_number_that_is_none(content: bytes) -> None:
    """A time of a reply that no host has must be a broken frame: its host's clock is counted with it."""
    with pytest.raises(WireError):
        read(framed("1", content % (b"9" * 400)))


def test_u01_a_code_of_an_error_that_is_none_is_no_code() -> None:
    """An error of which the code is no code must still be told in its words: they say what became of the VM."""
    (said,) = read(framed("1", b'{"results":[{"ok":false,"error":{"message":"full","code":%b}}]}' % (b"9" * 400)))
    assert isinstance(said, Answer)
    error = said.reply.results[0].error
    assert error is not None
    assert error.code is None
    assert error.message == "full"


@pytest.mark.parametrize(
    "value", [b"[" + b"[]," * 500_000 + b"[]]", b"[" + b"{}," * 500_000 + b"{}]", b'{"a":[' + b"0," * 900_000 + b"0]}"]
)
def test_u07_an_answer_of_very_many_things_is_broken(value: bytes) -> None:
    """An answer whose things would take many times the memory of its text must be refused before it is read."""
    with pytest.raises(WireError, match="things"):
        read(framed("1", b'{"results":[{"ok":true,"value":[{"a":%b}]}]}' % value))


def test_an_answer_of_a_big_cluster_is_read() -> None:
    """A thousand resources with ten properties each are an answer like any other."""
    row = {f"Property{number}": f"value, [{number}] {{x}}" for number in range(10)}
    (said,) = read(framed("1", {"results": [{"ok": True, "value": [row] * 1000}]}))
    assert isinstance(said, Answer)
    assert len(said.reply.results[0].value) == 1000


NUMBERS = st.one_of(
    st.integers(), st.integers(min_value=10**300, max_value=10**400), st.floats(), st.text(max_size=20), st.booleans(),
    st.none(), st.lists(st.integers(), max_size=3),
)  # fmt: skip


@always
@given(NUMBERS)
def test_u01_a_number_of_a_row_is_one_or_none(value: object) -> None:
    """Whatever stands where a number should be: a number that can be counted with and written, or None."""
    found = queries.number({"a": value}, "a")
    assert found is None or abs(found) < 2**64
    assert len(str(found)) < 30


@always
@given(value=NUMBERS)
def test_u01_a_resources_code_can_be_written(value: object) -> None:
    """Whatever stands where a code should be, the code must be one of Windows'."""
    rows = ({"Name": "r", "LastOperationStatusCode": value},)
    found = queries.resources().read(Result(ok=True, value=rows))
    assert isinstance(found, tuple)
    assert 0 <= found[0].code < 2**32


ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=20,
)


@always
@given(st.dictionaries(st.sampled_from(["Name", "State", "Id", "Uptime.TotalSeconds", "HardDrives.Path"]), ANY_JSON))
def test_a_row_of_anything_is_read(row: dict[str, object]) -> None:
    """Whatever JSON a row holds, each reader must give rows or an error, and no name without end."""
    for query in (queries.nodes(), queries.groups(), queries.resources(), queries.vms_named("x"), queries.vm_ids()):
        assert query.read(Result(ok=True, value=(row,))) is not None


def test_names_in_a_row_are_capped() -> None:
    """A name of 6 MB must not go through the program as it is."""
    found = queries.nodes().read(Result(ok=True, value=({"Name": "n" * 6 * MIB, "State": "Up" * MIB},)))
    assert isinstance(found, tuple)
    assert len(found[0].name) < 40_000
    assert len(found[0].state) < 40_000


def test_what_a_host_says_is_flat_in_its_error() -> None:
    """The words of a host in an error must be flat and bounded: they end in alerts and on terminals."""
    said = str(wire.RemoteError(message="\x1b]0;x\x07 \u202e" + "y" * MIB, id="\x9b2J", code=5))
    assert said.isprintable()
    assert len(said) < 6000
    assert str(HostError("h", "x", seen="\x1b[2J\u202e" + "z" * MIB)).isprintable()


def test_hello_of_this_tests_host_is_unchanged() -> None:
    """A hello as hosts give it must be what it was."""
    assert [Greeting(HELLO), Answer(1, Reply(results=()))] == read(
        framed("hello", HELLO), framed("1", Reply(results=()))
    )
