"""Maintenance of the pair, with the real commands and ssh between the EC-VMs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.support import Scenario, running_lab


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a lab whose group runs on ec1."""
    with running_lab(tmp_path_factory.mktemp("lab")) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.start_group()
        yield scenario


def maintenance(lab: Scenario, node: str, *words: str) -> Any:
    """Run ecx-hyperv maintenance on an EC-VM."""
    return lab.run(node, "ecx-hyperv", "maintenance", *words)


def listed(lab: Scenario, node: str) -> list[dict[str, Any]]:
    """Return what an EC-VM lists."""
    found: list[dict[str, Any]] = json.loads(maintenance(lab, node, "list", "--json").stdout)["maintenance"]
    return found


def test_a11_a_flag_is_set_and_ended_on_both_ec_vms(lab: Scenario) -> None:
    """A maintenance must hold on both EC-VMs with the same end, reason and author, and end on both (A11)."""
    nasty = "it's \"so\"; $(touch x) & 'ディスク'"
    done = maintenance(lab, "ec1", "on", "vm1", "--for", "2h", "--reason", nasty)
    assert (0, True) == (done.returncode, "set on ec1 and on ec2" in done.stdout)
    here, there = listed(lab, "ec1"), listed(lab, "ec2")
    assert [("vm", "vm1", nasty)] == [(one["kind"], one["name"], one["reason"]) for one in here]
    assert here[0]["by"] == there[0]["by"] != ""
    assert here[0]["by"].endswith(" on ec1")
    assert here[0]["until"][:19] == there[0]["until"][:19]
    assert 7000 < there[0]["left_s"] <= 7200
    assert "left)" in maintenance(lab, "ec2", "list").stdout

    ended = maintenance(lab, "ec2", "off", "vm1")
    assert "ended on ec2 and on ec1" in ended.stdout
    assert ([], []) == (listed(lab, "ec1"), listed(lab, "ec2"))


def test_a11_after_a_failover_the_other_ec_vm_knows(lab: Scenario) -> None:
    """A VM that a person has taken apart must not be started by the EC-VM that takes the group over."""
    maintenance(lab, "ec1", "on", "vm1")
    assert 0 == lab.run("ec1", "vm-unregister", "--yes", "vm1").returncode
    lab.do(lambda world: world.stop_ec_vm(world.ec_vms["ec1"], "Off"))
    lab.settled("ec2")
    assert lab.running_on("vm1") == ""


def test_a11_what_the_other_ec_vm_did_not_hear_is_told(lab: Scenario) -> None:
    """Where the other EC-VM does not answer, the person must be told, and what to run there later."""
    lab.do(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))
    for dry in ((), ("--dry-run",)):
        done = maintenance(lab, "ec1", "on", "vm1", "--for", "1h", *dry)
        assert 0 == done.returncode
        assert "set on ec1 only; ec2 does not know of it: no login by ssh:" in done.stdout
        assert "After a failover ec2 would start vm1. Once ec2 answers, on ec2: ecx-hyperv maintenance on vm1" in (
            done.stdout
        )
    peer = maintenance(lab, "ec1", "on", "ec2")
    assert "ec2 need not know of it: ec1 looks after ec2." in peer.stdout
    ended = maintenance(lab, "ec1", "off", "vm1")
    assert "After a failover ec2 would leave vm1 as it is." in ended.stdout


def test_a11_the_own_node_is_refused(lab: Scenario) -> None:
    """A flag for this EC-VM itself, which nobody here reads, must be refused, and the other EC-VM named."""
    code, shown = lab.at_terminal("ec1", "ecx-hyperv", "maintenance", "on", "ec1")
    assert 2 == code
    assert "ec1 is this EC-VM" in shown
    assert "on ec2: ecx-hyperv maintenance on ec1" in shown
    assert [] == listed(lab, "ec1")
    assert 0 == maintenance(lab, "ec2", "on", "ec1").returncode
    assert ["ec1"] == [one["name"] for one in listed(lab, "ec1")]


def test_a11_a_dry_run_sets_and_ends_nothing(lab: Scenario) -> None:
    """A dry run must say in the future tense what will be done on which EC-VM, and change neither."""
    planned = maintenance(lab, "ec1", "on", "vm1", "--dry-run")
    assert (0, True) == (planned.returncode, "will be set on ec1 and on ec2" in planned.stdout)
    assert ([], []) == (listed(lab, "ec1"), listed(lab, "ec2"))
    maintenance(lab, "ec1", "on", "vm1")
    ending = maintenance(lab, "ec1", "off", "vm1", "--dry-run")
    assert "will be ended on ec1 and on ec2" in ending.stdout
    assert (1, 1) == (len(listed(lab, "ec1")), len(listed(lab, "ec2")))


def test_a11_maintenance_works_on_the_last_good_configuration(lab: Scenario) -> None:
    """With a file that cannot be read, the flags must still be set, on both EC-VMs."""
    assert 0 == lab.run("ec1", "vm-start", "vm1").returncode
    (lab.lab.folder.node("ec1") / "config.toml").write_text("[[vm\n", encoding="utf-8")
    done = maintenance(lab, "ec1", "on", "vm1", "--for", "1h")
    assert (0, True) == (done.returncode, "set on ec1 and on ec2" in done.stdout)
    assert ["vm1"] == [one["name"] for one in listed(lab, "ec1")]
