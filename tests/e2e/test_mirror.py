"""The mirror disk on the lab: while it is copied, once both hosts have lost power, and in each shape of clpmdstat.

The shapes are the lab's own: that the program copes with all of them proves nothing about the one that NEC's has.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.lab.linux.clpmdstat import MirrorShape
from ecx_hyperv.lab.model.timings import FAST
from ecx_hyperv.lab.model.world import World
from tests.e2e.support import TWO, Scenario, running_lab


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab in which the group is not started yet, and a copy of the mirror takes some seconds."""
    with running_lab(tmp_path, timings=replace(FAST, mirror_recovery=6)) as running:
        yield running
        running.check()


def alerts(scenario: Scenario, words: str) -> list[str]:
    """Return the alerts that hold some words, each behind its level."""
    return [f"{event.state}: {event.who}" for event in scenario.events("alert") if words in event.who]


def answer_in(scenario: Scenario, shape: MirrorShape) -> None:
    """Have clpmdstat answer in a shape on both EC-VMs."""
    with scenario.lab.world_now() as world:
        for ec_vm in world.ec_vms.values():
            ec_vm.linux.mirror_shape = shape.value


def copied(scenario: Scenario) -> None:
    """Wait until the mirror disk is in sync."""
    mirror = scenario.lab.ecx.mirror
    scenario.wait(lambda _: all(map(mirror.is_whole, mirror.copies)), "the mirror is in sync")


def test_all_is_well_only_once_the_mirror_is_copied(scenario: Scenario) -> None:
    """While the mirror is copied the check must warn and nobody say that all is well; then it must be said once."""
    scenario.start_group("ec1")
    scenario.do(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))
    scenario.wait(lambda _: bool(scenario.lab.ecx.mirror.source), "the mirror is copied")
    done = scenario.run("ec1", "ecx-hyperv", "check", "mirror-sync")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert re.search(r"the mirror disk md1 is being copied\s\(\d+ %,", done.stdout), done.stdout
    scenario.wait(lambda _: bool(alerts(scenario, "is being copied")), "the copy is told")
    assert [] == alerts(scenario, "well again")

    copied(scenario)
    scenario.wait(lambda _: bool(alerts(scenario, "well again")), "all is well again")
    for _ in range(2):
        assert 0 == scenario.run("ec1", "genw-remote-node").returncode
    assert 1 == len(alerts(scenario, "ec2: all is well again"))
    assert 1 == len(alerts(scenario, "is being copied"))
    assert 0 == scenario.run("ec1", "ecx-hyperv", "check", "mirror-sync").returncode


@pytest.mark.parametrize("shape", [MirrorShape.HEADER, MirrorShape.NO_HEADER_OWN_FIRST])
def test_both_hosts_lose_power_and_the_remedy_is_followed(scenario: Scenario, shape: MirrorShape) -> None:
    """Both copies must be RED then, the alert and the check name the remedy, and following it bring the group up.

    ECX runs genw-remote-node only where the mirror disk is active, so here a person runs it.
    """
    ecx = scenario.lab.ecx
    answer_in(scenario, shape)
    scenario.start_group("ec1")
    scenario.on_each_host(World.power_off_host)
    scenario.on_each_host(World.power_on_host)
    scenario.wait(lambda _: all(one.service == "Online" for one in ecx.servers.values()), "ECX online on both")
    assert [MirrorColor.RED] * 2 == [ecx.sees_mirror("ec1", name) for name in ecx.servers]
    scenario.wait(lambda _: any(one.group == "Online Failure" for one in ecx.servers.values()), "the group fails")

    remedy = "on ec1: clpgrp -t; clpmdctrl -f md1; clpgrp -s"
    assert 0 == scenario.run("ec1", "genw-remote-node").returncode
    assert [True] == [text.startswith("ERR") and remedy in text for text in alerts(scenario, "no copy of")]
    done = scenario.run("ec1", "ecx-hyperv", "check", "mirror-sync", "--json")
    assert 1 == done.returncode
    assert remedy in done.stdout

    scenario.run("ec1", "clpgrp", "-t")
    scenario.wait(lambda _: ecx.is_idle and not any(one.is_active for one in ecx.servers.values()), "group offline")
    assert 0 == scenario.run("ec1", "clpmdctrl", "-f", "md1").returncode
    assert 0 == scenario.run("ec1", "clpgrp", "-s").returncode
    scenario.settled("ec1")
    copied(scenario)
    assert [] == scenario.events("written data lost")
    assert scenario.running_on("vm1")
    scenario.wait(lambda _: bool(alerts(scenario, "well again")), "all is well again")


