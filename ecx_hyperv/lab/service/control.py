"""How the lab is driven: questions and answers, a JSON line each, over a socket in its folder."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ecx_hyperv.errors import LocalError

_LONGEST_WAIT_S = 120.0


class ControlQuestion(Struct, frozen=True, kw_only=True):
    """Something to do or to tell; `node` is the EC-VM that asks."""

    do: str
    node: str = ""
    arguments: list[str] = []


class ControlAnswer(Struct, frozen=True, kw_only=True):
    """What came of it: an exit code, text for a person, data for a program."""

    code: int = 0
    text: str = ""
    data: Any = None


_QUESTION = msgspec.json.Decoder(ControlQuestion)
_ANSWER = msgspec.json.Decoder(ControlAnswer)


def ask(path: Path, do: str, *arguments: str, node: str = "") -> ControlAnswer:
    """Ask the lab; raises LocalError if none answers."""
    question = ControlQuestion(do=do, node=node, arguments=list(arguments))
    try:
        with socket.socket(socket.AF_UNIX) as lab:
            lab.settimeout(_LONGEST_WAIT_S)
            lab.connect(str(path))
            lab.sendall(msgspec.json.encode(question) + b"\n")
            return _ANSWER.decode(lab.makefile("rb").readline())
    except (OSError, msgspec.DecodeError) as error:
        raise LocalError("no lab answers", seen=f"{path}: {error}", remedy="start one: ecx-hyperv lab start") from None


def serve(connection: socket.socket, answer: Callable[[ControlQuestion], ControlAnswer]) -> None:
    """Answer the questions of one connection until it closes."""
    with connection, connection.makefile("rb") as lines:
        for line in lines:
            try:
                reply = answer(_QUESTION.decode(line))
            except msgspec.DecodeError as error:
                reply = ControlAnswer(code=2, text=f"{error}\n")
            connection.sendall(msgspec.json.encode(reply) + b"\n")
