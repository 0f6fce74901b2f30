"""What clp.conf must say: the table, and how a file is held against it."""

from pathlib import Path

import msgspec
import pytest

from ecx_hyperv.config import Config, ProtectedVm, Timing
from ecx_hyperv.config_file import load
from ecx_hyperv.desired.clpconf import ClpConf
from ecx_hyperv.desired.compare import compare, find
from ecx_hyperv.desired.ecx import (
    ConfSection,
    EcxNames,
    Expected,
    MatchRule,
    Parameter,
    expected,
)
from ecx_hyperv.desired.names import names_in
from ecx_hyperv.errors import UsageError
from tests.unit.test_clpconf import sample

CONFIG = load(Path(__file__).parents[2] / "config" / "config.toml")
NAMES = EcxNames(group="failover-vm", fip="fip-iscsi", md="md-iscsi")


def with_timing(**timing: float) -> Config:
    """Return the sample configuration with other times."""
    return msgspec.structs.replace(CONFIG, timing=Timing(**timing))


def differences(conf: ClpConf, config: Config = CONFIG) -> list[tuple[str, str]]:
    """Return object and path of everything that a file has otherwise than expected."""
    wanted = expected(config, names_in(conf, config))
    return [(one.name, found.path) for one in wanted for found in compare(conf, one)]


def named(name: str, config: Config = CONFIG) -> Expected:
    """Return one row of the table."""
    return next(one for one in expected(config, NAMES) if one.name == name)


def parameter(name: str, path: str, config: Config = CONFIG) -> Parameter:
    """Return one parameter of the table."""
    return next(one for one in named(name, config).parameters if one.path == path)


def test_a_file_made_by_hand_is_right() -> None:
    """What a person made after the guide is right, whatever names and values of no weight were chosen."""
    conf = sample("complete-ascii.conf")
    assert NAMES == names_in(conf, CONFIG)
    assert [] == differences(conf)


def test_names_of_a_fresh_file() -> None:
    """A file without any of it gets the names that ECX's editor would give."""
    assert EcxNames("failover1", "fip1", "md1", "exec-iscsi", "genw-remote-node") == names_in(
        sample("fresh-utf8.conf"), CONFIG
    )


def every_parameter() -> list[tuple[ConfSection, str, str]]:
    """Return section, object and path of every parameter of the table that must be right."""
    return [
        (one.section, one.name, each.path) for one in expected(CONFIG, NAMES) if one.must for each in one.parameters
    ]


@pytest.mark.parametrize(("section", "name", "path"), every_parameter())
def test_each_parameter_is_noticed(section: ConfSection, name: str, path: str) -> None:
    """Each parameter of the table that is made wrong is told, and nothing else is."""
    conf = sample("complete-ascii.conf")
    rule = parameter(name, path).rule
    wrong = {MatchRule.IS: "otherwise", MatchRule.AT_LEAST: "0", MatchRule.AT_MOST: "100000", MatchRule.SOMETHING: ""}[
        rule
    ]
    (conf.set_resource if section is ConfSection.RESOURCE else conf.set_monitor)(name, path, wrong)
    wanted = named(name)
    if name == "fip-iscsi":
        assert [path] == [one.path for one in compare(conf, wanted)]
    else:
        assert [(name, path)] == differences(conf)


@pytest.mark.parametrize("name", ["exec-iscsi", "exec-Cent8.2-1"])
@pytest.mark.parametrize("depends", [(), ("exec-other",)])
def test_missing_dependency_is_noticed(name: str, depends: tuple[str, ...]) -> None:
    """A resource that does not depend on what it uses is told."""
    conf = sample("complete-ascii.conf")
    conf.set_depends(name, depends)
    assert [(name, "depend") for _ in named(name).depends] == differences(conf)


def test_missing_object_is_one_difference() -> None:
    """A VM without resource and monitor is one difference for each."""
    config = msgspec.structs.replace(CONFIG, vm=(*CONFIG.vm, ProtectedVm(name="web", resource="exec-web1")))
    assert [("exec-web1", ""), ("genw-web1", "")] == differences(sample("complete-ascii.conf"), config)


def test_object_of_another_type() -> None:
    """A monitor that is there under the name, but of another type, is told with its type."""
    conf = sample("complete-ascii.conf")
    wanted = Expected(ConfSection.MONITOR, "genw", "fipw1", ())
    assert ["of type fipw"] == [one.seen for one in compare(conf, wanted)]


def test_the_editors_own_monitors_may_have_any_name() -> None:
    """What ECX's editor added under a name of its own is found by what it watches."""
    conf = sample("complete-ascii.conf")
    usual = [one for one in expected(CONFIG, NAMES) if not one.must]
    found = [find(conf, one) for one in usual]
    assert ["fipw1", "mdw1", "mdnw1"] == [one.name for one in found if one]
    assert [] == [path for one in usual for path in compare(conf, one)]


@pytest.mark.parametrize(
    ("start", "script", "resource", "floor"),
    [(1500, "1800", "1980", 1560), (1800, "1860", "2040", 1860), (9000, "9060", "9240", 9060)],
)
def test_script_timeout_outlasts_the_program(start: float, script: str, resource: str, floor: int) -> None:
    """ECX's timeout is above the program's own limit, and the resource's 180 s above that."""
    config = with_timing(start=start)
    found = parameter("exec-Cent8.2-1", "parameters/timeout/start", config)
    assert (script, floor) == (found.value, found.bound)
    assert resource == parameter("exec-Cent8.2-1", "act/timeout", config).value


def test_script_timeout_that_ecx_cannot_have() -> None:
    """A limit above all that ECX can wait is an error that names the key."""
    with pytest.raises(UsageError, match="unregister is longer than any timeout"):
        expected(with_timing(unregister=9900), NAMES)


@pytest.mark.parametrize(("monitor", "value", "floor"), [(90, "120", 100), (300, "330", 310)])
def test_monitor_timeout_outlasts_the_program(monitor: float, value: str, floor: int) -> None:
    """ECX's timeout of a monitor is above the program's own limit."""
    found = parameter("genw-remote-node", "polling/timeout", with_timing(monitor=monitor))
    assert (value, floor) == (found.value, found.bound)


def test_what_setup_writes_is_what_check_accepts() -> None:
    """No value of the table is one that the table itself would refuse."""
    for timing in ({}, {"start": 3000.0, "monitor": 400.0, "stale": 30.0}):
        for one in expected(with_timing(**timing), NAMES):
            assert [] == [each.path for each in one.parameters if not each.accepts(each.value)]


@pytest.mark.parametrize("seen", ["", "x", "-1", "\uff11\uff12", "1e3", "120 "])
def test_numbers_are_numbers(seen: str) -> None:
    """What is no plain number is not accepted for one."""
    assert not Parameter("p", "120", "", MatchRule.AT_LEAST, 100).accepts(seen)


def test_monitor_and_resource_names() -> None:
    """Resource and monitor of a VM are called as the commands that ECX runs expect it."""
    names = [
        (vm.resource_name, vm.monitor_name)
        for vm in (
            ProtectedVm(name="a b"),
            ProtectedVm(name="c", resource="exec-d"),
            ProtectedVm(name="e", resource="f"),
        )
    ]
    assert [("exec-a b", "genw-a b"), ("exec-d", "genw-d"), ("f", "genw-f")] == names
