"""This machine's interfaces and addresses, as `ip -json address show` lists them.

Releases of iproute2 differ: they leave out keys, put empty objects into the list, or warn on standard output before
it. What is no address is left out; an answer without a list is None, since an empty list would say that there is none.
"""

import ipaddress
from dataclasses import dataclass
from typing import Any

import msgspec

from ecx_hyperv.config import is_address

_MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address; `prefix` is the length of its network's, None where it is not shown."""

    interface: str
    address: str
    prefix: int | None

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
        """Return the network that it is on; None where that is not shown."""
        if self.prefix is None:
            return None
        try:
            return ipaddress.ip_network(f"{self.address.partition('%')[0]}/{self.prefix}", strict=False)
        except ValueError:
            return None


def parse(content: bytes) -> tuple[InterfaceAddress, ...] | None:
    """Read the answer of `ip -json address show`; None for what has no list of interfaces. Nothing raises."""
    start = content.find(b"[")
    while 0 <= start < min(len(content), _MOST_BYTES):
        try:
            rows = msgspec.json.decode(content[start:])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # A warning may hold a bracket of its own, but stands in a line before the list.
            line = content.find(b"\n", start)
            start = content.find(b"[", line) if line >= 0 else -1
            continue
        return tuple(_read(rows)) if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None
    return None


def _read(rows: list[dict[str, Any]]) -> list[InterfaceAddress]:
    found = []
    for row in rows:
        entries = row.get("addr_info")
        for entry in entries if isinstance(entries, list) else ():
            local, prefix = (entry.get("local"), entry.get("prefixlen")) if isinstance(entry, dict) else (None, None)
            if isinstance(local, str) and is_address(local):
                name = row.get("ifname")
                length = prefix if isinstance(prefix, int) and not isinstance(prefix, bool) else None
                found.append(InterfaceAddress(name if isinstance(name, str) else "", local, length))
    return found
