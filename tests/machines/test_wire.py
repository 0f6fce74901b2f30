"""The commands of ECX over the machines' network: real OpenSSH at both ends, real cables, the lab's agent behind sshd.

What a command must say and end with is what the stories of the proof say (`tests/proof/stories`, `cut-*` and
`partition-*`). The tests go on from one another.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import wire
from tests.machines.qemu import Ended, Machine, MachineImage
from tests.machines.site import Site, site_of, wait_until
from tests.machines.wire import VM

_ON_1, _ON_2 = (f"{VM} is running on ws2019-host-{number}\n" for number in (1, 2))
_SILENT = "port 22 does not answer"
_PEER = "genw-remote-node"


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


def _begin(machine: Machine, line: str) -> None:
    """Begin a command in the background."""
    machine.put("/root/line", line)
    machine.must(
        "rm -f /root/code; systemd-run --quiet --collect --unit=line sh -c "
        "'sh /root/line >/root/out 2>/root/err; echo $? >/root/code.new; mv /root/code.new /root/code'"
    )


def _end(machine: Machine, seconds: float) -> Ended:
    """Wait until the command in the background has ended."""
    wait_until(
        lambda: machine.run("test -e /root/code").code == 0,
        seconds,
        lambda: machine.run("cat /root/out /root/err").all,
    )
    code = int(machine.must("cat /root/code"))
    return Ended("line", code, machine.must("cat /root/out"), machine.must("cat /root/err"))


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


def test_cable_is_pulled_while_a_start_waits(wired: Site) -> None:
    """A start whose cable is pulled in mid-run, and put back, must go on, start the VM once, and end with 0."""
    before = len(wire.history(wired, "guest"))
    wire.configure(wired, wired.ec1)
    _begin(wired.ec1, wire.start_line())
    wire.wait_for_state(wired, "Starting")
    with wired.cut(wired.ec1, wired.host):
        time.sleep(15)
        assert wired.ec1.run("test -e /root/code").code != 0
    ended = _end(wired.ec1, 600)
    assert (0, _ON_1) == (ended.code, ended.stdout), ended.all
    assert ["Starting", "Running"] == [line.split()[-1] for line in wire.history(wired, "guest")[before:]]


def test_monitor_without_a_host(wired: Site) -> None:
    """A monitor that cannot ask the host must never call the VM failed: it ends with 0, and alerts."""
    wired.ec1.run(f"rm -f {wire.ALERTS}")
    with wired.cut(wired.ec1, wired.host):
        ended = wired.ec1.run(wire.monitor_line())
        assert (0, True) == (ended.code, "cannot tell" in ended.all and _SILENT in ended.all), ended.all
        status = wired.ec1.run("ecx-hyperv status")
        assert (4, True) == (status.code, _SILENT in status.all), status.all
    assert f"{VM}: cannot tell" in wired.ec1.must(f"cat {wire.ALERTS}")
    wire.wait_for_state(wired, "Running")
    again = wired.ec1.run(wire.monitor_line())
    assert (0, True) == (again.code, "can tell again" in again.all), again.all


def test_cable_is_pulled_while_a_monitor_looks(wired: Site) -> None:
    """A monitor whose cable is pulled in mid-run must end with 0, whether it is put back or not."""
    for seconds in (4, 40):
        _begin(wired.ec1, wire.monitor_line())
        wired.ec1.must("for n in $(seq 300); do ss -tn | grep -q ':22 ' && exit; sleep 0.1; done; exit 1")
        with wired.cut(wired.ec1, wired.host):
            time.sleep(seconds)
        assert 0 == _end(wired.ec1, 120).code
        wire.wait_for_state(wired, "Running")


def test_the_other_ec_vm_without_the_mirrors_cable(wired: Site) -> None:
    """Without the mirror's cable ECX still hears the other EC-VM by the hosts' network: nothing must be done to it."""
    with wired.cut(wired.ec1, wired.ec2):
        assert wired.ec1.run("ping -c 1 -W 2 192.168.138.200").code != 0
        for one, other in ((wired.ec1, "ec2"), (wired.ec2, "ec1")):
            ended = one.run(_PEER)
            assert (0, True) == (ended.code, f"ECX on {other} is online" in ended.all), ended.all


def test_the_other_ec_vm_without_any_cable(wired: Site) -> None:
    """An EC-VM that is heard nowhere, but runs by its host's word, must not be restarted; without its host it is 4."""
    with wired.cut(wired.ec1, wired.ec2), wired.cut(wired.ec2, wired.host):
        ended = wired.ec1.run(_PEER)
        assert (1, True) == (ended.code, "ECX on ec2 is offline; EC-VM2 is Running" in ended.all), ended.all
        alone = wired.ec2.run(_PEER)
        words = "ECX on ec1 is offline, and its host 192.168.137.196 does not answer"
        assert (4, True) == (alone.code, words in alone.all), alone.all
        # What ec1 looks after goes on.
        watched = wired.ec1.run(wire.monitor_line())
        assert (0, _ON_1) == (watched.code, watched.stdout), watched.all
    assert () == wire.history(wired, "EC-VM")


def test_start_on_the_standby_without_a_host(wired: Site) -> None:
    """A start on ec2, whose cable to the hosts is pulled, must end with 4 and leave the VM where it runs."""
    wire.configure(wired, wired.ec2, patience=30)
    with wired.cut(wired.ec2, wired.host):
        ended = wired.ec2.run(wire.start_line())
        assert (4, True) == (ended.code, _SILENT in ended.stderr.splitlines()[-1]), ended.all
        watched = wired.ec1.run(wire.monitor_line())
        assert (0, _ON_1) == (watched.code, watched.stdout), watched.all
    assert "ws2019-host-1" == wire.shown(wired).runs_on
    stopped = wired.ec1.run(wire.stop_line())
    assert 0 == stopped.code, stopped.all
