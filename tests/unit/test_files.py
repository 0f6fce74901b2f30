"""Small files: named for any VM, read whatever they hold, written whole or not at all."""

import os
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.json import Decoder

from ecx_hyperv.ecx import files
from ecx_hyperv.ecx.files import read, remove, slug, write
from ecx_hyperv.errors import LocalError
from tests.unit.always import always


class Note(Struct, frozen=True):
    """A small file's content."""

    text: str
    count: int = 0


NOTE = Decoder(Note)


@always
@given(name=st.text(max_size=2000))
def test_a_slug_is_a_short_plain_file_name(name: str) -> None:
    """Any name, of any script and length, must give a file name that every file system takes."""
    made = slug(name)
    assert len(made) <= 41
    assert made.isascii()
    assert made.replace("-", "").isalnum()


@always
@given(name=st.text(), other=st.text())
def test_only_equal_names_share_a_slug(name: str, other: str) -> None:
    """Two names must share a slug exactly if they are one name to Hyper-V, which tells no case."""
    assert (name.casefold() == other.casefold()) == (slug(name) == slug(other))


@pytest.mark.parametrize(
    ("name", "other"), [("Web1", "wEB1"), ("Straße", "STRASSE"), ("\uff21\uff22", "\uff41\uff42"), ("ÉCLAIR", "éclair")]
)
def test_case_makes_no_other_slug(name: str, other: str) -> None:
    """Names that differ in case alone must share a slug, in any script."""
    assert slug(name) == slug(other)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("web1", "web-1"),
        ("a/b", "a\\b"),
        ("業務", "業務2"),
        ("x" * 500, "x" * 501),
        ("a b", "ab"),
        ("", " "),
        ("ｱ", "ア"),
    ],
)
def test_what_is_left_out_still_tells_names_apart(name: str, other: str) -> None:
    """Names that look alike in a slug's readable part must still have slugs of their own."""
    assert slug(name) != slug(other)


def test_a_slug_can_be_read_by_a_person() -> None:
    """A plain name must be recognised in its slug, and be the same for ever."""
    assert slug("Cent8.2-1").startswith("cent821-")
    assert "web1-659a7fb2af476fae" == slug("web1")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """A file must come back as it was written, its folder made if need be and closed to others."""
    path = tmp_path / "state" / "monitors" / "a.json"
    write(path, Note("日本語\n\x00", 3))
    assert Note("日本語\n\x00", 3) == read(path, NOTE)
    assert 0o600 == path.stat().st_mode & 0o777
    assert ["a.json"] == os.listdir(path.parent)


def test_a_file_is_replaced(tmp_path: Path) -> None:
    """Writing again must leave only what was written last."""
    path = tmp_path / "a.json"
    write(path, Note("x" * 5000))
    write(path, Note("y"))
    assert Note("y") == read(path, NOTE)


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """A reader that has opened the file must go on seeing the old content, since the new one is another file."""
    path = tmp_path / "a.json"
    write(path, Note("old"))
    with path.open("rb") as reader:
        write(path, Note("new"))
        assert b"old" in reader.read()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A full disk must be an error of this machine, and leave the old content and nothing beside it."""
    path = tmp_path / "a.json"
    write(path, Note("old"))

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        with pytest.raises(LocalError) as caught:
            write(path, Note("new"))
    assert str(path) in caught.value.what
    assert "No space left on device" == caught.value.seen
    assert Note("old") == read(path, NOTE)
    assert ["a.json"] == os.listdir(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in a folder's place must be an error of this machine that names the path."""
    (tmp_path / "state").write_text("", encoding="ascii")
    with pytest.raises(LocalError) as caught:
        write(tmp_path / "state" / "a.json", Note("x"))
    assert str(tmp_path / "state" / "a.json") in caught.value.what


