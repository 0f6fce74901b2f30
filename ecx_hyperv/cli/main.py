"""ecx-hyperv: trust, config, and the commands below it that are modules of their own."""

from pathlib import Path

import click

from ecx_hyperv import __version__
from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.cli.lazy import LazyGroup
from ecx_hyperv.config_file import last_good, read
from ecx_hyperv.ecx.file_access import other_writers
from ecx_hyperv.errors import ConfigError
from ecx_hyperv.exits import Exit
from ecx_hyperv.plain import flat


@click.group(
    "ecx-hyperv",
    cls=LazyGroup,
    lazy={
        "check": "ecx_hyperv.cli.check:check",
        "lab": "ecx_hyperv.cli.lab:lab",
        "maintenance": "ecx_hyperv.cli.maintenance:maintenance",
        "move": "ecx_hyperv.cli.move:move",
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
