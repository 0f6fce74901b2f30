"""Answers of this EC-VM's commands: known words are read whatever stands around them, others are no state."""

import json
import shutil
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.check.answers import active_state, dpkg_version, enabled_state, rpm_version, selinux_mode
from ecx_hyperv.check.outcome import Unavailable
from ecx_hyperv.ecx import ip_addresses
from ecx_hyperv.ecx.commands import Completed, run
from ecx_hyperv.ecx.ip_addresses import InterfaceAddress
from tests.unit.always import always

Reader = Callable[[Completed], str | Unavailable]


def said(stdout: str, code: int | None = 0, stderr: str = "") -> Completed:
    """Return how a command ended."""
    return Completed(code, stdout.encode(), stderr.encode())


@pytest.mark.parametrize(
    ("reader", "done", "expected"),
    [
        (active_state, said("active\n"), "active"),
        (active_state, said("inactive\n", 3), "inactive"),
        (active_state, said("Warning: the unit file changed on disk.\nactive\n"), "active"),
        (active_state, said("active\n", 0, "警告: 設定が変わりました\n"), "active"),
        (active_state, said("", 1, "Failed to connect to bus: No such file or directory\n"), None),
        (active_state, said("アクティブ\n"), None),
        (active_state, said("not active\n"), None),
        (enabled_state, said("enabled\n"), "enabled"),
        (enabled_state, said("not-found\n", 4), "not-found"),
        (
            enabled_state,
            said("", 1, "Failed to get unit file state for target.service: No such file or directory\n"),
            "not-found",
        ),
        (enabled_state, said("", 1, "Failed to get unit file state for target.service: Connection timed out\n"), None),
        (enabled_state, said("target.service is not a native service, redirecting.\nenabled\n"), "enabled"),
        (enabled_state, said("static\n"), "static"),
        (enabled_state, said("bad\n", 1), None),
        (selinux_mode, said("Enforcing\n"), "Enforcing"),
        (selinux_mode, said("getenforce failed\n", 1), None),
        (rpm_version, said("5.3.1-1\n"), "5.3.1-1"),
        (rpm_version, said("5.1.1-1\n5.3.1-1\n"), "5.1.1-1, 5.3.1-1"),
        (rpm_version, said("5.1.1-1 5.3.1-1 "), "5.1.1-1, 5.3.1-1"),
        (rpm_version, said("warning: made by rpm 4.16.1\n", 0), None),
        (rpm_version, said("warning: Found NDB Packages.db\n5.3.1-1.el9\n"), "5.3.1-1.el9"),
        (rpm_version, said("package expresscls is not installed\n", 1), ""),
        (rpm_version, said("", 1, "error: cannot open Packages database in /var/lib/rpm\n"), None),
        (rpm_version, said("", 0), None),
        (rpm_version, said("パッケージ expresscls はインストールされていません。\n", 1), None),
        (dpkg_version, said("installed 5.3.1-1\n"), "5.3.1-1"),
        (dpkg_version, said("config-files 5.1.0-1\n"), ""),
        (dpkg_version, said("", 1, "dpkg-query: no packages found matching expresscls\n"), ""),
        (dpkg_version, said("", 2, "dpkg-query: error: cannot read the status file\n"), None),
    ],
)
def test_what_a_command_says(reader: Reader, done: Completed, expected: str | None) -> None:
    """A known word must be read, with warnings around it too; anything else is no state and is told as it came."""
    found = reader(done)
    assert expected == (None if isinstance(found, Unavailable) else found)


@always
@given(text=st.text(max_size=40), code=st.none() | st.integers(0, 255), stderr=st.binary(max_size=20))
def test_any_answer_is_read(text: str, code: int | None, stderr: bytes) -> None:
    """Whatever is printed, reading it must raise nothing, and never become a state that nobody printed."""
    done = Completed(code, text.encode(), stderr)
    for reader in (active_state, enabled_state, selinux_mode, rpm_version, dpkg_version):
        found = reader(done)
        assert isinstance(found, Unavailable) or all(word in text for word in found.split(", ") if found != "not-found")


def test_real_commands() -> None:
    """What the programs of this machine print must be read, as far as they are here."""
    asked: dict[str, tuple[Reader, list[str], set[str | None]]] = {
        "rpm": (rpm_version, ["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE} ", "no-such-package"], {"", None}),
        "systemctl": (enabled_state, ["systemctl", "is-enabled", "no-such.service"], {"not-found", None}),
        "dpkg-query": (dpkg_version, ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}\n", "no-such"], {""}),
    }
    tried = [name for name in asked if shutil.which(name)]
    for name in tried:
        reader, command, expected = asked[name]
        found = reader(run(command, 20))
        assert (None if isinstance(found, Unavailable) else found) in expected
    if shutil.which("dpkg-query"):
        assert dpkg_version(run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}\n", "dpkg"], 20))


IP = [
    {},
    {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
    {
        "ifname": "eth1",
        "addr_info": [{"local": "10.3.0.1", "prefixlen": 24}, {"local": "10.3.0.9"}, {}, None, {"local": 3}],
    },
    {"ifname": "eth2"},
    {"ifname": "eth3", "addr_info": None},
    {"addr_info": [{"local": "fe80::1", "prefixlen": 64}]},
]
READ = (
    InterfaceAddress("lo", "127.0.0.1", 8),
    InterfaceAddress("eth1", "10.3.0.1", 24),
    InterfaceAddress("eth1", "10.3.0.9", None),
    InterfaceAddress("", "fe80::1", 64),
)


@pytest.mark.parametrize("before", ["", "Warning: [deprecated] option\n", "[\n", "注意 [x]\n\n"])
def test_ip_with_missing_keys_and_warnings(before: str) -> None:
    """Addresses must be read where keys are missing, objects empty and warnings stand before the list."""
    assert READ == ip_addresses.parse(before.encode() + json.dumps(IP).encode())
    assert "10.3.0.0/24" == str(READ[1].network)
    assert READ[2].network is None


@pytest.mark.parametrize("text", ["", "1: lo: <LOOPBACK>", "{}", "[1]", '[{"addr_info": [{"local": "127', "[[]]"])
def test_ip_without_a_list(text: str) -> None:
    """An answer without a list of interfaces must not pass for one that has none."""
    assert ip_addresses.parse(text.encode()) is None


@always
@given(content=st.binary(max_size=60) | st.text('[]{}":,addr_infolcl 1.', max_size=60).map(str.encode))
def test_ip_of_any_bytes(content: bytes) -> None:
    """Any bytes must be read without an exception."""
    found = ip_addresses.parse(content)
    assert found is None or all(one.address for one in found)


def test_the_real_ip() -> None:
    """What this machine's own `ip` lists must be read, the loopback's address among it."""
    if shutil.which("ip") is None:
        pytest.skip("needs iproute2's ip")
    found = ip_addresses.parse(run(["ip", "-json", "address", "show"], 20).stdout)
    assert found is not None
    assert "127.0.0.1" in {one.address for one in found}
