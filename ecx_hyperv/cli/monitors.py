"""genw-vm and genw-remote-node."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecx_hyperv.cli import common
from ecx_hyperv.cli.common import Setting, with_options
from ecx_hyperv.config import Loaded, Paths, Timing
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.errors import EcxHypervError, LocalError
from ecx_hyperv.exits import Exit
from ecx_hyperv.log import flat

if TYPE_CHECKING:
    from ecx_hyperv.ecx.monitor_state import Memories

_CONFIG = "config"


@click.command("genw-vm", epilog="Example: genw-vm Cent8.2-1; echo $?")
@click.argument("vm", nargs=-1)
@with_options
def genw_vm(setting: Setting, vm: tuple[str, ...]) -> None:
    """Answer ECX whether each VM is well on this EC-VM's host: 0, or 1 on positive evidence that it is not.

    What cannot be told is 0 (unless [monitor] unknown says otherwise) and alerted. Without VM, the folder that ECX runs
    the script in (genw-VMNAME) says which is meant.
    """
    common.run_to_exit(setting, lambda: _watch_vms(setting, vm), blind=Exit.DONE)


@click.command("genw-remote-node", epilog="Example: genw-remote-node --dry-run")
@click.option("--dry-run", is_flag=True, help="Look and decide, print the next step, change nothing.")
@with_options
def genw_remote_node(setting: Setting, dry_run: bool) -> None:
    """Keep the peer EC-VM, and the ECX on it, up: power it on, start its ECX, restart it when it hangs.

    0: it is online, or something was done for it; 1: a person is needed, or it is waited for; 4: its host does not
    answer; 7: ECX cannot tell how it is.
    """
    common.run_to_exit(setting, lambda: _watch_peer(setting, dry_run))


def _watch_vms(setting: Setting, names: Sequence[str]) -> Exit:
    from ecx_hyperv.decide.monitor import Health
    from ecx_hyperv.ecx.environment import choose_vms
    from ecx_hyperv.ecx.monitor_state import FileMemories
    from ecx_hyperv.run.watch import Watcher

    try:
        loaded = common.load_config_or_last(setting)
        vms = choose_vms(loaded.config, names, setting.call)
    except EcxHypervError as error:
        _alert_blind(setting, error)
        raise
    timing, deadline = _prepare(setting, loaded, Exit.DONE)
    room = common.open_room(setting, loaded.config, deadline)
    memories = FileMemories(Path(loaded.config.paths.state), setting.clock)
    _alert_once(setting, loaded, memories)
    setting.log.debug("watch", vms=", ".join(vms), seconds=timing.monitor)
    watch = Watcher(room, vms, memories, deadline).go()
    for vm, verdict in watch.verdicts.items():
        text = verdict.why if verdict.health is not Health.UNKNOWN else f"cannot tell: {verdict.why}"
        click.echo(flat(text if vm in text else f"{vm}: {text}"))
    return watch.exit


def _watch_peer(setting: Setting, dry: bool) -> Exit:
    from ecx_hyperv.ecx.monitor_state import FileMemories
    from ecx_hyperv.run.peer import PeerWatcher

    loaded = common.load_config_or_last(setting)
    _, deadline = _prepare(setting, loaded, Exit.CANNOT_TELL)
    room = common.open_room(setting, loaded.config, deadline, dry=dry)
    memories = FileMemories(Path(loaded.config.paths.state), setting.clock)
    if not dry:
        _alert_once(setting, loaded, memories)
    end = PeerWatcher(room, memories, deadline).go()
    click.echo(flat(end.why))
    return Exit.DONE if dry and end.exit is Exit.DONE else end.exit


def _prepare(setting: Setting, loaded: Loaded, late: Exit) -> tuple[Timing, Deadline]:
    timing = loaded.config.timing
    common.guard(setting, timing.monitor, late, "the look is not over")
    return timing, common.deadline_of(setting, timing.monitor)


def _alert_once(setting: Setting, loaded: Loaded, memories: "Memories") -> None:
    """Tell ECX that the configuration no longer loads: at once, then hourly; a monitor runs every minute."""
    if loaded.fallback is not None:
        text = f"using {loaded.path}, the last good copy: {loaded.fallback.what}"
        _alert_if_news(setting, memories, Level.ERR, text)


def _alert_blind(setting: Setting, error: EcxHypervError) -> None:
    """Tell ECX that a monitor cannot even read what it is to watch; where its memory is, no file says then."""
    from ecx_hyperv.ecx.monitor_state import FileMemories

    memories = FileMemories(Path(Paths().state), setting.clock)
    _alert_if_news(setting, memories, Level.ERR, f"genw-vm cannot tell: {error.what}")


def _alert_if_news(setting: Setting, memories: "Memories", level: Level, text: str) -> None:
    alert = common.alert_of(setting, common.deadline_of(setting, 30))
    now = setting.clock.boottime()
    try:
        memory = memories.load(_CONFIG, _CONFIG)
        if not memory.is_news(text, now):
            return
        memories.save(_CONFIG, _CONFIG, memory.tell(text, now))
    except LocalError as error:
        setting.log.warning("nothing can be remembered", because=str(error))
    alert(level, text)
