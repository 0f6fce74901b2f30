"""Logging in to a host: what it takes, and what each thing that is in the way is called."""

import base64
import errno
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pytest_mock import MockerFixture

from ecx_hyperv.errors import HostError, HostKeyRefused, LoginRefused, Silent, Unreachable
from ecx_hyperv.host import ssh
from ecx_hyperv.host.known_hosts_file import PinnedKey
from ecx_hyperv.host.ssh import SshTarget, fetch_host_keys
from ecx_hyperv.lab.model.things import Sshd
from tests.wire.support import (
    PATIENCE_S,
    USER,
    Site,
    at_most,
    client_connections,
    happens,
    listener,
    make_ecdsa_key,
    make_key,
    within,
)


def refusal(site: Site, kind: type[HostError]) -> HostError:
    """Return the error of that very kind that a login ends with."""
    with pytest.raises(kind) as caught:
        site.connect()
    assert kind is caught.type
    return caught.value


def nothing(_connection: socket.socket) -> None:
    """Say nothing."""


def nonsense(connection: socket.socket) -> None:
    """Greet as another kind of server."""
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.shutdown(socket.SHUT_WR)


def farewell(connection: socket.socket) -> None:
    """Hang up at once, as sshd does when too many are logging in."""
    connection.close()


@pytest.fixture
def no_host(tmp_path: Path) -> Site:
    """Return a host whose key is pinned, at whose address nobody listens."""
    return Site(tmp_path, 4)


def test_login_with_the_right_keys(site: Site) -> None:
    """A host with the pinned key must let in who has the right key, once."""
    site.connect()
    assert 1 == site.logins


def test_nobody_listens(no_host: Site) -> None:
    """A host that refuses connections must be unreachable at once, and the error must name it and its port."""
    with at_most(2.0):
        error = refusal(no_host, Unreachable)
    address, port = no_host.place
    assert address == error.host
    assert f"{address}: port {port} cannot be connected to" == error.summary
    assert "Connection refused" == error.seen


@pytest.mark.defect(2)
def test_nothing_answers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose packets vanish must be unreachable after the limit of a connection."""
    monkeypatch.setattr(ssh, "TCP_S", 0.3)
    site.endpoint.become(Sshd.SILENT)
    with at_most(2.0):
        error = refusal(site, Silent)
    assert "nothing for 0.3 s" == error.seen


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EHOSTUNREACH, Silent),
        (errno.EHOSTDOWN, Silent),
        (errno.ETIMEDOUT, Silent),
        (errno.ENETUNREACH, Unreachable),
        (errno.ECONNRESET, Unreachable),
        (errno.EACCES, Unreachable),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
def test_only_a_host_from_which_nothing_comes_back_is_silent(
    site: Site, mocker: MockerFixture, code: int, kind: type[Unreachable]
) -> None:
    """A host that nobody finds must count as silent; one that refuses, or no route of one's own, must not."""
    mocker.patch("socket.create_connection", side_effect=OSError(code, "so it is"))
    assert "so it is" in refusal(site, kind).seen or code == errno.ETIMEDOUT


def test_life_is_told_once_the_host_takes_the_connection(site: Site) -> None:
    """Whoever wants to know must hear of a host that takes the connection, even of one that refuses the login."""
    heard: list[str] = []
    site.endpoint.become(Sshd.REFUSING)
    with pytest.raises(LoginRefused):
        site.connect(on_life=lambda: heard.append("it lives"))
    assert ["it lives"] == heard


def test_life_is_not_told_of_a_silent_host(site: Site) -> None:
    """A host that takes no connection has not shown that it lives."""
    heard: list[str] = []
    site.endpoint.become(Sshd.SILENT)
    with pytest.raises(Silent):
        site.connect(0.2, lambda: heard.append("it lives"))
    assert [] == heard


def test_deadline_is_nearer_than_the_limit(site: Site) -> None:
    """A connection must be given up at the command's deadline when that is nearer than its own limit."""
    site.endpoint.become(Sshd.SILENT)
    with at_most(2.0), pytest.raises(Unreachable):
        site.connect(0.2)


