"""What the main jobs cost: connections, PowerShells, requests and time, on a lab as slow as real hosts."""

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from ecx_hyperv.lab.model.timings import TIMING, Timings
from ecx_hyperv.lab.service.server import Lab

# PowerShell's start and the modules' loading, as on a host of some years.
SLOW = Timings(powershell=0.3, failover_clusters=1.0, hyper_v=0.6, iscsi=0.3, live=3)
_VMS = 20
_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command cost on one host; `polls` of its round trips only waited for something to be done."""

    what: str
    exit: int
    host: str
    logins: int
    powershells: int
    requests: int
    round_trips: int
    polls: int
    changes: list[str]
    seconds: float


def run() -> list[Cost]:
    """Run the main jobs, and return what each cost on each host."""
    with tempfile.TemporaryDirectory(prefix="ecx-hyperv-bench-") as folder:
        names = [f"vm{number}" for number in range(1, _VMS + 1)]
        lab = Lab(Path(folder), names, replace(SLOW, parallel=_VMS), {**TIMING, "interval": _INTERVAL_S, "settle": 60})
        lab.start()
        try:
            return _all(lab, names)
        finally:
            lab.stop()


def _all(lab: Lab, names: list[str]) -> list[Cost]:
    with lab.world_now() as world:
        world.storage.serve("ec1", on=True)
        world.storage.reconnect("ws2019-host-1")
        world.storage.reconnect("ws2019-host-2")
    costs = _measure(lab, "start of a stopped VM", "ec1", ["vm-start", "vm1"])
    costs += _measure(lab, "start of a VM that runs", "ec1", ["vm-start", "vm1"])
    costs += _measure(lab, "live migration", "ec2", ["vm-start", "vm1"])
    costs += _measure(lab, "live migration back", "ec1", ["vm-start", "vm1"])
    _run(lab, "ec1", ["vm-start", *names])
    costs += _measure(lab, f"monitor of {_VMS} VMs", "ec1", ["genw-vm", *names])
    costs += _measure(lab, "status", "ec1", ["ecx-hyperv", "status", "vm1"])
    costs += _measure(lab, "stop", "ec1", ["vm-unregister", "--yes", "vm1"])
    return costs


def _measure(lab: Lab, what: str, node: str, command: list[str]) -> list[Cost]:
    lab.audits.clear()
    started = time.monotonic()
    code = _run(lab, node, command)
    seconds = time.monotonic() - started
    return [
        Cost(
            what=what,
            exit=code,
            host=host,
            logins=audit.logins,
            powershells=audit.powershells,
            requests=len(audit.asked),
            round_trips=audit.round_trips,
            polls=audit.polls(_INTERVAL_S),
            changes=audit.changes,
            seconds=seconds,
        )
        for (_, host), audit in sorted(lab.audits.items())
        if audit.logins
    ]


def _run(lab: Lab, node: str, command: list[str]) -> int:
    done = subprocess.run(
        command, env=lab.folder.environment(node), capture_output=True, text=True, timeout=180, check=False
    )
    return done.returncode
