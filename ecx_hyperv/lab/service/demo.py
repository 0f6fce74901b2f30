"""The demo: a lab in a folder of its own, and the main job played on it, with the real commands as processes."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from ecx_hyperv.lab.model.timings import FAST, FAST_TIMING, TIMING, Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.service.server import Lab

_VM = "vm1"
_LIMIT_S = 60.0


class DemoFailed(Exception):
    """The demo did not come to what it should show."""


def play(*, fast: bool = False) -> None:
    """Play the demo, `fast` in a tenth of the time, and print what a person wants to see; raises Failed."""
    with tempfile.TemporaryDirectory(prefix="ecx-hyperv-demo-") as folder:
        lab = Lab(Path(folder), [_VM], FAST if fast else Timings(), FAST_TIMING if fast else TIMING)
        lab.start()
        try:
            _Demo(lab).play()
        finally:
            lab.stop()


class _Demo:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._began = time.monotonic()

    def play(self) -> None:
        self._say("Two Hyper-V hosts, an EC-VM on each, ECX on both; everything below crosses real SSH.")
        self._status("ec1")
        self._scene("ECX starts its group on ec1: the stopped VM is registered and started on host 1", self._start)
        self._scene("The group is moved to ec2: the VM follows by live migration, without a stop", self._move)
        self._scene("Host 2 loses power: ECX fails the group over, and the VM starts again on host 1", self._fail)
        self._scene("Host 2 is back, and the monitor has made sure of ECX on ec2", self._come_back)
        self._scene("The group is stopped: the VM is shut down and unregistered, its volume offline", self._stop)
        with self._lab.world_now() as world:
            broken = list(world.violations)
        if broken:
            raise DemoFailed("; ".join(broken))
        self._say(f"Done in {time.monotonic() - self._began:.0f} s.")

    def _start(self) -> None:
        with self._lab.world_now():
            self._lab.ecx.start_group("ec1")
        self._wait(lambda world: _running_on(world, 0) and self._online("ec1"))

    def _move(self) -> None:
        before = self._uptime()
        with self._lab.world_now():
            self._lab.ecx.move_group("ec2")
        self._wait(lambda world: _running_on(world, 1) and self._online("ec2"))
        after = self._uptime()
        if after < before:
            raise DemoFailed(
                f"the VM was restarted during its migration: up {before:.1f} s before, {after:.1f} s after"
            )
        self._say(f"   the VM has been up for {after:.1f} s ({before:.1f} s before the move)")

    def _fail(self) -> None:
        with self._lab.world_now() as world:
            world.power_off_host("ws2019-host-2")
        self._wait(lambda world: _running_on(world, 0) and self._online("ec1"))

    def _come_back(self) -> None:
        with self._lab.world_now() as world:
            world.power_on_host("ws2019-host-2")
        self._wait(lambda _: self._lab.ecx.sees("ec1", "ec2") == "Online")

    def _stop(self) -> None:
        with self._lab.world_now():
            self._lab.ecx.stop_group()
        self._wait(lambda world: not world.vms[_VM].guests and not self._lab.ecx.servers["ec1"].is_active)

    def _scene(self, title: str, act: Callable[[], None]) -> None:
        self._say(f"\n== {title}")
        started = time.monotonic()
        act()
        self._say(f"   took {time.monotonic() - started:.1f} s")
        self._status("ec1")

    def _status(self, node: str) -> None:
        shown = subprocess.run(
            ["ecx-hyperv", "status", _VM],
            env=self._lab.folder.environment(node),
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
        for line in shown.stdout.rstrip().splitlines():
            click.echo(f"   | {line.rstrip()}")
        if shown.returncode != 0:
            raise DemoFailed(f"ecx-hyperv status ended with {shown.returncode}: {shown.stderr.strip()}")

    def _wait(self, until: Callable[[World], bool]) -> None:
        limit = time.monotonic() + _LIMIT_S
        while time.monotonic() < limit:
            with self._lab.world_now() as world:
                if until(world):
                    return
            time.sleep(0.05)
        raise DemoFailed("what should happen did not, within a minute")

    def _online(self, node: str) -> bool:
        return self._lab.ecx.servers[node].group == "Online"

    def _uptime(self) -> float:
        with self._lab.world_now() as world:
            started = [guest.started for guest in world.vms[_VM].guests.values() if guest.started is not None]
            return world.now - started[0] if started else 0.0

    def _say(self, text: str) -> None:
        click.echo(text)


def _running_on(world: World, number: int) -> bool:
    guest = world.vms[_VM].guests.get(list(world.hosts)[number])
    return guest is not None and guest.state == "Running"
