"""What several commands share: their configuration, their limit, and the ways to the hosts and to ECX."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ecx_hyperv.cli.command import Invocation
from ecx_hyperv.cli.configuration import which_pair
from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.ecx import commands
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.exits import Exit

if TYPE_CHECKING:
    from ecx_hyperv.decide.facts import Side
    from ecx_hyperv.ecx.state_folder import StateFolder
    from ecx_hyperv.host.hosts import SshHosts
    from ecx_hyperv.host.ssh import SshTarget
    from ecx_hyperv.run.context import Progress, RunContext

# How long after its deadline a run must have ended: it says how it ended, and its guard lets it go no further.
_OVERDUE_S = 20.0


def deadline_of(invocation: Invocation, seconds: float) -> Deadline:
    """Return the deadline of a command that may take that many seconds in all."""
    return Deadline.of_command(invocation.clock, seconds)


def guard(invocation: Invocation, seconds: float, code: Exit, what: str) -> None:
    """End the process at its limit whatever hangs; the last resort, after every wait's own limit."""
    invocation.ending.guard(seconds, int(code), what)


def open_context(
    invocation: Invocation,
    config: Config,
    deadline: Deadline,
    *,
    dry: bool = False,
    progress: "Progress | None" = None,
    folder: "StateFolder | None" = None,
) -> "RunContext":
    """Put together all that a run is handed; `folder` is where it remembers things."""
    from ecx_hyperv.ecx.kept_ids import FileKeptIds
    from ecx_hyperv.ecx.locks import FileLocks, HolderTimes
    from ecx_hyperv.ecx.maintenance import Maintenance
    from ecx_hyperv.run.context import NoProgress, RunContext

    pair, clock = which_pair(invocation, config), invocation.clock
    ends_at = clock.boottime() + deadline.remaining() + _OVERDUE_S
    return RunContext(
        config=config,
        pair=pair,
        hosts=open_hosts(invocation, config, pair),
        clock=clock,
        log=invocation.log,
        alert=(lambda _level, _text: None) if dry else invocation.alert,
        locks=FileLocks(Path(config.paths.run), HolderTimes(clock.boottime, ends_at)),
        maintenance=Maintenance(Path(config.paths.state)),
        kept_ids=FileKeptIds(folder or _state_folder(invocation, config)),
        run=commands.run,
        progress=progress or NoProgress(),
        dry=dry,
    )


def root_of_system() -> Path:
    """Return what this EC-VM's paths begin with; only the lab, which has both on one machine, says another root."""
    return Path(os.environ.get("ECX_HYPERV_ROOT", "/"))


def path_of_clp_conf() -> Path:
    """Return where ECX keeps its configuration on this EC-VM."""
    from ecx_hyperv.ecx.mirrors import CLP_CONF

    return root_of_system() / CLP_CONF.relative_to("/")


def _state_folder(invocation: Invocation, config: Config) -> "StateFolder":
    """Return where this EC-VM remembers things; ECX is told, once in a run, that the run folder takes over."""
    from ecx_hyperv.ecx.state_folder import StateFolder

    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            invocation.log.warning(text)
            invocation.alert(Level.WARN, text)

    return StateFolder(Path(config.paths.state), Path(config.paths.run), tell)


def open_hosts(invocation: Invocation, config: Config, pair: Pair) -> "SshHosts":
    """Return the way to both hosts; nothing is connected yet."""
    from ecx_hyperv.decide.facts import Side
    from ecx_hyperv.host.hosts import SshHosts
    from ecx_hyperv.host.session import AgentLogin
    from ecx_hyperv.host.ssh import connect

    def log_in(side: Side, deadline: Deadline, on_life: Callable[[], None]) -> AgentLogin:
        connection = connect(target_of(config, pair, side), deadline, on_life)
        return AgentLogin(connection, config.ssh.powershell, config.ssh.stdin)

    return SshHosts(log_in, {side: pair.of(side).host for side in Side}, invocation.clock, invocation.log)


def target_of(config: Config, pair: Pair, side: "Side") -> "SshTarget":
    """Return how a host is logged in to."""
    from ecx_hyperv.host.ssh import SshTarget

    ssh = config.ssh
    return SshTarget(pair.of(side).host, ssh.port, ssh.user, ssh.key, ssh.known_hosts)
