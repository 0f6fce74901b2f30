"""Which mirror disk is the VMs' one (F12): the one that exec-iscsi depends on, else a person must say."""

from pathlib import Path

import msgspec
import pytest

from ecx_hyperv.check.ecx_settings import judge_ecx
from ecx_hyperv.check.linux_facts import disk_of
from ecx_hyperv.check.outcome import Outcome, Unavailable
from ecx_hyperv.config import ClusterSettings, Config, ProtectedVm
from ecx_hyperv.desired.clpconf import ClpConf, parse
from ecx_hyperv.desired.ecx import Disk
from ecx_hyperv.desired.names import names_in
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.errors import UsageError
from ecx_hyperv.setup import ecx
from tests.unit.samples import config_of
from tests.unit.test_clpconf import sample

SAMPLE = Path(__file__).parents[1] / "samples" / "clpconf" / "two-mirror-disks.conf"
CONFIG = msgspec.structs.replace(
    config_of(ProtectedVm(name="web1")), cluster=ClusterSettings(csv="Cluster Disk 1", iscsi_target="10.3.0.9")
)


def two() -> ClpConf:
    """Return a clp.conf with the mirror disk of another service before the VMs' one."""
    return parse(SAMPLE.read_bytes(), "clp.conf")


def edited(conf: ClpConf, config: Config = CONFIG, md: str = "") -> list[str]:
    """Return what setup would change."""
    names = ecx.choose_names(conf, config, "", "", md)
    return [str(one) for one in ecx.edits(conf, config, names, ecx.choose_disk(conf, Disk()))]


def test_f12_the_one_that_exec_iscsi_depends_on() -> None:
    """The group's first mirror disk, which is another's, must be left as it is; the VMs' one is found behind it."""
    conf = two()
    assert "md-vms" == names_in(conf, CONFIG).md
    assert Disk("/dev/cp-diska2", "/dev/cp-diska1", "/dev/NMP2") == disk_of(conf, CONFIG)
    before = conf.find_resource("md-files")
    ecx.apply(conf, ecx.edits(conf, CONFIG, ecx.choose_names(conf, CONFIG, "", "", ""), ecx.choose_disk(conf, Disk())))
    assert before == conf.find_resource("md-files")
    assert before is not None
    assert "ext4" == before.parameters["parameters/fs"]
    assert [] == edited(conf)


@pytest.mark.parametrize("depends", [(), ("fip1",), ("md-files", "md-vms")])
def test_f12_else_a_person_must_say(depends: tuple[str, ...]) -> None:
    """Where exec-iscsi depends on none, or on both, setup must ask and change nothing, and check not tell."""
    conf = two()
    conf.set_depends("exec-iscsi", depends)
    before = conf.to_bytes()
    with pytest.raises(UsageError, match="which mirror disk") as caught:
        edited(conf)
    assert "md-files" in caught.value.seen
    assert "--md" in caught.value.remedy
    assert before == conf.to_bytes()
    assert isinstance(disk_of(conf, CONFIG), Unavailable)
    assert not any("md-files" in one for one in edited(conf, md="md-vms") if "fs" in one)
    assert "md-vms" == ecx.choose_names(conf, CONFIG, "", "", "md-vms").md
    found = {(one.name, one.place): one for one in judge_ecx(conf, CONFIG, Pair(*CONFIG.node), {})}
    assert Outcome.CANNOT_TELL is found["ecx-mirror", "exec-iscsi"].outcome
    assert ("ecx-mirror", "md-files") not in found


def test_f12_without_exec_iscsi() -> None:
    """Before exec-iscsi is there, no mirror disk with another's file system may be taken, be it the only one."""
    conf = sample("fresh-utf8.conf")
    conf.add_group("failover1")
    conf.add_resource("failover1", "md", "md-files")
    with pytest.raises(UsageError, match="which mirror disk"):
        edited(conf)
    conf.set_resource("md-files", "parameters/fs", "ext4")
    with pytest.raises(UsageError, match="which mirror disk"):
        edited(conf)
    assert not [one for one in edited(conf, md="md1") if "md-files" in one]


def test_f12_the_only_one_without_another_use() -> None:
    """A group's only mirror disk, without a file system, a mount point or another user, must be taken."""
    conf = sample("fresh-utf8.conf")
    conf.add_group("failover1")
    conf.add_resource("failover1", "md", "md-raw")
    conf.set_resource("md-raw", "parameters/fs", "none")
    assert "md-raw" == names_in(conf, CONFIG).md
    conf.add_resource("failover1", "exec", "exec-db")
    conf.set_depends("exec-db", ["md-raw"])
    assert ("", ("md-raw",)) == (names_in(conf, CONFIG).md, names_in(conf, CONFIG).mirrors)


def test_f12_by_way_of_another_resource() -> None:
    """What exec-iscsi needs through a resource between must be found; a circle must end."""
    conf = two()
    conf.add_resource("failover1", "exec", "exec-between")
    conf.set_depends("exec-iscsi", ["exec-between"])
    conf.set_depends("exec-between", ["md-vms", "exec-iscsi"])
    assert "md-vms" == names_in(conf, CONFIG).md
    conf.set_depends("exec-between", ["exec-iscsi"])
    assert "" == names_in(conf, CONFIG).md


def test_f12_anothers_address_is_not_taken() -> None:
    """A floating address of the default name that is another's must stay as it is; ours gets another name."""
    conf = sample("fresh-utf8.conf")
    conf.add_group("failover1")
    conf.add_resource("failover1", "fip", "fip1")
    conf.set_resource("fip1", "parameters/ip", "10.9.9.9")
    assert "fip-iscsi" == names_in(conf, CONFIG).fip
    assert not [one for one in edited(conf) if "resource fip1:" in one]
