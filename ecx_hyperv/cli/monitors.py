"""genw-vm and genw-remote-node."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import EcxCommand, Invocation, run_to_exit
from ecx_hyperv.cli.configuration import ConfigInUse
from ecx_hyperv.cli.news import MonitorNews, watching
from ecx_hyperv.config import Timing
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.exits import Exit
from ecx_hyperv.output import Delivery, let_pass
from ecx_hyperv.plain import flat

if TYPE_CHECKING:
    from ecx_hyperv.decide.monitor import Verdict

# The folder in which ECX runs the script of genw-remote-node.
_PEER_MONITOR = "genw-remote-node"
# What each alert is about.
_CONFIG, _WRITERS, _HOSTS = "config", "writers", "hosts"


@click.command("genw-vm", cls=EcxCommand, epilog="Example: genw-vm Cent8.2-1; echo $?")
@click.argument("vm", nargs=-1)
@click.option(
    "--look", "--dry-run", is_flag=True, help="Only look, as at a terminal: no alert is sent, nothing is remembered."
)
@run_to_exit(blind=Exit.DONE, delivery=Delivery.BEST_EFFORT)
def genw_vm(invocation: Invocation, vm: tuple[str, ...], look: bool) -> Exit:
    """Answer ECX whether each VM is well on this EC-VM's host: 0, or 1 on positive evidence that it is not.

    What cannot be told is 0 (unless [monitor] unknown says otherwise) and alerted. Without VM, the folder that ECX runs
    the script in (genw-VMNAME) says which is meant. Called by hand at a terminal it only looks, as with --look, and
    shows a table of verdicts.
    """
    from ecx_hyperv.decide.monitor import Health
    from ecx_hyperv.ecx.environment import choose_vms, is_by_hand
    from ecx_hyperv.ecx.monitor_state import ReadMonitorStates
    from ecx_hyperv.run.watch import Watcher

    at_terminal = not invocation.call.has_variables and _has_terminal()
    # Whether the folder is that of a resource, only the configuration says.
    with watching(invocation, "genw-vm", dry=look or at_terminal) as news:
        loaded = configuration.load_in_use(invocation)
        news.remember_in(loaded.config.paths)
        vms = choose_vms(loaded.config, vm, invocation.call)
        only_look = look or (at_terminal and is_by_hand(loaded.config, invocation.call))
        news.dry = only_look
        timing, deadline = _prepare(invocation, loaded, Exit.DONE)
        context = common.open_context(invocation, loaded.config, deadline, dry=only_look, folder=news.folder)
        if only_look:
            # Before a host is asked: an upgrade may replace the files meanwhile.
            from ecx_hyperv.cli.columns import columns
        _alert_config(loaded, news)
        invocation.log.debug("watch", vms=", ".join(vms), seconds=timing.monitor)
        states = ReadMonitorStates(news.states) if only_look else news.states
        watch = Watcher(context, vms, states, deadline).go()
        configuration.see_to_copy(loaded, context)
        for text in context.homes.told:
            news.alert(_HOSTS, Level.WARN, f"{text}; do: correct host in each [[node]]")
    if only_look:
        _show_verdicts(watch.verdicts, columns)
        return watch.exit
    for name, verdict in watch.verdicts.items():
        text = verdict.why if verdict.health is not Health.UNKNOWN else f"cannot tell: {verdict.why}"
        click.echo(flat(text if name in text else f"{name}: {text}"))
    return watch.exit


def _show_verdicts(verdicts: "Mapping[str, Verdict]", columns: Callable[[Sequence[Sequence[str]]], list[str]]) -> None:
    """Show a person what ECX would be told of each VM, and why."""
    let_pass()
    rows = [("VM", "VERDICT", "WHY"), *((name, one.health.value, one.why) for name, one in verdicts.items())]
    for line in columns(rows):
        click.echo(flat(line))


@click.command("genw-remote-node", cls=EcxCommand, epilog="Example: genw-remote-node --dry-run")
@click.option("--dry-run", is_flag=True, help="Look and decide, print what will be done, change nothing.")
@click.option("--look", is_flag=True, help="Only look, as at a terminal: the same as --dry-run.")
@click.option("--yes", is_flag=True, help="Do what is to be done, although a person calls at a terminal.")
@run_to_exit(delivery=Delivery.BEST_EFFORT)
def genw_remote_node(invocation: Invocation, *, dry_run: bool, look: bool, yes: bool) -> Exit:
    """Keep the peer EC-VM, and the ECX on it, up: power it on, start its ECX, restart it when it hangs.

    Called by hand at a terminal it only looks, unless --yes.

    0: it is online, or something was done for it; 1: a person is needed, or it is waited for; 4: its host does not
    answer; 7: ECX cannot tell how it is.
    """
    from ecx_hyperv.ecx.mirrors import has_mirror
    from ecx_hyperv.run.peer import PeerWatcher

    by_hand = not invocation.call.has_variables and invocation.call.folder != _PEER_MONITOR and _has_terminal()
    dry = dry_run or look or (by_hand and not yes)
    with watching(invocation, "genw-remote-node", dry=dry) as news:
        loaded = configuration.load_in_use(invocation)
        news.remember_in(loaded.config.paths)
        _, deadline = _prepare(invocation, loaded, Exit.CANNOT_TELL)
        context = common.open_context(invocation, loaded.config, deadline, dry=dry, folder=news.folder)
        _alert_config(loaded, news)
        conf = common.path_of_clp_conf()
        end = PeerWatcher(context, news.states, deadline, has_mirror=lambda: has_mirror(conf)).go()
    click.echo(flat(end.why))
    return end.exit


def _has_terminal() -> bool:
    """Tell whether this process has a terminal that controls it: ECX's scripts, and cron's, have none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _prepare(invocation: Invocation, loaded: ConfigInUse, late: Exit) -> tuple[Timing, Deadline]:
    timing = loaded.config.timing
    common.guard(invocation, timing.monitor, late, "the look is not over")
    return timing, common.deadline_of(invocation, timing.monitor)


def _alert_config(loaded: ConfigInUse, news: MonitorNews) -> None:
    """Tell ECX what is wrong with the configuration: at once, then hourly; a monitor runs every minute."""
    if loaded.writers:
        news.alert(_WRITERS, Level.WARN, f"{'; '.join(loaded.writers)}; do: ecx-hyperv check config-file")
    if loaded.trouble is not None:
        news.alert(_CONFIG, *loaded.trouble)
