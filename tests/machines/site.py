"""Three machines as the program knows them: two EC-VMs with a disk for the mirror each, and a host's iSCSI initiator.

The program comes from its wheel. What ECX would do is done here, and named so: the floating address, the mirror's
device, and the calls of the scripts of `exec-iscsi`.
"""

import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.machines.qemu import Machine, MachineImage, ScsiDisk, blank_disk, running

FLOATING = "192.168.139.201"
INITIATORS = ("iqn.1991-05.com.microsoft:host1", "iqn.1991-05.com.microsoft:host2")
TARGET = "iqn.1996-10.com.ecx"
SERIAL = "MIRROR1"
# What of a check is about the disk and the target of an EC-VM.
ROWS = (
    *("target-service", "firewalld", "udev-rule", "udev-links", "mirror-device"),
    *("target-backstore", "target-lun", "target-acl"),
)
SET_UP_TARGET = f"ecx-hyperv setup iscsi --initiator {INITIATORS[0]} --initiator {INITIATORS[1]}"
# The kernel looks at its disks side by side: which of them is sda is decided anew at each boot.
DISK = f"$(readlink -f /dev/disk/by-id/scsi-*{SERIAL})"
# As the README has it.
PARTITION = f"udevadm settle && parted -s {DISK} mklabel msdos mkpart primary 0% 1025MiB mkpart primary 1025MiB 100%"
CHECKOUT = Path(__file__).parents[2]
LIB = "/opt/ecx-hyperv/lib"
ECX_SCRIPTS = f"{LIB}/ecx_hyperv/desired/ecx_scripts"
SCRIPTS = f"{ECX_SCRIPTS}/iscsi"
_MIRROR_MB = 1100


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a check."""

    name: str
    outcome: str
    seen: str
    remedy: str


def wait_until(holds: Callable[[], bool], seconds: float, seen: Callable[[], object]) -> None:
    """Wait until something holds on the machines, by the real clock; fail with what is seen where it never does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, seen()
        time.sleep(1)