def test_the_wrong_side_loses_what_was_written(scenario: Scenario) -> None:
    """Forcing the old copy must be taken, as NEC's takes it, and lose what only the other one held."""
    ecx = scenario.lab.ecx
    with scenario.lab.world_now():
        ecx.mirror.copies["ec1"].updated += 5
        ecx.mirror.spoil(MirrorColor.RED)
    assert 0 == scenario.run("ec2", "clpmdctrl", "-f", "md1").returncode
    assert ["5.00 s"] == [event.state for event in scenario.events("written data lost")]


def test_a_move_to_a_red_side_is_refused(tmp_path: Path) -> None:
    """ECX must refuse to move the group to an EC-VM whose copy is RED, or to start the group there."""
    with running_lab(tmp_path, timings=replace(FAST, mirror_auto=False)) as scenario:
        scenario.start_group("ec1")
        with scenario.lab.world_now():
            scenario.lab.ecx.mirror.spoil(MirrorColor.GREEN, MirrorColor.RED)
            assert 1 == scenario.lab.ecx.move_group("ec2")
        scenario.stop_group()
        assert 0 == scenario.run("ec2", "clpgrp", "-s").returncode
        ecx = scenario.lab.ecx
        scenario.wait(lambda _: ecx.servers["ec1"].group == "Online", "the group went to the good copy")
        assert scenario.running_on("vm1")
        scenario.check()


def test_a_failover_to_a_red_side_is_refused(tmp_path: Path) -> None:
    """Where the good copy is lost, ECX must not serve the RED one, until a person forces it."""
    with running_lab(tmp_path, timings=replace(FAST, mirror_auto=False)) as scenario:
        ecx = scenario.lab.ecx
        scenario.start_group("ec2")
        with scenario.lab.world_now():
            ecx.mirror.spoil(MirrorColor.RED, MirrorColor.GREEN)
        scenario.do(lambda world: world.power_off_host(TWO))
        scenario.wait(lambda _: ecx.sees("ec1", "ec2") == "Offline", "ec2 is lost")
        done = scenario.run("ec1", "ecx-hyperv", "check", "mirror-sync")
        assert 1 == done.returncode
        assert "no clpmdctrl -f md1 before" in " ".join(done.stdout.split())
        assert "Online" != ecx.servers["ec1"].group


@pytest.mark.parametrize("shape", list(MirrorShape))
def test_each_shape_is_read_or_told_to_make_no_sense(scenario: Scenario, shape: MirrorShape) -> None:
    """In each shape a good mirror must be ok, a copied one a warning, and an answer without sense neither."""
    told = 7 if shape in (MirrorShape.SENSELESS, MirrorShape.FAILS) else 0
    answer_in(scenario, shape)
    done = scenario.run("ec1", "ecx-hyperv", "check", "mirror-sync")
    assert told == done.returncode, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    with scenario.lab.world_now():
        scenario.lab.ecx.mirror.spoil_or_show(MirrorColor.YELLOW)
    done = scenario.run("ec1", "ecx-hyperv", "check", "mirror-sync", "--json")
    assert told == done.returncode, done.stdout + done.stderr
    assert (not told) is ("the mirror disk md1 is being copied" in done.stdout)


def test_a_clpmdstat_that_hangs_delays_no_answer(scenario: Scenario) -> None:
    """Rule 9: where clpmdstat hangs, genw-remote-node must end with the same code, a few seconds later at most."""
    scenario.start_group("ec1")
    scenario.lab.ecx.monitoring = False
    stand_in = scenario.lab.folder.bin / "clpmdstat"
    stand_in.write_text("#!/bin/sh\nexec sleep 600\n", encoding="utf-8")
    assert 0 == scenario.run("ec1", "genw-remote-node").returncode
    assert [] == alerts(scenario, "mirror")


def test_the_lab_shows_and_spoils_the_mirror(scenario: Scenario) -> None:
    """A person must be able to see the lab's mirror, and to have it copied or bad."""
    folder = str(scenario.lab.folder.path)

    def lab(*words: str) -> str:
        return scenario.run("ec1", "ecx-hyperv", "lab", "mirror", "--folder", folder, *words).stdout

    assert "md1: ec1 GREEN, ec2 GREEN\n" == lab()
    assert "md1: ec1 BLUE, ec2 BLUE\n" == lab("blue")
    assert "md1: ec1 GREEN, ec2 GRAY\n" == lab("green", "gray")
    assert re.fullmatch(r"md1: ec1 YELLOW, ec2 YELLOW, \d+ % copied from ec1\n", lab("copy"))
