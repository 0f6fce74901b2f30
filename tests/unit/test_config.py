"""config.toml that is as it should be: what it says, what it leaves to defaults, what is found in it."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.config import (
    ClusterSettings,
    Config,
    MonitorSettings,
    Node,
    Paths,
    ProtectedVm,
    Ssh,
    StdinWay,
    Timing,
    Unknown,
)
from ecx_hyperv.config_file import DEFAULT, parse
from ecx_hyperv.errors import ConfigError, Mistake
from ecx_hyperv.usable.doubts import find_mistakes
from ecx_hyperv.usable.timing import bounded
from tests.unit.always import always
from tests.unit.samples import EC1, EC2, MINIMAL, config_of, replaced

EVERYTHING = """\
[cluster]
csv = "ボリューム 1"
iscsi_target = "fd00::201"
[ssh]
user = "svc"
key = "/k"
known_hosts = "/h"
port = 2222
stdin = "input"
powershell = 'C:\\PROGRA~1\\PowerShell\\7\\pwsh.exe'
[paths]
state = "/s"
run = "/r"
[timing]
interval = 0.5
connect = 1
start = 2
unregister = 3
monitor = 4
shutdown = 5
shutdown_on_failover = 6
reserve = 7
leftover = 8
settle = 9
critical = 10
isolated = 11
confirm_vm = 12
confirm_peer = 13
unknown_limit = 14
hung_after = 15
stale = 16
cool_down = 17
[monitor]
unknown = "failed"
heartbeat = true
[[node]]
name = "n1"
address = "10.0.0.1"
vm = "業務機1"
host = "h1.example.local"
[[node]]
name = "n2"
address = "10.0.0.2"
vm = "業務機2"
host = "h2.example.local"
[[vm]]
name = "業務サーバー"
csv = "ボリューム 2"
resource = "web1"
[[vm]]
name = "Cent8.2-1"
"""

# Any Unicode that can be in a file, but wildcards, the backtick and control characters.
NAMES = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="*?[]`"), min_size=1, max_size=100
).filter(lambda name: name == name.strip())


def test_a_minimal_file_is_enough() -> None:
    """The Shared Volume, the target, the login and the two nodes must be all that a file has to say."""
    assert config_of() == parse(MINIMAL, "config.toml")


def test_every_default_is_as_documented() -> None:
    """What a file does not say must have the documented value."""
    config = parse(MINIMAL, "config.toml")
    timing = {
        "interval": 2,
        "connect": 20,
        "start": 1500,
        "unregister": 1500,
        "monitor": 90,
        "shutdown": 300,
        "shutdown_on_failover": 60,
        "reserve": 120,
        "leftover": 60,
        "settle": 120,
        "critical": 600,
        "isolated": 60,
        "patience": 180,
        "confirm_vm": 3,
        "confirm_peer": 10,
        "unknown_limit": 300,
        "hung_after": 300,
        "stale": 180,
        "cool_down": 300,
    }
    assert timing == msgspec.structs.asdict(config.timing)
    assert MonitorSettings(unknown=Unknown.HEALTHY, heartbeat=False) == config.monitor
    assert Paths(state="/var/lib/ecx-hyperv", run="/run/ecx-hyperv") == config.paths
    assert () == config.vm
    ssh = config.ssh
    powershell = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
    assert ("/etc/ecx-hyperv/known_hosts", 22) == (ssh.known_hosts, ssh.port)
    assert (StdinWay.HANDLE, powershell) == (ssh.stdin, ssh.powershell)


def test_every_key_is_read() -> None:
    """Every key that a file sets must be taken as it stands, in any script."""
    expected = Config(
        cluster=ClusterSettings(csv="ボリューム 1", iscsi_target="fd00::201"),
        ssh=Ssh(
            user="svc",
            key="/k",
            known_hosts="/h",
            port=2222,
            stdin=StdinWay.INPUT,
            powershell=r"C:\PROGRA~1\PowerShell\7\pwsh.exe",
        ),
        paths=Paths(state="/s", run="/r"),
        timing=Timing(
            interval=0.5,
            connect=1,
            start=2,
            unregister=3,
            monitor=4,
            shutdown=5,
            shutdown_on_failover=6,
            reserve=7,
            leftover=8,
            settle=9,
            critical=10,
            isolated=11,
            confirm_vm=12,
            confirm_peer=13,
            unknown_limit=14,
            hung_after=15,
            stale=16,
            cool_down=17,
        ),
        monitor=MonitorSettings(unknown=Unknown.FAILED, heartbeat=True),
        node=(
            Node(name="n1", address="10.0.0.1", vm="業務機1", host="h1.example.local"),
            Node(name="n2", address="10.0.0.2", vm="業務機2", host="h2.example.local"),
        ),
        vm=(ProtectedVm(name="業務サーバー", csv="ボリューム 2", resource="web1"), ProtectedVm(name="Cent8.2-1")),
    )
    assert expected == parse(EVERYTHING, "config.toml")


@pytest.mark.parametrize("text", ["\ufeff" + MINIMAL, MINIMAL.replace("\n", "\r\n"), MINIMAL + "# 終わり"])
def test_a_file_from_any_editor_is_read(text: str) -> None:
    """A byte order mark, Windows' line ends and comments must make no difference."""
    assert config_of() == parse(text, "config.toml")


@pytest.mark.parametrize("stdin", list(StdinWay))
@pytest.mark.parametrize("unknown", list(Unknown))
def test_every_word_of_a_choice_is_read(stdin: StdinWay, unknown: Unknown) -> None:
    """Each word of a choice must be taken as documented, the default's among them."""
    text = replaced("[ssh]", f'[ssh]\nstdin = "{stdin.value}"') + f'[monitor]\nunknown = "{unknown.value}"\n'
    config = parse(text, "config.toml")
    assert (stdin, unknown) == (config.ssh.stdin, config.monitor.unknown)
    assert {"handle", "input"} == {one.value for one in StdinWay}
    assert {"healthy", "failed"} == {one.value for one in Unknown}


