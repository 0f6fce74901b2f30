"""What becomes of a served disk when power, cable or EC-VM goes, in mid-write; exec-iscsi's scripts under systemd."""

import time

from tests.machines.site import FLOATING, SCRIPTS, SET_UP_TARGET, Site, wait_until

# Writes numbered blocks, one after the other, each to the disk itself, and notes each that is on it.
_WRITER = """\
import os, sys
disk = os.open(sys.argv[1], os.O_WRONLY | os.O_DSYNC)
noted = os.open("/root/noted", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
for number in range(100, 20000):
    os.pwrite(disk, b"block %08d" % number + b"." * (4096 - 14), number * 4096)
    os.write(noted, b"%d\\n" % number)
"""


def _ready(site: Site) -> None:
    """Both EC-VMs are set up, ec1 serves, and the host has what it writes with."""
    site.set_up_both()
    site.host.put("/root/writer.py", _WRITER)


def _write_on(site: Site, disk: str) -> None:
    site.host.must(f"rm -f /root/noted; systemd-run --quiet --unit=writer python3 /root/writer.py {disk}")
    _grows(site)


def _noted(site: Site) -> int:
    return int(site.host.run("tail -n 1 /root/noted 2>/dev/null").stdout or 0)


def _grows(site: Site, seconds: float = 300) -> int:
    """Wait until some more blocks are written."""
    before = _noted(site)
    wait_until(
        lambda: _noted(site) >= before + 5,
        seconds,
        lambda: site.host.run("systemctl status writer; iscsiadm -m session -P 1; dmesg | tail").all,
    )
    return _noted(site)


def _held(site: Site, number: int) -> bool:
    """Tell whether the mirror's disk under ec1 or ec2, whichever serves, holds a block that the host has noted."""
    server = site.ec1 if site.ec1.run("test -e /dev/NMP1").code == 0 else site.ec2
    return site.read("/dev/cp-diska2", number, server).startswith(f"block {number:08d}")


def test_power_cut_in_the_middle_of_setup(site: Site) -> None:
    """An EC-VM whose power went in the middle of `setup iscsi` must come up, and the next run must complete it."""
    ec1 = site.ec1
    site.name_disk(ec1)
    site.activate(ec1)
    ec1.must(f"systemd-run --quiet --unit=setup {SET_UP_TARGET}; sync")
    end = time.monotonic() + 400
    while ec1.run("test -e /sys/kernel/config/target/iscsi").code != 0:
        assert time.monotonic() < end, ec1.run("systemctl status setup").all
    ec1.cut_power()

    ec1.start()
    ec1.wait()
    site.activate(ec1)
    ec1.must(SET_UP_TARGET)
    again = ec1.must(SET_UP_TARGET).splitlines()
    assert all(line.startswith("unchanged: ") for line in again[:-1]), again
    assert [] == [row for row in site.check(ec1).values() if row.outcome != "ok"]


def test_stop_and_start_in_the_middle_of_writing(site: Site) -> None:
    """exec-iscsi's stop must end while a host writes, and lose nothing that the host holds for written."""
    _ready(site)
    disk = site.log_in()
    _write_on(site, disk)
    begun = time.monotonic()
    site.stop_iscsi(site.ec1)
    assert time.monotonic() - begun < 200
    assert site.ec1.run("ss -tln | grep -q :3260").code != 0
    noted = _noted(site)
    assert _held(site, noted)

    site.start_iscsi(site.ec1)
    assert _grows(site) > noted
    assert "3260" in site.ec1.must("ss -tln")


def test_cable_towards_the_host(site: Site) -> None:
    """A cable that is pulled for a while must cost a host nothing but time, and the EC-VM none of its set-up."""
    with site.cut(site.ec1, site.host):
        assert site.host.run(f"ping -c 1 -W 2 {FLOATING}").code != 0
        assert "ok" == site.check(site.ec1, "target-lun")["target-lun"].outcome
        assert 0 == site.ec1.run("ping -c 1 -W 5 192.168.138.200").code
    noted = _grows(site)
    assert _held(site, noted)


def test_cable_between_the_standby_and_the_host(site: Site) -> None:
    """The cable of the EC-VM that does not serve must not touch what a host writes."""
    with site.cut(site.ec2, site.host):
        assert site.host.run("ping -c 1 -W 2 192.168.137.200").code != 0
        assert _held(site, _grows(site))
    assert 0 == site.host.run("ping -c 3 -W 5 192.168.137.200").code


def test_cable_between_the_ec_vms(site: Site) -> None:
    """A mirror's cable that is pulled must not touch what a host writes."""
    with site.cut(site.ec1, site.ec2):
        assert site.ec1.run("ping -c 1 -W 2 192.168.138.200").code != 0
        assert _held(site, _grows(site))
    assert 0 == site.ec1.run("ping -c 3 -W 5 192.168.138.200").code


def test_the_floating_address_moves(site: Site) -> None:
    """A host that writes must go on at the other EC-VM by itself, on what it takes for the same disk."""
    before = site.host.must("/lib/udev/scsi_id --export --whitelisted --device=" + site.disk_on_host())
    site.stop_iscsi(site.ec1)
    noted = _noted(site)
    site.deactivate(site.ec1)
    site.copy_mirror(site.ec1, site.ec2)
    site.activate(site.ec2)
    site.start_iscsi(site.ec2)
    assert _grows(site) > noted
    assert _held(site, noted)
    assert [] == [row for row in site.check(site.ec2).values() if row.outcome != "ok"]
    assert before == site.host.must("/lib/udev/scsi_id --export --whitelisted --device=" + site.disk_on_host())


def test_cable_towards_the_host_after_the_move(site: Site) -> None:
    """The third cable, between ec2, which serves now, and the host, must cost as little as that of ec1 did."""
    with site.cut(site.ec2, site.host):
        assert site.host.run(f"ping -c 1 -W 2 {FLOATING}").code != 0
        # For longer than the initiator waits for an answer to its own ping, so that it logs in anew.
        stopped = _noted(site)
        assert site.ec2.run("sleep 15; ping -c 1 -W 5 192.168.138.199").code == 0
        assert _noted(site) <= stopped + 5
        assert "ok" == site.check(site.ec2, "target-lun")["target-lun"].outcome
    noted = _grows(site)
    assert _held(site, noted)


def test_power_cut_in_the_middle_of_writing(site: Site) -> None:
    """An EC-VM whose power goes in mid-write must come up without serving, and have what the host holds for written."""
    noted = _grows(site)
    site.ec2.cut_power()
    site.ec2.start()
    site.ec2.wait()
    assert site.ec2.run("ss -tln | grep -q :3260").code != 0
    site.activate(site.ec2)
    assert _held(site, noted)
    site.ec2.must(f"sh {SCRIPTS}/start.sh")
    assert _held(site, _grows(site))
    assert "unchanged: its LUN" in site.ec2.must(SET_UP_TARGET)
