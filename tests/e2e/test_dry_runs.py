"""A9: the dry run of each command, and the real run in the same world: the same exit code and the same last words.

The starts, stops and monitors are compared in every named world in tests/proof/test_dry_runs.py; here are the commands
that write files, pin keys and call other programs, as processes on a lab. A dry run comes first and changes no file,
so that what the real run finds is what the dry run found.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecx_hyperv.lab.model.things import Sshd
from tests.e2e.support import ONE, TWO, Scenario, running_lab
from tests.unit.test_clpconf import SAMPLES

HOSTS = ("--initiator", "iqn.1991-05.com.microsoft:h1", "--initiator", "iqn.1991-05.com.microsoft:h2")
SERIAL = "3600224804fb4d824c64c0f4156f86fc9"
RULE = ("--serial", SERIAL, "--rule", "{folder}/99.rules")
CONF = ("--conf", "{folder}/copy/clp.conf")
# Both ends of an alert or a mistake differ in these: when, and in which run.
# The table in which genw-vm shows a person what it otherwise says.
VERDICT = re.compile(r"^vm1 +(?:healthy|failed|cannot tell) +")
STAMP = re.compile(r"^\S+ +(?P<level>\w+) +\[\w+\] ")
# What a dry run says will be so, and what the real run says is so.
TENSES = (("will write: ", "written: "), ("will run: ", "ran: "), ("will be ", ""), ("the run will ", ""))
# Enough of targetcli: what was created is there.
TARGETCLI = """#!/bin/sh
there="{folder}/there"
case "$*" in
*" ls depth=1") grep -qsxF "$1" "$there" ;;
"/backstores/block create"*) name=${{3#name=}}; echo "/backstores/block/$name" >>"$there" ;;
"/iscsi create"*) echo "/iscsi/$3" >>"$there" ;;
*"/luns create"*) echo "$1/lun0" >>"$there" ;;
*"/acls create"*) echo "$1/$3" >>"$there" ;;
esac
"""


class Stage:
    """A lab with its group on ec1, and what makes a situation of it."""

    def __init__(self, lab: Scenario) -> None:
        self.lab = lab
        self.folder = lab.lab.folder.node("ec1")
        self.known = self.folder / "known_hosts"

    def nothing(self) -> None:
        """Leave all as it is."""

    def unpin(self) -> None:
        """Have no key pinned."""
        self.known.unlink()

    def exchange(self) -> None:
        """Have each host's key pinned for the other host."""
        first, *_, last = self.known.read_text(encoding="ascii").splitlines()
        names, keys = [one.split(" ", 1)[0] for one in (first, last)], [one.split(" ", 1)[1] for one in (first, last)]
        self.known.write_text(f"{names[0]} {keys[1]}\n{names[1]} {keys[0]}\n", encoding="ascii")

    def spoil(self) -> None:
        """Have a folder in the place of the pinned keys."""
        self.known.unlink()
        self.known.mkdir()

    def one_off(self) -> None:
        """Have no key pinned, and one host without its sshd."""
        self.unpin()
        self.lab.do(lambda world: setattr(world.hosts[TWO], "sshd", Sshd.STOPPED))

    def both_off(self) -> None:
        """Have both hosts without their sshd."""
        self.lab.on_each_host(lambda world, host: setattr(world.hosts[host], "sshd", Sshd.STOPPED))

    def peer_off(self) -> None:
        """Have the other EC-VM off."""
        self.lab.do(lambda world: world.stop_ec_vm(world.ec_vms["ec2"], "Off"))

    def in_maintenance(self) -> None:
        """Have vm1 in maintenance."""
        assert 0 == self.lab.run("ec1", "ecx-hyperv", "maintenance", "on", "vm1").returncode

    def no_state(self) -> None:
        """Have a file where the state folder is."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        (self.folder / "state").write_bytes(b"")

    def copy(self, sample: str = "fresh-eucjp.conf") -> None:
        """Have a copy of ECX's configuration."""
        (self.folder / "copy").mkdir()
        shutil.copy2(SAMPLES / sample, self.folder / "copy" / "clp.conf")

    def copy_in_ascii(self) -> None:
        """Have a copy in ASCII, and a VM with a name that ASCII lacks."""
        self.copy("complete-ascii.conf")
        config = self.folder / "config.toml"
        text = config.read_text(encoding="utf-8")
        config.write_text(f'{text}\n[[vm]]\nname = "業務サーバ"\n', encoding="utf-8")

    def applied(self) -> None:
        """Have a copy that has been changed already."""
        self.copy()
        self.once("setup", "ecx", *CONF, "--apply")

    def tools(self) -> None:
        """Have targetcli and udevadm."""
        self.tool("targetcli", TARGETCLI.format(folder=self.folder))
        self.tool("udevadm", "#!/bin/sh\n")

    def served(self) -> None:
        """Have the disk served already."""
        self.tools()
        self.once("setup", "iscsi", *HOSTS, "--device", self.disk)

    def named(self) -> None:
        """Have the disk's rule written already."""
        self.tools()
        self.once("setup", "iscsi", *RULE)

    def refusing_targetcli(self) -> None:
        """Have a targetcli that fails."""
        self.tool("targetcli", "#!/bin/sh\necho Permission denied >&2\nexit 1\n")

    def twice(self) -> None:
        """Have the scripts for the hosts written already."""
        self.once("setup", "ssh", "--no-trust")
        self.once("setup", "host")

    def vm_off(self) -> None:
        """Have a guest that was turned off."""
        self.lab.do(lambda world: world.guests.become(world.vms["vm1"], ONE, "Off"))

    def once(self, *words: str) -> None:
        """Run a command that succeeds."""
        done = self.lab.run("ec1", "ecx-hyperv", *self.fill(words), **self.path)
        assert 0 == done.returncode, done.stderr

    def tool(self, name: str, text: str) -> None:
        """Have a program on the EC-VM."""
        place = self.folder / "tools" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(0o755)

    @property
    def path(self) -> dict[str, str]:
        """Return PATH with the EC-VM's programs of this stage."""
        return {"PATH": f"{self.folder}/tools:{self.lab.lab.folder.environment('ec1')['PATH']}"}

    @property
    def disk(self) -> str:
        """Return a block device of this machine, which nothing reads or writes."""
        return str(next(one for one in sorted(Path("/dev").iterdir()) if one.is_block_device()))

    def fill(self, words: tuple[str, ...]) -> list[str]:
        """Return the words with this EC-VM's folder and a disk in them."""
        return [one.replace("{folder}", str(self.folder)).replace("{disk}", self.disk) for one in words]

    def files(self) -> dict[str, bytes]:
        """Return every file of both EC-VMs but the logs and what a running command holds."""
        root = self.lab.lab.folder.path
        found = (path for node in ("ec1", "ec2") for path in (root / node).rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in found if not {"log", "run"} & set(path.parts)}