def test_the_file_has_its_place() -> None:
    """The file must be looked for where the documentation says."""
    assert Path("/etc/ecx-hyperv/config.toml") == DEFAULT


@pytest.mark.parametrize("zero", ["shutdown", "reserve", "leftover", "settle", "critical", "isolated", "cool_down"])
def test_a_grace_may_be_none(zero: str) -> None:
    """Whatever is a patience rather than a limit may be switched off by zero."""
    assert 0 == getattr(parse(f"{MINIMAL}[timing]\n{zero} = 0\n", "config.toml").timing, zero)


@pytest.mark.parametrize(
    "name", ["File Server", "it's", '"quoted"', "a;b|c&d$e", "{0}", "100%", "exec-web", "日本語　名前", "é", "😀"]
)
def test_a_name_may_hold_almost_anything(name: str) -> None:
    """Names with blanks, quotes, signs of the shells and any script must be accepted unchanged."""
    text = f"{MINIMAL}[[vm]]\nname = {json.dumps(name, ensure_ascii=False)}\n"
    assert (ProtectedVm(name=name),) == parse(text, "config.toml").vm


@always
@given(name=NAMES, csv=NAMES)
def test_any_valid_name_survives_the_file(name: str, csv: str) -> None:
    """Any name without what is forbidden must come out of the file as it went in, and be found by itself."""
    vm = json.dumps(name, ensure_ascii=False)
    text = f"{MINIMAL}[[vm]]\nname = {vm}\ncsv = {json.dumps(csv, ensure_ascii=False)}\n"
    config = parse(text, "config.toml")
    assert (ProtectedVm(name=name, csv=csv),) == config.vm
    assert csv == config.csv_of(name)


@always
@given(text=st.text())
def test_any_text_is_a_configuration_or_a_configuration_error(text: str) -> None:
    """Whatever stands in the file, there must be no other outcome than a configuration or a ConfigError."""
    _parse_or_refuse(text)


_LINES = [*MINIMAL.splitlines(), "[timing]", "[monitor]", "[[vm]]", "[vm]", "node = []", "vm = 1", "ssh.port = 1"]
_VALUES = ["", "1", "-1", "2.5", "inf", "nan", "true", '""', '"x"', "'\\'", "[]", "[[1]]", "{}", "{a=1}", "1979-05-27"]


@always
@given(lines=st.lists(st.sampled_from(_LINES).flatmap(lambda line: st.sampled_from([line, *_values(line)]))))
def test_any_muddle_of_a_file_is_a_configuration_or_a_configuration_error(lines: list[str]) -> None:
    """Lines that are lost, moved, doubled or given other values must never lead to another error."""
    _parse_or_refuse("\n".join(lines))


def _values(line: str) -> list[str]:
    key, equals, _ = line.partition(" = ")
    return [f"{key} = {value}" for value in _VALUES] if equals else []


def _parse_or_refuse(text: str) -> None:
    mistakes: tuple[Mistake, ...] = ()
    try:
        config = parse(text, "config.toml")
    except ConfigError as error:
        mistakes = error.mistakes
    else:
        mistakes = tuple(find_mistakes(config, "config.toml", text))
        assert all(mistake.line for mistake in mistakes)
        timing, _ = bounded(config.timing)
        assert (timing, ()) == bounded(timing)
    assert all("config.toml" == mistake.file and mistake.expected for mistake in mistakes)
    assert all(0 <= mistake.line <= text.count("\n") + 1 for mistake in mistakes)
    assert all(1 == len(str(mistake).splitlines()) for mistake in mistakes)


def test_a_vm_is_found_whatever_its_case() -> None:
    """Hyper-V and the cluster tell no case, so no more may the file."""
    config = config_of(ProtectedVm(name="Web1"), ProtectedVm(name="Straße"))
    assert config.vm[0] is config.find_vm("WEB1")
    assert config.vm[1] is config.find_vm("STRASSE")


@pytest.mark.defect(6)
@pytest.mark.parametrize("name", ["web", "web11", "myweb1", "web?", "", "Web1 "])
def test_only_a_whole_name_is_found(name: str) -> None:
    """A part of a name, a longer name and a pattern must find nothing."""
    config = config_of(ProtectedVm(name="Web1"))
    assert config.find_vm(name) is None
    assert config.csv_of(name) is None


def test_a_vms_volume_is_its_own_or_the_clusters() -> None:
    """A VM's Shared Volume must be the one in its table, else the cluster's."""
    config = config_of(ProtectedVm(name="web1"), ProtectedVm(name="db1", csv="Disk 2"))
    assert "Cluster Disk 1" == config.csv_of("WEB1")
    assert "Disk 2" == config.csv_of("Db1")


def test_nodes_keep_their_order() -> None:
    """The nodes must stand in the order of the file."""
    assert (EC1, EC2) == parse(MINIMAL, "config.toml").node
    assert "ec0" == parse(replaced('"ec1"', '"ec0"'), "config.toml").node[0].name


@pytest.mark.parametrize("text", ["01234567-89AB-cdef-0123-456789abcdef", "{01234567-89AB-cdef-0123-456789abcdef}"])
def test_a_vm_may_be_named_by_its_id_and_its_role(text: str) -> None:
    """The id of a VM and the name of its role are taken, an id in any case, with braces or without."""
    config = parse(f"{MINIMAL}[[vm]]\nname = 'web1'\nid = '{text}'\nrole = 'web 1'\n", "config.toml")

    assert (text, "web 1") == (config.vm[0].id, config.vm[0].role)
