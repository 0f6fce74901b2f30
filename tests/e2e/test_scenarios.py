"""The scenarios that were tested by hand, played by the lab's ECX with our real scripts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ecx_hyperv.lab.model.things import Event
from ecx_hyperv.lab.model.timings import FAST
from ecx_hyperv.lab.model.world import World
from tests.e2e.support import ONE, TWO, Scenario, running_lab


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab in which the group is not started yet."""
    with running_lab(tmp_path) as running:
        yield running
        running.check()


def test_moving_the_group_there_and_back_never_stops_the_vm(scenario: Scenario) -> None:
    """A move of the group migrates the running VM live, and back, without a stop."""
    scenario.start_group("ec1")
    assert ONE == scenario.running_on("vm1")
    booted = scenario.booted("vm1")

    scenario.move_group("ec2")
    assert TWO == scenario.running_on("vm1")

    scenario.move_group("ec1")
    assert ONE == scenario.running_on("vm1")
    assert booted == scenario.booted("vm1")
    assert ["Starting", "Running"] == scenario.guest_states("vm1")


def test_stopping_the_group_stops_the_vm_and_starting_it_starts_it(scenario: Scenario) -> None:
    """A stop of the group shuts the VM down and unregisters it; a start there starts it again."""
    scenario.start_group("ec1")
    scenario.stop_group()
    assert "" == scenario.running_on("vm1")
    assert "Offline" == scenario.do(lambda world: world.vms["vm1"].configuration)
    assert ["Offline"] == scenario.do(lambda world: [volume.state for volume in world.volumes.values()])

    scenario.start_group("ec1")
    assert ONE == scenario.running_on("vm1")
    assert "Saving" not in scenario.guest_states("vm1")


def test_a_stopped_vm_moves_by_quick_migration(scenario: Scenario) -> None:
    """A group stopped on one node and started on the other moves the stopped VM, then starts it."""
    scenario.start_group("ec1")
    scenario.stop_group()
    scenario.start_group("ec2")

    assert TWO == scenario.running_on("vm1")
    assert ["quick"] == [event.state for event in scenario.events("migrated")]


@pytest.mark.parametrize(("first", "second", "host"), [("ec1", "ec2", ONE), ("ec2", "ec1", TWO)])
def test_a_host_loses_power(scenario: Scenario, first: str, second: str, host: str) -> None:
    """When its host loses power, the VM starts on the other one; the host comes back and stays without it."""
    other = TWO if host == ONE else ONE
    scenario.start_group(first)
    assert host == scenario.running_on("vm1")

    scenario.do(lambda world: world.power_off_host(host))
    scenario.settled(second)
    assert other == scenario.running_on("vm1")

    scenario.do(lambda world: world.power_on_host(host))
    scenario.online("ec1", "ec2")
    assert other == scenario.running_on("vm1")


def test_both_hosts_lose_power(tmp_path: Path) -> None:
    """After both hosts were off, one copy of the mirror known to be good, the group and its VM come back by themselves.

    What comes of it where no copy is known to be good is told by test_mirror.py.
    """
    with running_lab(tmp_path, timings=replace(FAST, both_red=False)) as scenario:
        scenario.start_group("ec1")
        scenario.on_each_host(World.power_off_host)
        scenario.wait(lambda world: not any(host.on for host in world.hosts.values()), "both off")
        scenario.on_each_host(World.power_on_host)

        scenario.wait(lambda _: any(one.group == "Online" for one in scenario.lab.ecx.servers.values()), "group online")
        assert scenario.running_on("vm1") in (ONE, TWO)
        scenario.check()


def wait_for_alert(scenario: Scenario, words: str) -> list[Event]:
    """Return the alerts that say so; an alert is sent once the work is done."""

    def alerts(world: World) -> list[Event]:
        return [one for one in world.history if one.what == "alert" and words in one.who]

    scenario.wait(lambda world: bool(alerts(world)), f"an alert: {words}")
    found: list[Event] = scenario.do(alerts)
    return found


@pytest.mark.parametrize(("active", "standby"), [("ec1", "ec2"), ("ec2", "ec1")])
def test_an_ec_vm_is_shut_down(scenario: Scenario, active: str, standby: str) -> None:
    """When the active EC-VM is shut down, the other one takes the VM over, and starts the EC-VM again."""
    scenario.start_group(active)
    scenario.do(lambda world: world.shut_down_ec_vm(world.ec_vms[active]))
    scenario.settled(standby)
    assert scenario.do(lambda world: world.ec_vms[standby].host) == scenario.running_on("vm1")

    scenario.online("ec1", "ec2")
    assert standby in {event.where for event in wait_for_alert(scenario, "power on")}


def test_an_ec_vm_that_loses_power_is_powered_on_again(scenario: Scenario) -> None:
    """A standby EC-VM that goes off is powered on by the other one's monitor."""
    scenario.start_group("ec1")
    scenario.do(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))
    scenario.online("ec1", "ec2")

    assert ONE == scenario.running_on("vm1")
    assert 1 == len(wait_for_alert(scenario, "power on ec2"))


def test_ecx_stopped_on_the_peer_is_started_again(scenario: Scenario) -> None:
    """ECX that was stopped on the standby EC-VM is started again, as that EC-VM answers ping."""
    scenario.start_group("ec1")
    with scenario.lab.world_now():
        scenario.lab.ecx.stop_service("ec2")
    scenario.wait(lambda _: scenario.lab.ecx.servers["ec2"].service == "Offline", "ECX offline on ec2")
    scenario.online("ec2")

    wait_for_alert(scenario, "start ECX ec2")


