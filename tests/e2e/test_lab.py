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


def test_b7_the_lab_waits_until_the_group_is_where_it_was_asked_to_be(shell: Shell) -> None:
    """What a person asks of the group must be done when the command ends, and told with its seconds."""
    started = shell.lab("group", "start", "ec1")
    assert 0 == started.returncode
    assert "failover1 is Online on ec1 (" in started.stdout
    assert "Running" == shell.world()["vms"]["web 1"]["guests"]["ws2019-host-1"]["state"]

    assert 0 == shell.lab("group", "move", "ec2").returncode
    assert "Online" == shell.world()["ecx"]["ec2"]["group"]
    assert 0 == shell.lab("group", "move", "ec1", "--no-wait").returncode
    assert not shell.world()["idle"]
    shell.until("ws2019-host-1", "ec1")
    assert "failover1 is Offline (" in shell.lab("group", "stop").stdout


def test_b7_a_group_that_does_not_come_up_is_told(shell: Shell) -> None:
    """A group that ends otherwise than asked must end the command with an error that says how the servers are."""
    for node in ("ec1", "ec2"):
        path = shell.folder / node / "scripts" / "failover1" / "exec-web 1" / "start.sh"
        path.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    done = shell.lab("group", "start", "ec1")
    assert 7 == done.returncode
    assert "failover1 was not brought Online on ec1" in done.stderr
    assert "failover1 Online Failure" in done.stderr


def test_b7_an_ec_vm_that_is_off_runs_nothing(shell: Shell) -> None:
    """A command on an EC-VM that is off, and ssh to it, must fail and say so."""
    assert 0 == shell.lab("power", "ec2", "off").returncode
    done = shell.lab("run", "ec2", "ecx-hyperv", "--version")
    assert 0 != done.returncode
    assert "ec2 runs no commands; seen: Off; do: wait for it, or: ecx-hyperv lab power ec2 on" in done.stderr
    there = shell.lab("run", "ec1", "ssh", "-o", "BatchMode=yes", "root@127.77.0.2", "echo here")
    assert 255 == there.returncode
    assert "timed out" in there.stderr
    assert (
        "here" == shell.lab("run", "ec1", "ssh", "-o", "BatchMode=yes", "root@127.77.0.1", "echo here").stdout.strip()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("power", "host1", "hang"), "the lab has no way to power host1 'hang'; do: name one of: off, on, shutdown"),
        (("network", "cut", "host1"), "too many or too few words; seen: ws2019-host-1; do: write it like:"),
        (("network", "isolate", "host9"), "the lab has no machine 'host9'; do: name one of: ws2019-host-1,"),
        (("set", "nosuch", "stop_action", "Save"), "the lab has no thing that is set up, 'nosuch'; do: name one of:"),
        (("set", "vm1", "stop_action", "Save"), "name one of: cluster, host1, host2, web 1, EC-VM1, EC-VM2, ec1, ec2"),
        (("set", "web 1", "nosuch", "1"), "the lab has no such setting there: 'nosuch'; do: name one of: threshold,"),
        (("set", "web 1", "stop_action", "Sav"), "cannot be 'Sav'; do: give one of: TurnOff, Save, ShutDown"),
        (("set", "web 1", "threshold", "many"), "threshold cannot be 'many'; seen: Expected `int`"),
        (("move-vm", "nobody"), "the lab has no VM 'nobody'; do: name one of: web 1"),
        (("group", "stop"), "Command failed. failover1 is not active on any server."),
        (("group", "move", "ec2"), "failover1 is not active on any server: there is nothing to move."),
    ],
)
def test_b7_what_the_lab_refuses_it_says_in_a_sentence(shell: Shell, words: tuple[str, ...], said: str) -> None:
    """What a person asks of the lab that it cannot do must be answered with a reason, and with no name of an error."""
    done = shell.lab(*words)
    assert 0 != done.returncode
    assert said in done.stdout
    assert "Error" not in done.stdout + done.stderr


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