def build_program(folder: Path) -> Path:
    """Build the wheel of this checkout, and an archive of what its installation puts into an EC-VM."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel")
    options = ("--no-index", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}")
    subprocess.run([*pip, *options, str(CHECKOUT)], check=True, timeout=600)
    (wheel,) = folder.glob("*.whl")
    lib = folder / "tree" / LIB.lstrip("/")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(lib)
        (name,) = [one for one in content.namelist() if one.endswith("/entry_points.txt")]
        entries = ConfigParser()
        entries.read_string(content.read(name).decode())
    if sys.version_info[:2] == (3, 11):
        # As the machines' Python would, which takes many times as long.
        command = ("compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", folder / "tree", "-p", "/", lib)
        subprocess.run([sys.executable, "-m", *command], check=True, timeout=300)
    commands = folder / "tree" / "usr" / "bin"
    commands.mkdir(parents=True)
    for command_name, where in entries["console_scripts"].items():
        module, function = where.split(":")
        text = f"#!/usr/bin/python3 -I\nimport sys\nsys.path.insert(0, '{LIB}')\n"
        (commands / command_name).write_text(f"{text}from {module} import {function}\nsys.exit({function}())\n")
        (commands / command_name).chmod(0o755)
    archive = folder / "program.tar.gz"
    tar = ("tar", "--create", "--gzip", f"--file={archive}", "--owner=0", "--group=0", "opt", "usr")
    subprocess.run(tar, cwd=folder / "tree", check=True, timeout=120)
    return archive


class Site:
    """The machines of a test; `ec1` and `ec2` have the program, and its configuration."""

    def __init__(self, image: MachineImage, folder: Path, first: MachineImage | None = None) -> None:
        self.folder = folder
        self.ec1 = Machine("ec1", first or image, folder, ("host", "ec2"))
        self.ec2 = Machine("ec2", image, folder, ("host", "ec1"))
        self.host = Machine("host", image, folder, ("ec1", "ec2"))
        for one in (self.ec1, self.ec2):
            one.attach(ScsiDisk(blank_disk(folder / f"{one.name}.system", 16), "SYSTEM1", 0))
            one.attach(ScsiDisk(blank_disk(self.mirror_file(one), _MIRROR_MB), SERIAL, 1))

    def mirror_file(self, machine: Machine) -> Path:
        """Return the file of the disk that is under an EC-VM's mirror."""
        return self.folder / f"{machine.name}.mirror"

    @property
    def configuration(self) -> str:
        """Return the sample of the configuration, which is what an EC-VM has here."""
        return (CHECKOUT / "config" / "config.toml").read_text(encoding="utf-8")

    def mirror_disk(self, machine: Machine) -> str:
        """Return the name that the kernel gave the disk under an EC-VM's mirror at this boot."""
        return machine.must(f"udevadm settle; echo {DISK}").strip()

    def prepare(self, machine: Machine, program: Path) -> None:
        """Install the program on an EC-VM, with its configuration."""
        self.install(machine, program)
        machine.put("/etc/ecx-hyperv/config.toml", self.configuration)

    def install(self, machine: Machine, program: Path) -> None:
        """Install the program on a machine."""
        machine.put("/root/program.tar.gz", program.read_bytes())
        # /bin is a link, which the archive's folders must leave alone.
        machine.must("tar --extract --keep-directory-symlink --file /root/program.tar.gz --directory /")

    # What a person does.

    def name_disk(self, machine: Machine) -> None:
        """Do what step 3 of the set-up says, where it is not done."""
        line = f"{PARTITION} && udevadm settle && ecx-hyperv setup iscsi --disk {DISK}"
        machine.must(f"test -e /dev/cp-diska2 || {{ {line}; }}")

    def set_up_both(self) -> None:
        """Set both EC-VMs up, as the README has it, and have ec1 serve."""
        for one in (self.ec2, self.ec1):
            self.name_disk(one)
            self.activate(one)
            one.must(SET_UP_TARGET)
            if one is self.ec2:
                self.stop_iscsi(one)
                self.deactivate(one)

    def plug(self, one: Machine, other: Machine, *, is_in: bool) -> None:
        """Plug the cable between two machines in, or pull it, at both its ends."""
        one.plug(other.name, is_in=is_in)
        other.plug(one.name, is_in=is_in)

    @contextmanager
    def cut(self, one: Machine, other: Machine) -> Iterator[None]:
        """Have the cable between two machines pulled for the length of a with block."""
        self.plug(one, other, is_in=False)
        try:
            yield
        finally:
            self.plug(one, other, is_in=True)

    # What ECX does.

    def activate(self, machine: Machine) -> None:
        """Give an EC-VM the floating address and the mirror's device, as ECX's resources do."""
        machine.must(f"ip address replace {FLOATING}/32 dev eth0 && arping -q -U -c 2 -I eth0 {FLOATING} || true")
        machine.must("rm -f /dev/NMP1; set -- $(lsblk -dno MAJ:MIN /dev/cp-diska2 | tr : ' '); mknod /dev/NMP1 b $1 $2")

    def deactivate(self, machine: Machine) -> None:
        """Take both from an EC-VM."""
        machine.must(f"ip address del {FLOATING}/32 dev eth0; blockdev --flushbufs /dev/cp-diska2; rm -f /dev/NMP1")

    def start_iscsi(self, machine: Machine) -> None:
        """Call start.sh of exec-iscsi."""
        machine.must(f"sh {SCRIPTS}/start.sh")

    def stop_iscsi(self, machine: Machine) -> None:
        """Call stop.sh of exec-iscsi."""
        machine.must(f"sh {SCRIPTS}/stop.sh")

    def copy_mirror(self, source: Machine, destination: Machine) -> None:
        """Have the other EC-VM's disk hold what this one's holds: the mirror, at this moment."""
        source.must(f"sync; blockdev --flushbufs {DISK}")
        paths = [f"{word}={self.mirror_file(one)}" for word, one in (("if", source), ("of", destination))]
        subprocess.run(["dd", *paths, "bs=1M", "conv=notrunc,sparse", "status=none"], check=True, timeout=120)
        destination.must(f"blockdev --flushbufs {DISK}")

    # What a host does.

    def log_in(self, initiator: str = INITIATORS[0]) -> str:
        """Log in at the floating address with one initiator's name; returns the disk that appears there."""
        self.host.put("/etc/iscsi/initiatorname.iscsi", f"InitiatorName={initiator}\n")
        self.host.must("systemctl restart iscsid")
        self.host.must(f"iscsiadm -m discovery -t sendtargets -p {FLOATING}")
        self.host.must("iscsiadm -m node --login && udevadm settle")
        return self.disk_on_host()

    def log_out(self) -> None:
        """End all sessions of the host, and forget the target."""
        self.host.run("iscsiadm -m node --logout; iscsiadm -m node -o delete", 60)

    def disk_on_host(self) -> str:
        """Return the device of the disk that the host has from the target."""
        found = self.host.must("lsblk -dno NAME,TRAN | awk '$2 == \"iscsi\" { print $1 }'").split()
        assert len(found) == 1, self.host.must("lsblk -o NAME,TRAN; iscsiadm -m session -P 3")
        return f"/dev/{found[0]}"

    def write(self, disk: str, text: str, place: int) -> None:
        """Write a text into a block of a disk at the host, through all caches."""
        line = (
            f"printf '%-4096s' '{text}' | dd of={disk} bs=4096 count=1 seek={place} oflag=direct conv=fsync status=none"
        )
        self.host.must(line)

    def read(self, disk: str, place: int, machine: Machine | None = None) -> str:
        """Read what is written in a block, from the disk itself."""
        line = f"dd if={disk} bs=4096 count=1 skip={place} iflag=direct status=none"
        return (machine or self.host).must(line).strip("\0 \n")

    # What the program says.

    def check(self, machine: Machine, *names: str) -> dict[str, Row]:
        """Return rows of `ecx-hyperv check` on an EC-VM by name, those about disk and target if none is named."""
        done = machine.run(f"ecx-hyperv check --json {' '.join(names or ROWS)}")
        assert done.stdout.startswith("{"), done.all
        return {one.name: one for one in _rows(json.loads(done.stdout)["findings"])}


def _rows(findings: Sequence[dict[str, object]]) -> Iterator[Row]:
    for one in findings:
        remedy = one.get("remedy")
        line = remedy.get("run") if isinstance(remedy, dict) else None
        yield Row(str(one["name"]), str(one["outcome"]), str(one.get("seen") or ""), str(line or ""))


@contextmanager
def site_of(image: MachineImage, program: Path) -> Iterator[Site]:
    """Switch three machines on, with the program on the EC-VMs; in the end their power is cut."""
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="machines-") as name:
        site = Site(image, Path(name))
        with running(site.ec1, site.ec2, site.host):
            for one in (site.ec1, site.ec2):
                site.prepare(one, program)
            yield site
