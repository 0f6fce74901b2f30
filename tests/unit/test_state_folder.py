"""What must be remembered: in the state folder, else in the run folder, and told where neither is as it should be."""

import os
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.json import Decoder

from ecx_hyperv.ecx.kept_ids import FileKeptIds, KeptId
from ecx_hyperv.ecx.monitor_state import FileMonitorStates, MonitorState
from ecx_hyperv.ecx.state_folder import StateFolder
from ecx_hyperv.errors import LocalError
from tests.unit.clock import FakeClock


class Note(Struct, frozen=True):
    """A small file's content."""

    text: str


NOTE = Decoder(Note)


class Folders:
    """A state folder and a run folder, which can be broken and repaired."""

    def __init__(self, path: Path) -> None:
        self.state = path / "state"
        self.run = path / "run"
        self.told: list[str] = []
        self.folder = StateFolder(self.state, self.run, self.told.append)

    def break_(self, folder: Path) -> None:
        """Have a folder that nobody can write to: a file is in its place, which root cannot overcome either."""
        if folder.is_dir():
            folder.rename(folder.with_name(f"{folder.name}.away"))
        folder.write_text("", encoding="ascii")

    def repair(self, folder: Path) -> None:
        """Have the folder back as it was."""
        folder.unlink()
        away = folder.with_name(f"{folder.name}.away")
        if away.exists():
            away.rename(folder)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Return folders that nobody has made yet."""
    return Folders(tmp_path)


def test_all_is_kept_in_the_state_folder(folders: Folders) -> None:
    """Where the state folder works, nothing must be written anywhere else, and nothing told."""
    folders.folder.write("a/b.json", Note("x"))
    assert [Note("x")] == folders.folder.read("a/b.json", NOTE)
    assert not folders.run.exists()
    assert [] == folders.told


def test_d18_the_run_folder_takes_over(folders: Folders) -> None:
    """What the state folder does not take must be kept in the run folder, and that must be told."""
    folders.break_(folders.state)
    folders.folder.write("a/b.json", Note("x"))
    assert [Note("x")] == folders.folder.read("a/b.json", NOTE)
    (told,) = folders.told
    assert str(folders.state) in told
    assert str(folders.run) in told


def test_d18_what_the_run_folder_holds_comes_first(folders: Folders) -> None:
    """What was kept in the run folder is newer than what the state folder held before, until the state folder works."""
    folders.folder.write("a/b.json", Note("old"))
    folders.break_(folders.state)
    folders.folder.write("a/b.json", Note("new"))
    folders.repair(folders.state)
    assert [Note("new"), Note("old")] == folders.folder.read("a/b.json", NOTE)
    folders.folder.write("a/b.json", Note("newest"))
    assert [Note("newest")] == folders.folder.read("a/b.json", NOTE)
    assert [] == [name for *_, names in os.walk(folders.run) for name in names]


def test_d18_without_either_folder_it_is_an_error(folders: Folders) -> None:
    """Where nothing can be kept anywhere, that must be an error that names both folders."""
    folders.break_(folders.state)
    folders.break_(folders.run)
    with pytest.raises(LocalError) as caught:
        folders.folder.write("a/b.json", Note("x"))
    assert str(folders.state) in str(caught.value)
    assert str(folders.run) in str(caught.value)
    with pytest.raises(LocalError):
        folders.folder.read("a/b.json", NOTE)
    assert [] == folders.told


def test_d18_a_span_goes_on_in_the_run_folder(folders: Folders) -> None:
    """A monitor's span must last on while the state folder is broken, and after its repair."""
    clock = FakeClock(1000)
    states = FileMonitorStates(folders.folder, clock)
    states.save("vm", "web1", MonitorState(boot="boot-1", looked=1000, since={"critical": 900}))
    folders.break_(folders.state)
    assert 1000 == states.load("vm", "web1").recalled("boot-1", 1000).looked
    states.save("vm", "web1", MonitorState(boot="boot-1", looked=1000, since={"critical": 900}))
    assert {"critical": 900} == states.load("vm", "web1").since
    folders.repair(folders.state)
    states.save("vm", "web1", MonitorState(boot="boot-1", looked=1060, since={"critical": 900}))
    assert {"critical": 900} == states.load("vm", "web1").since


def test_d18_of_two_memories_the_newer_one_counts(folders: Folders) -> None:
    """Of what both folders hold, the later look must count; each action must, since too few would restart again."""
    clock = FakeClock(1000)
    states = FileMonitorStates(folders.folder, clock)
    states.save("peer", "ec2", MonitorState(boot="boot-1", looked=900, actions=(800, 900), last_alert="a"))
    folders.break_(folders.state)
    states.save("peer", "ec2", MonitorState(boot="boot-1", looked=960, actions=(950,), last_alert="b"))
    folders.repair(folders.state)
    state = states.load("peer", "ec2")
    assert (960, "b", (800, 900, 950)) == (state.looked, state.last_alert, state.actions)
    # What was written before this boot is no memory of it.
    later = FileMonitorStates(folders.folder, FakeClock(50, boot="boot-2"))
    later.save("peer", "ec2", MonitorState(boot="boot-2", looked=40))
    assert () == later.load("peer", "ec2").actions


def test_d18_an_id_is_kept_in_the_run_folder(folders: Folders) -> None:
    """The id of a VM must be known to the next run although the state folder is broken."""
    folders.break_(folders.state)
    FileKeptIds(folders.folder).save(KeptId(name="web1", id="1234"))
    assert "1234" == FileKeptIds(folders.folder).load_id("WEB1")
