"""packaging/sign, with keys made for the tests: what it signs is known by its key alone, and what was built stays."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_SIGN = Path(__file__).parents[2] / "packaging" / "sign"
_TOOLS = ("gpg", "rpmbuild", "rpmkeys", "rpmsign")
_LIMIT_S = 60
_SPEC = """
Name: one
Version: 1
Release: 1
Summary: An RPM to sign
License: MIT
BuildArch: noarch
%description
An RPM to sign.
%install
mkdir -p %{buildroot}/etc
echo text >%{buildroot}/etc/one
%files
/etc/one
"""

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in _TOOLS), reason=f"needs {', '.join(_TOOLS)}: install rpm and gnupg"
)


@dataclass(frozen=True, slots=True)
class _Signer:
    """Somebody with a gpg of their own, and a folder with an RPM that was built."""

    home: Path
    folder: Path

    def run(self, *command: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a command, with this person's keys."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GNUPGHOME": str(self.home)}
        return subprocess.run(
            command,
            env=environment | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )

    def make_key(self, address: str, kind: str) -> None:
        """Make a key without passphrase, good for a day."""
        options = ("--batch", "--quiet", "--passphrase", "", "--quick-generate-key")
        made = self.run("gpg", *options, f"Somebody <{address}>", kind, "sign", "1d")
        assert 0 == made.returncode, made.stderr

    def check(self, known: Path, rpm: Path) -> tuple[int, str]:
        """Return what rpm -K says of a file, as a machine that knows the keys in this database."""
        done = self.run("rpmkeys", "--dbpath", known, "--checksig", rpm)
        return done.returncode, done.stdout.strip().rpartition(": ")[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an RPM."""
    top = tmp_path_factory.mktemp("rpm")
    spec = top / "one.spec"
    spec.write_text(_SPEC, encoding="ascii")
    subprocess.run(["rpmbuild", "-bb", "--define", f"_topdir {top}", spec], check=True, capture_output=True)
    (rpm,) = top.glob("RPMS/noarch/*.rpm")
    return rpm


@pytest.fixture
def signer(built: Path, tmp_path: Path) -> Iterator[_Signer]:
    """Return somebody with an RSA key for rpm@example.org."""
    # gpg's sockets lie in it, whose paths must be short.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        made = _Signer(Path(home), tmp_path / "dist")
        made.folder.mkdir()
        shutil.copy(built, made.folder)
        made.make_key("rpm@example.org", "rsa3072")
        yield made
        made.run("gpgconf", "--kill", "all")


@pytest.mark.proven("U25")
def test_u25_signed_rpms_are_known(signer: _Signer, built: Path, tmp_path: Path) -> None:
    """A signed RPM is good for a machine that has imported the key, and no other; what was built stays as it was."""
    done = signer.run(_SIGN, "rpm@example.org", signer.folder)
    assert 0 == done.returncode, done.stderr
    signed, key = signer.folder / "signed" / built.name, signer.folder / "signed/RPM-GPG-KEY-ecx-hyperv"
    known, stranger = tmp_path / "known", tmp_path / "stranger"
    assert 0 == signer.run("rpmkeys", "--dbpath", known, "--import", key).returncode

    assert (0, "digests signatures OK") == signer.check(known, signed)
    assert (1, "digests SIGNATURES NOT OK") == signer.check(stranger, signed)
    assert (0, "digests OK") == signer.check(known, signer.folder / built.name)
    assert built.read_bytes() == (signer.folder / built.name).read_bytes()
    shown = signer.run("gpg", "--with-colons", "--show-keys", key).stdout
    assert done.stdout.strip().rpartition(" ")[2] in shown
    assert "BEGIN PGP PUBLIC KEY" in key.read_text(encoding="ascii")


@pytest.mark.proven("U25")
def test_u25_a_changed_rpm_is_told(signer: _Signer, built: Path, tmp_path: Path) -> None:
    """One bit of a signed RPM that is another is told, whoever knows the key."""
    assert 0 == signer.run(_SIGN, "rpm@example.org", signer.folder).returncode
    signed, known = signer.folder / "signed" / built.name, tmp_path / "known"
    signer.run("rpmkeys", "--dbpath", known, "--import", signed.with_name("RPM-GPG-KEY-ecx-hyperv"))
    data = bytearray(signed.read_bytes())
    data[-9] ^= 1
    signed.write_bytes(data)

    code, said = signer.check(known, signed)
    assert 1 == code
    assert "NOT OK" in said


@pytest.mark.proven("U25")
def test_u25_signing_again_takes_the_new_key(signer: _Signer, built: Path, tmp_path: Path) -> None:
    """A second signing begins from what was built; a key of a kind that old rpms do not know is told."""
    assert 0 == signer.run(_SIGN, "rpm@example.org", signer.folder).returncode
    signer.make_key("new@example.org", "ed25519")
    done = signer.run(_SIGN, "new@example.org", signer.folder)

    assert 0 == done.returncode, done.stderr
    assert "no RSA key" in done.stderr
    known = tmp_path / "known"
    signer.run("rpmkeys", "--dbpath", known, "--import", signer.folder / "signed/RPM-GPG-KEY-ecx-hyperv")
    assert (0, "digests signatures OK") == signer.check(known, signer.folder / "signed" / built.name)


@pytest.mark.parametrize(
    ("key", "has_rpm", "says"),
    [("nobody@example.org", True, "gpg has no secret key nobody@example.org"), ("rpm@example.org", False, "no RPM in")],
)
def test_what_is_missing_is_told(signer: _Signer, built: Path, key: str, has_rpm: bool, says: str) -> None:
    """Without the key, or without an RPM, one line says so, and nothing is made."""
    if not has_rpm:
        (signer.folder / built.name).unlink()
    done = signer.run(_SIGN, key, signer.folder)

    assert 1 == done.returncode
    assert says in done.stderr
    assert not (signer.folder / "signed").exists()


def test_without_a_key_the_usage_is_told(signer: _Signer) -> None:
    """Called without a key, it says how it is called."""
    done = signer.run(_SIGN)

    assert 1 == done.returncode
    assert "usage: " in done.stderr
