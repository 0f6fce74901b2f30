"""The scripts for the hosts: sound, within Windows PowerShell 5.1, and of documented cmdlets and parameters only."""

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ecx_hyperv.config import Config
from ecx_hyperv.errors import UsageError
from ecx_hyperv.setup import ssh
from ecx_hyperv.setup.host import (
    Authentication,
    HostOptions,
    HostPlan,
    NewCluster,
    Switch,
    host_script,
    parse_cluster,
    parse_network,
    parse_switch,
    write_scripts,
)
from ecx_hyperv.setup.powershell import to_file
from tests.setup.support import CONFIG, NASTY, nasty
from tests.wire.grammar import broken, commands, functions, newer_than_5_1, nodes, text_of

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ec1"
PLAN = HostPlan(
    switches=(Switch("iSCSI_switch", "Ethernet 3"), Switch(NASTY, NASTY)),
    cluster_networks=("192.168.137.0", "192.168.138.0"),
    migration_networks=("192.168.140.0",),
    witness=NASTY,
    cluster=NewCluster("ws2019-lm", "192.168.137.210", ("WS2019-HOST-1", NASTY)),
    authentication=Authentication.KERBEROS,
)
NATIVE = {"ssh-keygen.exe", "$sshd"}
COMMON = {"ErrorAction"}


def every_script(config: Config) -> dict[str, str]:
    """Return a configuration's scripts by their names."""
    made = {
        f"ssh {node.name}": ssh.host_script(config, node, [KEY], ssh.check_addresses(config, ()))
        for node in config.node
    }
    made |= {f"host {node.name}": host_script(config, node, HostPlan()) for node in config.node}
    return made | {"planned": host_script(config, config.node[0], PLAN)}


SCRIPTS = {**every_script(CONFIG), **{f"nasty {key}": text for key, text in every_script(nasty()).items()}}
each_script = pytest.mark.parametrize("script", SCRIPTS.values(), ids=[str(n) for n in range(len(SCRIPTS))])


@cache
def documented() -> dict[str, set[str]]:
    """Return what is documented: each cmdlet, in lower case, with its parameters."""
    local = json.loads(files("ecx_hyperv.host").joinpath("cmdlets.json").read_text(encoding="utf-8"))["cmdlets"]
    more = json.loads(Path(__file__).with_name("more_cmdlets.json").read_text(encoding="utf-8"))["cmdlets"]
    assert not set(local) & set(more)
    return {name.casefold(): {one.casefold() for one in found["params"]} for name, found in (local | more).items()}


def undocumented(script: str) -> list[str]:
    """Return the commands and parameters of a script that no documentation has."""
    found = []
    local = {name.casefold() for name in functions(script)}
    for command in commands(script):
        if command.operator == "&" or command.name in NATIVE or command.name.casefold() in local:
            continue
        known = documented().get(command.name.casefold())
        if known is None:
            found.append(command.name)
            continue
        allowed = known | {one.casefold() for one in COMMON}
        found += [f"{command.name} {one}" for one in command.parameters if one.lstrip("-").casefold() not in allowed]
    return found


@each_script
def test_script_is_sound(script: str) -> None:
    """A script parses without an error and without anything missing."""
    assert [] == broken(script)


@each_script
def test_script_is_for_5_1(script: str) -> None:
    """A script has nothing that Windows PowerShell 5.1 does not know."""
    assert set() == newer_than_5_1(script)


@each_script
def test_every_cmdlet_and_parameter_is_documented(script: str) -> None:
    """A script calls documented cmdlets with documented parameters only, and the programs named here."""
    assert [] == undocumented(script)


def scoped(script: str) -> set[str]:
    """Return what stands before a colon after a dollar sign in the texts of a script."""
    texts = (text_of(one) for one in nodes(script, "expandable_string_literal"))
    return {name for text in texts for name in re.findall(r"\$(\w+):", text)}


@each_script
def test_no_colon_is_taken_into_a_name(script: str) -> None:
    """A colon after a variable in a text would make it one of another scope, which is empty."""
    assert scoped(script) <= {"script", "env"}
    assert {"Step"} == scoped('"a $Step: b ${Step}: $($Step): $Step"')


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("Get-VM -Name 'a' -Colour 'red'", ["Get-VM -Colour"]),
        ("Get-Unicorn", ["Get-Unicorn"]),
        ("Step 'x' { Get-VN }", ["Step", "Get-VN"]),
        ("netsh.exe advfirewall", ["netsh.exe"]),
    ],
)
def test_what_is_not_documented_is_caught(script: str, found: list[str]) -> None:
    """The check finds a cmdlet or parameter that nobody documents, inside steps too."""
    assert found == undocumented(script)


def test_additions_name_their_page() -> None:
    """Each cmdlet beside the project's list carries the address of its documentation page."""
    more = json.loads(Path(__file__).with_name("more_cmdlets.json").read_text(encoding="utf-8"))["cmdlets"]
    assert [] == [name for name, one in more.items() if not one["doc"].startswith("https://learn.microsoft.com/")]
    assert [] == [name for name, one in more.items() if not one["doc"].split("?")[0].endswith(name.casefold())]


def test_names_add_no_command() -> None:
    """Names as bad as the file allows add no command to a script."""
    for (title, plain), (_, bad) in zip(every_script(CONFIG).items(), every_script(nasty()).items(), strict=True):
        assert [one.name for one in commands(plain)] == [one.name for one in commands(bad)], title


