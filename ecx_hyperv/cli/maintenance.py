"""ecx-hyperv maintenance: the flags of the pair, which keep starts and monitors off a VM or an EC-VM.

A flag is kept on the EC-VM that reads it. After a failover the other EC-VM starts the VMs: a flag that only one of the
two has would let it start a VM that a person has taken apart. So each command works on both EC-VMs, and says so where
the other one does not answer.
"""

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from ecx_hyperv.cli import configuration
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.cli.completion import complete_name
from ecx_hyperv.cli.spans import in_words, parse_length
from ecx_hyperv.config import Config
from ecx_hyperv.desired.quoting import shell_line
from ecx_hyperv.ecx import commands, remote
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.maintenance import Flag, Kind, Maintenance
from ecx_hyperv.errors import ConfigError, LocalError, UsageError
from ecx_hyperv.exits import Exit
from ecx_hyperv.plain import as_json, flat

# What the other EC-VM may take, its program's start included.
_PEER_S = 40.0
_UNTIL = click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%z"])
_here = click.option("--here", is_flag=True, help="On this EC-VM only; the other one is not asked.")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where flags are set: the configuration, and the pair, None on a machine that is neither EC-VM."""

    config: Config
    pair: Pair | None

    @property
    def flags(self) -> Maintenance:
        """Return the flags of this machine."""
        return Maintenance(Path(self.config.paths.state))


@click.group(epilog="Example: ecx-hyperv maintenance on Cent8.2-1 --for 2h")
def maintenance() -> None:
    """Keep starts and monitors off a VM, or off the other EC-VM, on both EC-VMs of the pair."""


@maintenance.command("on", epilog="Example: ecx-hyperv maintenance on Cent8.2-1 --for 30m --reason 'kernel update'")
@click.argument("name", shell_complete=complete_name)
@click.option("--for", "length", metavar="DURATION", help="How long: 90s, 30m, 2h, 1d.")
@click.option("--until", type=_UNTIL, metavar="TIME", help="Until when, local time: 2026-05-01T17:00.")
@click.option("--reason", default="", help="Shown by status and list.")
@click.option("--by", default="", metavar="WHO", help="Who sets it  [default: the user, and this EC-VM].")
@_here
@click.option("--dry-run", is_flag=True, help="Print what will be set, change nothing.")
@run_to_exit()
def maintenance_on(
    invocation: Invocation,
    name: str,
    length: str | None,
    until: datetime | None,
    reason: str,
    by: str,
    *,
    here: bool,
    dry_run: bool,
) -> Exit:
    """Put a VM, or the other EC-VM by its node name, in maintenance."""
    place = _place(invocation)
    kind, full = _find(place.config, name)
    if kind is Kind.PEER and place.pair is not None and place.pair.local.name == full and not here:
        raise UsageError(
            f"{full} is this EC-VM: nothing here looks after it, so a flag would keep nobody off it",
            remedy=f"on {place.pair.peer.name}: {shell_line('ecx-hyperv', 'maintenance', 'on', full)}",
        )
    now = invocation.clock.wall()
    flag = Flag(kind, full, now, _end(now, length, until), reason, by or _who(place.pair))
    if dry_run:
        place.flags.check(kind, full)
    else:
        place.flags.set(flag)
    click.echo(flat(_in_words(flag, now)))
    words = ["on", full, "--reason", reason, "--by", flag.by]
    if flag.until is not None:
        words += ["--until", flag.until.isoformat(timespec="seconds")]
    _tell_pair(place, words, "set", flag, here=here, dry=dry_run)
    return Exit.DONE


@maintenance.command("off", epilog="Example: ecx-hyperv maintenance off Cent8.2-1")
@click.argument("name", shell_complete=complete_name)
@_here
@click.option("--dry-run", is_flag=True, help="Print what will be ended, change nothing.")
@run_to_exit()
def maintenance_off(invocation: Invocation, name: str, *, here: bool, dry_run: bool) -> Exit:
    """End the maintenance of a VM or EC-VM."""
    place = _place(invocation)
    kind, full = _find(place.config, name)
    now = invocation.clock.wall()
    was = place.flags.find(kind, full, now)
    if not dry_run:
        place.flags.clear(kind, full)
    ended = "maintenance will be ended" if dry_run else "maintenance ended"
    click.echo(flat(f"{full}: {ended}" if was is not None else f"{full}: was not in maintenance"))
    _tell_pair(place, ["off", full], "ended", was or Flag(kind, full, now), here=here, dry=dry_run)
    return Exit.DONE


@maintenance.command("list", epilog="Example: ecx-hyperv maintenance list --json")
@click.option("--json", "json_wanted", is_flag=True, help="The same as JSON: who, since, until, seconds left.")
@run_to_exit()
def maintenance_list(invocation: Invocation, *, json_wanted: bool) -> Exit:
    """Show what is in maintenance, as this EC-VM knows it."""
    place, now = _place(invocation), invocation.clock.wall()
    flags = place.flags.all(now)
    if json_wanted:
        node = "" if place.pair is None else place.pair.local.name
        found = [_as_json(flag, now) for flag in flags]
        click.echo(as_json({"version": 1, "node": node, "maintenance": found}, indent=2))
        return Exit.DONE
    for flag in flags:
        click.echo(flat(_in_words(flag, now)))
    if not flags:
        click.echo("nothing is in maintenance")
    return Exit.DONE


def _place(invocation: Invocation) -> _Place:
    config = configuration.load_for_a_person(invocation).config
    try:
        return _Place(config, configuration.which_pair(invocation, config))
    except (ConfigError, UsageError, LocalError):
        # Flags may also be set where the file does not find this machine.
        return _Place(config, None)


def _tell_pair(place: _Place, words: Sequence[str], done: str, flag: Flag, *, here: bool, dry: bool) -> None:
    """Do the same on the other EC-VM, and tell what became of it there."""
    will = "will be " if dry else ""
    if place.pair is None:
        click.echo("This machine is neither EC-VM of the configuration: do the same on both EC-VMs.")
        return
    local, peer = place.pair.local.name, place.pair.peer.name
    if here:
        click.echo(flat(f"{will}{done} on {local} only"))
        return
    command = ["ecx-hyperv", "maintenance", *words, "--here"]
    why = _peer_answer(place.pair, [*command, "--dry-run"] if dry else command)
    if not why:
        click.echo(flat(f"{will}{done} on {local} and on {peer}"))
        return
    click.echo(flat(f"{will}{done} on {local} only; {peer} does not know of it: {why}"))
    if flag.kind is Kind.PEER and flag.name == peer:
        click.echo(flat(f"{peer} need not know of it: {local} looks after {peer}."))
        return
    what = f"{peer} would start {flag.name}" if done == "set" else f"{peer} would leave {flag.name} as it is"
    click.echo(flat(f"After a failover {what}. Once {peer} answers, on {peer}: {shell_line(*command)}"))


def _peer_answer(pair: Pair, command: Sequence[str]) -> str:
    """Return why the other EC-VM did not do it, empty if it did."""
    try:
        return flat(remote.why_not(remote.on_peer(commands.run, pair, command, _PEER_S)), 300)
    except LocalError as error:
        return error.what


def _find(loaded: Config, name: str) -> tuple[Kind, str]:
    vm = loaded.find_vm(name)
    if vm is not None:
        return Kind.VM, vm.name
    node = next((node for node in loaded.node if node.name == name), None)
    if node is not None:
        return Kind.PEER, node.name
    known = ", ".join([vm.name for vm in loaded.vm] + [node.name for node in loaded.node])
    raise UsageError(f"no VM or node named {name!r}", seen=f"configured: {known}", remedy="name one of these")


def _end(now: datetime, length: str | None, until: datetime | None) -> datetime | None:
    if length and until:
        raise UsageError("--for and --until exclude each other", remedy="give one of them")
    end = until.astimezone() if until else now + parse_length(length, "--for") if length else None
    if end is not None and end <= now:
        raise UsageError("the maintenance would be over already", seen=end.isoformat(), remedy="give a later moment")
    return end


def _who(pair: Pair | None) -> str:
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        # A user without a name.
        user = f"user {os.geteuid()}"
    return user if pair is None else f"{user} on {pair.local.name}"


def _in_words(flag: Flag, now: datetime) -> str:
    until = "until it is ended"
    if flag.until is not None:
        left = in_words((flag.until - now).total_seconds())
        until = f"until {flag.until.astimezone():%Y-%m-%d %H:%M} ({left} left)"
    kind = "VM" if flag.kind is Kind.VM else "EC-VM"
    by = f"; by {flag.by}" if flag.by else ""
    since = f"; since {flag.since.astimezone():%Y-%m-%d %H:%M}"
    return f"{flag.name} ({kind}): maintenance {until}{since}{by}" + (f"; {flag.reason}" if flag.reason else "")


def _as_json(flag: Flag, now: datetime) -> dict[str, object]:
    return {
        "kind": flag.kind.value,
        "name": flag.name,
        "by": flag.by,
        "since": flag.since.isoformat(),
        "until": None if flag.until is None else flag.until.isoformat(),
        "left_s": None if flag.until is None else round((flag.until - now).total_seconds()),
        "reason": flag.reason,
    }
