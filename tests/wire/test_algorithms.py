"""Algorithms over a real handshake: what is agreed on, what is refused, and by which error."""

import functools
import socket
import threading
from pathlib import Path

import paramiko
import pytest

from ecx_hyperv.errors import HostKeyRefused, NoCommonAlgorithm, Unreachable
from ecx_hyperv.host import algorithms
from ecx_hyperv.host.algorithms import MACS, OURS, Offer, is_etm
from ecx_hyperv.host.ssh import fetch_host_keys
from ecx_hyperv.host.transport import HostTransport
from tests.wire.support import PATIENCE_S, Site, happens, listener, make_ecdsa_key, within

ETM = tuple(one for one in MACS if is_etm(one))
GCM = ("aes256-gcm@openssh.com",)


def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the host's sshd know nothing of strict key exchange, as those of Windows Server 2019 and 2022."""
    monkeypatch.setattr(paramiko, "Transport", functools.partial(paramiko.Transport, strict_kex=False))


def takes(monkeypatch: pytest.MonkeyPatch, what: str, *names: str) -> None:
    """Have the host's sshd take these alone; this program's own lists are its own."""
    monkeypatch.setattr(paramiko.Transport, f"_preferred_{what}", names)


def agreed(site: Site) -> HostTransport:
    """Log in, and return the transport."""
    transport = site.connect()._transport
    assert isinstance(transport, HostTransport)
    return transport


def test_what_is_agreed_on_by_default(site: Site) -> None:
    """A host with everything must come to a MAC that Terrapin does not touch, and its offer must be remembered."""
    transport = agreed(site)
    assert ("aes128-ctr", "hmac-sha2-256") == (transport.remote_cipher, transport.remote_mac)
    assert transport.theirs is not None
    assert "hmac-md5" in transport.theirs.macs
    assert () == transport.gaps


def test_what_is_offered_is_what_is_allowed(site: Site) -> None:
    """Nothing beyond the lists of this program must be offered to a host, by any paramiko."""
    transport = agreed(site)
    options = transport.get_security_options()
    assert MACS == tuple(options.digests)
    assert algorithms.CIPHERS == tuple(options.ciphers)
    assert set(options.kex) <= set(algorithms.EXCHANGES)
    assert set(transport.preferred_macs) == set(MACS)


