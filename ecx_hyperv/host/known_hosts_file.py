"""known_hosts as OpenSSH reads it: names, patterns, hashed names, ports, markers; and edits that touch nothing else.

The rules are those of OpenSSH's hostfile.c and match.c, and the tests hold this reader against `ssh-keygen -F`. A file
may be shared with ssh and with other people: a line that is about another host, or that nobody can read (cut off, a
marker or a kind of key that is not known, a comment), means nothing here and stays as it is, byte for byte.

What would let a stranger in is never done: a key that is revoked for a host is not one of its keys, a certificate
authority's key is no host's key, and pins are never replaced by nothing.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

# How many fields the key of a kind has, its name among them.
_FIELDS = {
    "ssh-ed25519": 2,
    "ssh-rsa": 3,
    "ssh-dss": 5,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
_ED25519_BYTES = 32
_POINT_BYTES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
_HASHED = "|1|"
_LINE = re.compile(
    rb"[ \t]*(?:(?P<marker>@[^ \t]*)[ \t]+)?(?P<names>[^ \t#@][^ \t]*)[ \t]+(?P<kind>[^ \t]+)[ \t]+"
    rb"(?P<key>[^ \t\r\n]+)(?P<rest>.*)",
    re.DOTALL,
)


class Marker(Enum):
    """What a line's key is, where it is not simply a host's."""

    CERT_AUTHORITY = "@cert-authority"
    REVOKED = "@revoked"


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A public key: its kind as OpenSSH names it, and its bytes as they go over the wire."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint as OpenSSH shows it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode("ascii")
        return f"SHA256:{digest.rstrip('=')}"


@dataclass(frozen=True, slots=True)
class KnownHostsLine:
    """One line with its end; `key` is None for a line that means nothing here."""

    raw: bytes
    names: str = ""
    key: PinnedKey | None = None
    marker: Marker | None = None

    @property
    def is_plain(self) -> bool:
        """Tell whether it pins a host's own key, by names without wildcards or by a hashed one."""
        return self.key is not None and self.marker is None and not re.search(r"[*?!]", self.names)

    def is_about(self, name: str) -> bool:
        """Tell whether a host's name, or `[name]:port`, is one of the line's."""
        if self.key is None:
            return False
        if self.names.startswith("|"):
            # ssh asks for a name in lower case, ssh-keygen for the name as given.
            return _is_hash_of(self.names, name) or _is_hash_of(self.names, name.lower())
        return _has_pattern(self.names.lower(), name.lower())


@dataclass(frozen=True, slots=True)
class KnownHostsFile:
    """A whole file."""

    lines: tuple[KnownHostsLine, ...]

    def to_bytes(self) -> bytes:
        """Return the file as it is to be written: what was not edited is as it was, byte for byte."""
        return b"".join(line.raw for line in self.lines)

    def about(self, host: str, port: int) -> tuple[KnownHostsLine, ...]:
        """Return the lines that are about a host, markers included, in the order of the file."""
        names = names_of(host, port)
        return tuple(line for line in self.lines if any(line.is_about(name) for name in names))

    def keys_for(self, host: str, port: int) -> tuple[PinnedKey, ...]:
        """Return all keys that a host may show, several of one kind among them; none that is revoked for it."""
        revoked = set(self.revoked_for(host, port))
        return tuple(key for key in _own_keys(self.about(host, port)) if key not in revoked)

    def keys_without_port(self, host: str) -> tuple[PinnedKey, ...]:
        """Return the keys of a host's bare name, by which ssh looks for one that it does not know at its port."""
        # Not about(host, 22): a pattern like [10.*]:* fits "[10.9.0.1]:22", for which ssh does not look here.
        return _own_keys(line for line in self.lines if line.is_about(host))

    def revoked_for(self, host: str, port: int) -> tuple[PinnedKey, ...]:
        """Return the keys that a host must not show, whoever else pins them."""
        found = [line.key for line in self.about(host, port) if line.key is not None and line.marker is Marker.REVOKED]
        return tuple(dict.fromkeys(found))

    def replaced(self, host: str, port: int, keys: Iterable[PinnedKey]) -> "KnownHostsFile":
        """Return the file in which exactly these keys are pinned for a host by name; raises ValueError for none.

        A line that pins one of them stays where it is; one that pins another loses this host's name, or goes if it has
        no other name. Lines with wildcards or markers, and those of other hosts, stay: keys_for tells what then holds.
        """
        wanted = tuple(dict.fromkeys(keys))
        if not wanted:
            raise ValueError("pins are never replaced by nothing")
        names = names_of(host, port)
        kept = [one for line in self.lines for one in ([line] if line.key in wanted else _without(line, names))]
        there = {line.key for line in kept if line.is_plain and any(line.is_about(name) for name in names)}
        if kept and not kept[-1].raw.endswith(b"\n"):
            kept[-1] = replace(kept[-1], raw=kept[-1].raw + b"\n")
        return KnownHostsFile((*kept, *(_line_of(names[0], key) for key in wanted if key not in there)))