@pytest.mark.defect(2)
@pytest.mark.parametrize(
    ("greet", "seen"),
    [(nothing, "no answer in time"), (nonsense, "Error reading SSH protocol banner"), (farewell, "")],
    ids=["says nothing", "is no sshd", "hangs up"],
)
def test_listener_that_does_not_shake_hands(
    no_host: Site, monkeypatch: pytest.MonkeyPatch, greet: Callable[[socket.socket], None], seen: str
) -> None:
    """A port at which no SSH handshake comes about must be unreachable within the limit of a handshake."""
    monkeypatch.setattr(ssh, "HANDSHAKE_S", 0.3)
    with listener(no_host.place, greet), at_most(2.0):
        error = refusal(no_host, Unreachable)
    assert "SSH login does not come about" in error.what
    assert seen in error.seen


def test_handshake_that_paramiko_gives_up(no_host: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake whose wait just ends, as paramiko's does at its own limit, must be unreachable like any other."""
    monkeypatch.setattr(paramiko.Transport, "start_client", lambda *_, **__: None)
    with listener(no_host.place, nothing):
        error = refusal(no_host, Unreachable)
    assert "SSH login does not come about" in error.what


def test_login_that_hangs_is_not_a_refusal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that never answers the login must be unreachable, since nothing is said about the key."""
    over = threading.Event()

    def hang(*_: object) -> int:
        over.wait(PATIENCE_S)
        return paramiko.common.AUTH_FAILED

    monkeypatch.setattr("ecx_hyperv.lab.service.sshd._Server.check_auth_publickey", hang)
    monkeypatch.setattr(ssh, "AUTH_S", 0.3)
    with at_most(2.0):
        error = refusal(site, Unreachable)
    over.set()
    assert "no answer in time" == error.seen


def test_connection_that_breaks_in_the_login_is_not_a_refusal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that goes away in the middle of the login must be unreachable, since nothing is said about the key."""

    def go_away(*_: object) -> int:
        site.endpoint.drop_all()
        return paramiko.common.AUTH_FAILED

    monkeypatch.setattr("ecx_hyperv.lab.service.sshd._Server.check_auth_publickey", go_away)
    with at_most(2.0):
        refusal(site, Unreachable)


@pytest.mark.defect(15)
def test_host_key_that_is_not_pinned(site: Site) -> None:
    """A host without an entry in known_hosts must be refused, and the error must say what to run."""
    site.known_hosts.write_text("")
    error = refusal(site, HostKeyRefused)
    assert f"no entry {site.target.entry} in {site.known_hosts}" == error.seen
    assert "run: ecx-hyperv trust" == error.remedy
    assert 0 == site.logins


def test_no_known_hosts_at_all(site: Site) -> None:
    """A known_hosts that is not there yet must be as good as an empty one."""
    site.known_hosts.unlink()
    assert "its host key is not pinned" in refusal(site, HostKeyRefused).what


def test_known_hosts_that_cannot_be_read(site: Site) -> None:
    """A known_hosts that is no file must be said to be unreadable, not that the host is unknown."""
    site.known_hosts.unlink()
    site.known_hosts.mkdir()
    assert "cannot be read" in refusal(site, HostKeyRefused).what


def test_host_key_that_has_changed(site: Site, tmp_path: Path) -> None:
    """A host with another key of the pinned kind must be refused before anything is said to it."""
    site.pin(make_key(tmp_path / "another"))
    error = refusal(site, HostKeyRefused)
    assert "is not the one pinned" in error.what
    assert "ssh-ed25519 key is SHA256:" in error.seen
    assert 0 == site.logins


def test_only_a_key_of_another_kind_is_pinned(site: Site, tmp_path: Path) -> None:
    """A host that has no key of a pinned kind must be refused as one whose key has changed."""
    site.pin(make_ecdsa_key(tmp_path / "another"))
    error = refusal(site, HostKeyRefused)
    assert "is not the one pinned" in error.what
    assert "no key of a pinned kind" in error.seen
    assert 0 == site.logins


def test_one_of_several_pinned_keys_is_enough(site: Site, tmp_path: Path) -> None:
    """A host must be let pass with one of its pinned keys, of whatever kinds the others are."""
    site.pin(make_ecdsa_key(tmp_path / "another"), paramiko.PKey.from_path(tmp_path / "host-1"))
    site.connect()
    assert 1 == site.logins


def test_login_with_a_key_that_the_host_does_not_know(site: Site, tmp_path: Path) -> None:
    """A host that does not know the key must have refused the login, and the error must say where keys belong."""
    make_key(tmp_path / "id-1")
    error = refusal(site, LoginRefused)
    assert f"{site.place[0]}: it does not let {USER} in" == error.summary
    assert "administrators_authorized_keys" in error.remedy


def test_login_that_the_host_refuses(site: Site) -> None:
    """A host that refuses whoever comes must have refused the login."""
    site.endpoint.become(Sshd.REFUSING)
    refusal(site, LoginRefused)


def test_login_that_needs_more_than_a_key(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that accepts the key but wants a password too must have refused the login, and the error must say so."""
    partly = paramiko.common.AUTH_PARTIALLY_SUCCESSFUL
    monkeypatch.setattr("ecx_hyperv.lab.service.sshd._Server.check_auth_publickey", lambda *_: partly)
    assert f"{site.place[0]}: it wants more than a key from {USER}" == refusal(site, LoginRefused).summary


def as_pem(private: X25519PrivateKey) -> bytes:
    """Return a private key in the general form."""
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def locked() -> bytes:
    """Return a private key that needs a passphrase."""
    lock = serialization.PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(1).build(b"secret")
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock
    )


def of_a_security_key() -> bytes:
    """Return a private key that is no more than a reference to a device."""
    parts = (b"sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:")
    public = b"".join(map(_sized, parts))
    private = bytes(8) + public + b"\1" + _sized(bytes(64)) + _sized(b"") + _sized(b"")
    padded = private + bytes(range(1, 9))[: -len(private) % 8]
    blob = b"openssh-key-v1\0" + _sized(b"none") * 2 + _sized(b"") + b"\0\0\0\1" + _sized(public) + _sized(padded)
    return b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.encodebytes(blob) + b"-----END OPENSSH PRIVATE KEY-----\n"


def _sized(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part


USELESS_KEYS = {
    "missing": None,
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "the public one": b"ssh-ed25519 AAAA someone\n",
    "cut short": b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
    "with a passphrase": locked(),
    "for no login": as_pem(X25519PrivateKey.generate()),
    "of a security key": of_a_security_key(),
}


@pytest.mark.parametrize("content", USELESS_KEYS.values(), ids=USELESS_KEYS.keys())
def test_private_key_that_cannot_be_used(site: Site, content: bytes | None) -> None:
    """A private key that cannot be used must be a refused login that names its file, before anybody is called."""
    site.key.unlink()
    if content is not None:
        site.key.write_bytes(content)
    error = refusal(site, LoginRefused)
    assert f"the private key {site.key} cannot be used" in error.what
    assert 0 == site.logins


def test_private_key_that_cannot_be_read(site: Site) -> None:
    """A private key that is no file must be a refused login that names it."""
    site.key.unlink()
    site.key.mkdir()
    assert f"the private key {site.key} cannot be used" in refusal(site, LoginRefused).what


def test_private_key_with_a_damaged_certificate_beside_it(site: Site) -> None:
    """A certificate that cannot be read must be a refused login, not an error that nobody expects."""
    site.key.with_name(f"{site.key.name}-cert.pub").write_text("damaged")
    refusal(site, LoginRefused)


def test_failed_login_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    """A login that failed must leave no connection and no thread behind, since it is tried again and again."""
    make_key(tmp_path / "id-1")
    refusal(site, LoginRefused)
    assert happens(lambda: client_connections() == 0)


def test_host_keys_can_be_fetched_without_a_login(site: Site, tmp_path: Path) -> None:
    """The keys that a person is asked to trust must be the host's own, of every kind that it has."""
    key = paramiko.PKey.from_path(tmp_path / "host-1")
    assert (PinnedKey("ssh-ed25519", key.asbytes()),) == fetch_host_keys(site.target, within(PATIENCE_S))
    assert 0 == site.logins


def test_host_keys_of_nobody(no_host: Site) -> None:
    """Fetching the keys of a host that is not there must be an error, not an empty list."""
    with pytest.raises(Unreachable):
        fetch_host_keys(no_host.target, within(PATIENCE_S))


def test_rsa_host_key_is_accepted(tmp_path: Path) -> None:
    """A host whose pinned key is RSA must be let pass by its modern signatures."""
    host = Site(tmp_path, 5, generate_private_key(65537, 2048))
    host.open()
    host.connect()
    host.close()
    assert 1 == host.logins


@pytest.mark.parametrize(("port", "entry"), [(22, "192.0.2.1"), (2222, "[192.0.2.1]:2222")])
def test_entry_of_known_hosts(port: int, entry: str) -> None:
    """A host must be looked up in known_hosts as ssh does: by its address alone at port 22."""
    assert entry == SshTarget("192.0.2.1", port, USER, "key", "known_hosts").entry


def test_name_that_does_not_resolve(no_host: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose name nobody knows must be unreachable."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "Name or service not known" == refusal(no_host, Unreachable).seen
