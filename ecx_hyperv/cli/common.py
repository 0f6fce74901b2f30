"""What every command shares: its options, how it is set up, and how it ends."""

import os
import secrets
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import click

from ecx_hyperv import __version__
from ecx_hyperv.config import Config
from ecx_hyperv.config_file import DEFAULT, Loaded, load, load_or_last
from ecx_hyperv.deadline import Clock, Deadline, SystemClock
from ecx_hyperv.ecx import commands
from ecx_hyperv.ecx.alerts import EcxAlerts, Level
from ecx_hyperv.ecx.environment import EcxCall, Pair, identify, local_addresses, read_call
from ecx_hyperv.errors import EcxHypervError, sentence
from ecx_hyperv.exits import Exit
from ecx_hyperv.log import Log, LogFormat, open_log

if TYPE_CHECKING:
    from ecx_hyperv.decide.facts import Side
    from ecx_hyperv.host.hosts import SshHosts
    from ecx_hyperv.host.ssh import SshTarget
    from ecx_hyperv.run.context import Progress, RunContext

P = ParamSpec("P")

# As a shell counts Ctrl-C.
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every command has."""

    config: Path
    node: str
    form: LogFormat
    verbose: bool


@dataclass(frozen=True, slots=True)
class Invocation:
    """Where a command runs: its clock, its log, how ECX called it."""

    options: Options
    clock: Clock
    log: Log
    call: EcxCall


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --config, --node, --log-format, --verbose and --version; it is handed an Invocation."""

    @wraps(command)
    def wrapped(*args: Any, config: str, node: str, log_format: str, verbose: bool, **kwargs: Any) -> Any:
        options = Options(Path(config), node, LogFormat(log_format), verbose)
        return command(open_invocation(options), *args, **kwargs)

    for option in (
        click.version_option(__version__, message="%(prog)s %(version)s"),
        click.option("-v", "--verbose", is_flag=True, help="Log more: connections, healthy looks."),
        click.option(
            "--log-format",
            type=click.Choice([form.value for form in LogFormat]),
            default=LogFormat.TEXT.value,
            show_default=True,
            help="How a line of the log, on stderr, looks.",
        ),
        click.option("--node", envvar="ECX_HYPERV_NODE", default="", help="Which [[node]] this is, by name."),
        click.option(
            "--config",
            envvar="ECX_HYPERV_CONFIG",
            default=str(DEFAULT),
            show_default=True,
            type=click.Path(dir_okay=False),
            help="The configuration file.",
        ),
    ):
        wrapped = option(wrapped)
    return wrapped


def open_invocation(options: Options) -> Invocation:
    """Set up what a command needs before its configuration is read."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the locale's encoding cannot write must not end the command.
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    clock = SystemClock()
    log = open_log(clock, secrets.token_hex(2), form=options.form, verbose=options.verbose)
    threading.excepthook = lambda failed: log.debug("a thread failed", error=repr(failed.exc_value))
    return Invocation(options, clock, log, read_call(os.environ, _folder()))


def run_to_exit(invocation: Invocation, command: Callable[[], Exit], *, blind: Exit | None = None) -> NoReturn:
    """Run a command and leave with its exit code; no traceback ever reaches a user.

    `blind` is the exit code of a command that must not pass its own troubles off as its answer.
    """
    try:
        code = command()
    except EcxHypervError as error:
        code = error.exit if blind is None else blind
        invocation.log.error(error.what, seen=error.seen, do=error.remedy, exit=int(code))
    except KeyboardInterrupt:
        invocation.log.error("interrupted", do="run it again: it goes on from what it finds", exit=_INTERRUPTED)
        _leave(_INTERRUPTED)
    except BrokenPipeError:
        _leave(int(Exit.DONE))
    except Exception as error:
        code = Exit.CANNOT_TELL if blind is None else blind
        invocation.log.debug("traceback", exc_info=True)
        invocation.log.error(
            f"an error in the program itself: {type(error).__name__}",
            seen=" ".join(str(error).split()),
            do="run it again with -v and report what it says",
            exit=int(code),
        )
    _leave(int(code))


def _leave(code: int) -> NoReturn:
    # Threads of a connection that hangs must not keep the process: ECX waits for it.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def load_config(invocation: Invocation) -> Config:
    """Read the configuration; raises ConfigError."""
    return load(invocation.options.config)


def load_config_or_last(invocation: Invocation) -> Loaded:
    """Read the configuration, or the last copy that was good, with an alert; raises ConfigError."""
    loaded = load_or_last(invocation.options.config)
    if loaded.fallback is not None:
        invocation.log.error(
            f"using {loaded.path}, the last good copy", seen=loaded.fallback.what, do=loaded.fallback.remedy
        )
    return loaded


def alert_of(invocation: Invocation, deadline: Deadline) -> EcxAlerts:
    """Return the way to ECX's alert log."""
    return EcxAlerts(commands.run, invocation.log, deadline)


def alert_fallback(loaded: Loaded, alert: Callable[[Level, str], None]) -> None:
    """Tell ECX that the configuration no longer loads."""
    if loaded.fallback is not None:
        alert(Level.ERR, f"using {loaded.path}, the last good copy: {loaded.fallback.what}")


def which_pair(invocation: Invocation, config: Config) -> Pair:
    """Say which node this is; raises UsageError, ConfigError, LocalError."""
    options = invocation.options
    return identify(config, options.node, lambda: local_addresses(commands.run), str(options.config))


def deadline_of(invocation: Invocation, seconds: float) -> Deadline:
    """Return the deadline of a command that may take that many seconds in all."""
    return Deadline.of_command(invocation.clock, seconds)


def guard(invocation: Invocation, seconds: float, code: Exit, what: str) -> None:
    """End the process at its limit whatever hangs; the last resort, after every wait's own limit."""

    def end() -> None:
        line = sentence(what, f"not over after {seconds:g} s", "run it again; see what hangs with -v")
        invocation.log.error(line, exit=int(code))
        _leave(int(code))

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def open_context(
    invocation: Invocation, config: Config, deadline: Deadline, *, dry: bool = False, progress: "Progress | None" = None
) -> "RunContext":
    """Put together all that a run is handed."""
    from ecx_hyperv.ecx.locks import FileLocks
    from ecx_hyperv.ecx.maintenance import Maintenance
    from ecx_hyperv.run.context import NoProgress, RunContext

    pair = which_pair(invocation, config)
    alerts = alert_of(invocation, deadline)
    return RunContext(
        config=config,
        pair=pair,
        hosts=open_hosts(invocation, config, pair),
        clock=invocation.clock,
        log=invocation.log,
        alert=(lambda _level, _text: None) if dry else alerts,
        locks=FileLocks(Path(config.paths.run)),
        maintenance=Maintenance(Path(config.paths.state)),
        run=commands.run,
        progress=progress or NoProgress(),
        dry=dry,
    )


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


def _folder() -> Path:
    try:
        return Path.cwd()
    except OSError:
        return Path("/")
