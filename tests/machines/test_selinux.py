"""An EC-VM with Debian's SELinux policy, permissive: what it would have denied is what `docs/security.md` says.

ECX_HYPERV_UPDATE_SECURITY=1 writes the document's table anew; read it before it is committed.
"""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.machines import denials, wire
from tests.machines.qemu import Machine, MachineImage
from tests.machines.site import PARTITION, SCRIPTS, SET_UP_TARGET, Site

# What a person does at a shell, and what ECX does, whose services systemd starts.
_BY_HAND = "runcon unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023 sh -c '{line}'"
_BY_ECX = "systemd-run --quiet --wait --pipe --collect sh -c '{line}'"
_ACTIONS = (
    ("setup iscsi --disk", _BY_HAND, "ecx-hyperv setup iscsi --disk {disk}"),
    ("setup iscsi --initiator", _BY_HAND, SET_UP_TARGET),
    ("exec-iscsi stop", _BY_ECX, f"sh {SCRIPTS}/stop.sh"),
    ("exec-iscsi start", _BY_ECX, f"sh {SCRIPTS}/start.sh"),
    ("vm-start", _BY_ECX, wire.start_line()),
    ("genw-vm", _BY_ECX, wire.monitor_line()),
    ("status", _BY_HAND, "ecx-hyperv status"),
    ("check", _BY_HAND, "ecx-hyperv check --json; [ $? = 1 ]"),
    ("vm-unregister", _BY_ECX, wire.stop_line()),
)


@pytest.fixture
def site(image: MachineImage, selinux_image: MachineImage, program: Path) -> Iterator[Site]:
    """Return an EC-VM with SELinux, the program on it, and the machine that answers as the Windows hosts."""
    with tempfile.TemporaryDirectory(prefix="machines-") as name:
        found = Site(image, Path(name), selinux_image)
        found.ec1.kernel_options = "security=selinux selinux=1"
        try:
            with ThreadPoolExecutor() as pool:
                for done in (pool.submit(_boot, found.ec1), pool.submit(found.host.resume)):
                    done.result()
            found.prepare(found.ec1, program)
            wire.play_hosts(found, program, found.ec1)
            yield found
        finally:
            found.ec1.cut_power()
            found.host.cut_power()


def _boot(machine: Machine) -> None:
    machine.start()
    machine.wait()
    machine.run("systemctl is-system-running --wait")


def test_what_would_have_been_denied(site: Site) -> None:
    """The main actions must run under SELinux in permissive mode, and the document must list each denial, no other."""
    ec1 = site.ec1
    assert "Permissive\n" == ec1.must("getenforce")
    wire.play_ecx(site, ec1)
    ec1.must(f"{PARTITION} && udevadm settle")
    ec1.must("restorecon -R /usr/bin /opt /etc/ecx-hyperv /root/.ssh /var/lib")
    # What comes by the clock is no part of what is done.
    ec1.must("systemctl stop '*.timer'")
    found: list[denials.Denial] = []
    disk = site.mirror_disk(ec1)
    for name, how, line in _ACTIONS:
        since = denials.watch(ec1)
        done = ec1.run(how.format(line=line.replace("{disk}", disk)))
        assert 0 == done.code, (name, done.all)
        found += denials.told(ec1, name, since)
        if name == "setup iscsi --disk":
            site.activate(ec1)
        elif name == "exec-iscsi start":
            site.log_in()
    rows = site.check(ec1, "selinux")
    assert "Permissive" in rows["selinux"].seen, rows
    if os.environ.get("ECX_HYPERV_UPDATE_SECURITY"):
        denials.write_down(found)
    assert [str(one) for one in denials.documented()] == [str(one) for one in found]