_CHANGES = re.compile(
    r"\b(?:Set|Add|Enable|Install|Connect|Register|Initialize|Format|Start|Restart|Update)-[A-Z]\w+|\bNew-(?!Object)[A-Z]\w+"
    r"|::(?:Write|Copy|Delete)\w*|\)?\.\w+ = |& \$sshd"
)


def test_nothing_is_done_without_apply() -> None:
    """Whatever changes the host stands in the second block of a step, which runs with -Apply only."""
    for script in every_script(CONFIG).values():
        steps = [one.text for one in commands(script) if one.name == "Step"]
        assert len(steps) > 5
        left = re.sub(r"(?m)#.*$", "", script)
        for step in steps:
            code = re.sub(r"(?m)#.*$", "", step)
            left = left.replace(code, re.split(r"\n *\} \{\n", code)[0])
        assert [] == _CHANGES.findall(left)


def test_a_file_is_read_in_the_right_encoding() -> None:
    """A file has the mark without which 5.1 takes the host's code page, Windows' line ends, and tells a misreading."""
    script = SCRIPTS["nasty planned"]
    content = to_file(script)
    assert content.startswith(b"\xef\xbb\xbf# ecx-hyperv setup host")
    assert content.count(b"\n") == content.count(b"\r\n")
    probe = next(line for line in script.splitlines() if ".Length -ne 1" in line)
    misread = probe.encode().decode("cp932", "replace")
    assert 1 == len(probe.split("'")[1])
    assert 1 != len(misread.split("'")[1])
    assert all(one.isascii() for one in SCRIPTS["planned"].replace(NASTY, "").splitlines() if one.startswith("#"))


def test_a_line_end_in_a_name_is_refused() -> None:
    """A host or node name that would end the comment it stands in is refused."""
    config = nasty()
    node = type(config.node[0])(name="a", address="192.168.1.1", vm="a", host="a\nStop-Computer")
    with pytest.raises(UsageError, match="control character"):
        host_script(config, node, HostPlan())


def test_what_the_host_script_is_told() -> None:
    """Names and values come from the configuration and the options."""
    lines = SCRIPTS["planned"].splitlines()
    for line in (
        "$EcVm = 'EC-VM1'",
        "$VMs = @('Cent8.2-1')",
        "$Csv = 'Cluster Disk 1'",
        "$Portal = '192.168.139.201'",
        "$ClusterNetworks = @('192.168.137.0', '192.168.138.0')",
        "$Resiliency = 9999",
        "$Quarantine = 9999",
        "$Authentication = 'Kerberos'",
    ):
        assert line in lines


@pytest.mark.parametrize("text", ["", "a", "=b", "a=", " = "])
def test_half_a_switch(text: str) -> None:
    """A switch needs a name and an adapter."""
    with pytest.raises(UsageError, match="NAME=ADAPTER"):
        parse_switch(text)


def test_switch_and_network() -> None:
    """An adapter's name may hold blanks and an equals sign; a network is told by the address that WSFC shows."""
    assert Switch("a", "Ethernet 3 = x") == parse_switch(" a =Ethernet 3 = x")
    assert "192.168.137.0" == parse_network("192.168.137.0/24") == parse_network("192.168.137.0")
    for wrong in ("192.168.137.1/24", "Management", ""):
        with pytest.raises(UsageError, match="is no network"):
            parse_network(wrong)


def test_new_cluster() -> None:
    """A new cluster is told whole or not at all."""
    assert parse_cluster("", "", ()) is None
    assert NewCluster("c", "10.0.0.1", ("a", "b")) == parse_cluster("c", "10.0.0.1", ["a", "b"])
    for half in (("c", "", ()), ("", "10.0.0.1", ("a", "b")), ("c", "10.0.0.1", ("a",))):
        with pytest.raises(UsageError, match="a new cluster needs"):
            parse_cluster(*half)
    with pytest.raises(UsageError, match="no IP address"):
        parse_cluster("c", "nowhere", ("a", "b"))


@pytest.mark.parametrize(
    ("given", "about"),
    [
        ({"switches": ("a=Ethernet", "A=Ethernet 2")}, "--switch"),
        ({"switches": ("a=Ethernet", "b=ethernet")}, "--switch"),
        ({"witness": "cluster disk 1"}, "--witness"),
        (
            {"cluster": "c", "cluster_address": "10.9.9.9", "cluster_nodes": ("h1", "H1.example.local")},
            "--cluster-node",
        ),
        ({"cluster": "c", "cluster_address": "{target}", "cluster_nodes": ("h1", "h2")}, "--cluster-address"),
        ({"cluster": "c", "cluster_address": "{host}", "cluster_nodes": ("h1", "h2")}, "--cluster-address"),
        ({"cluster": "c", "cluster_address": "0.0.0.0", "cluster_nodes": ("h1", "h2")}, "--cluster-address"),
    ],
)
def test_p05_a_mistyped_value_makes_no_script(given: dict[str, Any], about: str) -> None:
    """A value that contradicts another one, or the configuration, is refused before any script is written."""
    places = {"target": CONFIG.cluster.iscsi_target, "host": CONFIG.node[0].host}
    if "cluster_address" in given:
        given = {**given, "cluster_address": given["cluster_address"].format(**places)}
    said: list[str] = []
    with pytest.raises(UsageError, match=about):
        write_scripts(CONFIG, HostOptions(to_stdout=True, **given), said.append)
    assert [] == said
