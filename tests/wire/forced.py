"""A stand-in for a host behind a real sshd: what its ForceCommand runs, with the lab's world behind it.

ForceCommand python -P tests/wire/forced.py SOCKET HOST
"""

import os
import sys
import time
from pathlib import Path

import msgspec

from ecx_hyperv.host.wire import Hello, Reply, Request
from ecx_hyperv.lab.service import control
from ecx_hyperv.lab.windows.agent import LaunchRefused, SimulatedAgent, read_command


class _Answered(msgspec.Struct, frozen=True):
    """What the lab answers to a request."""

    hello: Hello
    reply: Reply


class _Host:
    """A host of the lab, asked over its socket."""

    def __init__(self, socket: Path, name: str) -> None:
        self._socket = socket
        self._name = name

    def hello(self) -> Hello:
        return self._ask(Request()).hello

    def perform(self, request: Request) -> Reply:
        reply = self._ask(request).reply
        # The lab answers at once, and says how long it would have taken.
        time.sleep(reply.ms / 1000)
        return reply

    def _ask(self, request: Request) -> _Answered:
        text = msgspec.json.encode(request).decode("utf-8")
        return msgspec.convert(control.ask(self._socket, "perform", self._name, text).data, _Answered)


def main() -> int:
    """Be the agent on stdin and stdout; returns the exit status."""
    socket, name = sys.argv[1:]
    try:
        nonce, gathers = read_command(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    except LaunchRefused as refused:
        sys.stderr.write(f"{refused}\r\n")
        return refused.status

    def write(data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    agent = SimulatedAgent(
        nonce,
        _Host(Path(socket), name),
        sys.stdin.buffer.readline,
        write,
        way="input" if gathers else "handle",
        kill=lambda: os._exit(1),
    )
    return agent.run()


if __name__ == "__main__":
    sys.exit(main())
