"""firewalld (F16): what is told as open must be open along the way that a host's packet takes."""

import ipaddress
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.check.firewall_path import Packet, Way, passage
from ecx_hyperv.check.firewalld import (
    SERVICES,
    Firewall,
    FirewallZone,
    PortRange,
    RichRule,
    ServicePorts,
    parse_service,
    parse_zones,
    port_range,
    rich_rule,
)
from tests.unit.always import always

SAMPLES = Path(__file__).parents[1] / "samples" / "firewalld"
NETWORK = ipaddress.ip_network("10.3.0.0/24")
ADDRESS = ipaddress.ip_address("10.3.0.9")
PACKET = Packet("eth1", NETWORK, ADDRESS, 3260)
OPEN, CLOSED, UNKNOWN = Way


def sample(name: str) -> str:
    """Return a sample's text."""
    return (SAMPLES / f"{name}.txt").read_text(encoding="utf-8")


def zone(**parts: object) -> FirewallZone:
    """Return the zone of the storage network's interface."""
    return replace(FirewallZone("public", interfaces=("eth1",)), **parts)  # type: ignore[arg-type]


def way(*zones: FirewallZone, packet: Packet = PACKET, policies: tuple[FirewallZone, ...] = ()) -> Way:
    """Return what becomes of a host's packet; the first zone is the default one."""
    return passage(Firewall(zones, zones[0].name, policies, SERVICES), packet).way


def rules(*texts: str) -> tuple[RichRule, ...]:
    """Return rich rules."""
    return tuple(map(rich_rule, texts))


@pytest.mark.parametrize(
    ("name", "expected", "zones"),
    [
        ("range-and-rule", OPEN, ("public",)),
        ("source-zone", OPEN, ("internal",)),
        ("another-interface", CLOSED, ("drop",)),
        ("refused-in-part", UNKNOWN, ("public",)),
        ("source-port", CLOSED, ("public",)),
        ("older", OPEN, ("public",)),
        ("newer", OPEN, ("public",)),
    ],
)
def test_f16_samples(name: str, expected: Way, zones: tuple[str, ...]) -> None:
    """Each listing must come to what firewalld does with a host's packet, in the zone that it belongs to."""
    policies = parse_zones(sample("policies"))
    found = passage(Firewall(parse_zones(sample(name)), "public", policies, SERVICES), PACKET)
    assert (expected, zones) == (found.way, found.zones)


def test_f16_the_case() -> None:
    """A range that holds 3260 must be open by itself, and the rule alone be so for the network that it names."""
    listed = next(one for one in parse_zones(sample("range-and-rule")) if one.name == "public")
    assert OPEN is way(replace(listed, rules=()))
    assert OPEN is way(replace(listed, ports=()))
    elsewhere = replace(PACKET, sources=ipaddress.ip_network("10.4.0.0/24"))
    assert CLOSED is way(replace(listed, ports=()), packet=elsewhere)
    wider = replace(PACKET, sources=ipaddress.ip_network("10.3.0.0/16"))
    assert UNKNOWN is way(replace(listed, ports=()), packet=wider)


