"""Runs in the machine `host`: both Windows hosts, played by the lab, which have a disk while the machine has one.

windows.py FOLDER FLOATING VM; a real sshd stands in front of it and hands each session to an agent that asks the lab's
socket. The lab's own SSH servers, on loopback, are asked by nobody. Of the machines the lab knows one thing: which
EC-VM serves at the floating address, by the session of the machine's real initiator.
"""

import os
import sys
import time
from pathlib import Path

from ecx_hyperv.lab.linux import files
from ecx_hyperv.lab.model.timings import TIMING, Timings
from ecx_hyperv.lab.service.server import Lab

# By the cards of the EC-VMs (network).
_CARDS = {"52:54:00:00:11:00": "ec1", "52:54:00:00:12:00": "ec2"}
# As real ones are: a guest that boots for a while, and is paused once its disk has been away for a while.
TIMINGS = Timings(guest_boot=25, io_patience=30, csv_failed_after=120, failover_clusters=0.3, hyper_v=0.3)


def _who_serves(floating: str) -> str:
    """Return the EC-VM that the initiator is logged in to at the floating address; empty if to none."""
    sessions = Path("/sys/class/iscsi_session").glob("session*/state")
    if not any(one.read_text(encoding="ascii").strip() == "LOGGED_IN" for one in sessions):
        return ""
    for line in Path("/proc/net/arp").read_text(encoding="ascii").splitlines():
        address, _, _, card, *_ = line.split()
        if address == floating:
            return _CARDS.get(card, "")
    return ""


def _follow(lab: Lab, floating: str) -> None:
    """Have the lab's targets be what the EC-VMs serve, for ever."""
    while True:
        serving = _who_serves(floating)
        with lab.world_now() as world:
            for name, ec_vm in world.ec_vms.items():
                if ec_vm.serving != (name == serving):
                    world.storage.serve(name, on=name == serving)
        time.sleep(1)


def main() -> None:
    """Be both hosts until the power goes."""
    folder, floating, vm = sys.argv[1:]
    path = Path(folder)
    path.mkdir(mode=0o700, exist_ok=True)
    # What its hosts are connected to is the address of the EC-VMs' configuration.
    files.TARGET = floating
    lab = Lab(path, (vm,), TIMINGS, TIMING)
    lab.ecx.monitoring = False
    lab.start()
    (path / "ready").touch()
    try:
        _follow(lab, floating)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
