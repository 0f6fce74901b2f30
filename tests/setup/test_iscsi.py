"""The iSCSI target and the udev rule: each step once, and what a run that was killed has left is finished."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.desired.windows import TARGET
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.errors import LocalError, UsageError
from ecx_hyperv.setup import iscsi
from tests.unit.runner import FakeRunner, printed

HOSTS = ("iqn.1991-05.com.microsoft:ws2019-1", "iqn.1991-05.com.microsoft:ws2019-2")
SERVED = iscsi.served(HOSTS, "/dev/NMP1", TARGET, "idisk1")


class Machine:
    """A stand-in for systemctl and targetcli: what was created is there, asking for the rest fails."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.enabled = {"target", "dnf-makecache.timer"}
        self.active: set[str] = set()
        self.changes: list[tuple[str, ...]] = []
        self.saves = 0
        self.refuses = ""

    def __call__(self, command: Sequence[str], seconds: float) -> Completed:
        """Carry a command out."""
        words = tuple(command)
        if self.refuses and self.refuses in " ".join(words):
            return Completed(1, b"", b"Permission denied\n")
        if words[1:3] in (("is-enabled", "--quiet"), ("is-active", "--quiet")):
            known = self.enabled if words[1] == "is-enabled" else self.active
            return Completed(0 if words[3] in known else 1, b"", b"")
        if words[0] == "targetcli" and words[2:] == ("ls", "depth=1"):
            return Completed(0 if words[1] in self.there else 1, b"", b"No such path\n")
        if words == iscsi.SAVE:
            self.saves += 1
            return Completed(0, b"", b"")
        self.changes.append(words)
        if words[0] == "systemctl":
            self.enabled.discard(words[-1]) if "disable" in words else self.active.add(words[-1])
        else:
            self.there.add(self._created(words))
        return Completed(0, b"", b"")

    def _created(self, words: tuple[str, ...]) -> str:
        path, what = words[1], words[3]
        if path.endswith("/luns"):
            assert what in self.there, "targetcli knows no such backstore"
            return f"{path}/lun0"
        parent = path.rsplit("/tpg1", 1)[0]
        assert path in ("/iscsi", "/backstores/block") or parent in self.there, "targetcli knows no such path"
        return f"{path}/{what.removeprefix('name=')}"


def serve(machine: Machine, *, dry: bool = False) -> tuple[bool, list[str]]:
    """Serve the disk, and return whether anything changed and what was said."""
    said: list[str] = []
    return iscsi.serve(SERVED, machine, said.append, dry=dry, is_device=lambda _path: True), said


def test_serving_twice() -> None:
    """The first run does every step of the guide in its order, the second none."""
    machine = Machine()
    changed, _ = serve(machine)
    expected = [
        "systemctl disable --now dnf-makecache.timer",
        "systemctl disable target",
        "systemctl start target",
        "targetcli /backstores/block create name=idisk1 dev=/dev/NMP1 wwn=d864df73-8db0-575b-9dee-0e5c65f6341f",
        "targetcli /iscsi create iqn.1996-10.com.ecx",
        "targetcli /iscsi/iqn.1996-10.com.ecx/tpg1/luns create /backstores/block/idisk1",
        f"targetcli /iscsi/iqn.1996-10.com.ecx/tpg1/acls create {HOSTS[0]}",
        f"targetcli /iscsi/iqn.1996-10.com.ecx/tpg1/acls create {HOSTS[1]}",
    ]
    assert (True, expected) == (changed, [" ".join(one) for one in machine.changes])
    again, said = serve(machine)
    assert (False, expected) == (again, [" ".join(one) for one in machine.changes])
    assert 2 == machine.saves
    assert len(expected) == sum(line.startswith("unchanged: ") for line in said)


@pytest.mark.proven("E22")
def test_disk_is_the_same_at_both_ec_vms() -> None:
    """Both EC-VMs must serve the disk under one serial, and two disks under two."""

    def made(what: iscsi.Served) -> str:
        (serial,) = [word for one in iscsi.steps(what) for word in one.do if word.startswith("wwn=")]
        return serial

    other = iscsi.served(HOSTS, "/dev/NMP2", TARGET, "idisk2")
    assert made(SERVED) == made(iscsi.served(HOSTS[:1], "/dev/NMP1", TARGET, "idisk1"))
    assert made(SERVED) != made(other)


@pytest.mark.parametrize("step", range(8))
def test_a_run_that_failed_is_finished_by_the_next(step: int) -> None:
    """A step that fails is an error that names the command; the next run does what was left."""
    machine = Machine()
    command = iscsi.steps(SERVED)[step].do
    machine.refuses = " ".join(command)
    with pytest.raises(LocalError, match="Permission denied"):
        serve(machine)
    assert 0 == machine.saves
    machine.refuses = ""
    serve(machine)
    assert [one.do for one in iscsi.steps(SERVED)] == machine.changes


