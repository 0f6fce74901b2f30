"""The machine that all others go on from: booted once for an image, and kept with its memory.

A boot takes most of a minute under emulation, and a run has three machines. What a test says of a boot it shows by a
boot of its own: `Machine.reboot`, or a power cut and `Machine.start`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tests.machines.qemu import Machine, MachineImage

_MODULES = "target_core_mod target_core_iblock iscsi_target_mod iscsi_tcp bridge sg"


def make(image: MachineImage) -> None:
    """Boot the image and keep the machine, where none is kept yet."""
    if image.booted_disk.exists():
        return
    with tempfile.TemporaryDirectory(dir=image.folder) as name:
        folder = Path(name)
        # The cards lead nowhere; what goes on from here has as many.
        machine = Machine("none", image, folder, ("one", "two"))
        machine.start()
        try:
            machine.wait()
            assert machine.run("systemctl is-system-running --wait").stdout == "running\n", machine.console
            # Loaded once here, not by each machine; what is kept is smaller without caches.
            machine.must(f"modprobe -a {_MODULES}; sync; echo 3 >/proc/sys/vm/drop_caches")
            machine.keep(folder / "memory")
        finally:
            machine.cut_power()
        shutil.move(folder / "memory", image.booted_memory)
        shutil.move(folder / "none.qcow2", image.booted_disk)


if __name__ == "__main__":
    make(MachineImage(Path(sys.argv[1])))