@dataclass(frozen=True, slots=True)
class Situation:
    """A command, how the world is before it, and how the command ends."""

    command: str
    code: int = 0
    before: Callable[[Stage], None] = Stage.nothing

    @property
    def words(self) -> tuple[str, ...]:
        """Return the command's words."""
        return tuple(self.command.split(" "))


def _joined(*words: str) -> str:
    return " ".join(words)


SITUATIONS = {
    "keys are pinned": Situation("ecx-hyperv trust --yes"),
    "no key is pinned": Situation("ecx-hyperv trust --yes", before=Stage.unpin),
    "no key is pinned, one host is off": Situation("ecx-hyperv trust --yes", 4, Stage.one_off),
    "both hosts are off": Situation("ecx-hyperv trust --yes", 4, Stage.both_off),
    "the keys have changed": Situation("ecx-hyperv trust --yes", 5, Stage.exchange),
    "the keys of one host are replaced": Situation("ecx-hyperv trust --yes --replace 127.77.1.1", 5, Stage.exchange),
    "the keys of no host are replaced": Situation("ecx-hyperv trust --yes --replace 10.9.9.9", 2),
    "known_hosts is a folder": Situation("ecx-hyperv trust --yes", 7, Stage.spoil),
    "a VM goes into maintenance": Situation("ecx-hyperv maintenance on vm1"),
    "a VM goes into it for an hour": Situation("ecx-hyperv maintenance on vm1 --for 1h"),
    "a VM is in it already": Situation("ecx-hyperv maintenance on vm1", before=Stage.in_maintenance),
    "a VM leaves it": Situation("ecx-hyperv maintenance off vm1", before=Stage.in_maintenance),
    "a VM leaves what it was not in": Situation("ecx-hyperv maintenance off vm1"),
    "a VM on this EC-VM alone": Situation("ecx-hyperv maintenance on vm1 --here"),
    "the other EC-VM": Situation("ecx-hyperv maintenance on ec2"),
    "this EC-VM": Situation("ecx-hyperv maintenance on ec1", 2),
    "an unknown VM": Situation("ecx-hyperv maintenance on vm7", 2),
    "a length that is none": Situation("ecx-hyperv maintenance on vm1 --for soon", 2),
    "the other EC-VM is off": Situation("ecx-hyperv maintenance on vm1", before=Stage.peer_off),
    "the state folder is a file": Situation("ecx-hyperv maintenance on vm1", 7, Stage.no_state),
    "the scripts for sshd": Situation("ecx-hyperv setup ssh --no-trust"),
    "the scripts for sshd are there": Situation("ecx-hyperv setup ssh --no-trust", before=Stage.twice),
    "the script for one sshd": Situation("ecx-hyperv setup ssh --no-trust --host ec2"),
    "the scripts for sshd, and the pins": Situation("ecx-hyperv setup ssh --yes", before=Stage.unpin),
    "a public key that is not there": Situation("ecx-hyperv setup ssh --public-key {folder}/none.pub", 2),
    "the scripts for the hosts": Situation("ecx-hyperv setup host"),
    "the scripts for the hosts are there": Situation("ecx-hyperv setup host", before=Stage.twice),
    "a switch without an adapter": Situation("ecx-hyperv setup host --switch iSCSI", 2),
    "the script of ECX's commands": Situation("ecx-hyperv setup ecx"),
    "a copy of clp.conf": Situation(_joined("ecx-hyperv setup ecx", *CONF), before=Stage.copy),
    "a copy is changed": Situation(_joined("ecx-hyperv setup ecx", *CONF, "--apply"), before=Stage.copy),
    "a copy is changed already": Situation(_joined("ecx-hyperv setup ecx", *CONF, "--apply"), before=Stage.applied),
    "a copy is pushed": Situation(_joined("ecx-hyperv setup ecx", *CONF, "--apply --push"), before=Stage.copy),
    "a copy that cannot say the name": Situation(
        _joined("ecx-hyperv setup ecx", *CONF, "--apply"), 7, Stage.copy_in_ascii
    ),
    "no copy to change": Situation("ecx-hyperv setup ecx --apply", 2),
    "a copy that is not there": Situation(_joined("ecx-hyperv setup ecx", *CONF), 7),
    "the mirror disk is elsewhere": Situation(_joined("ecx-hyperv setup iscsi", *HOSTS), 7, Stage.tools),
    "the disk is served": Situation(_joined("ecx-hyperv setup iscsi", *HOSTS, "--device {disk}"), before=Stage.tools),
    "the disk is served already": Situation(
        _joined("ecx-hyperv setup iscsi", *HOSTS, "--device {disk}"), before=Stage.served
    ),
    "no targetcli": Situation(_joined("ecx-hyperv setup iscsi", *HOSTS, "--device {disk}"), 7),
    "an initiator that is none": Situation("ecx-hyperv setup iscsi --initiator host1", 2),
    "the disk is named": Situation(_joined("ecx-hyperv setup iscsi", *RULE), before=Stage.tools),
    "the disk is named already": Situation(_joined("ecx-hyperv setup iscsi", *RULE), before=Stage.named),
    "no udev": Situation(_joined("ecx-hyperv setup iscsi", *RULE), 7),
    "no scsi_id": Situation("ecx-hyperv setup iscsi --disk /dev/sdb", 7),
    "a VM that is healthy": Situation("genw-vm vm1"),
    "a VM that is off": Situation("genw-vm vm1", 1, Stage.vm_off),
    "a VM in maintenance": Situation("genw-vm vm1", 0, Stage.in_maintenance),
    "the other EC-VM is online": Situation("genw-remote-node"),
    "the other EC-VM is to be started": Situation("genw-remote-node", 0, Stage.peer_off),
    "a move that is refused": Situation("ecx-hyperv move ec2 --yes", 1, Stage.in_maintenance),
    "a move to where the group is": Situation("ecx-hyperv move ec1 --yes", 0),
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a lab whose group is on ec1, with nothing but what a test asks for going on."""
    with running_lab(tmp_path) as lab:
        lab.lab.ecx.monitoring = False
        lab.start_group()
        yield Stage(lab)


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return the error that a command ended by, or the last line that it printed, in the past tense."""
    last, error = (text.rstrip().rpartition("\n")[2] for text in (done.stdout, done.stderr))
    stamped = STAMP.match(error)
    line = STAMP.sub("", error) if stamped and stamped["level"] == "error" else VERDICT.sub("", last)
    for future, past in TENSES:
        line = line.replace(future, past)
    return line


@pytest.mark.parametrize("name", SITUATIONS)
def test_a9_a_dry_run_ends_as_the_run_in_the_same_world(stage: Stage, name: str) -> None:
    """A dry run must change no file, and end with the code and the last words of the real run in the same world."""
    situation = SITUATIONS[name]
    situation.before(stage)
    words, before = stage.fill(situation.words), stage.files()
    dry = stage.lab.run("ec1", *words, "--dry-run", **stage.path)
    assert before == stage.files()
    real = stage.lab.run("ec1", *words, **stage.path)
    assert [situation.code] * 2 == [dry.returncode, real.returncode]
    assert last_words(real) == last_words(dry)
