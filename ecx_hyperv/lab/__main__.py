"""The lab as a process of its own: python -m ecx_hyperv.lab FOLDER CHOICES, where CHOICES is JSON."""

import os
import signal
import sys
from pathlib import Path

import msgspec

from ecx_hyperv.errors import LocalError
from ecx_hyperv.lab.model.timings import Choices
from ecx_hyperv.lab.service.engine_hosts import make_engine
from ecx_hyperv.lab.service.place import check_private
from ecx_hyperv.lab.service.server import Lab

_CHOICES = msgspec.json.Decoder(Choices)


def main() -> None:
    """Run a lab until it is stopped."""
    folder = Path(sys.argv[1])
    check_private(folder)
    choices = _CHOICES.decode(sys.argv[2])
    try:
        engine = make_engine(choices.powershell, folder / "engine") if choices.powershell else None
    except LocalError as error:
        sys.exit(str(error))
    lab = Lab(folder, choices.vms, choices.timings, choices.timing, stdin=choices.stdin, engine=engine)
    lab.start()
    signal.signal(signal.SIGTERM, lambda *_: lab.stop())
    lab.wait_for_stop()
    # The SSH servers' threads end with the process.
    os._exit(0)


if __name__ == "__main__":
    main()
