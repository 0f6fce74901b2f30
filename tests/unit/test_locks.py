"""Locks: real files, held by this process and by others, and gone with whoever held them."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

import ecx_hyperv
from ecx_hyperv.ecx.locks import FileLock, FileLocks, HolderTimes
from ecx_hyperv.errors import LocalError

# Takes a lock, says whether it got it, and holds it until it is killed or its input ends.
_HOLDER = """
import sys
from pathlib import Path
from ecx_hyperv.ecx.locks import FileLocks
lock = getattr(FileLocks(Path(sys.argv[1])), sys.argv[2])(sys.argv[3])
print(lock.acquire(), flush=True)
sys.stdin.read()
"""

_TIMES = HolderTimes()


def _at(folder: Path, now: float, until: float = 9999.0) -> FileLocks:
    """Return the locks as a process sees them at a moment, who must have ended at another."""
    return FileLocks(folder, HolderTimes(lambda: now, until))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder for locks that nobody has made yet."""
    return tmp_path / "run" / "ecx-hyperv"


@contextmanager
def another_process(folder: Path, kind: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold a lock; it is killed in the end."""
    environment = {**os.environ, "PYTHONPATH": str(Path(ecx_hyperv.__file__).parents[1])}
    command = [sys.executable, "-c", _HOLDER, str(folder), kind, name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            assert "True\n" == process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_one_start_at_a_time(folder: Path) -> None:
    """While one start of a VM is under way another must not begin, and may once it has ended."""
    first, second = FileLocks(folder).start("web1"), FileLocks(folder).start("WEB1")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_vms_and_peers_are_apart(folder: Path) -> None:
    """A VM's lock must hold back neither another VM's nor the peer's of the same name."""
    locks = FileLocks(folder)
    held = [locks.start("web1"), locks.start("web"), locks.start("web11"), locks.peer("web1"), locks.stop("db1")]
    assert all(lock.acquire() for lock in held)
    for lock in held:
        lock.release()


def test_a_lock_that_is_held_is_held(folder: Path) -> None:
    """Asking again for what one holds must be true, and letting go twice no error."""
    lock = FileLocks(folder).stop("web1")
    assert lock.acquire()
    assert lock.acquire()
    lock.release()
    lock.release()
    assert not FileLocks(folder).is_busy("web1")


def test_nothing_is_busy_at_first(folder: Path) -> None:
    """Asking whether a VM is busy must say no, and leave nothing behind, where no lock was ever taken."""
    locks = FileLocks(folder)
    assert not locks.is_busy("web1")
    assert not locks.is_stopping("web1")
    assert not folder.exists()


def test_a_start_is_busy_but_not_stopping(folder: Path) -> None:
    """A start under way must be seen by the monitor, and not be taken for a stop."""
    locks = FileLocks(folder)
    lock = locks.start("web1")
    assert lock.acquire()
    assert locks.is_busy("web1")
    assert not locks.is_stopping("web1")
    assert not locks.is_busy("web2")
    lock.release()
    assert not locks.is_busy("web1")


def test_a_stop_takes_precedence(folder: Path) -> None:
    """A stop that waits for a start must show at once, and have the VM as soon as the start gives way."""
    locks = FileLocks(folder)
    start, stop = locks.start("web1"), locks.stop("web1")
    assert start.acquire()
    assert not stop.acquire()
    assert locks.is_stopping("web1")
    assert locks.is_busy("web1")
    start.release()
    assert stop.acquire()
    assert not start.acquire()
    stop.release()
    assert not locks.is_stopping("web1")
    assert start.acquire()
    start.release()


def test_a_stop_that_gives_up_leaves_nothing(folder: Path) -> None:
    """A stop that got only its own part must let go of that as well."""
    locks = FileLocks(folder)
    start, stop = locks.start("web1"), locks.stop("web1")
    assert start.acquire()
    assert not stop.acquire()
    stop.release()
    assert not locks.is_stopping("web1")
    assert locks.is_busy("web1")
    start.release()


def test_a_second_stop_waits(folder: Path) -> None:
    """Two stops of one VM must not both be under way."""
    first, second = FileLocks(folder).stop("web1"), FileLocks(folder).stop("web1")
    assert first.acquire()
    assert not second.acquire()
    second.release()
    assert FileLocks(folder).is_stopping("web1")
    first.release()


def test_looking_holds_nothing_back(folder: Path) -> None:
    """A monitor's look at a lock must leave it free, and leave it held."""
    locks = FileLocks(folder)
    lock = locks.start("web1")
    for _ in range(3):
        assert lock.acquire()
        assert locks.is_busy("web1")
        lock.release()
        assert not locks.is_busy("web1")


@pytest.mark.parametrize("kind", ["start", "stop", "peer"])
def test_another_process_holds_a_lock(folder: Path, kind: str) -> None:
    """A lock must hold between processes, and name the one that holds it."""
    lock = getattr(FileLocks(folder), kind)("業務サーバー")
    with another_process(folder, kind, "業務サーバー") as process:
        assert not lock.acquire()
        assert f"process {process.pid}" == lock.holder()
        lock.release()


def test_a_stop_names_the_start_that_it_waits_for(folder: Path) -> None:
    """A stop that holds its own part must name the process that it waits for, not itself."""
    stop = FileLocks(folder).stop("web1")
    with another_process(folder, "start", "web1") as process:
        assert not stop.acquire()
        assert f"process {process.pid}" == stop.holder()
    stop.release()


def test_asking_again_and_again_leaves_nothing_open(folder: Path) -> None:
    """A lock that is asked for until it is free must not use up this process's files."""
    held, waiting = FileLocks(folder).start("web1"), FileLocks(folder).start("web1")
    assert held.acquire()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        assert not waiting.acquire()
        assert FileLocks(folder).is_busy("web1")
    assert before == len(os.listdir("/proc/self/fd"))
    held.release()


def test_locks_are_closed_to_others(folder: Path) -> None:
    """Nobody but this user must be able to hold a lock, and so to keep a VM from being stopped."""
    lock = FileLocks(folder).stop("web1")
    assert lock.acquire()
    assert 0o700 == folder.stat().st_mode & 0o777
    assert [0o600, 0o600] == [path.stat().st_mode & 0o777 for path in folder.iterdir()]
    lock.release()


@pytest.mark.parametrize("kind", ["start", "stop", "peer"])
def test_a_killed_holder_frees_its_lock(folder: Path, kind: str) -> None:
    """A process that is killed at any instant must hold nothing any longer."""
    lock = getattr(FileLocks(folder), kind)("web1")
    with another_process(folder, kind, "web1") as process:
        assert not lock.acquire()
        process.kill()
        process.wait()
        assert lock.acquire()
        assert f"process {os.getpid()}" == lock.holder()
    lock.release()
    assert not FileLocks(folder).is_busy("web1")


def test_a_stop_shows_in_another_process(folder: Path) -> None:
    """A start must see the stop that another process has begun, and that it is over when that is killed."""
    locks = FileLocks(folder)
    with another_process(folder, "stop", "web1") as process:
        assert locks.is_stopping("web1")
        process.kill()
        process.wait()
        assert not locks.is_stopping("web1")
        assert not locks.is_busy("web1")


def test_a_command_does_not_inherit_a_lock(folder: Path) -> None:
    """A lock must be free once it is let go, though a command that was started meanwhile goes on."""
    lock, other = FileLocks(folder).start("web1"), FileLocks(folder).start("web1")
    assert lock.acquire()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False):
        lock.release()
        assert other.acquire()
    other.release()


