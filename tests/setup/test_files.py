"""Files that set-up makes: whole or not at all, and only where they are not right already."""

from pathlib import Path

import pytest

from ecx_hyperv.errors import LocalError
from ecx_hyperv.setup.files import Writer


def write(path: Path, content: bytes = b"new", *, dry: bool = False, mode: int = 0o644) -> tuple[list[str], list[Path]]:
    """Write a file, and return what was said and what changed."""
    said: list[str] = []
    writer = Writer(said.append, dry)
    writer.write(path, content, mode)
    return said, writer.changed


def test_content_and_mode_are_made_right(tmp_path: Path) -> None:
    """A file with other content, or another mode, is written; one that is right is left alone."""
    path = tmp_path / "a" / "b"
    assert ([f"written: {path}"], [path]) == write(path)
    assert ([f"unchanged: {path}"], []) == write(path)
    path.chmod(0o666)
    assert ([f"written: {path}"], [path]) == write(path)
    assert ([f"written: {path}"], [path]) == write(path, b"newer", mode=0o600)
    assert (b"newer", 0o600) == (path.read_bytes(), path.stat().st_mode & 0o777)
    assert [path] == list(path.parent.iterdir())


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    """A dry run says what it would write, and makes no folder either."""
    path = tmp_path / "a" / "b"
    assert ([f"will write: {path}"], [path]) == write(path, dry=True)
    assert [] == list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A place that cannot be written is an error that names it, and nothing half done is left."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for path in (tmp_path / "file" / "b", tmp_path / "folder"):
        with pytest.raises(LocalError, match="cannot be written"):
            write(path)
    assert {"file", "folder"} == {one.name for one in tmp_path.iterdir()}
