"""The lab's folder (U11): this user's alone, whoever has made one of that name before."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from ecx_hyperv.cli import lab
from ecx_hyperv.errors import LocalError


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


def test_u11_a_new_lab_has_a_folder_that_nobody_can_foresee(tmp_path: Path) -> None:
    """Without a runtime folder the lab's must be a new one, for this user alone, and be found again."""
    made = lab._made(None)
    assert made.parent == tmp_path
    assert 0o700 == stat.S_IMODE(made.lstat().st_mode)
    assert made == lab._found(None) == lab._made(None)


@pytest.mark.parametrize("name", [f"ecx-hyperv-lab-{os.getuid()}", "ecx-hyperv-lab-x"])
def test_u11_a_folder_of_somebody_else_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A folder that another user has made under a name like the lab's must be left alone."""
    planted = tmp_path / name
    planted.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(LocalError, match="no lab runs"):
        lab._found(None)
    assert planted != lab._made(None)
    with pytest.raises(LocalError, match="not for this user alone"):
        lab._made(planted)


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o707])
def test_u11_a_folder_in_which_others_may_write_is_not_taken(tmp_path: Path, mode: int) -> None:
    """A folder in which others may write must not be used, also where a person names it."""
    planted = tmp_path / "ecx-hyperv-lab-x"
    planted.mkdir()
    planted.chmod(mode)
    with pytest.raises(LocalError):
        lab._found(None)
    with pytest.raises(LocalError):
        lab._made(planted)


def test_u11_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link to a folder of this user must not pass for the lab's."""
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    link = tmp_path / "ecx-hyperv-lab-x"
    link.symlink_to(own)
    with pytest.raises(LocalError):
        lab._found(None)
    with pytest.raises(LocalError):
        lab._made(link)


def test_u11_the_runtime_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$XDG_RUNTIME_DIR must be used where it is this user's alone, and not otherwise."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert runtime / "ecx-hyperv-lab" == lab._made(None) == lab._found(None)
    runtime.chmod(0o777)
    assert runtime / "ecx-hyperv-lab" != lab._made(None)


def test_u11_a_folder_that_is_named_is_made(tmp_path: Path) -> None:
    """A folder that a person names must be made where it is missing, and be taken as it is."""
    named = tmp_path / "a" / "b"
    assert named == lab._made(named) == lab._found(named)
    assert 0o700 == stat.S_IMODE(named.lstat().st_mode)
