"""Whether firewalld lets a packet through, along the way that it really takes.

A packet belongs to one zone: the one that has its source among its sources, else the one of the interface on which it
comes in, else the default zone. There the order is firewalld's: rules of negative priority, rules that refuse, what is
open (services, ports, protocols, rules that accept), rules of positive priority, the zone's target. Policies towards
this machine stand before all that, or before the target, by their priority.

Which address a host has on the storage network is not known, only the network: what depends on a part of it, on a MAC
address, on a set of addresses, on a service or rule that is not known, or on a limit, cannot be told.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.check.firewalld import AddressMatch, Firewall, FirewallZone, IpNetwork, PortRange, RichRule

# From where Windows connects.
_EPHEMERAL = PortRange(49152, 65535, "tcp")
_MOST_INCLUDES = 8


class Way(Enum):
    """What becomes of a packet."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "cannot tell"


class _Match(Enum):
    YES = "yes"
    NO = "no"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True)
class Packet:
    """What comes in: `sources` is where it may come from, `interface` where it comes in, None where nobody knows."""

    interface: str | None
    sources: IpNetwork
    destination: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Passage:
    """What becomes of a packet, and by which zones."""

    way: Way
    zones: tuple[str, ...]


_Step = tuple[_Match, Way]


def passage(firewall: Firewall, packet: Packet) -> Passage:
    """Say what becomes of a packet, in whichever zone it may belong to."""
    by_source, others = _zones(firewall, packet)
    ways = {zone.name: _through(firewall, zone, packet) for zone in (*by_source, *others)}
    # Before firewalld 1.0 what a source's zone did not decide went on to the interface's zone (AllowZoneDrifting).
    interface_zones = _by_interface(firewall, packet)
    drifts = [
        zone
        for zone in by_source
        if ways[zone.name] is Way.CLOSED
        and zone.target == "default"
        and any(_through(firewall, one, packet) is not Way.CLOSED for one in interface_zones)
    ]
    found = set(ways.values())
    only = found.pop() if len(found) == 1 and not drifts else Way.UNKNOWN
    return Passage(only, tuple(ways))


def _zones(firewall: Firewall, packet: Packet) -> tuple[list[FirewallZone], list[FirewallZone]]:
    """Return the zones that a packet may belong to: by its source, and, if that is not certain, by its interface."""
    found = [(zone, _any(_from(one, packet) for one in zone.sources)) for zone in firewall.zones if zone.sources]
    by_source = [zone for zone, match in found if match is not _Match.NO]
    if any(match is _Match.YES for _, match in found):
        return by_source, []
    return by_source, _by_interface(firewall, packet)


def _by_interface(firewall: Firewall, packet: Packet) -> list[FirewallZone]:
    default = [zone for zone in firewall.zones if zone.name == firewall.default] or list(firewall.zones[:1])
    bound = [zone for zone in firewall.zones if zone.interfaces]
    if packet.interface is None:
        return list({zone.name: zone for zone in (*bound, *default)}.values())
    named = [zone for zone in bound if any(_is_interface(one, packet.interface) for one in zone.interfaces)]
    return named or default