ACCEPT = 'rule port port="3260" protocol="tcp" accept'
CASES = [
    (zone(), CLOSED),
    (zone(target="ACCEPT"), OPEN),
    (zone(target="%%REJECT%%", services=("iscsi-target",)), OPEN),
    (zone(target="DROP"), CLOSED),
    (zone(services=("ssh",)), CLOSED),
    (zone(services=("my-own",)), UNKNOWN),
    (zone(services=("my-own", "iscsi-target")), OPEN),
    (zone(ports=(PortRange(3261, 3300, "tcp"),)), CLOSED),
    (zone(ports=(PortRange(3260, 3260, "udp"),)), CLOSED),
    (zone(ports=(PortRange(0, 65535, "tcp"),)), OPEN),
    (zone(protocols=("tcp",)), OPEN),
    (zone(protocols=("udp", "gre")), CLOSED),
    (zone(source_ports=(PortRange(3260, 3260, "tcp"),)), CLOSED),
    (zone(source_ports=(PortRange(1024, 65535, "tcp"),)), OPEN),
    (zone(source_ports=(PortRange(50000, 50100, "tcp"),)), UNKNOWN),
    (zone(ports=(PortRange(3260, 3260, "tcp"),), forwarded=(PortRange(3260, 3260, "tcp"),)), CLOSED),
    (zone(rules=rules(ACCEPT)), OPEN),
    (zone(rules=rules('rule family="ipv6" port port="3260" protocol="tcp" accept')), CLOSED),
    (zone(rules=rules('rule service name="iscsi-target" accept')), OPEN),
    (zone(rules=rules('rule protocol value="tcp" accept')), OPEN),
    (zone(rules=rules('rule family="ipv4" source address="10.0.0.0/8" accept')), OPEN),
    (zone(rules=rules('rule family="ipv4" source address="10.3.0.7" accept')), UNKNOWN),
    (zone(rules=rules('rule family="ipv4" source NOT address="10.3.0.0/24" accept')), CLOSED),
    (zone(rules=rules('rule family="ipv4" source not address="10.9.0.0/24" accept')), OPEN),
    (zone(rules=rules('rule family="ipv4" source address="10.9.0.0/24" invert="True" accept')), OPEN),
    (zone(rules=rules('rule source mac="52:54:00:00:00:01" accept')), UNKNOWN),
    (zone(rules=rules('rule source ipset="hosts" accept')), UNKNOWN),
    (
        zone(rules=rules('rule family="ipv4" destination address="10.3.0.9" port port="3260" protocol="tcp" accept')),
        OPEN,
    ),
    (zone(rules=rules('rule family="ipv4" destination address="10.1.0.1" accept')), CLOSED),
    (zone(rules=rules('rule port port="3260" protocol="tcp" log prefix="a b" limit value="1/m" accept')), OPEN),
    (zone(rules=rules('rule port port="3260" protocol="tcp" accept limit value="1/m"')), UNKNOWN),
    (zone(rules=rules('rule port port="3260" protocol="tcp" log')), CLOSED),
    (zone(rules=rules('rule port port="3260" protocol="tcp" mark set="1"')), CLOSED),
    (zone(rules=rules(ACCEPT, 'rule port port="3200-3300" protocol="tcp" drop')), CLOSED),
    (zone(rules=rules(ACCEPT, 'rule family="ipv4" source address="10.3.0.2" drop')), UNKNOWN),
    (zone(rules=rules('rule priority="-1" port port="3260" protocol="tcp" accept', "rule drop")), OPEN),
    (zone(rules=rules("rule priority=1 drop", ACCEPT)), OPEN),
    (zone(services=("iscsi-target",), rules=rules('rule priority="-10" drop')), CLOSED),
    (zone(services=("iscsi-target",), rules=rules('rule priority="10" drop')), OPEN),
    (zone(services=("iscsi-target",), rules=rules("rule something new accept")), UNKNOWN),
    (zone(rules=rules('rule icmp-type name="echo-request" accept', "rule masquerade")), CLOSED),
    (zone(services=("iscsi-target",), rules=rules('rule forward-port port="3260" protocol="tcp" to-port="1"')), CLOSED),
]


@pytest.mark.parametrize(("one", "expected"), CASES, ids=range(len(CASES)))
def test_f16_within_a_zone(one: FirewallZone, expected: Way) -> None:
    """Ranges, source ports, protocols, services, rich rules in their order, and the target must decide."""
    assert expected is way(one)


