"""ecx-hyperv status."""

import sys
from typing import TYPE_CHECKING

import click

from ecx_hyperv import plain
from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.errors import UsageError
from ecx_hyperv.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecx_hyperv.run.status import PairStatus, StatusLook

# A status is looked at by a person, who waits for it.
_STATUS_S = 60.0
_WATCH_S = 2.0
_SHORTEST_S = 0.5


@click.command("status", epilog="Example: ecx-hyperv status Cent8.2-1")
@click.argument("vm", nargs=-1)
@click.option("--short", is_flag=True, help="The verdict only, on one line.")
@click.option("--exit-code", "degraded_is_1", is_flag=True, help="End with 1 where the verdict is not OK.")
@click.option("--json", "as_json", is_flag=True, help="The same facts as JSON.")
@click.option("--json-schema", "as_schema", is_flag=True, help="Print the schema of --json, and look at nothing.")
@click.option(
    "-w",
    "--watch",
    "every",
    type=click.FloatRange(_SHORTEST_S),
    is_flag=False,
    flag_value=_WATCH_S,
    metavar="[SECONDS]",
    help=f"Look again and again, {_WATCH_S:g} s apart or as said, until Ctrl-C. Name VMs before this option.",
)
@run_to_exit()
def status(
    invocation: Invocation,
    vm: tuple[str, ...],
    *,
    short: bool,
    degraded_is_1: bool,
    as_json: bool,
    as_schema: bool,
    every: float | None,
) -> Exit:
    """Show a verdict, both hosts, the VMs, Shared Volumes, mirror disks, ECX and maintenance, and what to do.

    0 if any host answered; with --exit-code 1 where anything is degraded. If none answered: 4 (no host can be reached),
    5 (login or host key refused) or 7 (a host answers, but nothing can be read).
    """
    if as_schema:
        return _schema()
    if as_json and (every is not None or short):
        raise UsageError("--json does not go with --watch or --short", remedy="leave one of them away")
    from ecx_hyperv.decide.verdict import exit_of_status

    show = _shower(as_json=as_json, short=short)
    looker = _looker(invocation, vm, is_watch=every is not None)
    last: list[PairStatus] = []

    def look() -> "PairStatus":
        last[:] = [looker.look(common.deadline_of(invocation, _STATUS_S))]
        return last[0]

    if every is None:
        show(look())
    else:
        from ecx_hyperv.cli.show import watch_status

        try:
            watch_status(look, show, lambda: invocation.clock.sleep(every))
        except KeyboardInterrupt:
            if not last:
                raise
    code = exit_of_status(last[0], last[0].verdict, degraded_is_1=degraded_is_1)
    _tell(invocation, last[0], code)
    return code


def _shower(*, as_json: bool, short: bool) -> "Callable[[PairStatus], None]":
    """Return what shows a status; whatever it needs is imported now: an upgrade may replace the files meanwhile."""
    import msgspec

    def show_json(shown: "PairStatus") -> None:
        click.echo(plain.as_json(msgspec.to_builtins(shown), indent=2))

    if as_json:
        return show_json
    from ecx_hyperv.cli.show import show_short, show_status

    return show_short if short else show_status


def _tell(invocation: Invocation, shown: "PairStatus", code: Exit) -> None:
    """Log why it fails as every command does, unless whoever reads the log has the verdict before their eyes."""
    if code is Exit.DONE or sys.stderr.isatty():
        return
    do = "; ".join(shown.verdict.do[:1])
    invocation.log.error(f"{shown.verdict.severity.value}: {shown.verdict.text}", do=do, exit=int(code))


def _schema() -> Exit:
    import msgspec

    from ecx_hyperv.run.status import PairStatus

    click.echo(plain.as_json(msgspec.json.schema(PairStatus), indent=2))
    return Exit.DONE


def _looker(invocation: Invocation, vm: tuple[str, ...], *, is_watch: bool) -> "StatusLook":
    from pathlib import Path

    from ecx_hyperv.decide.overview import ConfigurationStatus
    from ecx_hyperv.ecx.environment import choose_vms
    from ecx_hyperv.ecx.monitor_state import FileMonitorStates
    from ecx_hyperv.ecx.state_folder import StateFolder
    from ecx_hyperv.run.status import StatusLook

    loaded = configuration.load_in_use(invocation)
    config, fallback = loaded.config, loaded.fallback
    found = choose_vms(config, vm, invocation.call) if vm else [one.name for one in config.vm]
    if not is_watch:
        common.guard(invocation, _STATUS_S * 1.5, Exit.CANNOT_TELL, "the status is not complete")
    used = ConfigurationStatus(
        path=str(loaded.path),
        is_last_good_copy=fallback is not None,
        trouble=None if fallback is None else fallback.summary,
        remedy=None if fallback is None else fallback.remedy or None,
    )
    context = common.open_context(invocation, config, common.deadline_of(invocation, _STATUS_S))
    states = FileMonitorStates(StateFolder(Path(config.paths.state), Path(config.paths.run)), invocation.clock)
    return StatusLook(context, found, used, states, common.path_of_clp_conf())
