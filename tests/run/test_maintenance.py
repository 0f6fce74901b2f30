"""genw-vm at the end of a maintenance, in virtual time."""

from datetime import timedelta

import pytest

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.maintenance import Flag, Kind
from ecx_hyperv.errors import LocalError
from ecx_hyperv.run.watch import Watcher
from tests.run.support import ONE, with_running
from tests.virtual.contexts import MemoryFlags, SimulatedNode

MINUTE = 60.0


def watch(sim: SimulatedNode) -> None:
    """Run genw-vm once."""
    Watcher(sim.context, ["vm1"], sim.states, Deadline.after(sim.clock, 60)).go()


def put_in_maintenance(sim: SimulatedNode, minutes: float | None) -> None:
    """Put vm1 in maintenance, for some minutes or for ever."""
    now = sim.clock.wall()
    until = None if minutes is None else now + timedelta(minutes=minutes)
    sim.flags.set(Flag(Kind.VM, "vm1", now, until, "disk", "root on ec1"))


def told(sim: SimulatedNode) -> list[tuple[Level, str]]:
    """Return the alerts about the maintenance."""
    return [(level, text) for level, text in sim.alerts if "its maintenance" in text]


def off(sim: SimulatedNode) -> None:
    """Turn vm1 off."""
    sim.world.guests.turn_off(sim.world.vms["vm1"], ONE)
    sim.world.advance(5)


def test_a11_an_alert_ten_minutes_before_the_end_and_one_at_the_end() -> None:
    """A person must be told once before the end, and once at the end where the VM is still off."""
    sim = SimulatedNode(with_running(), "ec1")
    put_in_maintenance(sim, 60)
    off(sim)
    watch(sim)
    assert [] == told(sim)
    sim.clock.sleep(51 * MINUTE)
    watch(sim)
    watch(sim)
    [(level, text)] = told(sim)
    assert level is Level.WARN
    assert "in 9 min" in text
    assert "maintenance on vm1 --for 1h" in text
    sim.clock.sleep(10 * MINUTE)
    watch(sim)
    watch(sim)
    assert [Level.WARN, Level.ERR] == [level for level, _ in told(sim)]
    assert "and it does not run" in told(sim)[-1][1]


def test_a11_a_vm_that_is_back_ends_the_matter() -> None:
    """A VM that runs at the end must be told of no more, also where it fails later for a reason of its own."""
    sim = SimulatedNode(with_running(), "ec1")
    put_in_maintenance(sim, 5)
    sim.clock.sleep(5.1 * MINUTE)
    watch(sim)
    off(sim)
    watch(sim)
    assert [] == told(sim)


def test_a11_a_maintenance_without_an_end_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A maintenance that does not end by itself, and one whose flag cannot be read, must raise no such alert."""
    sim = SimulatedNode(with_running(), "ec1")
    put_in_maintenance(sim, None)
    off(sim)
    watch(sim)

    def unreadable(_flags: MemoryFlags, _kind: Kind, _name: str) -> Flag | None:
        raise LocalError("no flag can be read")

    put_in_maintenance(sim, 1)
    sim.clock.sleep(5 * MINUTE)
    monkeypatch.setattr(MemoryFlags, "kept", unreadable)
    watch(sim)
    assert [] == told(sim)
