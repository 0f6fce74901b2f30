"""Whether a host is the one whose key is pinned, and what is said where it is not."""

from collections.abc import Sequence

from ecx_hyperv.errors import HostKeyRefused, LocalError, NoCommonAlgorithm
from ecx_hyperv.host.algorithms import HOST_KEYS, Gap
from ecx_hyperv.host.known_hosts import KnownHosts
from ecx_hyperv.host.known_hosts_file import PinnedKey, names_of


def read_pins(host: str, port: int, path: str) -> KnownHosts:
    """Return the pinned keys; raises HostKeyRefused if none of them is one that the host could show."""
    try:
        known = KnownHosts.read(path)
    except LocalError as error:
        raise _not_pinned(host, error.what, error.seen) from None
    pinned = known.pinned(host, port)
    if not pinned and known.own(host, port):
        raise _not_pinned(host, "each of its pinned keys is revoked", f"@revoked in {path}")
    if not pinned:
        raise _not_pinned(host, "its host key is not pinned", f"no entry {names_of(host, port)[0]} in {path}")
    kinds = sorted({key.kind for key in pinned})
    if not HOST_KEYS.keys() & kinds:
        what = "no key of a kind that this program can check is pinned for it"
        raise _not_pinned(host, what, f"{', '.join(kinds)} in {path}")
    return known


def check_key(known: KnownHosts, host: str, port: int, shown: PinnedKey) -> None:
    """Raise HostKeyRefused for a key that is revoked, or not pinned."""
    if shown in known.revoked(host, port):
        raise HostKeyRefused(
            host,
            f"it shows a key that is revoked in {known.path}",
            seen=f"{shown.kind} {shown.fingerprint}",
            remedy="find out who answers at this address; if it is the host, give it new keys, then: ecx-hyperv trust",
        )
    if shown not in known.pinned(host, port):
        raise changed(known, host, f"its {shown.kind} key is {shown.fingerprint}")


def changed(known: KnownHosts, host: str, seen: str) -> HostKeyRefused:
    """Return the error of a host that is not the one whose key is pinned."""
    return HostKeyRefused(
        host,
        f"its host key is not the one pinned in {known.path}",
        seen=seen,
        remedy=f"if the host was reinstalled: ecx-hyperv trust --replace {host}; "
        "if not, find out who answers at this address",
    )


def nothing_common(host: str, gaps: Sequence[Gap]) -> NoCommonAlgorithm:
    """Return the error of a host whose sshd takes none of this program's algorithms of these kinds."""
    return NoCommonAlgorithm(
        host,
        f"its sshd and this program have no {' and no '.join(gap.kind.value for gap in gaps)} in common",
        seen="; ".join(map(str, gaps)),
        remedy="allow one that this program takes in sshd_config on the host "
        f"({', '.join(gap.kind.keyword for gap in gaps)}), or install a newer OpenSSH there; then restart its sshd",
    )


def _not_pinned(host: str, what: str, seen: str) -> HostKeyRefused:
    return HostKeyRefused(host, what, seen=seen, remedy="run: ecx-hyperv trust", tried=False)
