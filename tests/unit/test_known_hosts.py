"""The file of the hosts' pinned keys: read, compared and written."""

import base64
import errno
import hashlib
import os
import resource
import stat
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from ecx_hyperv.errors import LocalError
from ecx_hyperv.host.known_hosts import KnownHosts, Pins, PinState
from ecx_hyperv.host.known_hosts_file import PinnedKey, parse

HOST, OTHER = ("192.0.2.1", 22), ("192.0.2.2", 2222)


def made(word: str, kind: str = "ssh-ed25519") -> PinnedKey:
    """Return a key that is made of a word."""
    digest = hashlib.sha256(word.encode()).digest()
    fields = [digest] if kind == "ssh-ed25519" else [b"nistp256", b"\4" + digest * 2]
    return PinnedKey(kind, b"".join(len(one).to_bytes(4, "big") + one for one in (kind.encode(), *fields)))


ONE, TWO = made("one"), made("two")
ANOTHER_KIND = made("three", "ecdsa-sha2-nistp256")


def line(names: str, key: PinnedKey) -> str:
    """Return a line."""
    return f"{names} {key.kind} {base64.b64encode(key.blob).decode()}\n"


def written(folder: Path, text: str | None = None) -> Path:
    """Return a file with a text; without one, ONE is pinned for HOST, and TWO for OTHER."""
    path = folder / "known_hosts"
    if text is None:
        KnownHosts.read(str(path)).pin([Pins(*HOST, (ONE,)), Pins(*OTHER, (TWO,))])
    else:
        path.write_text(text, encoding="ascii")
    return path


def test_a_missing_file_pins_nothing(tmp_path: Path) -> None:
    """A file that is not there yet must be as good as an empty one."""
    assert () == KnownHosts.read(str(tmp_path / "none")).pinned(*HOST)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A file that is none must be an error that names it and says what to do, never an empty one."""
    path = tmp_path / "known_hosts"
    path.mkdir()
    with pytest.raises(LocalError) as caught:
        KnownHosts.read(str(path))
    assert f"{path} cannot be read" == caught.value.what
    assert str(path) in caught.value.remedy


def test_f04_a_file_with_anything_in_it_is_read(tmp_path: Path) -> None:
    """Bytes that are no text must not keep the other lines from being read, and must stay when a key is pinned."""
    path = tmp_path / "known_hosts"
    path.write_bytes(b"\xff\xfe\n@revoked\n" + line(HOST[0], ONE).encode() + b"x y")
    assert (ONE,) == KnownHosts.read(str(path)).pinned(*HOST)
    KnownHosts.read(str(path)).pin([Pins(*OTHER, (TWO,))])
    assert path.read_bytes().startswith(b"\xff\xfe\n@revoked\n" + line(HOST[0], ONE).encode() + b"x y\n")


def test_what_was_pinned_is_read_again(tmp_path: Path) -> None:
    """Each host must come back with its own keys, and no host with another's."""
    known = KnownHosts.read(str(written(tmp_path)))
    assert [(ONE,), (TWO,), ()] == [known.pinned(*one) for one in (HOST, OTHER, ("192.0.2.3", 22))]


def test_a_host_may_have_a_key_of_each_kind(tmp_path: Path) -> None:
    """Of several kinds of key each must stay pinned."""
    path = str(written(tmp_path))
    KnownHosts.read(path).pin([Pins(*HOST, (ONE, ANOTHER_KIND))])
    assert {ONE, ANOTHER_KIND} == set(KnownHosts.read(path).pinned(*HOST))


@pytest.mark.parametrize(
    ("place", "key", "state"),
    [
        (HOST, ONE, PinState.PINNED),
        (HOST, TWO, PinState.CHANGED),
        (HOST, ANOTHER_KIND, PinState.OTHER_KIND),
        (OTHER, ONE, PinState.CHANGED),
        (("192.0.2.9", 22), ONE, PinState.NEW),
    ],
)
def test_f03_a_key_is_compared_with_those_of_its_host(
    tmp_path: Path, place: tuple[str, int], key: PinnedKey, state: PinState
) -> None:
    """A key is pinned only for its own host, and another one, of whatever kind, must be called a change."""
    assert state is KnownHosts.read(str(written(tmp_path))).state_of(*place, key)


