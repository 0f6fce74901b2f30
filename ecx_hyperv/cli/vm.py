"""vm-start and vm-unregister."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import EcxCommand, Invocation, run_to_exit
from ecx_hyperv.cli.news import working
from ecx_hyperv.cli.progress import LineProgress, can_be_drawn_on
from ecx_hyperv.desired.quoting import shell_line
from ecx_hyperv.errors import LocalError, UsageError
from ecx_hyperv.exits import Exit, worst
from ecx_hyperv.output import Delivery
from ecx_hyperv.plain import flat

if TYPE_CHECKING:
    from ecx_hyperv.config import Config
    from ecx_hyperv.deadline import Deadline
    from ecx_hyperv.run.context import Progress, RunContext
    from ecx_hyperv.run.tasks import Task

# What a start by hand waits for clpstat.
_CLPSTAT_S = 20.0
_DRY = click.option("--dry-run", is_flag=True, help="Look and decide, print what will be done, change nothing.")


@click.command("vm-start", cls=EcxCommand, epilog="Example: vm-start Cent8.2-1")
@click.argument("vm", nargs=-1)
@click.option("--yes", is_flag=True, help="Start by hand, although the group is active on the other EC-VM.")
@_DRY
@run_to_exit(delivery=Delivery.BEST_EFFORT)
def vm_start(invocation: Invocation, vm: tuple[str, ...], yes: bool, dry_run: bool) -> Exit:
    """Have each VM run on this EC-VM's host: register it, move it here, start it, as needed.

    A VM that runs on the other host is live-migrated. Without VM, ECX's CLP_RESOURCENAME (exec-VMNAME) or the folder
    that ECX runs the script in says which is meant. By hand nothing is started here while ECX has the group, and so the
    storage, on the other EC-VM.
    """
    with working(invocation, "vm-start", dry=dry_run):
        return _start(invocation, vm, yes=yes, dry=dry_run)


def _start(invocation: Invocation, vm: tuple[str, ...], *, yes: bool, dry: bool) -> Exit:
    from ecx_hyperv.cli.plans import show_plan
    from ecx_hyperv.ecx.environment import choose_vms, is_by_hand
    from ecx_hyperv.run.start import start

    loaded = configuration.load_in_use(invocation)
    limit = loaded.config.timing.start
    deadline = common.deadline_of(invocation, limit)
    common.guard(invocation, limit, Exit.OUT_OF_TIME, "the start is not over")
    vms = choose_vms(loaded.config, vm, invocation.call)
    refusal = None
    with _progress(invocation, deadline) as progress:
        context = common.open_context(invocation, loaded.config, deadline, dry=dry, progress=progress)
        if is_by_hand(loaded.config, invocation.call) and not yes:
            refusal = _refusal_elsewhere(context, vms, deadline)
        if refusal is not None and not dry:
            raise refusal
        configuration.alert_trouble(loaded, context.alert)
        invocation.log.debug("start", vms=", ".join(vms), clp_event=invocation.call.event, node=context.pair.local.name)
        tasks = start(context, vms, deadline)
    configuration.see_to_copy(loaded, context)
    configuration.alert_homes(context)
    code = _answer(invocation, context, tasks, show_plan)
    if refusal is not None:
        # What the run would do with --yes is told; without it the run ends with this.
        raise refusal
    return code


@click.command("vm-unregister", cls=EcxCommand, epilog="Example: vm-unregister --yes Cent8.2-1")
@click.argument("vm", nargs=-1)
@click.option("--yes", is_flag=True, help="Stop the VM although it is not ECX that asks (no CLP_FACTOR).")
@_DRY
@run_to_exit(delivery=Delivery.BEST_EFFORT)
def vm_unregister(invocation: Invocation, vm: tuple[str, ...], yes: bool, dry_run: bool) -> Exit:
    """Have each VM off and unregistered, wherever it runs, and its Shared Volume offline if nothing else needs it.

    ECX says in CLP_FACTOR why it stops: on a move of the group (GROUPMOVE) the VM is left to run, and the start on the
    other EC-VM migrates it.
    """
    from ecx_hyperv.decide.stops import Factor

    if invocation.call.factor is Factor.GROUPMOVE and not yes:
        # A planned move needs nothing from here, so nothing here may fail it: not even the configuration is read.
        click.echo("left as it is: the start on the other EC-VM migrates it")
        return Exit.DONE
    with working(invocation, "vm-unregister", dry=dry_run):
        return _stop(invocation, vm, yes=yes, dry=dry_run)


def _stop(invocation: Invocation, vm: tuple[str, ...], *, yes: bool, dry: bool) -> Exit:
    from ecx_hyperv.cli.plans import show_plan
    from ecx_hyperv.decide.stops import Factor, StopRequest
    from ecx_hyperv.ecx.environment import choose_vms, factor_of
    from ecx_hyperv.run.stop import stop

    loaded = configuration.load_in_use(invocation)
    factor = factor_of(loaded.config, invocation.call)
    limit = loaded.config.timing.unregister
    deadline = common.deadline_of(invocation, limit)
    common.guard(invocation, limit, Exit.CANNOT_TELL, "the stop is not over")
    vms = choose_vms(loaded.config, vm, invocation.call)
    is_asked = factor is not Factor.NONE or yes
    if not is_asked and not dry:
        raise _nobody_asked(vms)
    with _progress(invocation, deadline) as progress:
        context = common.open_context(invocation, loaded.config, deadline, dry=dry, progress=progress)
        configuration.alert_trouble(loaded, context.alert)
        invocation.log.debug(
            "stop", vms=", ".join(vms), factor=invocation.call.factor_word, node=context.pair.local.name
        )
        by_hand = yes or (dry and factor is Factor.NONE)
        tasks = stop(context, vms, StopRequest(factor=factor, by_hand=by_hand), deadline)
    configuration.see_to_copy(loaded, context)
    configuration.alert_homes(context)
    code = _answer(invocation, context, tasks, show_plan)
    if not is_asked:
        # What the run would do with --yes is told; without it the run ends with this.
        raise _nobody_asked(vms)
    return code


def _refusal_elsewhere(context: "RunContext", vms: Sequence[str], deadline: "Deadline") -> UsageError | None:
    """Return why a start by hand would part a VM from its storage; a clpstat that fails is no reason."""
    from ecx_hyperv.ecx import clpstat

    configured = [context.config.find_vm(name) for name in vms]
    resources = {one.resource_name for one in configured if one is not None}
    local, peer = context.pair.local.name, context.pair.peer.name
    try:
        said = clpstat.ask(context.run, deadline.within(_CLPSTAT_S))
    except LocalError as error:
        context.log.debug("clpstat does not say where the group is", because=str(error))
        return None
    group = clpstat.active_elsewhere(said, resources, local, peer)
    if not group:
        return None
    return UsageError(
        f"{', '.join(vms)}: not started here, since ECX has {group}, and so the storage, on {peer}",
        seen="no CLP_* variable, so it is not ECX that calls, and no --yes",
        remedy=f"to bring group and VMs here: {shell_line('ecx-hyperv', 'move', local)}",
    )


def _nobody_asked(vms: Sequence[str]) -> UsageError:
    return UsageError(
        f"{', '.join(vms)}: not stopped, since nobody said that it should be",
        seen="no CLP_FACTOR, so it is not ECX that calls, and no --yes",
        remedy=f"to stop by hand: {shell_line('vm-unregister', '--yes', *vms)}",
    )


def _progress(invocation: Invocation, deadline: "Deadline") -> "Progress":
    if can_be_drawn_on(sys.stderr):
        from ecx_hyperv.cli.live import LiveProgress

        return LiveProgress(invocation.clock, deadline)
    return LineProgress(invocation.clock, deadline, invocation.log)


def _answer(
    invocation: Invocation,
    context: "RunContext",
    tasks: "Sequence[Task]",
    show_plan: "Callable[[Task, Config], None]",
) -> Exit:
    """Print how each VM ended, or will end, and as the last line of the log the worst that there is to say."""
    from ecx_hyperv.decide.steps import Done, Fail

    fails = [task.end for task in tasks if isinstance(task.end, Fail)]
    for task in tasks:
        if context.dry:
            show_plan(task, context.config)
        if isinstance(task.end, Done):
            click.echo(flat(task.end.how))
    code = worst(end.exit for end in fails)
    if len(tasks) > 1 and fails:
        last = next(end for end in fails if end.exit is code)
        # Somebody at a terminal has it before their eyes, a few lines above.
        seen, do = ("", "") if sys.stderr.isatty() else (last.seen, last.remedy)
        text = f"{len(fails)} of {len(tasks)} VMs failed; the worst: {last.what}"
        invocation.log.error(text, seen=seen, do=do, exit=int(code))
    return code
