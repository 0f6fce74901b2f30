"""ecx-hyperv: maintenance, trust, config; check, lab, setup and status have modules of their own."""

from datetime import datetime, timedelta
from pathlib import Path

import click

from ecx_hyperv import __version__
from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.cli.lazy import LazyGroup
from ecx_hyperv.config import Config
from ecx_hyperv.config_file import last_good, read
from ecx_hyperv.ecx.file_access import other_writers
from ecx_hyperv.ecx.maintenance import Flag, Kind, Maintenance
from ecx_hyperv.errors import ConfigError, UsageError
from ecx_hyperv.exits import Exit
from ecx_hyperv.plain import flat


@click.group(
    "ecx-hyperv",
    cls=LazyGroup,
    lazy={
        "check": "ecx_hyperv.cli.check:check",
        "lab": "ecx_hyperv.cli.lab:lab",
        "setup": "ecx_hyperv.cli.setup:setup",
        "status": "ecx_hyperv.cli.status:status",
    },
    packages={"lab": "ecx-hyperv-lab"},
    epilog="Example: ecx-hyperv status Cent8.2-1",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Keep Hyper-V VMs alive for EXPRESSCLUSTER X: look, maintain, set up.

    The work itself is done by vm-start, vm-unregister, genw-vm and genw-remote-node.
    """


@main.group(epilog="Example: ecx-hyperv maintenance on Cent8.2-1 --for 2h")
def maintenance() -> None:
    """Keep starts and monitors off a VM, or off the peer EC-VM; flags hold on this EC-VM only."""


@maintenance.command("on", epilog="Example: ecx-hyperv maintenance on ec2 --for 30m --reason 'kernel update'")
@click.argument("name")
@click.option("--for", "length", help="How long: 90s, 30m, 2h, 1d.")
@click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]), help="Until when, local time.")
@click.option("--reason", default="", help="Shown by status.")
@click.option("--dry-run", is_flag=True, help="Print what would be set, change nothing.")
@run_to_exit()
def maintenance_on(
    invocation: Invocation, name: str, length: str | None, until: datetime | None, reason: str, dry_run: bool
) -> Exit:
    """Put a VM, or the peer EC-VM by its node name, in maintenance."""
    loaded = configuration.load_for_a_person(invocation).config
    kind, full = _find(loaded, name)
    now = invocation.clock.wall()
    if length and until:
        raise UsageError("--for and --until exclude each other", remedy="give one of them")
    end = until.astimezone() if until else now + _length(length) if length else None
    if end is not None and end <= now:
        raise UsageError("the maintenance would be over already", seen=end.isoformat(), remedy="give a later moment")
    flag = Flag(kind=kind, name=full, since=now, until=end, reason=reason)
    if not dry_run:
        Maintenance(Path(loaded.paths.state)).set(flag)
    click.echo(flat(f"{'would be set: ' if dry_run else ''}{_in_words(flag)}"))
    click.echo("It holds on this EC-VM only: set it on the other one too if the group may move there.")
    return Exit.DONE


@maintenance.command("off", epilog="Example: ecx-hyperv maintenance off Cent8.2-1")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Print what would be ended, change nothing.")
@run_to_exit()
def maintenance_off(invocation: Invocation, name: str, dry_run: bool) -> Exit:
    """End the maintenance of a VM or EC-VM."""
    loaded = configuration.load_for_a_person(invocation).config
    kind, full = _find(loaded, name)
    flags = Maintenance(Path(loaded.paths.state))
    was_set = flags.find(kind, full, invocation.clock.wall()) is not None if dry_run else flags.clear(kind, full)
    ended = "would be ended" if dry_run else "ended"
    click.echo(flat(f"{full}: maintenance {ended}" if was_set else f"{full}: was not in maintenance"))
    return Exit.DONE


@maintenance.command("list", epilog="Example: ecx-hyperv maintenance list")
@run_to_exit()
def maintenance_list(invocation: Invocation) -> Exit:
    """Show what is in maintenance."""
    loaded = configuration.load_for_a_person(invocation).config
    flags = Maintenance(Path(loaded.paths.state)).all(invocation.clock.wall())
    for flag in flags:
        click.echo(flat(_in_words(flag)))
    if not flags:
        click.echo("nothing is in maintenance")
    return Exit.DONE


@main.command(epilog="Example: ecx-hyperv trust")
@click.option("--yes", is_flag=True, help="Pin new keys without asking; never in place of others.")
@click.option(
    "--replace",
    multiple=True,
    metavar="HOST",
    help="Pin what the host at this address shows now in place of what is pinned for it; after a reinstallation.",
)
@click.option("--dry-run", is_flag=True, help="Show the keys, pin nothing.")
@run_to_exit()
def trust(invocation: Invocation, yes: bool, replace: tuple[str, ...], dry_run: bool) -> Exit:
    """Fetch the hosts' SSH keys, show them, and pin them in [ssh] known_hosts.

    A key that has changed is shown beside the pinned one, and is pinned only with --replace.
    """
    from ecx_hyperv.cli.trust import pin

    loaded = configuration.load_for_a_person(invocation).config
    common.guard(invocation, 300, Exit.UNREACHABLE, "the keys were not pinned")
    return pin(loaded, common.deadline_of(invocation, 120), yes=yes, dry=dry_run, replace=replace)


@main.group(epilog="Example: ecx-hyperv config check")
def config() -> None:
    """Look after the configuration file."""


@config.command("check", epilog="Example: ecx-hyperv config check --config ./config.toml")
@run_to_exit()
def config_check(invocation: Invocation) -> Exit:
    """Name every mistake in the configuration by its file, line and key."""
    path = invocation.options.config
    try:
        loaded = read(path)
        mistakes = configuration.mistakes_in(loaded)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(flat(str(mistake)))
        if _is_there(last_good(path)):
            click.echo(flat(f"meanwhile the commands use {last_good(path)}, the last copy that was good"))
        return _not_good(invocation, error)
    for sentence in [*configuration.notes_on(loaded), *other_writers(path)]:
        click.echo(flat(f"{path}: note: {sentence}"))
    for mistake in mistakes:
        click.echo(flat(str(mistake)))
    if mistakes:
        return _not_good(invocation, ConfigError(mistakes))
    config = loaded.config
    click.echo(flat(f"{path}: good: {len(config.vm)} VMs on {config.node[0].host} and {config.node[1].host}"))
    return Exit.DONE


def _not_good(invocation: Invocation, error: ConfigError) -> Exit:
    """Count the mistakes, which stand above, and say what to do."""
    number = len(error.mistakes)
    what = f"{invocation.options.config}: {number} mistake{'' if number == 1 else 's'}"
    invocation.log.error(what, do=error.remedy, exit=int(error.exit))
    return error.exit


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _find(loaded: Config, name: str) -> tuple[Kind, str]:
    vm = loaded.find_vm(name)
    if vm is not None:
        return Kind.VM, vm.name
    node = next((node for node in loaded.node if node.name == name), None)
    if node is not None:
        return Kind.PEER, node.name
    known = ", ".join([vm.name for vm in loaded.vm] + [node.name for node in loaded.node])
    raise UsageError(f"no VM or node named {name!r}", seen=f"configured: {known}", remedy="name one of these")


def _length(text: str) -> timedelta:
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    number, unit = text[:-1], text[-1:]
    if not number.isdecimal() or not number.isascii() or unit not in units or len(number) > 6:
        raise UsageError(f"--for {text!r} is no length of time", remedy="write it like 90s, 30m, 2h or 1d")
    return timedelta(**{units[unit]: int(number)})


def _in_words(flag: Flag) -> str:
    until = f"until {flag.until.astimezone():%Y-%m-%d %H:%M}" if flag.until else "until it is ended"
    kind = "VM" if flag.kind is Kind.VM else "EC-VM"
    return f"{flag.name} ({kind}): maintenance {until}" + (f", {flag.reason}" if flag.reason else "")
