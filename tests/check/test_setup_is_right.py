"""What `ecx-hyperv setup` makes, `ecx-hyperv check` finds right."""

import re
from importlib.resources import files

import pytest

from ecx_hyperv.check import logins, udev_rules
from ecx_hyperv.check.outcome import Finding, Outcome
from ecx_hyperv.setup import iscsi, ssh


@pytest.mark.parametrize("device", ["/dev/cp-diska1", "/dev/cp-diska2"])
def test_the_udev_rule_makes_the_names(device: str) -> None:
    """The rule of `setup iscsi` makes the names under which ECX is told to find the disk."""
    rules = udev_rules.parse(iscsi.udev_rule("3600224804fb4d824c64c0f4156f86fc9"), "99.rules")
    assert udev_rules.LinkMade.YES is udev_rules.made_by(rules, device)


def test_sshd_is_set_as_wanted() -> None:
    """The settings of `setup ssh` are those that the checks of sshd want."""
    findings: list[Finding] = [
        make("H1", tuple(ssh.SSHD_SETTINGS)) for make in (logins._passwords, logins._keepalive, logins._sessions)
    ]
    assert [Outcome.OK] * 3 == [one.outcome for one in findings]


@pytest.mark.parametrize("script", ["ssh.ps1"])
def test_the_keys_are_guarded_as_wanted(script: str) -> None:
    """The permissions that `setup ssh` gives the file of keys are those that its check wants."""
    text = files("ecx_hyperv.setup").joinpath(script).read_text(encoding="ascii")
    found = re.findall(r"SetSecurityDescriptorSddlForm\('([^']+)'\)", text)
    assert found
    assert {Outcome.OK} == {logins._keys("H1", sddl).outcome for sddl in found}