TRUSTED, OTHER = FirewallZone("trusted", target="ACCEPT"), FirewallZone("home")


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        ((OTHER, zone(target="ACCEPT")), OPEN),
        ((zone(), replace(TRUSTED, sources=("10.3.0.0/16",))), OPEN),
        ((zone(), replace(TRUSTED, sources=("10.3.0.2",))), UNKNOWN),
        ((zone(target="ACCEPT"), replace(TRUSTED, sources=("10.3.0.2",))), OPEN),
        ((zone(), replace(TRUSTED, sources=("10.4.0.0/16", "fd00::/8"))), CLOSED),
        ((zone(), replace(TRUSTED, sources=("ipset:hosts",))), UNKNOWN),
        ((zone(), replace(TRUSTED, sources=("52:54:00:12:34:56",))), UNKNOWN),
        ((replace(TRUSTED, interfaces=("eth0",)), zone()), CLOSED),
        ((TRUSTED, replace(OTHER, interfaces=("eth0",))), OPEN),
        ((OTHER, replace(TRUSTED, interfaces=("eth+",))), OPEN),
        # Older releases let such a packet drift on to the interface's zone.
        ((zone(target="ACCEPT"), replace(OTHER, sources=("10.3.0.0/24",))), UNKNOWN),
        ((zone(target="ACCEPT"), replace(OTHER, target="DROP", sources=("10.3.0.0/24",))), CLOSED),
    ],
)
def test_f16_which_zone_governs(zones: tuple[FirewallZone, ...], expected: Way) -> None:
    """A zone by source comes before the interface's, that before the default one; what is not certain is not told."""
    assert expected is way(*zones)


def test_f16_an_interface_that_is_not_known() -> None:
    """Where nobody knows on which interface hosts come in, it must be open on all of them, or not be told."""
    packet = replace(PACKET, interface=None)
    assert OPEN is way(zone(target="ACCEPT"), replace(TRUSTED, interfaces=("eth0",)), packet=packet)
    assert UNKNOWN is way(zone(), replace(TRUSTED, interfaces=("eth0",)), packet=packet)


def test_f16_policies() -> None:
    """A policy towards this machine must decide before its zones, or behind them, by its priority."""
    refuse = FirewallZone("no", target="REJECT", priority=-1, ingress=("ANY",), egress=("HOST",))
    assert CLOSED is way(zone(target="ACCEPT"), policies=(refuse,))
    assert OPEN is way(zone(target="ACCEPT"), policies=(replace(refuse, ingress=("home",)),))
    assert OPEN is way(zone(target="ACCEPT"), policies=(replace(refuse, egress=("public",)),))
    assert CLOSED is way(zone(target="ACCEPT"), policies=(replace(refuse, priority=5),))
    assert OPEN is way(zone(services=("iscsi-target",)), policies=(replace(refuse, priority=5),))


def test_what_a_service_opens() -> None:
    """A service must be read with its ranges and includes, and one that is about some destinations not be certain."""
    assert SERVICES["iscsi-target"] == parse_service(sample("service"))
    text = "mine\n  ports: 3000-4000/tcp\n  includes: ssh\n  destination: ipv4:10.3.0.0/24\n"
    known = parse_service(text)
    assert ServicePorts((PortRange(3000, 4000, "tcp"),), includes=("ssh",), is_narrowed=True) == known
    assert parse_service("Error: INVALID_SERVICE: mine\n") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3260/tcp", PortRange(3260, 3260, "tcp")),
        ("3200-3300/tcp", PortRange(3200, 3300, "tcp")),
        ("ssh/tcp", PortRange(22, 22, "tcp")),
        ("", None),
        ("no-such-service/tcp", PortRange(0, 65535, "tcp", is_known=False)),
        ("tcp", PortRange(0, 65535, "", is_known=False)),
    ],
)
def test_ports(text: str, expected: PortRange | None) -> None:
    """Numbers, ranges and names must be ports, and what makes no sense not be known."""
    assert expected == port_range(text)


@always
@given(
    text=st.text(max_size=120)
    | st.lists(
        st.sampled_from(
            [*sample("refused-in-part").splitlines(), "success", "FirewallD is not running", "\trule", "  target: NEW"]
        ),
        max_size=12,
    ).map("\n".join)
)
def test_f16_garbage_is_never_open(text: str) -> None:
    """Any text must be read without an exception; without a word that opens it nothing is open."""
    zones = parse_zones(text)
    found = passage(Firewall(zones, "public"), PACKET)
    if not any(word in text for word in ("accept", "ACCEPT", "3260", "tcp")):
        assert found.way is not OPEN
    assert rich_rule(text).text == text