def _is_interface(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def _through(firewall: Firewall, zone: FirewallZone, packet: Packet) -> Way:
    """Walk through a zone, with the policies before and behind its rules."""
    policies = sorted((one for one in firewall.policies if _is_towards(one, zone)), key=lambda one: one.priority)
    steps = [step for one in policies if one.priority < 0 for step in _steps(firewall, one, packet)]
    rules, target = list(_rules(firewall, zone, packet)), list(_target(zone))
    after = [step for one in policies if one.priority >= 0 for step in _steps(firewall, one, packet)]
    doubts: set[Way] = set()
    for match, way in (*steps, *rules, *after, *target, (_Match.YES, Way.CLOSED)):
        if match is _Match.PERHAPS:
            doubts.add(way)
        elif match is _Match.YES:
            return way if doubts <= {way} else Way.UNKNOWN
    return Way.UNKNOWN


def _is_towards(policy: FirewallZone, zone: FirewallZone) -> bool:
    return "HOST" in policy.egress and bool({"ANY", zone.name} & set(policy.ingress))


def _steps(firewall: Firewall, zone: FirewallZone, packet: Packet) -> Iterator[_Step]:
    yield from _rules(firewall, zone, packet)
    yield from _target(zone)


def _target(zone: FirewallZone) -> Iterator[_Step]:
    word = zone.target.strip("%").upper()
    if word == "ACCEPT":
        yield _Match.YES, Way.OPEN
    elif word in ("DROP", "REJECT"):
        yield _Match.YES, Way.CLOSED
    elif word not in ("DEFAULT", "CONTINUE"):
        yield _Match.PERHAPS, Way.OPEN


def _rules(firewall: Firewall, zone: FirewallZone, packet: Packet) -> Iterator[_Step]:
    """Return what decides in a zone or policy but its target, in firewalld's order."""
    # What is sent on to another port or machine does not arrive here.
    yield from ((_port(one, packet), Way.CLOSED) for one in zone.forwarded)
    rules = sorted(zone.rules, key=lambda rule: rule.priority)
    yield from _of_rules(firewall, [rule for rule in rules if rule.priority < 0 or not rule.is_read], packet)
    plain = [rule for rule in rules if rule.priority == 0 and rule.is_read]
    yield from _of_rules(firewall, [rule for rule in plain if rule.action != "accept"], packet)
    yield from ((_service(firewall, name, packet), Way.OPEN) for name in zone.services)
    yield from ((_port(one, packet), Way.OPEN) for one in zone.ports)
    yield from ((_protocol(one, packet), Way.OPEN) for one in zone.protocols)
    yield from ((_source_port(one), Way.OPEN) for one in zone.source_ports)
    yield from _of_rules(firewall, [rule for rule in plain if rule.action == "accept"], packet)
    yield from _of_rules(firewall, [rule for rule in rules if rule.priority > 0 and rule.is_read], packet)


def _of_rules(firewall: Firewall, rules: Sequence[RichRule], packet: Packet) -> Iterator[_Step]:
    for rule in rules:
        if not rule.is_read:
            yield from ((_Match.PERHAPS, Way.OPEN), (_Match.PERHAPS, Way.CLOSED))
            continue
        match = _all([_family(rule, packet), *_ends(rule, packet), _element(firewall, rule, packet)])
        match = _Match.PERHAPS if match is _Match.YES and rule.is_limited else match
        if rule.element == "forward-port":
            yield match, Way.CLOSED
        elif rule.action in ("accept", "reject", "drop"):
            yield match, Way.OPEN if rule.action == "accept" else Way.CLOSED


def _family(rule: RichRule, packet: Packet) -> _Match:
    return _Match.YES if rule.family in ("", f"ipv{packet.destination.version}") else _Match.NO


def _ends(rule: RichRule, packet: Packet) -> Iterator[_Match]:
    if rule.source is not None:
        yield _inverted(rule.source, _within(rule.source.network, packet.sources))
    if rule.destination is not None:
        one = ipaddress.ip_network(packet.destination)
        yield _inverted(rule.destination, _within(rule.destination.network, one))


def _element(firewall: Firewall, rule: RichRule, packet: Packet) -> _Match:
    if rule.element == "service":
        return _service(firewall, rule.name, packet)
    if rule.element in ("port", "forward-port") and rule.ports:
        return _port(rule.ports, packet)
    if rule.element == "source-port" and rule.ports:
        return _source_port(rule.ports)
    if rule.element == "protocol":
        return _protocol(rule.name, packet)
    return _Match.NO if rule.element else _Match.YES


def _service(firewall: Firewall, name: str, packet: Packet, depth: int = 0) -> _Match:
    known = firewall.services.get(name)
    if known is None or depth > _MOST_INCLUDES:
        return _Match.PERHAPS
    found = _any(
        [
            *(_port(one, packet) for one in known.ports),
            *(_protocol(one, packet) for one in known.protocols),
            *(_source_port(one) for one in known.source_ports),
            *(_service(firewall, one, packet, depth + 1) for one in known.includes),
        ]
    )
    # A service may be about some destinations only.
    return _Match.PERHAPS if found is _Match.YES and known.is_narrowed else found


def _port(one: PortRange, packet: Packet) -> _Match:
    if not one.is_known:
        return _Match.PERHAPS
    return _Match.YES if one.protocol == packet.protocol and one.first <= packet.port <= one.last else _Match.NO


def _source_port(one: PortRange) -> _Match:
    if not one.is_known:
        return _Match.PERHAPS
    if one.protocol != _EPHEMERAL.protocol or one.last < _EPHEMERAL.first:
        return _Match.NO
    return _Match.YES if one.first <= _EPHEMERAL.first and one.last >= _EPHEMERAL.last else _Match.PERHAPS


def _protocol(word: str, packet: Packet) -> _Match:
    return _Match.YES if word.casefold() in (packet.protocol, "6" if packet.protocol == "tcp" else "") else _Match.NO


def _from(source: str, packet: Packet) -> _Match:
    """Tell whether a packet comes from a zone's source: an address, a network, a MAC address or ipset:NAME."""
    if source.startswith("ipset:") or re.fullmatch(r"(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", source):
        return _Match.PERHAPS
    try:
        return _within(ipaddress.ip_network(source, strict=False), packet.sources)
    except ValueError:
        return _Match.PERHAPS


def _within(network: IpNetwork | None, part: IpNetwork) -> _Match:
    if network is None:
        return _Match.PERHAPS
    if network.version != part.version or not network.overlaps(part):
        return _Match.NO
    return _Match.YES if network.prefixlen <= part.prefixlen else _Match.PERHAPS


def _inverted(one: AddressMatch, match: _Match) -> _Match:
    turned = {_Match.YES: _Match.NO, _Match.NO: _Match.YES}
    return turned.get(match, match) if one.is_inverted else match


def _any(parts: Iterator[_Match] | Sequence[_Match]) -> _Match:
    found = set(parts)
    return next((one for one in (_Match.YES, _Match.PERHAPS) if one in found), _Match.NO)


def _all(parts: Sequence[_Match]) -> _Match:
    return next((one for one in (_Match.NO, _Match.PERHAPS) if one in parts), _Match.YES)
