"""What ECX hands over, which VM it means, and which EC-VM this is."""

import json
from pathlib import Path

import pytest

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import EcxCall, Pair, choose_vms, identify, local_addresses, read_call
from ecx_hyperv.errors import ConfigError, LocalError, UsageError
from ecx_hyperv.exits import Exit
from tests.unit.runner import FakeRunner, printed
from tests.unit.samples import EC1, EC2, config_of

FOLDER = Path("/opt/nec/clusterpro/scripts/failover1/exec-web1")
CONFIG = config_of(
    ProtectedVm(name="web1"),
    ProtectedVm(name="web11"),
    ProtectedVm(name="業務 サーバー"),
    ProtectedVm(name="Db", resource="exec-oracle"),
)


def call_of(resource: str = "", folder: str = "") -> EcxCall:
    """Return a call by ECX that says no more than this."""
    return EcxCall(event="", factor=Factor.NONE, factor_word="", resource=resource, folder=folder)


def test_nothing_is_certain_in_a_call() -> None:
    """Where ECX sets no variable, all but the folder must be empty, and the factor none."""
    assert call_of(folder="exec-web1") == read_call({"PATH": "/bin"}, FOLDER)


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_an_empty_variable_is_an_unset_one(blank: str) -> None:
    """A variable that is set to nothing must count as not set."""
    environ = {"CLP_FACTOR": blank, "CLP_EVENT": blank, "CLP_RESOURCENAME": blank}
    assert call_of(folder="exec-web1") == read_call(environ, FOLDER)


@pytest.mark.parametrize(
    "word",
    ["GROUPMOVE", "GROUPSTOP", "GROUPFAILOVER", "CLUSTERSHUTDOWN", "SERVERSHUTDOWN", "RESOURCERESTART"],
)
def test_every_documented_factor_is_known(word: str) -> None:
    """Each factor that is documented must be its own case, blanks around it or not."""
    call = read_call({"CLP_FACTOR": f" {word} "}, FOLDER)
    assert (word, word) == (call.factor.value, call.factor_word)


@pytest.mark.parametrize("word", ["GROUPRESTART", "groupmove", "GROUPMOVE2", "GROUP", "移動", "0"])
def test_an_unknown_factor_is_kept_as_such(word: str) -> None:
    """A factor that nobody knows must be a case of its own, never none and never one that is like it."""
    call = read_call({"CLP_FACTOR": word}, FOLDER)
    assert (Factor.OTHER, word) == (call.factor, call.factor_word)


def test_what_ecx_says_is_read() -> None:
    """The event and the resource must be read as they are said, beside the folder's own name."""
    environ = {"CLP_EVENT": "START", "CLP_FACTOR": "GROUPSTOP", "CLP_RESOURCENAME": "exec-業務 サーバー"}
    expected = EcxCall("START", Factor.GROUPSTOP, "GROUPSTOP", "exec-業務 サーバー", "exec-web1", has_variables=True)
    assert expected == read_call(environ, FOLDER)


def test_the_root_folder_has_no_name() -> None:
    """A script that runs where the folder says nothing must get an empty name."""
    assert "" == read_call({}, Path("/")).folder


@pytest.mark.parametrize(
    ("resource", "folder", "expected"),
    [
        ("exec-web1", "", "web1"),
        ("", "exec-web1", "web1"),
        ("", "genw-web1", "web1"),
        ("", "genw-web11", "web11"),
        ("exec-WEB1", "", "web1"),
        ("", "genw-WEB1", "web1"),
        ("exec-業務 サーバー", "", "業務 サーバー"),
        # What ECX says of the resource comes first.
        ("exec-web1", "exec-web11", "web1"),
        # A name that means no VM leaves it to the next.
        ("exec-iscsi", "genw-web1", "web1"),
        # A resource that the file names, and the monitors of it.
        ("exec-oracle", "", "Db"),
        ("", "genw-oracle", "Db"),
        ("", "genw-Db", "Db"),
    ],
)
def test_the_vm_that_ecx_means(resource: str, folder: str, expected: str) -> None:
    """The resource, else the folder, must say which VM is meant, by its name or by `resource` in its table."""
    assert [expected] == choose_vms(CONFIG, [], call_of(resource, folder))


