"""Hosts that mean harm: what they send before a login, and what their PowerShell says after one."""

import base64
import itertools
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import paramiko
from paramiko.common import cMSG_CHANNEL_EXTENDED_DATA, cMSG_CHANNEL_REQUEST

from ecx_hyperv.lab.windows.agent import read_command
from tests.wire.support import send_raw

EVIL = "\x1b[2J\x1b]0;title\x07\r\nFAKE LINE\x9b2J\u202e"
_VERSION = b"SSH-2.0-OpenSSH_for_Windows_8.1\r\n"
_PIECE = 32_000
# What never ends comes in pieces, with a pause between them that leaves the processor to other tests.
_PAUSE_S = 0.004

Greet = Callable[[socket.socket], None]
Talk = Callable[[paramiko.Channel, str, bool], None]


def _packet(payload: bytes) -> bytes:
    padding = 8 - (len(payload) + 5) % 8 + 8
    return struct.pack(">IB", len(payload) + padding + 1, padding) + payload + bytes(padding)


def _sent(*parts: bytes, again: bytes = b"", pause: float = _PAUSE_S) -> Greet:
    def greet(opened: socket.socket) -> None:
        for part in parts:
            opened.sendall(part)
        while again:
            opened.sendall(again)
            time.sleep(pause)

    return greet


_LISTS = b"".join(struct.pack(">I", 3000) + b"\xff" * 3000 for _ in range(10))
_NOISE = random.Random(1).randbytes(65536)  # noqa: S311 - noise, the same each time

# What a server sends that nobody has logged in to.
BEFORE: dict[str, Greet] = {
    "nothing": _sent(),
    "a first line that never ends": _sent(again=b"x" * 4096),
    "first lines that never end": _sent(again=EVIL.encode() + b"\n"),
    "evil in its version": _sent(b"SSH-9.0" + EVIL.encode() + b"\r\n"),
    "one byte now and then": _sent(_VERSION, again=b"\0", pause=0.2),
    "noise": _sent(_VERSION, again=_NOISE),
    "a packet of 4 GB": _sent(_VERSION, struct.pack(">I", 0xFFFFFFF4), again=bytes(65536)),
    "messages to ignore": _sent(
        _VERSION, again=_packet(b"\x02" + struct.pack(">I", 4000) + bytes(4000)) * 8, pause=0.02
    ),
    "messages for debugging": _sent(
        _VERSION, again=_packet(b"\x04\x01" + (struct.pack(">I", 400) + b"\xff" * 400) * 2) * 8, pause=0.02
    ),
    "names that are no text": _sent(_VERSION, _packet(b"\x14" + bytes(16) + _LISTS + bytes(5))),
    "a cut list of names": _sent(_VERSION, _packet(b"\x14" + bytes(16) + b"\xff\xff\xff\xff")),
    "an evil farewell": _sent(
        _VERSION,
        _packet(b"\x01" + struct.pack(">II", 2, len(EVIL.encode())) + EVIL.encode() + struct.pack(">I", 0)),
    ),
}


def _frame(nonce: str, kind: object, content: object) -> bytes:
    body = content if isinstance(content, bytes) else json.dumps(content).encode("utf-8", "surrogatepass")
    return f"\n{nonce} {kind} ".encode() + base64.b64encode(body) + b"\n"


def _hello(nonce: str, **more: object) -> bytes:
    return _frame(nonce, "hello", {"agent": 2, "host": "H", "up_ms": 1000, "language": "FullLanguage", **more})


def _for_ever(send: Callable[[paramiko.Channel, str], object], pause: float = _PAUSE_S) -> Talk:
    def talk(channel: paramiko.Channel, nonce: str, gathers: bool) -> None:
        del gathers
        # What is sent on a connection that is gone raises nothing.
        while channel.get_transport().is_active() and not channel.closed:
            send(channel, nonce)
            time.sleep(pause)

    return talk


def _answering(answer: Callable[[str, int], bytes], **hello: object) -> Talk:
    """Say hello, and answer each request by its number."""

    def talk(channel: paramiko.Channel, nonce: str, gathers: bool) -> None:
        del gathers
        stream = channel.makefile("rb")
        stream.readline()
        channel.sendall(_hello(nonce, **hello))
        for number in itertools.count(1):
            if not stream.readline():
                return
            channel.sendall(answer(nonce, number))

    return talk