def test_whoever_holds_it_is_named_as_far_as_known(folder: Path) -> None:
    """A lock that nobody ever took, or whose file makes no sense, must be said to be held by an unknown process."""
    lock = FileLocks(folder).start("web1")
    assert "an unknown process" == lock.holder()
    assert lock.acquire()
    lock.release()
    [path] = folder.iterdir()
    path.write_bytes(b"\xff")
    assert "an unknown process" == lock.holder()
    path.write_bytes(b"")
    assert "process unknown" == lock.holder()


def test_a_longer_number_leaves_no_trace(folder: Path) -> None:
    """The holder's number must stand alone in the file, whatever stood there before."""
    lock = FileLocks(folder).start("web1")
    assert lock.acquire()
    lock.release()
    [path] = folder.iterdir()
    path.write_bytes(b"9" * 40)
    assert lock.acquire()
    assert f"process {os.getpid()}" == lock.holder()
    lock.release()


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    """Where there can be no lock, that must be an error of this machine that names it."""
    (tmp_path / "run").write_text("", encoding="ascii")
    with pytest.raises(LocalError) as caught:
        FileLocks(tmp_path / "run").start("web1").acquire()
    assert str(tmp_path / "run") in caught.value.what
    assert "[paths] run" in caught.value.remedy


def test_a_full_disk_does_not_keep_a_lock_from_being_held(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the holder's number can't be written the lock must be held all the same, and be let go."""

    def refuse(*_args: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    lock = FileLocks(folder).start("web1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        assert lock.acquire()
    assert not FileLocks(folder).start("web1").acquire()
    lock.release()
    assert not FileLocks(folder).is_busy("web1")


def test_locks_are_taken_in_their_order(tmp_path: Path) -> None:
    """Of several files held together, one that is held elsewhere must keep those after it from being taken."""
    first, second = tmp_path / "1.lock", tmp_path / "2.lock"
    other, both, last = FileLock([first], _TIMES), FileLock([first, second], _TIMES), FileLock([second], _TIMES)
    assert other.acquire()
    assert not both.acquire()
    assert last.acquire()
    last.release()
    other.release()
    assert both.acquire()
    both.release()


@pytest.mark.parametrize("kind", ["start", "stop", "peer"])
def test_d09_a_holder_past_its_limit_shows(folder: Path, kind: str) -> None:
    """Who asks for a lock must see that its holder should have ended, from then on and not before."""
    held = getattr(_at(folder, 1000.0, 1500.0), kind)("web1")
    assert held.acquire()
    for now, overdue in ((1000.0, False), (1500.0, False), (1500.5, True)):
        lock = getattr(_at(folder, now), kind)("web1")
        assert not lock.acquire()
        assert overdue == lock.is_overdue()
        assert f"process {os.getpid()}" == lock.holder()
        lock.release()
    held.release()
    assert not getattr(_at(folder, 5000.0), kind)("web1").is_overdue()


@pytest.mark.parametrize("kind", ["start", "stop"])
def test_d09_a_holder_past_its_limit_excuses_no_monitor(folder: Path, kind: str) -> None:
    """A start or stop that hangs past its limit must not make a VM that is down healthy for ever."""
    held = getattr(_at(folder, 1000.0, 1500.0), kind)("web1")
    assert held.acquire()
    assert _at(folder, 1400.0).is_busy("web1")
    assert not _at(folder, 1501.0).is_busy("web1")
    # Whoever starts a VM must go on giving way to a stop that is there.
    assert (kind == "stop") == _at(folder, 1501.0).is_stopping("web1")
    held.release()


@pytest.mark.parametrize("content", [b"", b"123", b"\xff", b"123 soon", b"1 nan", b"1 2 3"])
def test_a_holder_whose_limit_nobody_knows_is_in_time(folder: Path, content: bytes) -> None:
    """A lock of an earlier release, or with a file that makes no sense, must count as held in time."""
    held = _at(folder, 1000.0, 1500.0).start("web1")
    assert held.acquire()
    [path] = folder.iterdir()
    path.write_bytes(content)
    late = _at(folder, 99999.0)
    assert not late.start("web1").is_overdue()
    assert late.is_busy("web1")
    held.release()


@pytest.mark.parametrize("kind", ["start", "stop", "peer"])
def test_a_link_in_place_of_a_lock_is_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    """A lock must not be a link to another file, which would be emptied."""
    target = tmp_path / "precious"
    target.write_text("precious", encoding="ascii")
    lock = getattr(FileLocks(folder), kind)("web1")
    assert lock.acquire()
    lock.release()
    for path in folder.iterdir():
        path.unlink()
        path.symlink_to(target)
    with pytest.raises(LocalError):
        lock.acquire()
    assert "precious" == target.read_text(encoding="ascii")


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_a_locks_mode_does_not_depend_on_the_umask(folder: Path, mask: int) -> None:
    """Whatever umask a caller has, folder and lock must be open to this user and closed to others."""
    before = os.umask(mask)
    try:
        lock = FileLocks(folder).start("web1")
        assert lock.acquire()
        lock.release()
    finally:
        os.umask(before)
    assert [0o700, 0o700] == [path.stat().st_mode & 0o777 for path in (folder, folder.parent)]
    assert [0o600] == [path.stat().st_mode & 0o777 for path in folder.iterdir()]
