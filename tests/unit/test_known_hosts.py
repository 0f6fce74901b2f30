"""The file of the hosts' pinned keys: read, compared and written."""

import stat
from pathlib import Path

import paramiko
import pytest

from ecx_hyperv.errors import LocalError
from ecx_hyperv.host.known_hosts import KnownHosts, PinState

HOST, OTHER = "192.0.2.1", "[192.0.2.2]:2222"
ONE, TWO = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
ANOTHER_KIND = paramiko.ECDSAKey.generate(bits=384)


def written(folder: Path) -> Path:
    """Return a file in which ONE is pinned for HOST, and TWO for OTHER."""
    path = folder / "known_hosts"
    KnownHosts.read(str(path)).pin({HOST: [ONE], OTHER: [TWO]})
    return path


def test_a_missing_file_pins_nothing(tmp_path: Path) -> None:
    """A file that is not there yet must be as good as an empty one."""
    assert () == KnownHosts.read(str(tmp_path / "none")).pinned(HOST)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A file that is no text must be an error that names it and says what to do, never an empty one."""
    path = tmp_path / "known_hosts"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(LocalError) as caught:
        KnownHosts.read(str(path))
    assert f"{path} cannot be read" == caught.value.what
    assert str(path) in caught.value.remedy


def test_what_was_pinned_is_read_again(tmp_path: Path) -> None:
    """Each entry must come back with its own keys, and no entry with another's."""
    known = KnownHosts.read(str(written(tmp_path)))
    assert [(ONE,), (TWO,), ()] == [known.pinned(entry) for entry in (HOST, OTHER, "192.0.2.2")]


def test_a_host_may_have_a_key_of_each_kind(tmp_path: Path) -> None:
    """Of several kinds of key each must stay pinned."""
    path = str(written(tmp_path))
    KnownHosts.read(path).pin({HOST: [ONE, ANOTHER_KIND]})
    assert {ONE, ANOTHER_KIND} == set(KnownHosts.read(path).pinned(HOST))


@pytest.mark.parametrize(
    ("entry", "key", "state"),
    [
        (HOST, ONE, PinState.PINNED),
        (HOST, TWO, PinState.CHANGED),
        (HOST, ANOTHER_KIND, PinState.NEW),
        (OTHER, ONE, PinState.CHANGED),
        ("192.0.2.9", ONE, PinState.NEW),
    ],
)
def test_a_key_is_compared_with_those_of_its_host(
    tmp_path: Path, entry: str, key: paramiko.PKey, state: PinState
) -> None:
    """A key is pinned only for its own host, and another one of the same kind must be called a change."""
    assert state is KnownHosts.read(str(written(tmp_path))).state_of(entry, key)


def test_pinning_leaves_the_other_hosts_alone(tmp_path: Path) -> None:
    """The keys of a host are replaced whole, and those of a host that is not named stay."""
    path = str(written(tmp_path))
    KnownHosts.read(path).pin({HOST: [TWO]})
    known = KnownHosts.read(path)
    assert [(TWO,), (TWO,)] == [known.pinned(HOST), known.pinned(OTHER)]


def test_everybody_may_read_it(tmp_path: Path) -> None:
    """The file and its folder are made where they are missing, readable by all and written by the owner alone."""
    path = written(tmp_path / "a" / "b")
    assert 0o644 == stat.S_IMODE(path.stat().st_mode)
    assert [path] == list(path.parent.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where the file cannot be written the error must name it."""
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "known_hosts"
    known = KnownHosts(str(path), paramiko.HostKeys())
    with pytest.raises(LocalError, match="cannot be written"):
        known.pin({HOST: [ONE]})