@pytest.mark.parametrize("resource", ["web-on-ecx", "exec", "業務リソース"])
def test_a_resource_may_have_any_name(resource: str) -> None:
    """A resource that the file names must be known without any prefix, and its monitor by genw- before it."""
    config = config_of(ProtectedVm(name="web1"), ProtectedVm(name="db1", resource=resource))
    assert ["db1"] == choose_vms(config, [], call_of(resource))
    assert ["db1"] == choose_vms(config, [], call_of(folder=f"genw-{resource}"))


def test_a_vm_may_be_called_like_a_resource() -> None:
    """A VM whose own name begins like a resource's must not be taken for another VM."""
    config = config_of(ProtectedVm(name="exec-web1"), ProtectedVm(name="web1"))
    assert ["web1"] == choose_vms(config, [], call_of("exec-web1"))
    assert ["exec-web1"] == choose_vms(config, [], call_of("exec-exec-web1"))


def test_arguments_come_before_what_ecx_says() -> None:
    """VMs that are named must be taken, in their order, once each, as the file spells them."""
    assert ["web11", "web1"] == choose_vms(CONFIG, ["WEB11", "web1", "web11"], call_of("exec-oracle", "genw-Db"))


@pytest.mark.defect(6)
@pytest.mark.parametrize("name", ["web", "web111", "myweb1", "exec-web1", "web*", "", "oracle"])
def test_an_argument_that_is_no_vm_is_refused(name: str) -> None:
    """A typo must be a usage error that names what there is, even beside a VM that is known."""
    with pytest.raises(UsageError) as caught:
        choose_vms(CONFIG, ["web1", name], call_of("exec-web1"))
    assert Exit.USAGE is caught.value.exit
    assert repr(name) in caught.value.what
    assert "configured: web1, web11, 業務 サーバー, Db" == caught.value.seen


@pytest.mark.parametrize(
    ("resource", "folder"),
    [
        ("", ""),
        ("exec-web", ""),
        ("exec-web111", "genw-myweb1"),
        ("", "web1"),
        ("", "web1-exec-"),
        ("exec-", "genw-"),
        # Db has a resource of its own name, so another of the usual name is not it.
        ("exec-Db", ""),
        ("", "root"),
    ],
)
def test_a_call_that_means_no_vm_is_refused(resource: str, folder: str) -> None:
    """Where ECX names no VM of the file, that must be a usage error that says what was given and what there is."""
    with pytest.raises(UsageError) as caught:
        choose_vms(CONFIG, [], call_of(resource, folder))
    for part in (resource, folder):
        assert part in caught.value.seen
    assert "web1, web11, 業務 サーバー, Db" in caught.value.seen


def test_a_file_without_vms_knows_none() -> None:
    """Without any [[vm]] the refusal must say that none is configured."""
    with pytest.raises(UsageError) as caught:
        choose_vms(config_of(), ["web1"], call_of())
    assert "configured: none" == caught.value.seen


@pytest.mark.defect(1)
@pytest.mark.parametrize(
    ("addresses", "local", "peer"),
    [
        ({"127.0.0.1", "::1", "192.168.137.20"}, EC1, EC2),
        # Defect 1: x.20 begins x.200.
        ({"127.0.0.1", "192.168.137.200"}, EC2, EC1),
        ({"192.168.137.200", "192.168.137.2", "192.168.139.201"}, EC2, EC1),
    ],
)
def test_a_node_knows_itself_by_its_whole_address(addresses: set[str], local: object, peer: object) -> None:
    """The node that owns its address exactly must be this one, never one whose address merely begins alike."""
    pair = identify(CONFIG, "", lambda: frozenset(addresses), "config.toml")
    assert (local, peer) == (pair.local, pair.peer)
    assert (local, peer) == (pair.of(Side.LOCAL), pair.of(Side.PEER))