def parse(content: bytes) -> KnownHostsFile:
    """Read a file; nothing raises: a line without sense is one without a key."""
    # Not splitlines(): a comment may hold what only Unicode takes for the end of a line.
    return KnownHostsFile(tuple(_read(raw) for raw in re.findall(rb"[^\n]*\n|[^\n]+", content)))


def names_of(host: str, port: int) -> tuple[str, ...]:
    """Return the names under which a host is pinned, the one to write first."""
    # OpenSSH writes a port only where it is not 22; other programs, this one among them, wrote it always.
    return (host, f"[{host}]:22") if port == 22 else (f"[{host}]:{port}",)


def is_whole(kind: str, blob: bytes) -> bool:
    """Tell whether the bytes of a key are all there, and of the kind that they are said to be."""
    fields = _fields(blob)
    if not fields or fields[0] != kind.encode("ascii", "replace") or _FIELDS.get(kind) != len(fields):
        return False
    if kind == "ssh-ed25519":
        return len(fields[1]) == _ED25519_BYTES
    if kind.startswith("ecdsa-"):
        curve = kind.rpartition("-")[2]
        return fields[1] == curve.encode("ascii") and len(fields[2]) == _POINT_BYTES[curve]
    return all(fields)


def _own_keys(lines: Iterable[KnownHostsLine]) -> tuple[PinnedKey, ...]:
    return tuple(dict.fromkeys(line.key for line in lines if line.key is not None and line.marker is None))


def _read(raw: bytes) -> KnownHostsLine:
    found = _LINE.fullmatch(raw)
    if found is None:
        return KnownHostsLine(raw)
    marker = None
    if found["marker"] is not None:
        known = {one.value.encode("ascii"): one for one in Marker}
        if found["marker"] not in known:
            return KnownHostsLine(raw)
        marker = known[found["marker"]]
    key = _key(found["kind"].decode("latin-1"), found["key"])
    return KnownHostsLine(raw) if key is None else KnownHostsLine(raw, found["names"].decode("latin-1"), key, marker)


def _key(kind: str, text: bytes) -> PinnedKey | None:
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return PinnedKey(kind, blob) if is_whole(kind, blob) else None


def _fields(blob: bytes) -> list[bytes]:
    """Split a key's bytes into its fields; none where a length does not fit."""
    found, at = [], 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4], "big")
        if at + 4 + length > len(blob):
            return []
        found.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _is_hash_of(names: str, name: str) -> bool:
    parts = names.removeprefix(_HASHED).split("|") if names.startswith(_HASHED) else []
    if len(parts) != 2:
        return False
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in parts)
    except (binascii.Error, ValueError):
        return False
    made = hmac.new(salt, name.encode("utf-8", "replace"), hashlib.sha1).digest()
    return len(salt) == len(made) and hmac.compare_digest(digest, made)


def _has_pattern(patterns: str, name: str) -> bool:
    """Match as OpenSSH does: `*` and `?` alone are special, and one pattern with `!` that fits outweighs all."""
    found = False
    for part in patterns.split(","):
        if _fits(part.removeprefix("!"), name):
            if part.startswith("!"):
                return False
            found = True
    return found


def _fits(pattern: str, name: str) -> bool:
    """Match one pattern, going back no further than the last `*`, so that none takes long."""
    at = start = 0
    star = -1
    for_star = 0
    while start < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, for_star, at = at, start, at + 1
        elif at < len(pattern) and pattern[at] in ("?", name[start]):
            at, start = at + 1, start + 1
        elif star >= 0:
            for_star += 1
            at, start = star + 1, for_star
        else:
            return False
    return not pattern[at:].strip("*")


def _without(line: KnownHostsLine, names: tuple[str, ...]) -> Iterator[KnownHostsLine]:
    """Return a line without a host's own names: as it is, with fewer names, or not at all."""
    if not line.is_plain or not any(line.is_about(name) for name in names):
        yield line
        return
    others = [one for one in line.names.split(",") if one.lower() not in {name.lower() for name in names}]
    if line.names.startswith("|") or not any(others):
        return
    left = ",".join(others)
    raw = line.raw.replace(line.names.encode("latin-1"), left.encode("latin-1"), 1)
    yield replace(line, raw=raw, names=left)


def _line_of(name: str, key: PinnedKey) -> KnownHostsLine:
    text = f"{name} {key.kind} {base64.b64encode(key.blob).decode('ascii')}\n"
    return KnownHostsLine(text.encode("ascii"), name, key)
