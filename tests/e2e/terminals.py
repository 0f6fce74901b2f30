"""Commands on a terminal whose screen a test can read, as on an EC-VM of a lab."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Callable, Mapping

from tests.e2e.support import LIMIT_S, Scenario
from tests.unit.screens import Terminal


def run_on(
    terminal: Terminal,
    lab: Scenario,
    *command: str,
    typed: bytes = b"",
    until: Callable[[Terminal], bool] = lambda _terminal: True,
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run a command on a terminal as on ec1, type something once the screen shows what it must, and return the code."""
    child, master = pty.fork()
    if child == 0:
        environment = {**lab.lab.folder.environment("ec1"), "TERM": "xterm", **(variables or {})}
        os.execvpe(command[0], list(command), environment)  # noqa: S606
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", terminal.lines, terminal.columns, 0, 0))
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        if typed and until(terminal):
            os.write(master, typed)
            typed = b""
        if not select.select([master], [], [], 0.1)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        terminal.feed(data)
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
