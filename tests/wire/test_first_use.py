"""E24: the first answers of two hosts arrive at the same moment, in the threads of one process."""

import subprocess
import sys

# What ended the process by a signal in nine of ten runs: each thread decodes each kind of frame for the first time.
_PROGRAM = """
import base64, sys, threading
from ecx_hyperv.host.wire import Frames

HELLO = b'{"agent": 2, "host": "HV1", "up_ms": 1}'
REPLY = b'{"results": [{"ok": true, "value": [{"Name": "vm1"}]}]}'
sys.setswitchinterval(1e-6)
gate = threading.Barrier(4)
frames = []

def read():
    gate.wait()
    lines = [b"n " + kind + b" " + base64.b64encode(content) for kind, content in ((b"hello", HELLO), (b"1", REPLY))]
    frames.extend(Frames("n").feed(b"\\n".join(lines) + b"\\n"))

threads = [threading.Thread(target=read) for _ in range(4)]
for one in threads:
    one.start()
for one in threads:
    one.join()
print(len(frames))
"""
_RUNS = 8


def test_e24_two_hosts_that_answer_first_at_once_end_nothing() -> None:
    """Frames that several threads read for the first time at once must all be read, and the process must go on."""
    runs = [subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=False) for _ in range(_RUNS)]
    assert {(0, b"8\n")} == {(done.returncode, done.stdout) for done in runs}
