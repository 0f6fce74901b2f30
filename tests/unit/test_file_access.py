"""Who else may change a file."""

import os
from pathlib import Path

import pytest

from ecx_hyperv.ecx.file_access import other_writers


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file that only this user may change."""
    path = tmp_path / "etc" / "config.toml"
    path.parent.mkdir(0o755)
    path.write_text("", encoding="ascii")
    path.parent.chmod(0o755)
    path.chmod(0o644)
    return path


def test_what_only_this_user_may_change_is_right(file: Path) -> None:
    """A file and folder that others may only read must be told as right, and so must a file that is not there."""
    assert [] == other_writers(file)
    assert [] == other_writers(file.with_name("other"))


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o620])
def test_a_file_that_others_write_is_told(file: Path, mode: int) -> None:
    """A file that a group or everybody may write must be named with its mode, also behind a link."""
    file.chmod(mode)
    link = file.parent.parent / "link.toml"
    link.symlink_to(file)
    for path in (file, link):
        assert [f"{file} can be written by others (mode {mode:o})"] == other_writers(path)


@pytest.mark.parametrize(("mode", "told"), [(0o777, True), (0o775, True), (0o1777, False), (0o755, False)])
def test_a_folder_in_which_others_write_is_told(file: Path, mode: int, told: bool) -> None:
    """A file that others may replace must be told by its folder, unless the folder is sticky."""
    file.parent.chmod(mode)
    assert ([f"{file.parent} can be written by others (mode {mode:o})"] if told else []) == other_writers(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_of_another_user_is_told(file: Path) -> None:
    """A file or folder that belongs to somebody else than root and this user must be told."""
    os.chown(file, 12345, 0)
    assert [f"{file} belongs to user 12345"] == other_writers(file)