@pytest.mark.defect(52)
def test_maintenance_of_the_peer_is_respected(scenario: Scenario) -> None:
    """A peer in maintenance is not started behind an operator's back."""
    scenario.lab.ecx.monitoring = False
    assert 0 == scenario.run("ec1", "ecx-hyperv", "maintenance", "on", "ec2").returncode
    scenario.start_group("ec1")
    with scenario.lab.world_now():
        scenario.lab.ecx.stop_service("ec2")
    scenario.wait(lambda _: scenario.lab.ecx.servers["ec2"].service == "Offline", "ECX offline on ec2")
    checked = scenario.run("ec1", "genw-remote-node")

    assert (0, "ec2 is in maintenance\n") == (checked.returncode, checked.stdout)
    assert "Offline" == scenario.lab.ecx.servers["ec2"].service


@pytest.mark.defect(54)
def test_a_hung_ec_vm_is_restarted(scenario: Scenario) -> None:
    """An EC-VM that runs but answers neither ping nor its own host is restarted."""
    scenario.start_group("ec1")
    scenario.do(lambda world: world.hang_ec_vm(world.ec_vms["ec2"]))
    scenario.online("ec1", "ec2")

    wait_for_alert(scenario, "restart ec2")


def test_a_quarantined_host_is_named_with_its_release(scenario: Scenario) -> None:
    """On a quarantined host a start fails with the cmdlet that releases it."""
    scenario.do(lambda world: setattr(world.hosts[ONE], "quarantined", True))
    started = scenario.run("ec1", "vm-start", "vm1")

    assert 8 == started.returncode
    assert "Start-ClusterNode -ClearQuarantine" in started.stderr.splitlines()[-1]


def test_wsfc_moves_the_vm_and_the_failover_follows_it(scenario: Scenario) -> None:
    """When WSFC moves the VM, ECX sees it gone and fails over to where it runs, which never stops it."""
    scenario.start_group("ec1")
    booted = scenario.booted("vm1")
    assert 0 == scenario.do(lambda world: world.cluster.move(world.vms["vm1"], TWO, live=True))
    scenario.settled("ec2")

    assert TWO == scenario.running_on("vm1")
    assert booted == scenario.booted("vm1")


@pytest.mark.defect(32)
def test_a_host_without_memory_says_so(scenario: Scenario) -> None:
    """A VM that does not fit into its host's memory fails with that as the reason."""
    scenario.do(lambda world: world.storage.serve("ec1", on=True))
    scenario.do(lambda world: setattr(world.hosts[ONE], "memory", 1))
    started = scenario.run("ec1", "vm-start", "vm1")

    assert 8 == started.returncode
    assert "not enough memory" in started.stderr.splitlines()[-1]


def test_all_networks_of_host_1_are_cut(scenario: Scenario) -> None:
    """When host 1 is cut off, WSFC's quorum and ECX agree on the other side, and the VM never runs twice."""
    scenario.start_group("ec1")
    scenario.do(lambda world: world.isolate(ONE))
    scenario.settled("ec2")
    assert TWO == scenario.running_on("vm1")

    scenario.do(lambda world: world.restore_all())
    scenario.wait(lambda world: sum(one.is_active for one in scenario.lab.ecx.servers.values()) == 1, "one active side")
    scenario.online("ec1", "ec2")
    scenario.wait(lambda _: scenario.running_on("vm1") in (ONE, TWO), "the VM runs")


def test_all_networks_of_ec_vm_1_are_cut(scenario: Scenario) -> None:
    """When EC-VM 1 is cut off, its host runs the VM on from the other target, and the start there migrates it live."""
    scenario.start_group("ec1")
    booted = scenario.booted("vm1")
    scenario.do(lambda world: world.isolate("ec1"))
    scenario.wait(lambda _: scenario.lab.ecx.servers["ec2"].group == "Online", "group online on ec2")

    assert TWO == scenario.running_on("vm1")
    assert booted == scenario.booted("vm1")


def test_a_stop_that_hangs_shuts_the_node_down_and_the_other_takes_over(tmp_path: Path) -> None:
    """When a stop of the target hangs and ECX shuts the node down for it, the other side takes the VM over."""
    with running_lab(tmp_path) as scenario:
        script, hangs = tmp_path / "ec1/scripts/failover1/exec-iscsi/stop.sh", tmp_path / "hangs"
        script.write_text(f"#!/bin/sh\n: >'{hangs}'\nexec tail -f /dev/null\n", encoding="ascii")
        scenario.start_group("ec1")
        with scenario.lab.world_now():
            scenario.lab.ecx.move_group("ec2")
        scenario.wait(lambda _: hangs.exists(), "the stop of the target hangs")
        # ECX's patience ends for this one script; a start on a busy machine keeps all of it.
        scenario.do(lambda world: setattr(world, "timings", replace(FAST, script_timeout=0)))
        scenario.wait(lambda world: any(one.what == "emergency shutdown" for one in world.history), "ec1 shuts down")
        scenario.do(lambda world: setattr(world, "timings", FAST))
        scenario.settled("ec2")

        assert TWO == scenario.running_on("vm1")
        assert 1 == len(scenario.events("emergency shutdown"))
        scenario.check()
