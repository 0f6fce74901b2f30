"""The two that run with every change: the disk's names last over a restart, and a real initiator writes.

They go on from one another, in the order in which an operator does the steps of the set-up.
"""

from tests.machines.site import INITIATORS, PARTITION, SET_UP_TARGET, Site

_LINKS = "readlink -f /dev/cp-diska1 /dev/cp-diska2"


def test_the_disk_has_its_names_also_after_a_restart(site: Site) -> None:
    """`setup iscsi --disk` must name a real disk's partitions at once, do nothing twice, and last over a restart."""
    site.ec1.must(f"{PARTITION} && udevadm settle")
    disk = site.mirror_disk(site.ec1)
    site.ec1.must(f"ecx-hyperv setup iscsi --disk {disk}")
    assert f"{disk}1\n{disk}2\n" == site.ec1.must(_LINKS)
    assert "unchanged" in site.ec1.must(f"ecx-hyperv setup iscsi --disk {disk}")

    site.ec1.reboot()
    disk = site.mirror_disk(site.ec1)
    assert f"{disk}1\n{disk}2\n" == site.ec1.must(_LINKS)
    rows = site.check(site.ec1, "udev-rule", "udev-links")
    assert {"udev-rule": "ok", "udev-links": "ok"} == {name: row.outcome for name, row in rows.items()}, rows


def test_an_initiator_logs_in_writes_and_reads_back(site: Site) -> None:
    """What `setup iscsi --initiator` makes must serve a real initiator, and the check must say so."""
    site.name_disk(site.ec1)
    site.activate(site.ec1)
    assert "done: its LUN" in site.ec1.must(SET_UP_TARGET)
    again = site.ec1.must(SET_UP_TARGET).splitlines()
    assert all(line.startswith("unchanged: ") for line in again[:-1]), again

    disk = site.log_in()
    site.write(disk, "written by the host", 7)
    assert "written by the host" == site.read(disk, 7)
    assert "written by the host" == site.read("/dev/cp-diska2", 7, site.ec1)
    site.log_out()
    assert disk == site.log_in(INITIATORS[1])

    rows = site.check(site.ec1)
    assert [] == [row for row in rows.values() if row.outcome != "ok"]