def test_a_file_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    """Reading or removing what is not there must be no error."""
    assert read(tmp_path / "a.json", NOTE) is None
    assert read(tmp_path / "nowhere" / "a.json", NOTE) is None
    assert not remove(tmp_path / "a.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"text":1}',
        b"{}",
        b"\x00" * 100,
        b'{"text":"\xff"}',
        b'{"text":"\\ud800"}',
        b'{"text":"x","count":1e999}',
        b'{"x":' + b"[" * 100_000,
    ],
    ids=["empty", "half", "null", "list", "type", "missing", "zeros", "bytes", "surrogate", "number", "deep"],
)
def test_a_file_that_makes_no_sense_is_nothing(tmp_path: Path, content: bytes) -> None:
    """A damaged file must count as none, whatever it holds."""
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert read(path, NOTE) is None


def test_a_file_of_another_version_is_read(tmp_path: Path) -> None:
    """What an older or newer version wrote must be read as far as it is known."""
    path = tmp_path / "a.json"
    path.write_bytes(b'{"text":"x","new":[1]}')
    assert Note("x") == read(path, NOTE)


def test_what_cannot_be_read_or_removed_is_named(tmp_path: Path) -> None:
    """Something else in a file's place must be an error of this machine that names it."""
    path = tmp_path / "a.json"
    path.mkdir()
    for attempt in (lambda: read(path, NOTE), lambda: remove(path), lambda: write(path, Note("x"))):
        with pytest.raises(LocalError) as caught:
            attempt()
        assert str(path) in caught.value.what
        assert "permissions" in caught.value.remedy
    assert ["a.json"] == os.listdir(tmp_path)


def test_removing_says_whether_there_was_something(tmp_path: Path) -> None:
    """A file that was removed must be gone, and be told from one that was not there."""
    path = tmp_path / "a.json"
    write(path, Note("x"))
    assert remove(path)
    assert not path.exists()
    assert not remove(path)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, mask: int) -> None:
    """Whatever umask a caller has, folders and files must be open to this user and closed to others."""
    path = tmp_path / "state" / "monitors" / "a.json"
    before = os.umask(mask)
    try:
        write(path, Note("x"))
        assert Note("x") == read(path, NOTE)
    finally:
        os.umask(before)
    assert [0o600, 0o700, 0o700] == [one.stat().st_mode & 0o777 for one in (path, path.parent, path.parent.parent)]


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """A link must be an error when it is read, and be replaced, not followed, when it is written."""
    target, path = tmp_path / "precious.json", tmp_path / "a.json"
    target.write_bytes(b'{"text":"precious"}')
    path.symlink_to(target)
    with pytest.raises(LocalError):
        read(path, NOTE)
    write(path, Note("x"))
    assert not path.is_symlink()
    assert b'{"text":"precious"}' == target.read_bytes()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """A pipe in a file's place, which nobody writes to, must be an error at once."""
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(LocalError):
        read(tmp_path / "a.json", NOTE)


def test_a_file_beyond_all_measure_is_nothing(tmp_path: Path) -> None:
    """A file that somebody has let grow must not take the memory."""
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 40)
    assert read(tmp_path / "a.json", NOTE) is None


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a folder that hangs be noticed soon, and be forgotten after the test."""
    monkeypatch.setattr(files, "_LONGEST_S", 0.2)
    monkeypatch.setattr(files, "_hung", set())


@pytest.mark.usefixtures("_quick")
def test_d18_a_folder_that_hangs_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder that answers no more must be an error soon, and at once when it is asked again."""
    path = tmp_path / "state" / "monitors" / "a.json"

    def hang(*_args: Any, **_kwargs: Any) -> NoReturn:
        time.sleep(8)
        raise OSError

    monkeypatch.setattr(files, "_read", hang)
    began = time.monotonic()
    with pytest.raises(LocalError, match=r"a\.json"):
        read(path, NOTE)
    assert time.monotonic() - began < 5
    began = time.monotonic()
    for attempt in (lambda: read(path, NOTE), lambda: write(path, Note("x")), lambda: remove(path)):
        with pytest.raises(LocalError):
            attempt()
    assert time.monotonic() - began < 2
