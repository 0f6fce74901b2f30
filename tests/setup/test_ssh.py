"""The way to the hosts: the key, the lines that let it in, and a real sshd that takes both."""

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecx_hyperv.errors import LocalError, UsageError
from ecx_hyperv.setup import ssh
from ecx_hyperv.setup.files import Writer
from tests.setup.support import CONFIG
from tests.wire.grammar import words

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
needs_sshd = pytest.mark.skipif(SSHD is None, reason="no sshd on this machine: install openssh-server")


def make(folder: Path, *, dry: bool = False, comment: str = "ecx-hyperv@ec1") -> tuple[str | None, list[str]]:
    """Have a key in a folder, and return its line and what was said."""
    said: list[str] = []
    return ssh.make_key(folder / "key", comment, Writer(said.append, dry)), said


def test_key_is_made_once(tmp_path: Path) -> None:
    """The first run makes an ed25519 key that only its owner may read, the second leaves it alone."""
    tmp_path = tmp_path / ".ssh"
    line, _ = make(tmp_path)
    assert line is not None
    assert 0o700 == tmp_path.stat().st_mode & 0o777
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {"key", "key.pub"} == set(before)
    assert ("ssh-ed25519", "ecx-hyperv@ec1") == (line.split()[0], line.split()[2])
    assert [0o600, 0o644] == [(tmp_path / name).stat().st_mode & 0o777 for name in ("key", "key.pub")]

    again, said = make(tmp_path, comment="other")
    assert (line, before) == (again, {path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert ["unchanged", "unchanged"] == [one.split(":")[0] for one in said]


def test_key_of_ssh_keygen_is_kept(tmp_path: Path) -> None:
    """A key that is there, of another kind and with another comment, is kept, and a missing public half is made."""
    subprocess.run(
        ["ssh-keygen", "-qt", "rsa", "-b", "2048", "-N", "", "-C", "root@a b", "-f", tmp_path / "key"], check=True
    )
    before = (tmp_path / "key").read_bytes(), (tmp_path / "key.pub").read_bytes()
    line, _ = make(tmp_path)
    assert line is not None
    assert before == ((tmp_path / "key").read_bytes(), (tmp_path / "key.pub").read_bytes())
    assert ["ssh-rsa", "root@a_b"] == line.split()[::2]
    (tmp_path / "key.pub").unlink()
    make(tmp_path)
    assert before[1].split()[:2] == (tmp_path / "key.pub").read_bytes().split()[:2]


def test_dry_run_makes_nothing(tmp_path: Path) -> None:
    """A dry run tells what it would make, and makes nothing."""
    line, said = make(tmp_path, dry=True)
    assert (None, [f"will write: {tmp_path / 'key'}"], []) == (line, said, list(tmp_path.iterdir()))


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe"])
def test_unusable_key_is_told_and_kept(tmp_path: Path, content: bytes) -> None:
    """A file that is no key is never replaced: it may be someone's."""
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(LocalError, match="cannot be used"):
        make(tmp_path)
    assert content == (tmp_path / "key").read_bytes()


def test_public_key_of_the_other_node(tmp_path: Path) -> None:
    """The other EC-VM's public key is read, its comment made harmless; what is no key is refused."""
    line, _ = make(tmp_path)
    assert line is not None
    other = tmp_path / "other.pub"
    other.write_text(" ".join(line.split()[:2]) + " a'$(b) c\n", encoding="ascii")
    assert [*line.split()[:2], "a___b__c"] == ssh.read_public(other).split()
    for wrong in ("", "ssh-ed25519", "ssh-ed25519 AAAA x", "ssh-unicorn AAAA", f"command=x {line}"):
        other.write_text(wrong, encoding="ascii")
        with pytest.raises(UsageError, match="is no public key"):
            ssh.read_public(other)


def test_script_has_keys_settings_addresses(tmp_path: Path) -> None:
    """The script of a host has the restricted keys, the settings between their marks, the EC-VMs' addresses."""
    line, _ = make(tmp_path)
    assert line is not None
    script = ssh.host_script(CONFIG, CONFIG.node[0], [line], ssh.check_addresses(CONFIG, ["10.0.0.0/24"]))
    assert [f"restrict {line}"] == words(script, "$Keys")
    assert ssh.sshd_block() == words(script, "$Settings")
    assert ["192.168.137.199", "192.168.137.200", "10.0.0.0/24"] == words(script, "$Addresses")
    with pytest.raises(UsageError, match="no IP address"):
        ssh.check_addresses(CONFIG, ["any"])


@dataclass(frozen=True, slots=True)
class Server:
    """A real sshd with the generated settings and key line."""

    port: int
    folder: Path

    def ssh(self, *words: str, key: str = "key", batch: bool = True) -> subprocess.CompletedProcess[str]:
        """Log in with ssh."""
        options = [
            *("-p", str(self.port), "-i", str(self.folder / key), "-F", "/dev/null", "-o", "IdentitiesOnly=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=INFO"),
            *(("-o", "BatchMode=yes") if batch else ()),
        ]
        return subprocess.run(
            ["ssh", *options, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Run a real sshd on loopback."""
    assert SSHD is not None
    line, _ = make(tmp_path)
    assert line is not None
    (tmp_path / "authorized").write_text(ssh.authorized_line(line) + "\n", encoding="ascii")
    for name in ("host_key", "stranger"):
        subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "sshd_config"
    # As on Windows: ours first, then what was there; the later values must lose.
    rest = (
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host_key\nUsePAM no\nStrictModes no\n"
        f"PasswordAuthentication yes\nPermitEmptyPasswords yes\nAuthorizedKeysFile none\nPidFile {tmp_path}/pid\n"
        f"PermitRootLogin yes\nMatch User {getpass.getuser()}\n    AuthorizedKeysFile {tmp_path}/authorized\n"
    )
    config.write_text("\n".join([*ssh.sshd_block(), rest]), encoding="ascii")
    Path("/run/sshd").mkdir(exist_ok=True)
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=log)
    try:
        limit = time.monotonic() + 10
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < limit, (tmp_path / "log").read_text()
            time.sleep(0.02)
        yield Server(port, tmp_path)
    finally:
        daemon.terminate()
        daemon.wait(10)


@needs_sshd
def test_settings_are_accepted(server: Server) -> None:
    """A real sshd accepts the settings, and takes them before what comes later in the file."""
    assert SSHD is not None
    tested = subprocess.run(
        [SSHD, "-t", "-f", server.folder / "sshd_config"], capture_output=True, text=True, check=False
    )
    assert (0, "") == (tested.returncode, tested.stderr)
    shown = subprocess.run(
        [SSHD, "-T", "-f", server.folder / "sshd_config"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for invocation in ssh.SSHD_SETTINGS:
        assert invocation.casefold() in [line.casefold() for line in shown]


@needs_sshd
def test_key_logs_in_and_runs_a_command(server: Server) -> None:
    """The key's line lets it in, and a command runs; another key, and a login without one, are refused."""
    seen = server.ssh("127.0.0.1", "echo", "here")
    assert (0, "here\n") == (seen.returncode, seen.stdout), seen.stderr
    stranger = server.ssh("127.0.0.1", "echo", "here", key="stranger")
    assert (255, "") == (stranger.returncode, stranger.stdout)
    assert "Permission denied (publickey)" in stranger.stderr


@needs_sshd
def test_restrict_forbids_the_rest(server: Server) -> None:
    """With the key's options there is no terminal, and no port is forwarded in either direction."""
    terminal = server.ssh("-tt", "127.0.0.1", "test -t 0")
    assert "PTY allocation request failed" in terminal.stderr
    assert 0 != terminal.returncode
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = listener.getsockname()[1]
        forwarded = server.ssh("-W", f"127.0.0.1:{target}", "127.0.0.1")
        assert 0 != forwarded.returncode
        assert "administratively prohibited" in forwarded.stderr
    back = server.ssh("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "127.0.0.1", "true")
    assert 0 != back.returncode
    assert "remote port forwarding failed" in back.stderr


@needs_sshd
def test_without_restrict_the_rest_is_allowed(server: Server) -> None:
    """The same sshd forwards and gives a terminal to a key without the options: they are what forbids it."""
    line = (server.folder / "authorized").read_text(encoding="ascii").removeprefix("restrict ")
    (server.folder / "authorized").write_text(line, encoding="ascii")
    assert 0 == server.ssh("-tt", "127.0.0.1", "test -t 0").returncode
    assert 0 == server.ssh("-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:1", "127.0.0.1", "true").returncode