SOURCES = st.sampled_from(["10.3.0.0/25", "10.3.0.128/25", "10.3.0.0/24", "10.0.0.0/8", "10.3.0.2", "10.9.0.0/16"])
RULES = st.builds(
    lambda priority, inverted, source, element, action: rich_rule(
        f'rule priority="{priority}" family="ipv4" source {inverted}address="{source}" {element} {action}'
    ),
    st.sampled_from([-1, 0, 0, 1]),
    st.sampled_from(["", "", "NOT "]),
    SOURCES,
    st.sampled_from(["", 'port port="3260" protocol="tcp"', 'service name="ssh"']),
    st.sampled_from(["accept", "drop", "reject"]),
)
ZONES = st.builds(
    FirewallZone,
    st.sampled_from(["a", "b", "public"]),
    target=st.sampled_from(["default", "ACCEPT", "DROP"]),
    interfaces=st.sampled_from([(), ("eth0",), ("eth1",)]),
    sources=st.lists(SOURCES, max_size=1).map(tuple),
    services=st.sampled_from([(), (), ("iscsi-target",)]),
    rules=st.lists(RULES, max_size=3).map(tuple),
)


@always
@given(zones=st.lists(ZONES, min_size=1, max_size=3, unique_by=lambda one: one.name), host=st.integers(0, 255))
def test_f16_what_is_told_of_a_network_holds_for_each_host(zones: list[FirewallZone], host: int) -> None:
    """Open, or closed, for the whole network must be so for every single address in it."""
    told = way(*zones)
    each = way(*zones, packet=replace(PACKET, sources=ipaddress.ip_network(f"10.3.0.{host}")))
    assert told in (UNKNOWN, each) or each is UNKNOWN


OFFLINE = shutil.which("firewall-offline-cmd") or shutil.which("firewall-offline-cmd", path="/usr/sbin:/usr/bin")


def test_f16_as_firewalld_lists_it(tmp_path: Path) -> None:
    """What firewalld's own command lists of settings must be read back as those settings."""
    if OFFLINE is None:
        pytest.skip("needs firewalld's firewall-offline-cmd")
    system = tmp_path / "firewalld"
    for name in ("zones", "services", "policies", "ipsets", "icmptypes", "helpers"):
        (system / name).mkdir(parents=True)
    (system / "firewalld.conf").write_text("DefaultZone=public\n", encoding="utf-8")
    texts = [
        'rule priority="-5" family="ipv4" source NOT address="10.3.0.0/24" service name="iscsi-target" reject',
        'rule family="ipv4" source address="10.3.0.2" port port="3200-3300" protocol="tcp" log prefix="a b" accept',
    ]
    options = ["--add-interface=eth7", "--add-source=10.3.0.0/24", "--add-service=iscsi-target", "--add-protocol=gre"]
    options += [
        "--add-port=3200-3300/tcp",
        "--add-source-port=99/udp",
        "--add-forward-port=port=80:proto=tcp:toport=81",
    ]
    default = os.environ.get("FIREWALLD_DEFAULT_CONFIG", "/usr/lib/firewalld")
    command = [OFFLINE, "--system-config", str(system), "--default-config", default]
    for option in [*options, *(f"--add-rich-rule={text}" for text in texts)]:
        subprocess.run([*command, "--zone=dmz", option], check=True, capture_output=True)
    listed = subprocess.run([*command, "--list-all-zones"], check=True, capture_output=True, text=True).stdout
    zones = {one.name: one for one in parse_zones(listed)}
    found = zones["dmz"]
    assert {"public", "trusted", "drop", "block"} <= set(zones)
    assert (("eth7",), ("10.3.0.0/24",), {"ssh", "iscsi-target"}) == (
        found.interfaces,
        found.sources,
        {*found.services},
    )
    assert ((PortRange(3200, 3300, "tcp"),), ("gre",)) == (found.ports, found.protocols)
    assert ((PortRange(99, 99, "udp"),), (PortRange(80, 80, "tcp"),)) == (found.source_ports, found.forwarded)
    assert [replace(one, text="") for one in rules(*texts)] == [replace(one, text="") for one in found.rules]
