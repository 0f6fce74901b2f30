"""Where a lab keeps its files: never in a folder that is somebody else's."""

import os
import tempfile
from pathlib import Path

import pytest

from ecx_hyperv.errors import LocalError
from ecx_hyperv.lab.service import place


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the temporary folder, in which all may write."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_u11_without_a_session_a_lab_has_a_fresh_folder(shared: Path) -> None:
    """A lab's folder must be made anew, of a name that nobody guesses, closed to others, and be found again."""
    folder = place.to_start({})
    assert shared == folder.parent
    assert 0o700 == folder.stat().st_mode & 0o777
    assert folder != shared / f"ecx-hyperv-lab-{os.getuid()}"
    assert folder == place.started({}) == place.to_start({})
    place.make_private(folder)


def test_u11_a_sessions_own_folder_is_taken(shared: Path, tmp_path: Path) -> None:
    """Where the session has a folder of its own, the lab must be in it."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(0o700)
    folder = place.to_start({"XDG_RUNTIME_DIR": str(runtime)})
    assert runtime / "ecx-hyperv-lab" == folder
    place.make_private(folder)
    assert folder == place.started({"XDG_RUNTIME_DIR": str(runtime)})
    assert [] == list(shared.iterdir())


def test_u11_a_sessions_folder_that_is_open_to_others_does_not_count(shared: Path, tmp_path: Path) -> None:
    """A session's folder in which others may write must not be used."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(0o700)
    runtime.chmod(0o777)
    assert shared == place.to_start({"XDG_RUNTIME_DIR": str(runtime)}).parent


@pytest.mark.parametrize("given", ["", "runtime", "/nowhere/at/all"])
def test_u11_what_is_no_folder_of_this_session_does_not_count(shared: Path, given: str) -> None:
    """A session's folder that is relative or not there must not be used."""
    assert shared == place.to_start({"XDG_RUNTIME_DIR": given}).parent


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_u11_another_users_folders_are_left(shared: Path, tmp_path: Path) -> None:
    """Root must take over neither another user's session nor a folder that another user made in the shared place."""
    runtime, planted = tmp_path / "runtime", shared / "ecx-hyperv-lab-0"
    for folder in (runtime, planted):
        folder.mkdir(0o700)
        os.chown(folder, 12345, 12345)
    found = place.to_start({"XDG_RUNTIME_DIR": str(runtime)})
    assert found.parent == shared
    assert found != planted
    with pytest.raises(LocalError, match="user 12345") as caught:
        place.make_private(planted)
    assert str(planted) in str(caught.value)


@pytest.mark.parametrize("name", [f"ecx-hyperv-lab-{os.getuid()}", "ecx-hyperv-lab-x"])
def test_u11_a_folder_of_a_user_who_is_not_this_one_is_not_taken(
    shared: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A folder that another user has made under a name like the lab's must be left alone."""
    planted = shared / name
    planted.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(LocalError, match="no lab was started"):
        place.started({})
    assert planted != place.to_start({})
    for check in (place.make_private, place.check_private):
        with pytest.raises(LocalError, match=f"belongs to user {os.getuid()}"):
            check(planted)


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777, 0o770, 0o707, 0o701])
def test_u11_a_folder_that_is_open_to_others_is_refused(shared: Path, mode: int) -> None:
    """A folder that others may enter must be refused, and not be found."""
    folder = shared / "ecx-hyperv-lab-x"
    folder.mkdir()
    folder.chmod(mode)
    for check in (place.make_private, place.check_private):
        with pytest.raises(LocalError, match="open to others"):
            check(folder)
    with pytest.raises(LocalError, match="no lab was started"):
        place.started({})


def test_u11_a_link_is_not_followed(shared: Path, tmp_path: Path) -> None:
    """A link in the place of a folder must be refused, though it leads to a folder of this user."""
    mine = tmp_path / "mine"
    mine.mkdir(0o700)
    link = shared / "ecx-hyperv-lab-x"
    link.symlink_to(mine)
    with pytest.raises(LocalError, match="no folder"):
        place.make_private(link)
    with pytest.raises(LocalError):
        place.started({})


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_u11_a_folder_that_is_made_is_closed_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    """A folder that is named and not there must be made, for this user alone."""
    before = os.umask(mask)
    try:
        place.make_private(tmp_path / "lab")
    finally:
        os.umask(before)
    assert 0o700 == (tmp_path / "lab").stat().st_mode & 0o777


def test_u11_a_folder_that_is_named_is_made_with_what_leads_to_it(tmp_path: Path) -> None:
    """A folder that a person names must be made where it is missing, with its parents, and be taken again."""
    named = tmp_path / "a" / "b"
    for _ in range(2):
        place.make_private(named)
        place.check_private(named)
    assert 0o700 == named.lstat().st_mode & 0o777
