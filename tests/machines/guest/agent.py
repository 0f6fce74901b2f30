"""Runs inside a machine of the tests: reads commands from the driver's port, a JSON object a line, and answers them.

It uses nothing but Python's standard library, and no network: it answers whatever a test does to network and firewall.
"""

import json
import os
import subprocess
import threading
import time
from typing import Any

PORT = "/dev/virtio-ports/driver"
_lock = threading.Lock()


def _perform(port: int, question: dict[str, Any]) -> None:
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", question["command"]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=question["seconds"],
            check=False,
        )
        code, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as error:
        code, out, err = None, error.stdout or b"", error.stderr or b""
    answer = {
        "id": question["id"],
        "code": code,
        "stdout": out.decode("utf-8", "replace"),
        "stderr": err.decode("utf-8", "replace"),
    }
    text = b"\n" + json.dumps(answer).encode() + b"\n"
    with _lock:
        while text:
            text = text[os.write(port, text) :]


def main() -> None:
    """Serve for ever."""
    port = os.open(PORT, os.O_RDWR)
    waiting = b""
    while True:
        part = os.read(port, 65536)
        if not part:
            # Nobody is connected at the other end.
            time.sleep(0.1)
            continue
        *lines, waiting = (waiting + part).split(b"\n")
        for line in filter(None, lines):
            try:
                question = json.loads(line)
            except ValueError:
                # The rest of what was sent to this machine before it restarted.
                continue
            threading.Thread(target=_perform, args=(port, question), daemon=True).start()


if __name__ == "__main__":
    main()