def test_dry_run_tells_what_is_left_to_do() -> None:
    """A dry run changes nothing, and prints the commands of the steps that are not done yet."""
    machine = Machine()
    changed, said = serve(machine, dry=True)
    assert (False, []) == (changed, machine.changes)
    commands = [" ".join(one.do) for one in iscsi.steps(SERVED)]
    assert [*commands, "targetcli saveconfig"] == [line[4:] for line in said if line.startswith("    ")]
    serve(machine)
    _, said = serve(machine, dry=True)
    assert [f"unchanged: {one.what}" for one in iscsi.steps(SERVED)] == said[:-2]


def test_only_where_the_mirror_disk_is() -> None:
    """Without the mirror disk's device nothing is begun: the group runs on the other EC-VM."""
    machine = Machine()
    with pytest.raises(LocalError, match="only where the failover group runs"):
        iscsi.serve(SERVED, machine, print, dry=False, is_device=None)
    assert [] == machine.changes


def test_initiators_are_wanted() -> None:
    """A target that nobody may log in to is refused, and the same host twice is one."""
    with pytest.raises(UsageError, match="no initiator"):
        iscsi.served((), "/dev/NMP1", TARGET, "idisk1")
    twice = iscsi.served((HOSTS[0], HOSTS[0].upper().replace("IQN", "iqn")), "/dev/NMP1", TARGET, "idisk1")
    assert HOSTS[:1] == twice.initiators


# What scsi_id of systemd 252 prints for a disk of qemu's, which has a T10 vendor's name and no other.
_EXPORTED = """\
ID_SCSI=1
ID_VENDOR=QEMU
ID_VENDOR_ENC=QEMU\\x20\\x20\\x20\\x20
ID_MODEL=QEMU_HARDDISK
ID_MODEL_ENC=QEMU\\x20HARDDISK\\x20\\x20\\x20
ID_REVISION=2.5+
ID_TYPE=disk
ID_SERIAL=0QEMU_QEMU_HARDDISK_MIRROR1
ID_SERIAL_SHORT=MIRROR1
"""


@pytest.mark.proven("E20")
def test_serial_of_a_disk() -> None:
    """The serial is the one that udev compares, without blanks; a disk that tells none is an error."""
    runner = FakeRunner(printed(_EXPORTED))
    assert "0QEMU_QEMU_HARDDISK_MIRROR1" == iscsi.disk_serial("/dev/sdb", runner)
    assert ["/lib/udev/scsi_id", "--export", "--whitelisted", "--device=/dev/sdb"] == runner.calls[0][0]
    for silent in (printed(""), printed("", 1), printed("", None), printed("ID_SCSI=1\nID_SERIAL=\n")):
        with pytest.raises(LocalError, match="tells no serial"):
            iscsi.disk_serial("/dev/sdb", FakeRunner(silent))


def test_rule_names_disk_and_partitions() -> None:
    """The rule's last line ties the serial to the link; %n is the partition's number."""
    lines = iscsi.udev_rule("3600224804fb4d824c64c0f4156f86fc9").splitlines()
    assert 'KERNEL=="sd*", ENV{ID_SERIAL}=="3600224804fb4d824c64c0f4156f86fc9", SYMLINK+="cp-diska%n"' == lines[-1]


@given(st.text(max_size=30), st.text(max_size=30))
def test_rule_is_never_anything_else(serial: str, link: str) -> None:
    """Whatever is given for serial and link, the rule is refused or has the same four lines and nothing more."""
    try:
        rule = iscsi.udev_rule(serial, link)
    except UsageError:
        return
    assert 4 == rule.count("\n")
    assert len(rule) == len(iscsi.udev_rule("S", "L")) - 2 + len(serial) + len(link)
    assert set(serial + link).isdisjoint('"%$*?[]\n\\, ')


@pytest.mark.proven("E21")
def test_rule_that_was_not_taken_up_is_taken_up_by_the_next_run(tmp_path: Path) -> None:
    """A run that ended between the rule and the links must be completed by the next one."""
    options = iscsi.IscsiOptions(serial="S", rule=tmp_path / "rule", link="cp-diska")
    with pytest.raises(LocalError):
        iscsi.set_up(options, FakeRunner(printed("", 1)), lambda _text: None)
    again = FakeRunner(printed(""))
    iscsi.set_up(options, again, lambda _text: None)
    assert 3 == len(again.calls)
    # A name that is there on every machine.
    named = FakeRunner(printed(""))
    options = replace(options, link="null")
    iscsi.set_up(options, named, lambda _text: None)
    iscsi.set_up(options, named, lambda _text: None)
    assert 3 == len(named.calls)


@pytest.mark.proven("E21")
def test_reload_is_told_if_it_fails() -> None:
    """The rule is taken up before setup ends; where it is not, the command is named."""
    runner = FakeRunner(printed(""))
    iscsi.reload_rules(runner)
    assert ["udevadm control --reload", "udevadm trigger --subsystem-match=block", "udevadm settle --timeout=30"] == [
        " ".join(call) for call, _ in runner.calls
    ]
    with pytest.raises(LocalError, match="udevadm control --reload failed"):
        iscsi.reload_rules(FakeRunner(printed("", 1)))


def test_device_is_a_block_device(tmp_path: Path) -> None:
    """A plain file is no mirror disk."""
    plain = tmp_path / "NMP1"
    plain.touch()
    assert not iscsi._is_device(plain)
    assert not iscsi._is_device(tmp_path / "nothing")
