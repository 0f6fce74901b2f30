"""The socket at which stand-ins ask: a line of JSON each way, one connection for each PowerShell."""

import json
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

from ecx_hyperv.lab.engine.desk import Answer, Question


class AnswersStandIns(Protocol):
    """What answers for one PowerShell."""

    def answer(self, question: Question) -> Answer:
        """Return what Windows would say."""


class WorldDoor(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves one world; `open_desk` makes what answers for a PowerShell of a host."""

    daemon_threads = True

    def __init__(self, path: Path, open_desk: Callable[[str], AnswersStandIns]) -> None:
        self.open_desk = open_desk
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Asking)

    def start(self) -> None:
        """Answer from now on, until it is shut down."""
        serve = threading.Thread(target=lambda: self.serve_forever(poll_interval=0.02), daemon=True, name="lab-door")
        serve.start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self.shutdown()
        self.server_close()


class _Asking(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        desk: AnswersStandIns | None = None
        with suppress(BrokenPipeError, ConnectionResetError):
            for line in self.rfile:
                question = json.loads(line)
                if desk is None:
                    desk = cast("WorldDoor", self.server).open_desk(question["host"])
                self.wfile.write(json.dumps(_answer(desk, question)).encode() + b"\n")


def _answer(desk: AnswersStandIns, question: Question) -> Answer:
    """Return the answer; a stand-in that breaks is an error of its cmdlet, and breaks nothing that comes after."""
    try:
        return desk.answer(question)
    except Exception as error:  # noqa: BLE001
        words = f"the stand-in is broken: {error!r}"
        told = {"message": words, "id": "BrokenStandIn", "category": "NotSpecified", "code": None, "terminating": True}
        return {"objects": [], "errors": [told], "refused": words}