def test_f02_etm_alone_with_strict_key_exchange(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with encrypt-then-MAC alone must be logged in to where both sides keep to strict key exchange."""
    takes(monkeypatch, "macs", *ETM)
    transport = agreed(site)
    assert transport.agreed_on_strict_kex
    assert ETM[0] == transport.remote_mac


@pytest.mark.parametrize("mac", ETM)
def test_f02_etm_alone_without_strict_key_exchange(site: Site, monkeypatch: pytest.MonkeyPatch, mac: str) -> None:
    """Without strict key exchange encrypt-then-MAC must be refused before the login, with the reason."""
    takes(monkeypatch, "macs", mac)
    takes(monkeypatch, "ciphers", "aes128-ctr")
    lenient(monkeypatch)
    with pytest.raises(NoCommonAlgorithm) as caught:
        site.connect()
    assert "its sshd and this program have no MAC in common" == caught.value.what
    assert f"the host takes {mac}" in caught.value.seen
    assert "only with strict key exchange, which the host lacks" in caught.value.seen
    assert 0 == site.logins


@pytest.mark.parametrize("ciphers", [GCM, ("aes128-ctr",)], ids=["gcm", "ctr"])
def test_f02_both_kinds_of_macs_without_strict_key_exchange(
    site: Site, monkeypatch: pytest.MonkeyPatch, ciphers: tuple[str, ...]
) -> None:
    """A host that has other MACs too, whatever it likes best, must be logged in to without encrypt-then-MAC."""
    takes(monkeypatch, "macs", *ETM, "hmac-sha1")
    takes(monkeypatch, "ciphers", *ciphers)
    lenient(monkeypatch)
    transport = agreed(site)
    assert not transport.agreed_on_strict_kex
    assert "hmac-sha1" == transport.remote_mac


def test_f02_gcm_needs_no_mac(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With AES-GCM the MAC is agreed on but not used, so that its kind must not matter."""
    takes(monkeypatch, "macs", *ETM)
    takes(monkeypatch, "ciphers", *GCM)
    lenient(monkeypatch)
    agreed(site)
    assert 1 == site.logins


def test_f02_gcm_is_a_way_to_a_host_with_etm_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without strict key exchange a host with encrypt-then-MAC alone must be logged in to by AES-GCM."""
    takes(monkeypatch, "macs", *ETM)
    takes(monkeypatch, "ciphers", "aes128-ctr", *GCM)
    lenient(monkeypatch)
    assert GCM[0] == agreed(site).remote_cipher
    # The first connection is closed.
    assert happens(lambda: 1 == sum(isinstance(thread, HostTransport) for thread in threading.enumerate()))


@pytest.mark.parametrize(
    ("what", "name", "part", "keyword"),
    [
        ("macs", "hmac-md5", "MAC", "MACs"),
        ("macs", "hmac-md5-96", "MAC", "MACs"),
        ("macs", "hmac-sha1-96", "MAC", "MACs"),
        ("ciphers", "aes256-cbc", "cipher", "Ciphers"),
        ("ciphers", "3des-cbc", "cipher", "Ciphers"),
    ],
)
def test_f02_what_is_weak_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, what: str, name: str, part: str, keyword: str
) -> None:
    """A host with nothing but what is weak must be an error of its own that names both sides and where to change it."""
    takes(monkeypatch, what, name)
    for attempt in (site.connect, lambda: fetch_host_keys(site.target, within(PATIENCE_S))):
        with pytest.raises(NoCommonAlgorithm) as caught:
            attempt()
        assert f"its sshd and this program have no {part} in common" == caught.value.what
        assert f"{part}: the host takes {name}, this program " in caught.value.seen
        assert f"({keyword})" in caught.value.remedy
    assert 0 == site.logins


def test_f02_several_parts_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is missing must be told at once, so that one edit of sshd_config is enough."""
    takes(monkeypatch, "ciphers", "aes256-cbc")
    takes(monkeypatch, "macs", "hmac-md5")
    with pytest.raises(NoCommonAlgorithm, match="no cipher and no MAC in common"):
        site.connect()


def test_a_key_of_a_kind_that_nobody_can_check(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has only keys that this program cannot check must be that error, not one of a changed key."""
    monkeypatch.setattr(
        algorithms, "offer_of", lambda _lists: Offer(OURS.exchanges, ("ssh-dss",), OURS.ciphers, OURS.macs)
    )
    site.pin(make_ecdsa_key(site.folder / "another"))
    with pytest.raises(NoCommonAlgorithm, match="no host key in common"):
        site.connect()


def test_only_a_pinned_kind_is_asked_for(site: Site) -> None:
    """A host whose keys are of other kinds than the pinned ones must have changed, and both sides be named."""
    site.pin(make_ecdsa_key(site.folder / "another"))
    with pytest.raises(HostKeyRefused) as caught:
        site.connect()
    assert "it has no key of a pinned kind: it has ssh-ed25519, pinned is ecdsa-sha2-nistp256" == caught.value.seen


def test_another_version_of_ssh_is_no_changed_key(tmp_path: Path) -> None:
    """A server that speaks SSH 1 must be one with which no login comes about."""
    site = Site(tmp_path, 6)
    with (
        listener(site.place, lambda connection: connection.sendall(b"SSH-1.5-old\r\n")),
        pytest.raises(Unreachable) as caught,
    ):
        site.connect()
    assert "SSH login does not come about" in caught.value.what


def test_a_list_that_is_no_text() -> None:
    """Bytes of a hostile list must come to text that can be shown, not to an error of their own."""
    ours, other = socket.socketpair()
    transport = HostTransport(ours)
    message = paramiko.Message()
    message.add_bytes(bytes(16))
    for _ in range(10):
        message.add_string(b"\xff\x1b[2J,aes")
    message.rewind()
    # paramiko's own reader is behind ours.
    with pytest.raises(UnicodeDecodeError):
        transport._parse_kex_init(message)
    assert "?" in str(transport.gaps[0])
    assert str(transport.gaps[0]).isprintable()
    for one in (ours, other):
        one.close()
