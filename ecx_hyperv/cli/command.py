"""A command from its call to its exit: the options that every command has, and the exit code that its body returns."""

import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec

import click

from ecx_hyperv import __version__
from ecx_hyperv.cli.ending import Ending
from ecx_hyperv.config_file import DEFAULT
from ecx_hyperv.deadline import Clock, SystemClock
from ecx_hyperv.ecx import commands
from ecx_hyperv.ecx.alerts import Alert, EcxAlerts
from ecx_hyperv.ecx.environment import EcxCall, read_call
from ecx_hyperv.errors import EcxHypervError
from ecx_hyperv.exits import Exit
from ecx_hyperv.log import Log, LogFormat, open_log
from ecx_hyperv.output import Delivery, Output

P = ParamSpec("P")

# As a shell counts Ctrl-C.
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Options:
    """The options that every command has."""

    config: Path
    node: str
    # None where the caller did not say: as stderr is.
    form: LogFormat | None
    verbose: bool


@dataclass(frozen=True, slots=True)
class Invocation:
    """Where a command runs: its clock, its log, how ECX called it, and its way out."""

    options: Options
    clock: Clock
    log: Log
    call: EcxCall
    ending: Ending

    @property
    def alert(self) -> Alert:
        """Return the way to ECX's alert log."""
        return self.ending.alerts


class EcxCommand(click.Command):
    """A command that ECX calls: its exit code depends on no reader, also where its command line makes no sense."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command, and end the process."""
        with written_out(Delivery.BEST_EFFORT):
            return super().main(*args, **kwargs)


@contextmanager
def written_out(delivery: Delivery) -> Iterator[None]:
    """Have what click says of a command line go through the queues too, and be written before the process ends."""
    output = Output.take_over(delivery)
    try:
        yield
    finally:
        output.finish()


def run_to_exit(
    *, blind: Exit | None = None, delivery: Delivery = Delivery.COMPLETE
) -> Callable[[Callable[Concatenate[Invocation, P], Exit]], Callable[..., NoReturn]]:
    """Make a function the body of a command: it is handed an Invocation, and what it returns is the exit code.

    The command also has the options that every command has. The process ends with the body: no traceback ever reaches
    a user. `blind` is the exit code of a command that must not pass its own troubles off as its answer; `delivery` says
    whether its output waits for a reader.
    """

    def decorate(body: Callable[Concatenate[Invocation, P], Exit]) -> Callable[..., NoReturn]:
        @wraps(body)
        def command(
            *args: Any, config: str, node: str, log_format: str | None, verbose: bool, **kwargs: Any
        ) -> NoReturn:
            form = LogFormat(log_format) if log_format else None
            invocation = open_invocation(Options(Path(config), node, form, verbose), delivery)
            invocation.ending.leave(_exit_code(invocation, lambda: body(invocation, *args, **kwargs), blind))

        return _with_options(command)

    return decorate


def open_invocation(options: Options, delivery: Delivery) -> Invocation:
    """Set up what a command needs before its configuration is read."""
    output = Output.take_over(delivery)
    clock = SystemClock()
    form = options.form or (LogFormat.PERSON if sys.stderr.isatty() else LogFormat.TEXT)
    log = open_log(clock, secrets.token_hex(2), form=form, verbose=options.verbose)
    threading.excepthook = lambda failed: log.debug("a thread failed", error=repr(failed.exc_value))
    ending = Ending(delivery, output, clock, log, EcxAlerts(commands.run, log))
    return Invocation(options, clock, log, read_call(os.environ, _folder()), ending)


def _with_options(command: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    for option in (
        click.version_option(__version__, message="%(prog)s %(version)s"),
        click.option("-v", "--verbose", is_flag=True, help="Log more: connections, healthy looks."),
        click.option(
            "--log-format",
            type=click.Choice([form.value for form in LogFormat]),
            default=None,
            help="How the log, on stderr, looks.  [default: person on a terminal, else text]",
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
        command = option(command)
    return command


def _exit_code(invocation: Invocation, body: Callable[[], Exit], blind: Exit | None) -> int:
    """Run a body, and return how the process ends; log whatever it raises."""
    try:
        return int(body())
    except EcxHypervError as error:
        code = error.exit if blind is None else blind
        invocation.ending.send_alerts()
        invocation.log.error(error.summary, seen=error.seen, do=error.remedy, exit=int(code))
    except KeyboardInterrupt as stop:
        # What goes on without the command, where somebody knows it.
        do = str(stop) or "run it again: it goes on from what it finds"
        invocation.log.error("interrupted", do=do, exit=_INTERRUPTED)
        return _INTERRUPTED
    except OSError as error:
        code = Exit.CANNOT_TELL if blind is None else blind
        invocation.ending.send_alerts()
        invocation.log.debug("traceback", exc_info=True)
        invocation.log.error(_of_system(error), do=_how(error), exit=int(code))
    except Exception as error:
        code = Exit.CANNOT_TELL if blind is None else blind
        invocation.ending.send_alerts()
        invocation.log.debug("traceback", exc_info=True)
        invocation.log.error(
            f"an error in the program itself: {type(error).__name__}",
            seen=" ".join(str(error).split()),
            do="run it again with -v and report what it says",
            exit=int(code),
        )
    return int(code)


def _of_system(error: OSError) -> str:
    """Say what the system refused: a file that may not be read is no fault of the program (U12)."""
    why = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {why}" if error.filename is not None else f"the system refused it: {why}"


def _how(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "run this as root (sudo)"
    return "see that file, its folder and its disk; -v shows where it happened"


def _folder() -> Path:
    try:
        return Path.cwd()
    except OSError:
        return Path("/")
