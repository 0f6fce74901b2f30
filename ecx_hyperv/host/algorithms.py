"""Which SSH algorithms this program takes, and what is missing where a host takes none of them. Pure.

The lists say what is allowed, not what is forbidden: what a later paramiko adds is not used before somebody has read of
it. Nothing with MD5, with a MAC cut to 96 bits, with CBC, or with SHA-1 in a signature or a key exchange is taken.

Terrapin (CVE-2023-48795): without strict key exchange, which the sshd in Windows Server 2019 and 2022 lacks, somebody
on the way can drop the first packets behind the key exchange where an encrypt-then-MAC algorithm is used. So such a MAC
is taken only where both sides agreed on strict key exchange. The other MACs stand first, so that a host that has both
kinds is never refused. With AES-GCM no MAC of its own is used, and Terrapin does not work.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
)
CIPHERS = ("aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
MACS = (
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
)
# The kinds of host keys that can be checked, and by which signatures.
HOST_KEYS: Mapping[str, tuple[str, ...]] = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
STRICT = "kex-strict-s-v00@openssh.com"
_STRICTS = "kex-strict-"
_NO_METHODS = ("ext-info-", _STRICTS)
_COMPRESSIONS = ("none",)
# What is told of a host's list: it comes from whoever answers, before any key was checked.
_MOST_NAMES = 12
_LONGEST_NAME = 64


class AlgorithmKind(Enum):
    """What both sides must agree on; the value is its name for a person."""

    EXCHANGE = "key exchange"
    HOST_KEY = "host key"
    CIPHER = "cipher"
    MAC = "MAC"
    COMPRESSION = "compression"

    @property
    def keyword(self) -> str:
        """Return the word in sshd_config that decides about it."""
        return _KEYWORDS[self]


_KEYWORDS = {
    AlgorithmKind.EXCHANGE: "KexAlgorithms",
    AlgorithmKind.HOST_KEY: "HostKeyAlgorithms",
    AlgorithmKind.CIPHER: "Ciphers",
    AlgorithmKind.MAC: "MACs",
    AlgorithmKind.COMPRESSION: "Compression",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What one side of an SSH connection takes; of what may differ by direction, what it takes in both."""

    exchanges: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    compressions: tuple[str, ...] = _COMPRESSIONS
    is_strict: bool = True


@dataclass(frozen=True, slots=True)
class Gap:
    """A kind of algorithm in which both sides have nothing in common."""

    kind: AlgorithmKind
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    # The MACs that only strict key exchange would allow; empty where the host agrees to it.
    for_strict: tuple[str, ...] = ()

    def __str__(self) -> str:
        only = f"; {_listed(self.for_strict)} only with strict key exchange, which the host lacks"
        ours = _listed(self.ours) + (only if self.for_strict else "")
        return f"{self.kind.value}: the host takes {_listed(self.theirs)}, this program {ours}"


def is_aead(cipher: str) -> bool:
    """Tell whether a cipher proves by itself that nothing was changed, so that the MAC is agreed on but not used."""
    return "-gcm@" in cipher


OURS = Offer(EXCHANGES, tuple(one for ones in HOST_KEYS.values() for one in ones), CIPHERS, MACS)


# With these no MAC is used: a way to a host that has but encrypt-then-MAC, and no strict key exchange.
WITHOUT_MAC = replace(OURS, ciphers=tuple(one for one in CIPHERS if is_aead(one)))


def offer_of(lists: Iterable[Iterable[str]]) -> Offer:
    """Return what a host's KEXINIT message offers: its first eight lists, in the order of RFC 4253, 7.1."""
    exchanges, host_keys, to_cipher, from_cipher, to_mac, from_mac, to_packing, from_packing = map(tuple, lists)
    return Offer(
        tuple(one for one in exchanges if not one.startswith(_NO_METHODS)),
        host_keys,
        _common(to_cipher, from_cipher),
        _common(to_mac, from_mac),
        _common(to_packing, from_packing),
        {one for one in exchanges if one.startswith(_STRICTS)} == {STRICT},
    )


def gaps(ours: Offer, theirs: Offer) -> tuple[Gap, ...]:
    """Return the kinds in which nothing is common, all of them, so that one edit on the host is enough."""
    found = [
        Gap(kind, mine, its)
        for kind, mine, its in (
            (AlgorithmKind.EXCHANGE, ours.exchanges, theirs.exchanges),
            (AlgorithmKind.HOST_KEY, ours.host_keys, theirs.host_keys),
            (AlgorithmKind.CIPHER, ours.ciphers, theirs.ciphers),
            (AlgorithmKind.COMPRESSION, ours.compressions, theirs.compressions),
        )
        if not _common(mine, its)
    ]
    is_strict = ours.is_strict and theirs.is_strict
    refused = () if is_strict else tuple(one for one in ours.macs if is_etm(one))
    allowed = tuple(one for one in ours.macs if one not in refused)
    if not _common(allowed, theirs.macs) and not (_common(refused, theirs.macs) and _needs_no_mac(ours, theirs)):
        found.append(Gap(AlgorithmKind.MAC, allowed, theirs.macs, refused))
    return tuple(found)


def is_etm(mac: str) -> bool:
    """Tell whether a MAC is one of those that are open to Terrapin."""
    return "-etm@" in mac


def kinds_in(algorithms: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of keys that a list of signature algorithms is about, as far as they can be checked."""
    offered = set(algorithms)
    return tuple(kind for kind, ones in HOST_KEYS.items() if offered.intersection(ones))


def _needs_no_mac(ours: Offer, theirs: Offer) -> bool:
    return any(is_aead(cipher) for cipher in _common(ours.ciphers, theirs.ciphers)[:1])


def _common(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in some if one in others)


def _listed(names: tuple[str, ...]) -> str:
    if not any(names):
        return "none"
    shown = [
        "".join(c if c.isascii() and c.isprintable() else "?" for c in name[:_LONGEST_NAME])
        for name in names[:_MOST_NAMES]
    ]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
