"""The iSCSI target on this EC-VM: targetcli's steps, and the udev rule that keeps the mirror disk's names."""

import os
import re
import stat
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecx_hyperv.desired.quoting import check_device, check_iqn, check_object, shell_line
from ecx_hyperv.desired.windows import MIRROR_DEVICE, TARGET
from ecx_hyperv.ecx.commands import Runner
from ecx_hyperv.errors import LocalError, UsageError
from ecx_hyperv.setup.files import Say, Writer

RULE = Path("/etc/udev/rules.d/99-clusterpro-devices.rules")
LINK = "cp-diska"
_LIMIT_S = 60.0
_SCSI_ID = "/lib/udev/scsi_id"
_SERIAL = re.compile(r"[A-Za-z0-9_:.+-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Served:
    """What is served to whom: a block device, under a target's name, to the hosts' initiators."""

    initiators: tuple[str, ...]
    device: str = MIRROR_DEVICE
    target: str = TARGET
    backstore: str = "idisk1"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a command whose exit code tells whether it is done already, and the one that does it.

    `done_if_zero` is false where the question is whether something is still on that should be off.
    """

    what: str
    ask: tuple[str, ...]
    do: tuple[str, ...]
    done_if_zero: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class IscsiOptions:
    """What setup iscsi is asked for: the target if there are initiators, the udev rule if there is a disk or serial.

    `device` is the mirror disk's own device, `disk` the one under it, `link` the lasting name of that one under /dev,
    `rule` the file of the rule, None the usual one.
    """

    initiators: tuple[str, ...] = ()
    device: str = MIRROR_DEVICE
    target: str = TARGET
    backstore: str = "idisk1"
    disk: str | None = None
    serial: str | None = None
    link: str = LINK
    rule: Path | None = None
    dry_run: bool = False


def set_up(options: IscsiOptions, run: Runner, say: Say) -> None:
    """Name the disk under the mirror for good, and serve the mirror disk; raises UsageError, LocalError."""
    if not (options.initiators or options.disk or options.serial):
        raise UsageError(
            "nothing to set up", remedy="give --disk for the disk's names, --initiator (twice) for the target, or all"
        )
    asked = options.initiators
    what = served(asked, options.device, options.target, options.backstore) if asked else None
    if options.disk or options.serial:
        _name_disk(options, run, say)
    if what:
        serve(what, run, say, dry=options.dry_run)


def served(initiators: Sequence[str], device: str, target: str, backstore: str) -> Served:
    """Check the parts of a target; raises UsageError for one that targetcli could misread."""
    names = tuple(dict.fromkeys(check_iqn(one) for one in initiators))
    if not names:
        raise UsageError(
            "no initiator was named",
            remedy="give --initiator IQN for each host, as iSCSI Initiator shows it under Configuration",
        )
    return Served(names, check_device(device), check_iqn(target), check_object(backstore, "a backstore"))


def steps(what: Served) -> tuple[Step, ...]:
    """Return the steps that serve the disk, in their order."""
    disk, tpg = f"/backstores/block/{what.backstore}", f"/iscsi/{what.target}/tpg1"
    return (
        Step(
            "no package metadata is fetched behind the cluster's back",
            ("systemctl", "is-enabled", "--quiet", "dnf-makecache.timer"),
            ("systemctl", "disable", "--now", "dnf-makecache.timer"),
            done_if_zero=False,
        ),
        # At boot the service would serve a disk that the other EC-VM owns.
        Step(
            "the target service is started by ECX only",
            ("systemctl", "is-enabled", "--quiet", "target"),
            ("systemctl", "disable", "target"),
            done_if_zero=False,
        ),
        Step(
            "the target service runs",
            ("systemctl", "is-active", "--quiet", "target"),
            ("systemctl", "start", "target"),
        ),
        Step(
            f"{what.device} is the backstore {what.backstore}",
            _there(disk),
            _backstore(what),
        ),
        Step(f"target {what.target}", _there(f"/iscsi/{what.target}"), ("targetcli", "/iscsi", "create", what.target)),
        Step("its LUN", _there(f"{tpg}/luns/lun0"), ("targetcli", f"{tpg}/luns", "create", disk)),
        *(
            Step(f"{one} may log in", _there(f"{tpg}/acls/{one}"), ("targetcli", f"{tpg}/acls", "create", one))
            for one in what.initiators
        ),
    )


def _backstore(what: Served) -> tuple[str, ...]:
    # Left to itself targetcli gives the disk a serial at random, and the host finds another disk at the other EC-VM.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"{what.target}/{what.backstore}")
    named = (f"name={what.backstore}", f"dev={what.device}", f"wwn={serial}")
    return ("targetcli", "/backstores/block", "create", *named)


SAVE = ("targetcli", "saveconfig")


def serve(what: Served, run: Runner, say: Say, *, dry: bool, is_device: Callable[[Path], bool] | None = None) -> bool:
    """Carry the steps out, each only where it is not done, and tell whether any was; raises LocalError.

    In a dry run say instead what will be done, with the commands.
    """
    is_here = (is_device or _is_device)(Path(what.device))
    if dry:
        _plan(what, run, say, is_here=is_here)
    if not is_here:
        raise LocalError(
            f"{what.device} is no disk here",
            seen="the mirror disk shows it only where the failover group runs",
            remedy="start the group on this EC-VM, or run this on the other one",
        )
    if dry:
        say("will be saved in targetcli's configuration")
        return False
    changed = [step for step in steps(what) if _carry_out(step, run, say)]
    _run(SAVE, run)
    say("saved in targetcli's configuration")
    return bool(changed)


def disk_serial(device: str, run: Runner) -> str:
    """Ask a disk for the serial that udev knows it by; raises LocalError."""
    # Exported as udev takes it up: what a disk says of itself may hold blanks, which no rule would ever find.
    ask = [_SCSI_ID, "--export", "--whitelisted", f"--device={check_device(device)}"]
    found = run(ask, _LIMIT_S)
    told = [line.removeprefix("ID_SERIAL=") for line in found.text.splitlines() if line.startswith("ID_SERIAL=")]
    serial = told[-1].strip() if told and found.code == 0 else ""
    if not serial:
        raise LocalError(
            f"{device} tells no serial",
            seen=found.stderr.decode("utf-8", "replace") or f"exit {found.code}",
            remedy="name the mirror disk, such as /dev/sdb, or its serial with --serial",
        )
    return serial


def reload_rules(run: Runner) -> None:
    """Have udev take its rules up and name the disks again, and wait until it has; raises LocalError."""
    _run(("udevadm", "control", "--reload"), run)
    _run(("udevadm", "trigger", "--subsystem-match=block"), run)
    # The trigger returns before any link is made.
    _run(("udevadm", "settle", "--timeout=30"), run)


def _find_udev(run: Runner) -> None:
    """Say beforehand that udev is not there; raises LocalError."""
    _run(("udevadm", "--version"), run)


def udev_rule(serial: str, link: str = LINK) -> str:
    """Return the rule that names the disk of a serial /dev/LINK, and its partitions /dev/LINK1 and so on.

    Raises UsageError for a serial or name that a rule could misread.
    """
    if not _SERIAL.fullmatch(serial):
        raise UsageError(
            f"{serial!r} is no disk's serial",
            remedy=f"write what this prints behind ID_SERIAL=: {_SCSI_ID} --export --whitelisted --device=/dev/sdb",
        )
    check_object(link, "a link")
    ask = f"{_SCSI_ID} --export --whitelisted --device=/dev/%k"
    return (
        "# ecx-hyperv setup iscsi: the mirror disk keeps its names in whatever order disks are found.\n"
        f'KERNEL=="sd*[^0-9]", ENV{{ID_SERIAL}}=="", IMPORT{{program}}="{ask}"\n'
        'KERNEL=="sd*[0-9]", ENV{ID_SERIAL}=="", IMPORT{parent}="ID_*"\n'
        f'KERNEL=="sd*", ENV{{ID_SERIAL}}=="{serial}", SYMLINK+="{link}%n"\n'
    )


def _name_disk(options: IscsiOptions, run: Runner, say: Say) -> None:
    text = udev_rule(options.serial or disk_serial(options.disk or "", run), options.link)
    writer = Writer(say, options.dry_run)
    if options.dry_run:
        say(text.removesuffix("\n"))
    writer.write(options.rule or RULE, text.encode("ascii"), 0o644)
    # Without the link an earlier run ended before udev had taken the rule up.
    if writer.changed or not os.path.lexists(f"/dev/{options.link}"):
        take_up = _find_udev if options.dry_run else reload_rules
        take_up(run)


def _there(path: str) -> tuple[str, ...]:
    return ("targetcli", path, "ls", "depth=1")


def _plan(what: Served, run: Runner, say: Say, *, is_here: bool) -> None:
    """Say what will be done, with the commands; where the disk is elsewhere nobody asks what is done already."""
    if not is_here:
        say("on the EC-VM where the failover group runs; then move the group, and the same on the other one:")
    for step in steps(what):
        if is_here and _is_done(step, run):
            say(f"unchanged: {step.what}")
        else:
            say(f"will be done: {step.what}")
            say(f"    {shell_line(*step.do)}")
    say(f"    {shell_line(*SAVE)}")


def _is_done(step: Step, run: Runner) -> bool:
    return (run(step.ask, _LIMIT_S).code == 0) is step.done_if_zero


def _carry_out(step: Step, run: Runner, say: Say) -> bool:
    if _is_done(step, run):
        say(f"unchanged: {step.what}")
        return False
    _run(step.do, run)
    say(f"done: {step.what}")
    return True


def _run(command: tuple[str, ...], run: Runner) -> None:
    done = run(command, _LIMIT_S)
    if done.code != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace")
        raise LocalError(
            f"{shell_line(*command)} failed",
            seen=said or ("no end after a minute" if done.code is None else f"exit {done.code}"),
            remedy="run it by hand, as root, and see what it says",
        )


def _is_device(path: Path) -> bool:
    try:
        return stat.S_ISBLK(path.stat().st_mode)
    except OSError:
        return False