def _one(value: bytes) -> bytes:
    return b'{"results":[' + b",".join([b'{"ok":true,"value":[' + value + b"]}"] * 20) + b'],"up_ms":2000}'


def _named(text: str) -> bytes:
    keys = (
        *("Name", "State", "StatusInformation", "Id", "Heartbeat", "OwnerNode", "OwnerNode.Name", "OwnerGroup.Name"),
        *("GroupType", "Resource", "Group", "Type", "TargetAddress", "Value", "VmId", "Path", "HardDrives.Path"),
    )
    numbers = ("Uptime.TotalSeconds", "LastOperationStatusCode", "MemoryStartup", "OfflineAction")
    return json.dumps(dict.fromkeys(keys, text) | dict.fromkeys(numbers, 10**400)).encode("utf-8", "surrogatepass")


def _valued(value: bytes, **hello: object) -> Talk:
    return _answering(lambda nonce, number: _frame(nonce, number, _one(value)), **hello)


def _ahead(nonce: str, number: int) -> bytes:
    return b"".join(_frame(nonce, number + more, {"results": []}) for more in range(5000))


_LONG = json.dumps({"Name": "n" * 250_000}).encode()
_ERRORS = {"results": [{"ok": False, "error": {"message": EVIL * 90, "id": EVIL, "code": 5}}] * 20, "up_ms": 9}
_RUNAWAY = b'{"results":[],"up_ms":' + b"9" * 400 + b"}"

# What a PowerShell says that is none.
AFTER: dict[str, Talk] = {
    "output that never ends": _for_ever(lambda channel, _: channel.sendall(b"x" * _PIECE)),
    "lines that never end": _for_ever(lambda channel, _: channel.sendall(EVIL.encode() * 500)),
    "errors that never end": _for_ever(lambda channel, _: channel.sendall_stderr(b"e" * _PIECE)),
    "errors beyond the window": _for_ever(
        lambda channel, _: send_raw(channel, cMSG_CHANNEL_EXTENDED_DATA, 1, b"e" * _PIECE), pause=0.0
    ),
    "requests that are no text": _for_ever(lambda channel, _: send_raw(channel, cMSG_CHANNEL_REQUEST, b"\x83e", False)),
    "one hello after the other": _for_ever(lambda channel, nonce: channel.sendall(_hello(nonce))),
    "a hello of 5 MB": _answering(lambda nonce, number: _frame(nonce, number, {}), host=EVIL + "h" * 5_000_000),
    "answers ahead": _answering(_ahead),
    "answers of 5 MB": _valued(_LONG),
    "answers of many things": _valued(b'{"Name":[' + b"[]," * 100_000 + b"[]]}"),
    "deep answers": _valued(b'{"Name":' + b"[" * 90_000 + b"]" * 90_000 + b"}"),
    "evil names": _valued(_named(EVIL), host=EVIL, os=EVIL),
    "long names": _valued(_named("n" * 9_000)),
    "evil errors": _answering(lambda nonce, number: _frame(nonce, number, _ERRORS)),
    "a clock that runs away": _answering(lambda nonce, number: _frame(nonce, number, _RUNAWAY)),
    "an evil farewell": _answering(lambda nonce, _: _frame(nonce, "fatal", {"message": EVIL * 1000})),
    "silence": _for_ever(lambda _channel, _nonce: time.sleep(0.2)),
}


@contextmanager
def listening(address: tuple[str, int], greet: Greet) -> Iterator[None]:
    """Answer at an address in that way, each connection in a thread of its own."""
    opened: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            greet(connection)

    def accept(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            opened.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(address) as server:
        threading.Thread(target=accept, args=(server,), daemon=True).start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for one in opened:
                one.close()


def launcher(talk: Talk) -> Callable[[paramiko.Channel, str], None]:
    """Return what an endpoint does with an exec request: have that PowerShell talk."""

    def run(channel: paramiko.Channel, command: str) -> None:
        with suppress(Exception):
            nonce, gathers = read_command(command)
            talk(channel, nonce, gathers)

    def launch(channel: paramiko.Channel, command: str) -> None:
        # The request is granted only after this returns.
        threading.Timer(0.01, run, args=(channel, command)).start()

    return launch