def test_a_revoked_key_is_told(tmp_path: Path) -> None:
    """A key that is revoked must be neither pinned nor new, and a host whose only pin is revoked has changed."""
    path = written(tmp_path, line(HOST[0], ONE) + "@revoked " + line("*", ONE))
    known = KnownHosts.read(str(path))
    assert () == known.pinned(*HOST)
    assert [PinState.REVOKED, PinState.CHANGED] == [known.state_of(*HOST, key) for key in (ONE, TWO)]
    assert [PinState.REVOKED, PinState.NEW] == [known.state_of(*OTHER, key) for key in (ONE, TWO)]


def test_a_key_is_looked_for_without_the_port(tmp_path: Path) -> None:
    """A host with no key at its port must be known by those without a port, as ssh does; another key is new there."""
    known = KnownHosts.read(str(written(tmp_path, line("192.0.2.2", ONE))))
    assert (ONE,) == known.pinned(*OTHER)
    assert [PinState.PINNED, PinState.NEW] == [known.state_of(*OTHER, key) for key in (ONE, TWO)]
    known = KnownHosts.read(str(written(tmp_path, line("192.0.2.2", ONE) + line("[192.0.2.2]:2222", TWO))))
    assert (TWO,) == known.pinned(*OTHER)
    revoked = line("192.0.2.2", ONE) + "@revoked " + line("192.0.2.2", ONE)
    assert () == KnownHosts.read(str(written(tmp_path, revoked))).pinned(*OTHER)


def test_pinning_leaves_the_other_hosts_alone(tmp_path: Path) -> None:
    """The keys of a host are replaced whole, and those of a host that is not named stay."""
    path = str(written(tmp_path))
    KnownHosts.read(path).pin([Pins(*HOST, (TWO,))])
    known = KnownHosts.read(path)
    assert [(TWO,), (TWO,)] == [known.pinned(*HOST), known.pinned(*OTHER)]


def test_f03_pins_are_never_replaced_by_nothing(tmp_path: Path) -> None:
    """A host without keys must change nothing, not for the hosts beside it either."""
    path = written(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="never replaced by nothing"):
        KnownHosts.read(str(path)).pin([Pins(*OTHER, (ONE,)), Pins(*HOST, ())])
    assert before == path.read_bytes()


def test_what_others_wrote_in_the_meantime_stays(tmp_path: Path) -> None:
    """What was added while a person compared fingerprints must stay; pins changed behind their back are an error."""
    path = written(tmp_path)
    known = KnownHosts.read(str(path))
    with path.open("a", encoding="ascii") as file:
        file.write("# a note\n")
    known.pin([Pins(*HOST, (TWO,))])
    assert "# a note\n" in path.read_text(encoding="ascii")

    before = path.read_bytes()
    with pytest.raises(LocalError, match="was not written"):
        known.pin([Pins(*HOST, (ONE,))])
    assert before == path.read_bytes()


def test_everybody_may_read_it(tmp_path: Path) -> None:
    """The file and its folder are made where they are missing, readable by all and written by the owner alone."""
    umask = os.umask(0o077)
    try:
        path = written(tmp_path)
    finally:
        os.umask(umask)
    assert 0o644 == stat.S_IMODE(path.stat().st_mode)
    deep = tmp_path / "a" / "b" / "known_hosts"
    KnownHosts.read(str(deep)).pin([Pins(*HOST, (ONE,))])
    assert [deep] == list(deep.parent.iterdir())


def test_a_link_stays_one(tmp_path: Path) -> None:
    """A file that is shared by a link must be written where it is, and the link must stay."""
    path = written(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(path)
    KnownHosts.read(str(link)).pin([Pins(*HOST, (TWO,))])
    assert link.is_symlink()
    assert (TWO,) == KnownHosts.read(str(path)).pinned(*HOST)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Where the file cannot be written the error must name it."""
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "known_hosts"
    with pytest.raises(LocalError, match="known_hosts cannot be"):
        KnownHosts(str(path), parse(b"")).pin([Pins(*HOST, (ONE,))])


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_f06_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, mocker: MockerFixture, call: str) -> None:
    """Where the disk is full the pins must stay as they were, and nothing be left beside them."""
    path = written(tmp_path)
    before = path.read_bytes()
    mocker.patch(f"os.{call}", side_effect=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(LocalError) as caught:
        KnownHosts.read(str(path)).pin([Pins(*HOST, (TWO,))])
    assert "cannot be written; it is as it was" in caught.value.what
    assert "No space left on device" == caught.value.seen
    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_f06_a_file_that_may_not_grow_stays_as_it_was(tmp_path: Path) -> None:
    """Where the kernel takes only a part of what is written, the pins must stay as they were."""
    path = written(tmp_path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(LocalError, match="cannot be written"):
            KnownHosts.read(str(path)).pin([Pins(*HOST, (TWO,))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())
