"""The commands of ECX over the machines' network: real OpenSSH at both ends, real cables, the lab's agent behind sshd.

What a command must say and end with is what the stories of the proof say (`tests/proof/stories`, `cut-*` and
`partition-*`). The tests go on from one another.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import wire
from tests.machines.qemu import MachineImage
from tests.machines.site import Site, site_of
from tests.machines.wire import VM

_ON_1, _ON_2 = (f"{VM} is running on ws2019-host-{number}\n" for number in (1, 2))
_SILENT = "port 22 does not answer"


@pytest.fixture(scope="module")
def wired(image: MachineImage, program: Path) -> Iterator[Site]:
    """Return machines whose ec1 serves its mirror disk, and whose host answers as both Windows hosts."""
    with site_of(image, program) as site:
        wire.play_hosts(site, program, site.ec1, site.ec2)
        site.set_up_both()
        site.log_in()
        for one in (site.ec1, site.ec2):
            wire.play_ecx(site, one)
        yield site
        assert () == wire.shown(site).violations


def test_the_main_job_over_the_network(wired: Site) -> None:
    """Start, monitor, status, live migration and stop must work through a real sshd on another machine."""
    started = wired.ec1.run(wire.start_line())
    assert (0, _ON_1) == (started.code, started.stdout), started.all
    watched = wired.ec1.run(wire.monitor_line())
    assert (0, _ON_1) == (watched.code, watched.stdout), watched.all
    status = wired.ec1.run("ecx-hyperv status")
    assert (0, True) == (status.code, "Running" in status.stdout), status.all
    moved = wired.ec2.run(wire.start_line())
    assert (0, _ON_2) == (moved.code, moved.stdout), moved.all
    stopped = wired.ec2.run(wire.stop_line())
    assert 0 == stopped.code, stopped.all
    assert ("Starting", "Running", "Off") == tuple(line.split()[-1] for line in wire.history(wired, "guest"))


def test_start_without_a_host(wired: Site) -> None:
    """A start whose EC-VM reaches no host must end with 4 once `patience` is over, say so, and start nothing."""
    wire.configure(wired, wired.ec1, patience=30)
    with wired.cut(wired.ec1, wired.host):
        begun = time.monotonic()
        ended = wired.ec1.run(wire.start_line())
        assert (4, True) == (ended.code, _SILENT in ended.stderr.splitlines()[-1]), ended.all
        assert time.monotonic() - begun < 240
    assert "" == wire.shown(wired).runs_on
