"""firewalld's settings, as `firewall-cmd --list-all-zones`, `--list-all-policies` and `--info-service` print them.

The shapes are those of firewalld 0.6 to 2: a name at the edge, perhaps with `(default, active)`, then `  key: value`
rows, and values that go on in lines of their own behind a tab. A rich rule is read by the grammar of firewalld's own
reader; one that it would refuse is kept, since a rule that nobody understands may do anything.
"""

import ipaddress
import re
import shlex
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_HEADER = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)(?: \((?P<flags>[a-z, ]+)\))?\s*$")
_ROW = re.compile(r"^ {1,4}(?P<key>[a-z][a-z -]*): ?(?P<value>.*)$")
_PORT = re.compile(r"(?P<first>\d{1,5}|[a-z][a-z0-9-]*)(?:-(?P<last>\d{1,5}))?/(?P<protocol>[a-z]+)")
_ELEMENTS = frozenset(
    {
        *("service", "port", "protocol", "source-port", "icmp-block", "icmp-type", "masquerade", "forward-port"),
        "tcp-mss-clamp",
    }
)
_ACTIONS = frozenset({"accept", "reject", "drop", "mark"})
_LOGGING = frozenset({"log", "nflog", "audit"})


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports of a protocol; `is_known` is false for what could not be read."""

    first: int
    last: int
    protocol: str
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class AddressMatch:
    """A source or destination; `network` is None where it is a MAC address or a set of addresses."""

    network: IpNetwork | None
    is_inverted: bool = False


@dataclass(frozen=True, slots=True)
class RichRule:
    """A rich rule; `element` is empty where it is about all packets. `is_read` is false for one that makes no sense."""

    text: str
    is_read: bool = True
    priority: int = 0
    family: str = ""
    source: AddressMatch | None = None
    destination: AddressMatch | None = None
    element: str = ""
    name: str = ""
    ports: PortRange | None = None
    action: str = ""
    is_limited: bool = False


@dataclass(frozen=True, slots=True)
class ServicePorts:
    """What a service of firewalld's opens."""

    ports: tuple[PortRange, ...] = ()
    protocols: tuple[str, ...] = ()
    source_ports: tuple[PortRange, ...] = ()
    includes: tuple[str, ...] = ()
    is_narrowed: bool = False


@dataclass(frozen=True, slots=True)
class FirewallZone:
    """A zone, or a policy with its zones and its priority."""

    name: str
    is_active: bool = False
    target: str = "default"
    interfaces: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    ports: tuple[PortRange, ...] = ()
    protocols: tuple[str, ...] = ()
    source_ports: tuple[PortRange, ...] = ()
    forwarded: tuple[PortRange, ...] = ()
    rules: tuple[RichRule, ...] = ()
    priority: int = 0
    ingress: tuple[str, ...] = ()
    egress: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Firewall:
    """All that firewalld says; `services` are those whose ports are known."""

    zones: tuple[FirewallZone, ...]
    default: str = ""
    policies: tuple[FirewallZone, ...] = ()
    services: Mapping[str, ServicePorts] = field(default_factory=dict)

    def zone(self, name: str) -> FirewallZone | None:
        """Return a zone by its name."""
        return next((one for one in self.zones if one.name == name), None)

    def named_services(self) -> tuple[str, ...]:
        """Return the services that zones, policies and rules name."""
        parts = (*self.zones, *self.policies)
        named = [name for one in parts for name in one.services]
        named += [rule.name for one in parts for rule in one.rules if rule.element == "service"]
        return tuple(dict.fromkeys(named))


def _of(*ports: str) -> ServicePorts:
    return ServicePorts(tuple(port for one in ports if (port := port_range(one)) is not None))


def parse_zones(text: str) -> tuple[FirewallZone, ...]:
    """Read zones or policies; text that is none has none. Nothing raises."""
    return tuple(
        _zone(name, flags, rows) for name, flags, rows in _blocks(text) if "target" in rows or "services" in rows
    )


def parse_service(text: str) -> ServicePorts | None:
    """Read what `--info-service` prints; None for what is no service."""
    found = [rows for _, _, rows in _blocks(text) if "ports" in rows]
    if len(found) != 1:
        return None
    rows = found[0]
    return ServicePorts(
        _ports(rows, "ports"),
        _words(rows, "protocols"),
        _ports(rows, "source-ports"),
        _words(rows, "includes"),
        bool(_words(rows, "destination")),
    )


def port_range(text: str) -> PortRange | None:
    """Read `3260/tcp`, `3200-3300/tcp` or `iscsi-target/tcp`; one without sense is not known."""
    found = _PORT.fullmatch(text.strip().casefold())
    if found is None:
        return PortRange(0, 65535, "", is_known=False) if text.strip() else None
    protocol = found["protocol"]
    if found["first"].isdecimal():
        first = int(found["first"])
    else:
        try:
            first = socket.getservbyname(found["first"], protocol)
        except (OSError, UnicodeError):
            return PortRange(0, 65535, protocol, is_known=False)
    return PortRange(first, int(found["last"] or first), protocol)


