"""What this program takes and refuses, beside OpenSSH's own client, in front of a real sshd."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecx_hyperv.errors import HostError, HostKeyRefused, NoCommonAlgorithm
from ecx_hyperv.host.known_hosts import KnownHosts, Pins, PinState
from ecx_hyperv.host.known_hosts_file import PinnedKey
from ecx_hyperv.host.ssh import connect, fetch_host_keys
from tests.e2e.openssh import SSHD, PlainSshd
from tests.wire.support import PATIENCE_S, within

pytestmark = pytest.mark.skipif(SSHD is None, reason="no sshd on this machine: install openssh-server")

ADDRESS = "127.0.0.1"
# Keys that nobody has.
OTHER, THIRD = (
    "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + 32 * byte).decode() for byte in (b"x", b"y")
)
# A Windows host that was hardened by a public guide: no plain MAC, no GCM, and curve25519 by its newer name.
ETM_ONLY = (
    "Ciphers aes256-ctr,aes128-ctr",
    "MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com",
    "KexAlgorithms curve25519-sha256",
    "HostKeyAlgorithms ssh-ed25519",
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainSshd]:
    """Return a real sshd with a key of each kind, that all comparisons ask."""
    sshd = PlainSshd(tmp_path_factory.mktemp("sshd"), ADDRESS, "ed25519", "ecdsa", "rsa")
    with sshd.running():
        yield sshd


def trouble(sshd: PlainSshd) -> HostError | None:
    """Log in, and return what is wrong."""
    try:
        connect(sshd.target, within(PATIENCE_S)).close()
    except HostError as error:
        return error
    return None


def hashed(sshd: PlainSshd, text: str) -> str:
    """Return lines as `ssh-keygen -H` leaves them."""
    path = sshd.folder / "to_hash"
    path.write_text(text, encoding="ascii")
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], check=True, capture_output=True)
    path.with_suffix(".old").unlink()
    return path.read_text(encoding="ascii")


# {here} is the host's name with its port, {key} its ed25519 key; {hashed:...} is written as ssh-keygen -H does.
FILES = {
    "its key": "{here} {key}\n",
    "empty": "",
    "another key": "{here} {other}\n",
    "d21 two of a kind": "{here} {other}\n{here} {key}\n",
    "d21 two of a kind, the right one first": "{here} {key}\n{here} {other}\n",
    "d21 an old key of one kind, the right one of another": "{here} {other}\n{here} {ecdsa}\n",
    "d21 the right key of one kind, an old one of another": "{here} {ecdsa}\n{here} {other}\n",
    "d21 the right keys in another order": "{here} {rsa}\n{here} {ecdsa}\n{here} {key}\n",
    "another kind alone": "{here} {ecdsa}\n",
    "rsa alone": "{here} {rsa}\n",
    "f04 cut": "{here} {key}\nbackup9 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx\n",
    "f04 cut before": "backup9 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx\n{here} {key}\n",
    "f04 authority of others": "@cert-authority *.lab {other}\n{here} {key}\n",
    "f04 revoked for others": "@revoked *.lab {key}\n{here} {key}\n",
    "f04 another marker": "@what {here} {key}\n",
    "an authority is no host's key": "@cert-authority {here} {key}\n",
    "revoked": "{here} {key}\n@revoked {here} {key}\n",
    "revoked before": "@revoked {here} {key}\n{here} {key}\n",
    "revoked for all": "@revoked * {key}\n{here} {key}\n",
    "revoked key beside the right one": "@revoked * {other}\n{here} {key}\n",
    "f06 hashed": "{hashed}",
    "pattern": "[127.0.*]:* {key}\n",
    "pattern with a negation": "[127.0.*]:*,!{here} {key}\n",
    "any": "* {key}\n",
    "without the port": "127.0.0.1 {key}\n",
    "without the port, another key with it": "127.0.0.1 {key}\n{here} {other}\n",
    "another port": "[127.0.0.1]:1 {key}\n",
    "several names": "hv1,{here},10.9.0.1 {key} a comment\n",
    "tabs and blanks": "  {here}\t \t{key}\n",
    "crlf": "{here} {key} x\r\n",
    "no line feed": "{here} {key}",
    "commented out": "# {here} {key}\n",
    "no text": "\u00ff\u0000\n{here} {key}\n",
}


@pytest.mark.parametrize("name", FILES)
def test_f04_f06_d21_pinned_keys_as_ssh_takes_them(shared: PlainSshd, name: str) -> None:
    """A file of pinned keys must let in, and keep out, whom OpenSSH's client lets in and keeps out."""
    here = f"[{ADDRESS}]:{shared.place[1]}"
    keys = {"key": shared.host_keys["ed25519"], "ecdsa": shared.host_keys["ecdsa"], "rsa": shared.host_keys["rsa"]}
    values = {"here": here, "other": OTHER, **keys}
    text = FILES[name].format(hashed=hashed(shared, "{here} {key}\n".format(**values)), **values)
    shared.known_hosts.write_bytes(text.encode("latin-1"))
    ssh, found = shared.ssh(), trouble(shared)
    assert (ssh.returncode == 0) == (found is None), (ssh.stderr, found)
    assert found is None or isinstance(found, HostKeyRefused)
    assert text.encode("latin-1") == shared.known_hosts.read_bytes()


