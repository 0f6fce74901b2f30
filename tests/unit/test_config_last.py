"""The last copy of config.toml that was good: kept, used when the file breaks, and never in the way."""

import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ecx_hyperv.config import Config
from ecx_hyperv.config_file import Loaded, keep, last_good, load, load_or_last
from ecx_hyperv.errors import ConfigError, Mistake, UsageError
from ecx_hyperv.exits import Exit
from tests.unit.samples import MINIMAL, config_of, replaced


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a good file stands."""
    path = tmp_path / "config.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "expected"), [("config.toml", "config.last.toml"), ("a.b.toml", "a.b.last.toml"), ("conf", "conf.last")]
)
def test_the_copy_stands_beside_the_file(name: str, expected: str) -> None:
    """The copy's name must be the file's own with `last` in it, in the same folder."""
    assert Path("/etc/x") / expected == last_good(Path("/etc/x") / name)


def proven(path: Path) -> Loaded:
    """Load a file, and keep it as a run does that has proven it."""
    loaded = load_or_last(path)
    keep(loaded)
    return loaded


def test_a_good_file_is_loaded_and_kept(path: Path) -> None:
    """A file that loads must be used, and once it is proven a copy be kept that only root's group can read."""
    assert Loaded(config_of(), path, fallback=None, text=MINIMAL) == load_or_last(path)
    assert ["config.toml"] == os.listdir(path.parent)
    keep(load_or_last(path))
    assert MINIMAL == last_good(path).read_text(encoding="utf-8")
    assert 0o640 == last_good(path).stat().st_mode & 0o777
    assert ["config.last.toml", "config.toml"] == sorted(os.listdir(path.parent))


def test_a_copy_is_not_written_again(path: Path) -> None:
    """While the file stays the same its copy must be left alone."""
    proven(path)
    before = last_good(path).stat()
    proven(path)
    assert (before.st_ino, before.st_mtime_ns) == (last_good(path).stat().st_ino, last_good(path).stat().st_mtime_ns)


def test_a_change_is_kept(path: Path) -> None:
    """A file that was changed and still loads must be used at once, and take the copy's place once it is proven."""
    proven(path)
    changed = replaced("Cluster Disk 1", "ディスク 2")
    path.write_text(changed, encoding="utf-8")
    assert "ディスク 2" == load_or_last(path).config.cluster.csv
    assert MINIMAL == last_good(path).read_text(encoding="utf-8")
    assert "ディスク 2" == proven(path).config.cluster.csv
    assert changed == last_good(path).read_text(encoding="utf-8")


@pytest.mark.parametrize("broken", [b"", b"[cluster", b"\xff\xfe", None], ids=["empty", "no TOML", "no UTF-8", "gone"])
def test_the_copy_is_used_when_the_file_breaks(path: Path, broken: bytes | None) -> None:
    """A file that no longer loads must not take a node down: the copy is used, with the error for it."""
    proven(path)
    _break(path, broken)
    loaded = proven(path)
    assert (config_of(), last_good(path)) == (loaded.config, loaded.path)
    assert isinstance(loaded.fallback, ConfigError)
    assert str(path) == loaded.fallback.mistakes[0].file
    assert MINIMAL == last_good(path).read_text(encoding="utf-8")


@pytest.mark.parametrize("broken", [b"", b"[cluster", b"\xff\xfe", None], ids=["empty", "no TOML", "no UTF-8", "gone"])
@pytest.mark.parametrize("copy", [None, b"[cluster", b"\xff"], ids=["no copy", "broken copy", "no UTF-8 copy"])
def test_without_a_good_copy_the_files_own_error_is_raised(
    path: Path, broken: bytes | None, copy: bytes | None
) -> None:
    """Where neither file can be used, the error must be about the one that a person writes."""
    _break(path, broken)
    _break(last_good(path), copy)
    with pytest.raises(ConfigError) as caught:
        load_or_last(path)
    assert Exit.CONFIG is caught.value.exit
    assert str(path) == caught.value.mistakes[0].file


def test_a_folder_that_cannot_be_written_is_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no copy can be kept, the file must be used all the same."""

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert Loaded(config_of(), path, text=MINIMAL) == proven(path)


def test_a_full_disk_is_no_error_and_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that fails half-way must leave neither a part of it nor an error."""

    def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        assert Loaded(config_of(), path, text=MINIMAL) == proven(path)
    assert ["config.toml"] == os.listdir(path.parent)


def test_a_folder_in_the_copys_place_is_no_error(path: Path) -> None:
    """Whatever stands in the copy's place, a good file must be used."""
    last_good(path).mkdir()
    assert Loaded(config_of(), path, text=MINIMAL) == proven(path)


def test_a_copy_that_is_damaged_is_no_error(path: Path) -> None:
    """A copy that is no longer text must be replaced, and a good file be used."""
    last_good(path).write_bytes(b"\xff\xfe\x00")
    assert Loaded(config_of(), path, text=MINIMAL) == proven(path)
    assert MINIMAL == last_good(path).read_text(encoding="utf-8")


def test_a_file_with_a_byte_order_mark_is_kept_and_used(path: Path) -> None:
    """A file saved by a Windows editor, and the copy of it, must load."""
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    proven(path)
    assert config_of() == load(last_good(path))
    assert path.read_bytes() == last_good(path).read_bytes()


def test_only_what_is_proven_is_kept(path: Path) -> None:
    """A mere look at the file must write nothing."""
    load(path)
    load_or_last(path)
    assert ["config.toml"] == os.listdir(path.parent)


@pytest.mark.parametrize("error", [ConfigError([Mistake("f", "node.address", "x")]), UsageError("no node named 'ec1'")])
def test_d12_a_file_that_means_nothing_here_gives_way(path: Path, error: ConfigError | UsageError) -> None:
    """A valid file in which this EC-VM does not find itself must give way to the copy, and never overwrite it."""
    proven(path)
    path.write_text(replaced("Cluster Disk 1", "Disk 2"), encoding="utf-8")

    def accept(config: Config) -> None:
        if config.cluster.csv == "Disk 2":
            raise error

    loaded = load_or_last(path, accept)
    keep(loaded)

    assert (config_of(), last_good(path), error) == (loaded.config, loaded.path, loaded.fallback)
    assert MINIMAL == last_good(path).read_text(encoding="utf-8")


def test_d12_a_copy_that_means_nothing_either_hides_no_error(path: Path) -> None:
    """Where this EC-VM finds itself in neither file, the error must be that of the file itself."""
    proven(path)

    def accept(config: Config) -> None:
        raise ConfigError([Mistake(config.cluster.csv, "node.address", "x")])

    path.write_text(replaced("Cluster Disk 1", "Disk 2"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_or_last(path, accept)
    assert "Disk 2" == caught.value.mistakes[0].file


def _break(path: Path, content: bytes | None) -> None:
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
