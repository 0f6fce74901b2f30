"""One emulated machine: qemu without KVM, its monitor, its power, its cables, and commands inside of it.

Nothing of it needs or reaches a network of this machine: cards are joined by Unix sockets, commands go through a serial
port of qemu's.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

QEMU = "qemu-system-x86_64"
# The self-tests of the kernel's ciphers alone take seconds.
_KERNEL = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off cryptomgr.notests quiet"
# Under emulation, with others on the same cores.
_BOOT_S = 600.0
_COMMAND_S = 400.0
# Of one argument the kernel takes 128 KiB; a multiple of 4, so that each piece is whole.
_PIECE = 96 * 1024


@dataclass(frozen=True, slots=True)
class MachineImage:
    """The folder that `tests/machines/image` makes, with disk, kernel and initial RAM disk.

    `booted.py` adds what a machine is once it has booted: the changes on its disk, and its memory.
    """

    folder: Path

    @property
    def disk(self) -> Path:
        """Return the disk of a machine that was never on."""
        return self.folder / "image.qcow2"

    @property
    def booted_disk(self) -> Path:
        """Return the disk of a machine that has booted."""
        return self.folder / "booted.qcow2"

    @property
    def booted_memory(self) -> Path:
        """Return the memory of a machine that has booted; there as soon as `booted_disk` is."""
        return self.folder / "booted.memory"


@dataclass(frozen=True, slots=True)
class ScsiDisk:
    """A disk on the SCSI bus: its file, its serial, and the place on the bus that gives its kernel's name."""

    path: Path
    serial: str
    place: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command inside of a machine ended; `code` is None where it took too long."""

    command: str
    code: int | None
    stdout: str
    stderr: str

    @property
    def all(self) -> str:
        """Return all that was printed."""
        return self.stdout + self.stderr


class MachineGone(Exception):
    """A machine does not answer; says what its console showed last."""


class Machine:
    """A machine with a disk of its own over the common image; `start` switches it on."""

    def __init__(self, name: str, image: MachineImage, folder: Path, neighbours: Sequence[str]) -> None:
        self.name = name
        self.kernel_options = ""
        self._disks: list[ScsiDisk] = []
        self._image = image
        self._folder = folder
        self._neighbours = tuple(neighbours)
        self._process: subprocess.Popen[bytes] | None = None
        self._port: socket.socket | None = None
        self._received = b""

    # Power.

    def start(self) -> None:
        """Switch it on; `wait` waits until it answers."""
        overlay = self._path("qcow2")
        if not overlay.exists():
            base = str(self._image.disk)
            command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, str(overlay)]
            subprocess.run(command, check=True, timeout=60)
        self._switch_on()

    def resume(self) -> None:
        """Go on from where the image's own machine was kept: it has booted and has no role yet."""
        shutil.copyfile(self._image.booted_disk, self._path("qcow2"))
        disks, self._disks = self._disks, []
        self._switch_on("-incoming", f"exec:zstd -dc {self._image.booted_memory}")
        self._go_on()
        self.wait()
        self.must(f"date -s @{time.time():.0f} && /usr/lib/machines/network {self.name}")
        for disk in disks:
            self.attach(disk)

    def keep(self, memory: Path) -> None:
        """Write its memory into a file, and switch it off."""
        self._monitor("stop")
        self._monitor("migrate", uri=f"exec:zstd -q -1 >{memory}")
        end = time.monotonic() + _BOOT_S
        while (status := self._monitor("query-migrate")["status"]) != "completed":
            assert status in ("setup", "active", "device"), status
            assert time.monotonic() < end, status
            time.sleep(0.2)
        self._monitor("quit")
        assert self._process is not None
        self._process.wait(60)
        self.cut_power()

    def _go_on(self) -> None:
        """Wait until its memory is read, then let it run: it was stopped when it was kept."""
        end = time.monotonic() + _BOOT_S
        while time.monotonic() < end:
            with suppress(OSError):
                if self._monitor("query-status")["status"] != "inmigrate":
                    self._monitor("cont")
                    return
            time.sleep(0.2)
        raise MachineGone(f"{self.name} has not gone on: {self._path('qemu').read_text(errors='replace')[-500:]}")

    def _switch_on(self, *more: str) -> None:
        assert self._process is None, f"{self.name} is on"
        for suffix in ("port", "monitor"):
            self._path(suffix).unlink(missing_ok=True)
        command = ["nice", "-n", "10", *self._command(), *more]
        with self._path("qemu").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self, seconds: float = _BOOT_S) -> None:
        """Wait until it answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(MachineGone):
                self._ask("true", 2, 5)
                return
            time.sleep(0.2)
        raise MachineGone(f"{self.name} has not come up in {seconds:.0f} s:\n{self.console[-2000:]}")

    def cut_power(self) -> None:
        """End it at once: what it held in memory is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
        self._process = None
        self._hang_up()

    def reboot(self) -> None:
        """Restart it in good order."""
        before = self.must("cat /proc/sys/kernel/random/boot_id")
        with suppress(MachineGone):
            self._ask("systemctl --no-block reboot", 20, 20)
        self._hang_up()
        end = time.monotonic() + _BOOT_S
        while time.monotonic() < end:
            with suppress(MachineGone):
                if self._ask("cat /proc/sys/kernel/random/boot_id", 5, 8).stdout not in ("", before):
                    return
            time.sleep(0.3)
        raise MachineGone(f"{self.name} has not restarted:\n{self.console[-2000:]}")

    @property
    def console(self) -> str:
        """Return all that its console has shown."""
        path = self._path("console")
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # Cables and disks.

    def plug(self, to: str, *, is_in: bool) -> None:
        """Plug the cable towards another machine in, or pull it, at this machine's end."""
        self._monitor("set_link", name=f"card{self._neighbours.index(to)}", up=is_in)

    def attach(self, disk: ScsiDisk) -> None:
        """Attach a disk: at once where the machine is on, else when it is switched on."""
        self._disks.append(disk)
        if self._process is not None:
            name = f"disk{disk.place}"
            drive = {"driver": "raw", "node-name": name, "file": {"driver": "file", "filename": str(disk.path)}}
            self._monitor("blockdev-add", **drive)
            device = {"driver": "scsi-hd", "id": name, "bus": "scsi.0", "drive": name, "serial": disk.serial}
            self._monitor("device_add", **device, **{"scsi-id": disk.place})

    def swap_disks(self) -> None:
        """Have the first two disks change places on the bus of a machine that is off."""
        assert self._process is None
        first, second, *others = self._disks
        self._disks = [replace(second, place=first.place), replace(first, place=second.place), *others]

    # Commands inside of it.

    def run(self, command: str, seconds: float = _COMMAND_S) -> Ended:
        """Run a command line of /bin/sh, as root; raises MachineGone where no answer comes."""
        return self._ask(command, seconds, seconds + 20)

    def must(self, command: str, seconds: float = _COMMAND_S) -> str:
        """Run a command that must end with 0; returns what it prints on stdout."""
        done = self.run(command, seconds)
        assert done.code == 0, f"{self.name}: {command}: {done.code}\n{done.all}"
        return done.stdout

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file inside of it."""
        text = base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
        self.must(f"mkdir -p {Path(path).parent} && : >{path} && chmod {mode:o} {path}")
        for start in range(0, len(text), _PIECE):
            self.must(f"echo {text[start : start + _PIECE]} | base64 -d >>{path}")

    def _ask(self, command: str, seconds: float, wait: float) -> Ended:
        number = uuid.uuid4().hex
        end = time.monotonic() + wait
        try:
            port = self._connected()
            port.sendall(json.dumps({"id": number, "command": command, "seconds": seconds}).encode() + b"\n")
            while True:
                for line in self._lines():
                    answer = _read(line)
                    if answer.get("id") == number:
                        return Ended(command, answer["code"], answer["stdout"], answer["stderr"])
                port.settimeout(max(0.01, end - time.monotonic()))
                part = port.recv(65536)
                if not part:
                    raise MachineGone(f"{self.name} is off")
                self._received += part
        except OSError as error:
            self._hang_up()
            why = f"{self.name} gave no answer to {command!r}: {error}"
            raise MachineGone(f"{why}\n{self.console[-1500:]}") from None

    def _lines(self) -> Iterator[bytes]:
        *lines, self._received = self._received.split(b"\n")
        yield from filter(None, lines)

    def _connected(self) -> socket.socket:
        if self._process is None or self._process.poll() is not None:
            raise MachineGone(f"{self.name} is off: {self._path('qemu').read_text(errors='replace')[-500:]}")
        if self._port is None:
            self._port, self._received = socket.socket(socket.AF_UNIX), b""
            self._port.connect(str(self._path("port")))
        return self._port

    def _hang_up(self) -> None:
        if self._port is not None:
            self._port.close()
        self._port, self._received = None, b""

    # qemu itself.

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self.name}.{suffix}"

    def _monitor(self, command: str, **arguments: object) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self._path("monitor")))
            stream = connection.makefile("rwb")
            stream.readline()
            for one in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                stream.write(json.dumps(one).encode() + b"\n")
                stream.flush()
                answer: dict[str, Any] = {}
                while "return" not in answer and "error" not in answer:
                    answer = json.loads(stream.readline())
            assert "return" in answer, answer
            return answer["return"]

    def _command(self) -> list[str]:
        role = f"machine.role={self.name} {self.kernel_options}"
        port, monitor, disk = self._path("port"), self._path("monitor"), self._path("qcow2")
        command = [
            *(QEMU, "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "640"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{self._path('console')}"),
            *("-kernel", str(self._image.folder / "vmlinuz"), "-initrd", str(self._image.folder / "initrd.img")),
            *("-append", f"{_KERNEL} {role}"),
            *("-drive", f"file={disk},if=none,id=system", "-device", "virtio-blk-pci,drive=system"),
            *("-device", "virtio-serial-pci", "-chardev", f"socket,id=port,path={port},server=on,wait=off"),
            *("-device", "virtserialport,chardev=port,name=driver"),
            *("-qmp", f"unix:{monitor},server=on,wait=off"),
            *("-device", "virtio-scsi-pci,id=scsi"),
        ]
        for one in self._disks:
            command += ["-drive", f"file={one.path},if=none,id=disk{one.place},format=raw"]
            place = f"bus=scsi.0,scsi-id={one.place}"
            command += ["-device", f"scsi-hd,drive=disk{one.place},{place},serial={one.serial}"]
        for number, other in enumerate(self._neighbours):
            local, remote = (self._folder / f"{name}.wire" for name in (f"{self.name}-{other}", f"{other}-{self.name}"))
            ends = f"local.type=unix,local.path={local},remote.type=unix,remote.path={remote}"
            command += ["-netdev", f"dgram,id=net{number},{ends}"]
            command += ["-device", f"virtio-net-pci,netdev=net{number},id=card{number},romfile="]
        return command


def _read(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def running(*machines: Machine) -> Iterator[None]:
    """Have machines go on from the booted one, and cut their power in the end, whatever happens."""
    try:
        with ThreadPoolExecutor(len(machines)) as pool:
            list(pool.map(Machine.resume, machines))
        yield
    finally:
        for machine in machines:
            machine.cut_power()


def blank_disk(path: Path, megabytes: int) -> Path:
    """Make the file of an empty disk."""
    with path.open("wb") as file:
        os.ftruncate(file.fileno(), megabytes << 20)
    return path
