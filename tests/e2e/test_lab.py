"""The lab from the shell, as the README shows it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(sys.executable).parent


class Shell:
    """A person at a shell, with a lab in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lab(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ecx-hyperv lab."""
        return subprocess.run(
            [SCRIPTS / "ecx-hyperv", "lab", *words],
            env={"PATH": f"{SCRIPTS}:/usr/bin:/bin", "ECX_HYPERV_LAB_FOLDER": str(self.folder), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def world(self) -> Any:
        """Return what the lab shows."""
        return json.loads(self.lab("show").stdout)

    def until(self, host: str, node: str) -> None:
        """Wait until the VM runs on a host, and the group is online on that host's EC-VM."""
        limit = time.monotonic() + 40
        while time.monotonic() < limit:
            shown = self.world()
            guest = shown["vms"]["web 1"]["guests"].get(host)
            if (
                shown["idle"]
                and shown["ecx"][node]["group"] == "Online"
                and guest is not None
                and guest["state"] == "Running"
            ):
                return
            time.sleep(0.1)
        raise AssertionError(self.lab("history").stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Return a shell in which a fast lab has been started."""
    one = Shell(tmp_path)
    started = one.lab("start", "--fast", "--vm", "web 1", "--language", "ja", "--set", "powershell=0.02")
    assert 0 == started.returncode, started.stderr
    yield one
    assert 0 == one.lab("stop").returncode


def test_the_lab_from_the_shell(shell: Shell) -> None:
    """The group is started, a command run on an EC-VM, the VM moved by WSFC, a host powered off, and all is shown."""
    assert 0 == shell.lab("group", "start", "ec1").returncode
    shell.until("ws2019-host-1", "ec1")
    status = shell.lab("run", "ec1", "ecx-hyperv", "status", "--json")
    assert "Running" == json.loads(status.stdout)["vms"][0]["local"]["state"]

    assert 0 == shell.lab("move-vm", "web 1").returncode
    shell.until("ws2019-host-2", "ec2")
    assert 0 == shell.lab("power", "host2", "off").returncode
    shell.until("ws2019-host-1", "ec1")

    history = shell.lab("history").stdout
    assert "power off" in history
    assert "migrated" in history
    assert [] == shell.world()["violations"]


def test_cutting_and_mending(shell: Shell) -> None:
    """Storage and networks are cut and restored from the shell, and the world shows it."""
    shell.lab("group", "start", "ec1")
    shell.until("ws2019-host-1", "ec1")
    assert 0 == shell.lab("iscsi", "cut").returncode
    assert {""} == {host["iscsi"] for host in shell.world()["hosts"].values()}
    assert 0 == shell.lab("iscsi", "restore").returncode
    assert 0 == shell.lab("network", "isolate", "ec2").returncode
    assert 0 == shell.lab("network", "cut", "host1", "witness").returncode
    assert 0 == shell.lab("network", "restore").returncode
    assert 0 == shell.lab("group", "stop").returncode


@pytest.mark.parametrize(
    "words",
    [
        ("start",),
        ("power", "host3", "off"),
        ("network", "cut", "host1"),
        ("move-vm", "nobody"),
        ("run", "ec1", "no-such-command"),
    ],
)
def test_what_the_lab_cannot_do(shell: Shell, words: tuple[str, ...]) -> None:
    """What makes no sense to the lab is an error without a traceback."""
    done = shell.lab(*words)

    assert 0 != done.returncode
    assert "Traceback" not in done.stdout + done.stderr


def test_an_unknown_setting(tmp_path: Path) -> None:
    """A setting that the lab does not have is a usage error."""
    assert 2 == Shell(tmp_path).lab("start", "--set", "powershel=1").returncode


def test_without_a_lab(tmp_path: Path) -> None:
    """Without a lab its commands say how to start one."""
    done = Shell(tmp_path).lab("show")

    assert 0 != done.returncode
    assert "ecx-hyperv lab start" in done.stderr