def test_an_address_may_be_written_otherwise() -> None:
    """One address in two spellings must be one address."""
    six = type(EC1)(name="six", address="FD00:0:0::0020", vm="v", host="h")
    config = config_of(nodes=(six, EC2))
    assert Pair(six, EC2) == identify(config, "", lambda: frozenset({"fd00::20"}), "config.toml")


@pytest.mark.parametrize(
    ("addresses", "seen"),
    [
        (set(), "neither is"),
        ({"127.0.0.1", "192.168.137.2"}, "neither is"),
        ({"192.168.137.20", "192.168.137.200"}, "both are"),
    ],
)
def test_addresses_that_cannot_tell_are_a_mistake(addresses: set[str], seen: str) -> None:
    """A machine that owns neither address, or both, must be a mistake in the file, with the way out."""
    with pytest.raises(ConfigError) as caught:
        identify(CONFIG, "", lambda: frozenset(addresses), "/etc/config.toml")
    assert Exit.CONFIG is caught.value.exit
    [mistake] = caught.value.mistakes
    assert ("/etc/config.toml", "node.address", seen) == (mistake.file, mistake.key, mistake.seen)
    assert "192.168.137.20" in mistake.expected
    assert "--node" in caught.value.remedy


def test_a_node_that_is_named_needs_no_address() -> None:
    """Where --node says which node this is, nobody must be asked for addresses."""

    def ask() -> frozenset[str]:
        raise AssertionError

    assert Pair(EC2, EC1) == identify(CONFIG, "ec2", ask, "config.toml")


@pytest.mark.parametrize("name", ["ec", "ec22", "EC-VM1", "*"])
def test_a_node_that_nobody_knows_is_refused(name: str) -> None:
    """A --node that is not in the file must be a usage error that names those that are."""
    with pytest.raises(UsageError) as caught:
        identify(CONFIG, name, lambda: frozenset({EC1.address}), "config.toml")
    assert repr(name) in caught.value.what
    assert "configured: ec1, ec2" == caught.value.seen


def test_the_machines_addresses_are_listed() -> None:
    """Every address of every interface must be found, those without any and what else `ip` prints passed over."""
    interfaces = [
        {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1"}, {"family": "inet6", "local": "::1"}]},
        {},
        {"ifname": "eth0", "mtu": 1500, "addr_info": [{"local": "192.168.137.20", "prefixlen": 24, "label": "eth0"}]},
        {"ifname": "eth1", "addr_info": []},
        {"ifname": "tun0", "addr_info": [{"index": 3}]},
    ]
    runner = FakeRunner(printed(json.dumps(interfaces)))
    assert {"127.0.0.1", "::1", "192.168.137.20"} == local_addresses(runner)
    assert [(["ip", "-json", "address", "show"], 10)] == runner.calls


@pytest.mark.parametrize(
    "answer",
    [
        printed("", 255),
        printed("", None),
        printed('[{"addr_info":[{"local":"127.0', None),
        printed("1: lo: <LOOPBACK,UP> mtu 65536\n"),
        printed('{"addr_info":1}'),
        Completed(0, b'[{"addr_info":[{"local":"\xff"}]}]', b""),
    ],
    ids=["fails", "late", "half", "no json", "other json", "bytes"],
)
def test_addresses_that_cannot_be_read_are_an_error_of_ours(answer: Completed) -> None:
    """Where `ip` does not list the addresses, that must be an error of this machine, with the way out."""
    with pytest.raises(LocalError) as caught:
        local_addresses(FakeRunner(answer))
    assert "ip -json address show" in caught.value.seen
    assert "--node" in caught.value.remedy


def test_a_missing_ip_command_is_told() -> None:
    """Where there is no such command, its own error must be passed on."""
    with pytest.raises(LocalError, match="ip is not there"):
        local_addresses(FakeRunner(LocalError("the command ip is not there")))
