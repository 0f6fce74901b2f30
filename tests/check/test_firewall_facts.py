"""What of firewalld is asked on this EC-VM, and which packet is judged (F16)."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path

import pytest

from ecx_hyperv.check.ec_vm import _packet
from ecx_hyperv.check.firewall_path import Packet
from ecx_hyperv.check.firewalld import Firewall, PortRange
from ecx_hyperv.check.linux_facts import LinuxFacts, System, _firewall
from ecx_hyperv.check.outcome import Unavailable
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.ip_addresses import InterfaceAddress
from ecx_hyperv.errors import LocalError

SAMPLES = Path(__file__).parents[1] / "samples" / "firewalld"


def system(answers: dict[str, str]) -> System:
    """Return a machine whose firewall-cmd knows these options and no others."""

    def run(command: Sequence[str], seconds: float) -> Completed:
        del seconds
        if not answers:
            raise LocalError(f"the command {command[0]} is not there")
        known = answers.get(command[1])
        return Completed(2 if known is None else 0, (known or "").encode(), b"usage: see firewall-cmd man page")

    return System(run, Path("/nowhere"), Deadline.after(SystemClock(), 60))


def sample(name: str) -> str:
    """Return a sample's text."""
    return (SAMPLES / f"{name}.txt").read_text(encoding="utf-8")


def test_f16_all_that_firewalld_says_is_asked() -> None:
    """Zones, the default one, policies and a service that is not known beforehand must be asked for."""
    zones = sample("source-zone").replace("services: dhcpv6-client ssh", "services: dhcpv6-client ssh my-own")
    found = _firewall(
        system(
            {
                "--list-all-zones": zones,
                "--get-default-zone": "public\n",
                "--list-all-policies": sample("policies"),
                "--info-service=my-own": "my-own\n  ports: 3000-4000/tcp\n  includes: other\n",
                "--info-service=other": "other\n  ports: \n",
            }
        )
    )
    assert isinstance(found, Firewall)
    assert ("public", ["allow-host-ipv6"]) == (found.default, [one.name for one in found.policies])
    assert (PortRange(3000, 4000, "tcp"),) == found.services["my-own"].ports
    assert "other" in found.services


def test_f16_an_older_firewalld_has_no_policies() -> None:
    """A firewall-cmd that knows neither policies nor all zones at once must be read all the same."""
    found = _firewall(system({"--list-all": sample("older")}))
    assert isinstance(found, Firewall)
    assert ("public", ()) == (found.default, found.policies)


@pytest.mark.parametrize("answers", [{}, {"--list-all-zones": "FirewallD is not running\n"}])
def test_f16_a_firewall_that_says_nothing(answers: dict[str, str]) -> None:
    """Where firewall-cmd is not there, or firewalld does not answer, that must be the reason."""
    assert isinstance(_firewall(system(answers)), Unavailable)


class _Facts:
    """As much of the facts as a packet needs."""

    def __init__(self, *addresses: InterfaceAddress) -> None:
        self.addresses = addresses


ON_ETH1 = InterfaceAddress("eth1", "10.3.0.1", 24)


@pytest.mark.parametrize(
    ("addresses", "interface", "network"),
    [
        ((InterfaceAddress("eth0", "10.1.0.1", 24), ON_ETH1), "eth1", "10.3.0.0/24"),
        ((InterfaceAddress("eth1", "10.3.0.9", 32), ON_ETH1), "eth1", "10.3.0.0/24"),
        ((InterfaceAddress("wide", "10.0.0.1", 8), ON_ETH1), "eth1", "10.3.0.0/24"),
        ((InterfaceAddress("eth1", "10.3.0.9", None),), None, "0.0.0.0/0"),
        ((InterfaceAddress("eth0", "fe80::1", 64),), None, "0.0.0.0/0"),
        ((), None, "0.0.0.0/0"),
    ],
)
def test_f16_the_packet_that_hosts_send(
    addresses: tuple[InterfaceAddress, ...], interface: str | None, network: str
) -> None:
    """A host's packet must come from the floating address's network, by the interface that is on it."""
    expected = Packet(interface, ipaddress.ip_network(network), ipaddress.ip_address("10.3.0.9"), 3260)
    facts: LinuxFacts = _Facts(*addresses)  # type: ignore[assignment]
    assert expected == _packet(facts, "10.3.0.9")
