"""genw-vm and genw-remote-node."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.cli.configuration import ConfigInUse
from ecx_hyperv.config import Paths, Timing
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.errors import EcxHypervError, LocalError
from ecx_hyperv.exits import Exit
from ecx_hyperv.plain import flat

if TYPE_CHECKING:
    from ecx_hyperv.ecx.monitor_state import MonitorStates

_CONFIG, _HOSTS = "config", "hosts"


@click.command("genw-vm", epilog="Example: genw-vm Cent8.2-1; echo $?")
@click.argument("vm", nargs=-1)
@click.option("--look", is_flag=True, help="Only look, as at a terminal: no alert is sent, nothing is remembered.")
@run_to_exit(blind=Exit.DONE)
def genw_vm(invocation: Invocation, vm: tuple[str, ...], look: bool) -> Exit:
    """Answer ECX whether each VM is well on this EC-VM's host: 0, or 1 on positive evidence that it is not.

    What cannot be told is 0 (unless [monitor] unknown says otherwise) and alerted. Without VM, the folder that ECX runs
    the script in (genw-VMNAME) says which is meant. Called by hand at a terminal it only looks, as with --look.
    """
    from ecx_hyperv.decide.monitor import Health
    from ecx_hyperv.ecx.environment import choose_vms, is_by_hand
    from ecx_hyperv.ecx.monitor_state import FileMonitorStates, ReadMonitorStates
    from ecx_hyperv.run.watch import Watcher

    at_terminal = not invocation.call.has_variables and _has_terminal()
    try:
        loaded = configuration.load_in_use(invocation)
        vms = choose_vms(loaded.config, vm, invocation.call)
    except EcxHypervError as error:
        if not look and not at_terminal:
            _alert_blind(invocation, "genw-vm", error)
        raise
    only_look = look or (at_terminal and is_by_hand(loaded.config, invocation.call))
    timing, deadline = _prepare(invocation, loaded, Exit.DONE)
    context = common.open_context(invocation, loaded.config, deadline, dry=only_look)
    states: MonitorStates = FileMonitorStates(Path(loaded.config.paths.state), invocation.clock)
    if only_look:
        states = ReadMonitorStates(states)
    else:
        _alert_once(invocation, loaded, states)
    invocation.log.debug("watch", vms=", ".join(vms), seconds=timing.monitor)
    watch = Watcher(context, vms, states, deadline).go()
    configuration.see_to_copy(loaded, context)
    for text in context.homes.told:
        _alert_if_news(invocation, states, Level.WARN, f"{text}; do: correct host in each [[node]]", _HOSTS)
    for name, verdict in watch.verdicts.items():
        text = verdict.why if verdict.health is not Health.UNKNOWN else f"cannot tell: {verdict.why}"
        click.echo(flat(text if name in text else f"{name}: {text}"))
    return watch.exit


@click.command("genw-remote-node", epilog="Example: genw-remote-node --dry-run")
@click.option("--dry-run", is_flag=True, help="Look and decide, print the next step, change nothing.")
@run_to_exit()
def genw_remote_node(invocation: Invocation, dry_run: bool) -> Exit:
    """Keep the peer EC-VM, and the ECX on it, up: power it on, start its ECX, restart it when it hangs.

    0: it is online, or something was done for it; 1: a person is needed, or it is waited for; 4: its host does not
    answer; 7: ECX cannot tell how it is.
    """
    from ecx_hyperv.ecx.monitor_state import FileMonitorStates
    from ecx_hyperv.run.peer import PeerWatcher

    try:
        loaded = configuration.load_in_use(invocation)
    except EcxHypervError as error:
        if not dry_run:
            _alert_blind(invocation, "genw-remote-node", error)
        raise
    _, deadline = _prepare(invocation, loaded, Exit.CANNOT_TELL)
    context = common.open_context(invocation, loaded.config, deadline, dry=dry_run)
    states = FileMonitorStates(Path(loaded.config.paths.state), invocation.clock)
    if not dry_run:
        _alert_once(invocation, loaded, states)
    end = PeerWatcher(context, states, deadline).go()
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


def _alert_once(invocation: Invocation, loaded: ConfigInUse, states: "MonitorStates") -> None:
    """Tell ECX what is wrong with the configuration: at once, then hourly; a monitor runs every minute."""
    if loaded.trouble is not None:
        _alert_if_news(invocation, states, *loaded.trouble)


def _alert_blind(invocation: Invocation, command: str, error: EcxHypervError) -> None:
    """Tell ECX that a monitor cannot even read what it is to watch; where its state is kept, no file says then."""
    from ecx_hyperv.ecx.monitor_state import FileMonitorStates

    states = FileMonitorStates(Path(Paths().state), invocation.clock)
    _alert_if_news(invocation, states, Level.ERR, f"{command} cannot tell: {error.summary}")


def _alert_if_news(
    invocation: Invocation, states: "MonitorStates", level: Level, text: str, about: str = _CONFIG
) -> None:
    alert = common.alert_of(invocation, common.deadline_of(invocation, 30))
    now = invocation.clock.boottime()
    try:
        state = states.load(_CONFIG, about)
        if not state.is_news(text, now):
            return
        states.save(_CONFIG, about, state.tell(text, now))
    except LocalError as error:
        invocation.log.warning("nothing can be remembered", because=str(error))
    alert(level, text)