def rich_rule(text: str) -> RichRule:
    """Read a rich rule; one that firewalld would refuse is not read. Nothing raises."""
    try:
        words = shlex.split(text)
        return _rule(text, words) if words[:1] == ["rule"] else RichRule(text, is_read=False)
    except (ValueError, KeyError):
        return RichRule(text, is_read=False)


# The services of a fresh system, so that their ports need not be asked for.
SERVICES: Mapping[str, ServicePorts] = {
    "ssh": _of("22/tcp"),
    "dhcpv6-client": _of("546/udp"),
    "cockpit": _of("9090/tcp"),
    "mdns": _of("5353/udp"),
    "samba-client": _of("137/udp", "138/udp"),
    "ipp-client": _of("631/udp"),
    "http": _of("80/tcp"),
    "https": _of("443/tcp"),
    "iscsi-target": _of("3260/tcp", "3260/udp"),
}


def _blocks(text: str) -> Iterator[tuple[str, str, dict[str, list[str]]]]:
    """Return name, flags and rows of each block; a row has a value for each of its lines."""
    name, flags, key = "", "", ""
    rows: dict[str, list[str]] = {}
    for line in [*text.split("\n"), "end"]:
        bare = line.rstrip()
        if header := _HEADER.match(bare):
            if name and rows:
                yield name, flags, rows
            name, flags, key, rows = header["name"], header["flags"] or "", "", {}
        elif row := _ROW.match(bare):
            key = row["key"]
            rows[key] = [row["value"].strip()]
        elif bare.startswith(("\t", "     ")) and key:
            rows[key].append(bare.strip())


def _zone(name: str, flags: str, rows: dict[str, list[str]]) -> FirewallZone:
    priority = " ".join(rows.get("priority", ["0"])).strip()
    return FirewallZone(
        name=name,
        is_active="active" in re.split(r"[, ]+", flags),
        target=" ".join(rows.get("target", ["default"])).strip(),
        interfaces=_words(rows, "interfaces"),
        sources=_words(rows, "sources"),
        services=_words(rows, "services"),
        ports=_ports(rows, "ports"),
        protocols=_words(rows, "protocols"),
        source_ports=_ports(rows, "source-ports"),
        forwarded=tuple(_forwarded(rows)),
        rules=tuple(rich_rule(one) for one in rows.get("rich rules", rows.get("rules", [])) if one),
        priority=int(priority) if re.fullmatch(r"-?\d{1,5}", priority) else 0,
        ingress=_words(rows, "ingress-zones"),
        egress=_words(rows, "egress-zones"),
    )


def _words(rows: Mapping[str, list[str]], key: str) -> tuple[str, ...]:
    return tuple(" ".join(rows.get(key, [])).split())


def _ports(rows: Mapping[str, list[str]], key: str) -> tuple[PortRange, ...]:
    return tuple(port for word in _words(rows, key) if (port := port_range(word)) is not None)


def _forwarded(rows: Mapping[str, list[str]]) -> Iterator[PortRange]:
    for word in _words(rows, "forward-ports"):
        parts = dict(part.partition("=")[::2] for part in word.split(":"))
        port = port_range(f"{parts.get('port', '')}/{parts.get('proto', '')}")
        if port is not None:
            yield port


def _rule(text: str, words: Sequence[str]) -> RichRule:
    """Collect the attributes of each element; raises KeyError, ValueError for what firewalld would refuse."""
    attributes: dict[str, dict[str, str]] = {"rule": {}}
    last, limited = "rule", ""
    for word in words[1:]:
        name, is_attribute, value = word.partition("=")
        if is_attribute:
            attributes[last][name] = value
        elif word in ("not", "NOT") and last in ("source", "destination"):
            attributes[last]["invert"] = "true"
        elif word == "limit":
            limited, last = last, "limit"
            attributes["limit"] = {}
        elif word in ("source", "destination") or word in _ELEMENTS | _ACTIONS | _LOGGING:
            attributes[word], last = {}, word
        else:
            raise ValueError(word)
    elements = [one for one in attributes if one in _ELEMENTS]
    actions = [one for one in attributes if one in _ACTIONS]
    if len(elements) > 1 or len(actions) > 1:
        raise ValueError(text)
    element = elements[0] if elements else ""
    own = attributes.get(element, {})
    ports = (
        port_range(f"{own['port']}/{own['protocol']}") if element in ("port", "source-port", "forward-port") else None
    )
    return RichRule(
        text=text,
        priority=int(attributes["rule"].get("priority", "0")[:7]),
        family=attributes["rule"].get("family", ""),
        source=_address(attributes.get("source")),
        destination=_address(attributes.get("destination")),
        element=element,
        name=own["name"] if element == "service" else own["value"] if element == "protocol" else "",
        ports=ports,
        action=actions[0] if actions else "",
        is_limited=limited in _ACTIONS,
    )


def _address(attributes: Mapping[str, str] | None) -> AddressMatch | None:
    if attributes is None:
        return None
    inverted = attributes.get("invert", "").casefold() in ("true", "yes")
    if "address" not in attributes:
        return AddressMatch(None, inverted)
    return AddressMatch(ipaddress.ip_network(attributes["address"], strict=False), inverted)
