"""ecx-hyperv move: the failover group, and with it the VMs, to the other EC-VM; checked, asked, watched."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.cli.completion import complete_node
from ecx_hyperv.cli.spans import on_a_clock, parse_length
from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import VmOnHost
from ecx_hyperv.decide.move import MoveFacts, MoveObjection, MovingVm, objections, plan, refusals
from ecx_hyperv.decide.move_watch import MoveEnd
from ecx_hyperv.desired.quoting import shell_line
from ecx_hyperv.errors import UsageError
from ecx_hyperv.exits import Exit, worst
from ecx_hyperv.plain import flat

if TYPE_CHECKING:
    from ecx_hyperv.run.move import Mover

# What the looks beforehand may take, and how long a person may think.
_LOOK_S = 120.0
_GIB = 2**30
_ANSWERS_S = 3600.0


@click.command("move", epilog="Example: ecx-hyperv move ec2 --dry-run")
@click.argument("target", metavar="NODE", shell_complete=complete_node)
@click.option("--group", default="", metavar="GROUP", help="The failover group  [default: the one that holds the VMs].")
@click.option("--yes", is_flag=True, help="Do not ask. What speaks against the move keeps it from being done anyway.")
@click.option(
    "--wait",
    default="15m",
    show_default=True,
    metavar="DURATION",
    help="Watch for so long; then end with 6, and the move goes on.",
)
@click.option("--dry-run", is_flag=True, help="Check, and show what will be done; do nothing.")
@run_to_exit()
def move(invocation: Invocation, target: str, *, group: str, yes: bool, wait: str, dry_run: bool) -> Exit:
    """Move the failover group to an EC-VM, by its node name; the VMs follow by live migration, and none is stopped.

    The mirror disks, memory, networks, both ECX, both hosts and all VMs are checked first, and what will be done is
    shown. Then a person is asked. The move is watched to its end. Ctrl-C ends the watching, not the move.

    0: moved, or there already; 1: something speaks against the move, or it failed; 6: not over within --wait; 7:
    nobody can tell how a mirror disk or the cluster is; 8: ECX did not take the order.
    """
    # All of it before a host is asked: an upgrade may replace the files meanwhile.
    from ecx_hyperv.cli.columns import columns
    from ecx_hyperv.ecx.mirrors import has_mirror
    from ecx_hyperv.run.move import Mover
    from ecx_hyperv.run.move_look import MoveAsked, look_for_move

    seconds = parse_length(wait, "--wait").total_seconds()
    config = configuration.load_in_use(invocation).config
    _check_node(config, target)
    common.guard(invocation, _LOOK_S * 2 + _ANSWERS_S + seconds, Exit.OUT_OF_TIME, "the move is not over")
    looks = common.deadline_of(invocation, _LOOK_S)
    context = common.open_context(invocation, config, looks)
    asked = MoveAsked(target, group, has_mirror(common.path_of_clp_conf()))
    facts = look_for_move(context, asked, looks)
    if facts.is_there:
        _say(f"{facts.group} is Online on {facts.target} already: nothing is to be moved")
        return Exit.DONE
    command = _command(facts, context.pair.local.name)
    found = objections(facts)
    _show(facts, command, found, columns)
    if dry_run or refusals(found):
        return _refuse(invocation, facts, refusals(found))
    if not yes:
        if not _agreed(facts):
            _say("nothing was moved")
            return Exit.NOT_AS_ASKED
        # A person may have thought for an hour: what was seen before the question is no ground for an order.
        looks = common.deadline_of(invocation, _LOOK_S)
        context = common.open_context(invocation, config, looks)
        facts = look_for_move(context, asked, looks)
        if refusals(objections(facts)):
            return _refuse(invocation, facts, refusals(objections(facts)))
    mover = Mover(context, facts, Deadline.after(invocation.clock, seconds))
    return _watch(invocation, facts, mover, command)


def _check_node(config: Config, name: str) -> None:
    """Raise UsageError for a name that is no EC-VM's."""
    names = [one.name for one in config.node]
    if name not in names:
        raise UsageError(f"no node named {name!r}", seen=f"configured: {', '.join(names)}", remedy="name one of these")