def test_a_revoked_key_is_named(shared: PlainSshd) -> None:
    """A host that shows a revoked key must be refused with that word, not as one that was reinstalled."""
    ed25519, ecdsa = shared.host_keys["ed25519"], shared.host_keys["ecdsa"]
    # Another key of the kind is pinned too, so that the kind is asked for.
    shared.known_hosts.write_text(f"* {THIRD}\n* {ecdsa}\n@revoked * {ed25519}\n", encoding="ascii")
    found = trouble(shared)
    assert found is not None
    assert "it shows a key that is revoked" in found.what
    shared.known_hosts.write_text(f"* {ed25519}\n@revoked * {ed25519}\n", encoding="ascii")
    found = trouble(shared)
    assert found is not None
    assert "each of its pinned keys is revoked" == found.what


def test_f06_ssh_finds_what_is_pinned(shared: PlainSshd) -> None:
    """What trust writes in place of a hashed old line must let OpenSSH's client in, and be found by ssh-keygen -R."""
    here = f"[{ADDRESS}]:{shared.place[1]}"
    foreign = "# a note\n@cert-authority *.lab " + OTHER + "\nbackup9 ssh-ed25519 AAAA\n"
    shared.known_hosts.write_text(foreign + hashed(shared, f"{here} {OTHER}\n"), encoding="ascii")
    keys = fetch_host_keys(shared.target, within(PATIENCE_S))
    known = KnownHosts.read(str(shared.known_hosts))
    assert {PinState.CHANGED, PinState.OTHER_KIND} == {known.state_of(*shared.place, key) for key in keys}
    known.pin([Pins(*shared.place, keys)])
    assert shared.known_hosts.read_text(encoding="ascii") == foreign + "".join(
        f"{here} {key}\n" for key in shared.host_keys.values()
    )
    assert (0, None) == (shared.ssh().returncode, trouble(shared))
    subprocess.run(["ssh-keygen", "-R", here, "-f", str(shared.known_hosts)], check=True, capture_output=True)
    assert foreign == shared.known_hosts.read_text(encoding="ascii")


def test_f02_a_host_with_etm_alone(tmp_path: Path) -> None:
    """An sshd that a public guide hardened must be trusted and logged in to: it keeps to strict key exchange."""
    sshd = PlainSshd(tmp_path, ADDRESS)
    with sshd.running(*ETM_ONLY):
        (key,) = fetch_host_keys(sshd.target, within(PATIENCE_S))
        kind, text = sshd.host_keys["ed25519"].split()
        assert PinnedKey(kind, base64.b64decode(text)) == key
        KnownHosts.read(str(sshd.known_hosts)).pin([Pins(*sshd.place, (key,))])
        assert trouble(sshd) is None


@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("Ciphers chacha20-poly1305@openssh.com", "cipher"),
        ("Ciphers aes256-cbc", "cipher"),
        ("MACs umac-128-etm@openssh.com", "MAC"),
        ("MACs hmac-md5", "MAC"),
        ("MACs hmac-sha1-96", "MAC"),
        ("KexAlgorithms diffie-hellman-group14-sha1", "key exchange"),
        ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "key exchange"),
        ("HostKeyAlgorithms ssh-rsa", "host key"),
    ],
)
def test_f02_f03_a_host_with_nothing_in_common(tmp_path: Path, setting: str, part: str) -> None:
    """An sshd that takes nothing of ours must be told as that by login and trust, and keep its pins."""
    sshd = PlainSshd(tmp_path, ADDRESS, "ed25519", "rsa")
    pinned = f"[{ADDRESS}]:{sshd.place[1]} {sshd.host_keys['ed25519']}\n"
    sshd.known_hosts.write_text(pinned, encoding="ascii")
    with sshd.running(setting):
        found = trouble(sshd)
        with pytest.raises(NoCommonAlgorithm) as caught:
            fetch_host_keys(sshd.target, within(PATIENCE_S))
    for error in (found, caught.value):
        assert isinstance(error, NoCommonAlgorithm)
        assert f"its sshd and this program have no {part} in common" == error.what
        assert f"{part}: the host takes {setting.split()[1]}, this program " in error.seen
        assert setting.split(maxsplit=1)[0] in error.remedy
    assert pinned == sshd.known_hosts.read_text(encoding="ascii")


def test_each_kind_of_key_is_fetched(shared: PlainSshd) -> None:
    """Every key of a host must be fetched, each once."""
    keys = fetch_host_keys(shared.target, within(PATIENCE_S))
    assert list(shared.host_keys.values()) == [f"{key.kind} {base64.b64encode(key.blob).decode()}" for key in keys]
