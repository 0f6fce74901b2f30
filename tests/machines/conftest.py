"""The machines of these tests: made by `tests/machines/run`, which sets the variable that says where the image is."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import booted
from tests.machines.qemu import QEMU, MachineImage
from tests.machines.site import Site, build_program, site_of

_IMAGE = os.environ.get("ECX_HYPERV_MACHINES", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the image where there is none."""
    if _IMAGE and shutil.which(QEMU):
        return
    why = pytest.mark.skip(reason="needs real machines under qemu: tests/machines/run makes them and runs this")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(why)


def pytest_report_header() -> list[str]:
    """Say what the tests run on."""
    if not _IMAGE:
        return []
    asked = subprocess.run([QEMU, "--version"], capture_output=True, text=True, timeout=20, check=False)
    packages = (Path(_IMAGE) / "packages").read_text(encoding="utf-8").splitlines()
    wanted = ("linux-image-amd64", "targetcli-fb", "python3-rtslib-fb", "open-iscsi", "systemd", "udev", "firewalld")
    named = [" ".join(line.split("\t")) for line in packages if line.split("\t")[0].split(":")[0] in wanted]
    cores = f"{os.cpu_count()} cores, {platform.machine()}, emulated without KVM"
    return [f"machines: {asked.stdout.splitlines()[0]}, {cores}", f"machines: {', '.join(named)}"]


@pytest.fixture(scope="session")
def image() -> MachineImage:
    """Return the image, with a machine that has booted."""
    found = MachineImage(Path(_IMAGE))
    booted.make(found)
    return found


@pytest.fixture(scope="session")
def selinux_image() -> MachineImage:
    """Return the image of a machine with Debian's policy, made where it is not there yet: one test alone needs it."""
    made = subprocess.run([Path(__file__).with_name("image"), "selinux"], stdout=subprocess.PIPE, text=True, check=True)
    return MachineImage(Path(made.stdout.strip()))


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of the program, made of the wheel of this checkout."""
    return build_program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def site(image: MachineImage, program: Path) -> Iterator[Site]:
    """Return three machines, the program installed; the tests of a module go on from one another."""
    with site_of(image, program) as found:
        yield found