def _command(facts: MoveFacts, local: str) -> list[str]:
    # clpgrp asks the server that it runs on, unless another one is named.
    at = [] if facts.source == local else ["-h", facts.source]
    return ["clpgrp", "-m", facts.group, *at, "-a", facts.target]


def _show(
    facts: MoveFacts,
    command: Sequence[str],
    found: Sequence[MoveObjection],
    columns: Callable[[Sequence[Sequence[str]]], list[str]],
) -> None:
    where = f" on {facts.current}" if facts.current else ""
    _say(f"{facts.group} is {facts.status}{where}; it is to be moved to {facts.target}.")
    rows = [("VM", "NOW", "THEN", "MEMORY"), *(_row(facts, vm) for vm in facts.vms)]
    for line in columns(rows):
        _say(line)
    for one in found:
        _say(f"{'warning' if one.is_doubt else 'against it'} ({one.check.value}): {one.what}")
        _say(f"    seen: {one.seen}")
        _say(f"    do:   {one.remedy}")
    if refusals(found):
        return
    _say("This will be done:")
    for number, step in enumerate(plan(facts, shell_line(*command)), 1):
        _say(f"  {number}. {step}")


def _row(facts: MoveFacts, vm: MovingVm) -> tuple[str, str, str, str]:
    memory = "-" if vm.memory is None else f"{vm.memory / _GIB:.1f} GB"
    now = _now(vm.on_source, facts.source_host.name) or _now(vm.on_target, facts.target_host.name) or "not running"
    return vm.name, now, f"on {facts.target_host.name}", memory


def _now(guest: VmOnHost, host: str) -> str:
    return f"{guest.word} on {host}" if guest.is_live else ""


def _refuse(invocation: Invocation, facts: MoveFacts, against: Sequence[MoveObjection]) -> Exit:
    """Log the worst that speaks against the move, and return its code; DONE where nothing does."""
    code = worst(one.exit for one in against)
    if code is Exit.DONE:
        return code
    first = next(one for one in against if one.exit is code)
    more = f" (and {len(against) - 1} more)" if len(against) > 1 else ""
    invocation.log.error(
        f"{facts.group} was not moved: {first.what}{more}", seen=first.seen, do=first.remedy, exit=int(code)
    )
    return code


def _agreed(facts: MoveFacts) -> bool:
    try:
        return click.confirm(flat(f"Move {facts.group} to {facts.target} now?"), default=False)
    except click.Abort:
        raise UsageError(
            "nothing was moved",
            seen="no answer",
            remedy=f"run it again with --yes: ecx-hyperv move {facts.target} --yes",
        ) from None


def _watch(invocation: Invocation, facts: MoveFacts, mover: "Mover", command: Sequence[str]) -> Exit:
    from ecx_hyperv.ecx.commands import run_apart

    try:
        end = mover.go(run_apart, command, lambda seconds, words: _say(f"{on_a_clock(seconds):>7}  {words}"))
    except KeyboardInterrupt:
        goes_on = _goes_on(facts, mover) if mover.is_ordered else "run it again: nothing was moved"
        raise KeyboardInterrupt(goes_on) from None
    if end.exit is Exit.DONE:
        stopped = f"whether {', '.join(mover.untold)} stopped nobody can tell" if mover.untold else "no VM stopped"
        _say(f"done in {on_a_clock(mover.elapsed)}; {stopped}")
        return Exit.DONE
    return _failed(invocation, end)


def _failed(invocation: Invocation, end: MoveEnd) -> Exit:
    invocation.log.error(end.what, seen=end.seen, do=end.remedy, exit=int(end.exit))
    return end.exit


def _goes_on(facts: MoveFacts, mover: "Mover") -> str:
    """Say what Ctrl-C does not end: where things are and will be, and what ECX will make of it."""
    return (
        f"the move goes on without this command: {mover.picture.in_words(facts)}. The VMs will be on"
        f" {facts.target_host.name}, and {facts.group} on {facts.target}. Where a live migration fails 3 times, its VM"
        f" runs on where it is, the start on {facts.target} fails, and ECX takes {facts.group} back to {facts.source}."
        " See how far it is: ecx-hyperv status"
    )


def _say(text: str) -> None:
    click.echo(flat(text))
