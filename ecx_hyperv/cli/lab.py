"""ecx-hyperv lab: the simulated pair, from the shell."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import msgspec

from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.errors import LocalError, UsageError
from ecx_hyperv.exits import Exit
from ecx_hyperv.lab.linux.files import NODES, Folder
from ecx_hyperv.lab.model.timings import ENGINE, ENGINE_TIMING, FAST, FAST_TIMING, TIMING, Choices, Timings
from ecx_hyperv.lab.service import control, place, waiting

_STARTED_S = 30.0
# The stand-ins for a real PowerShell are compiled first.
_COMPILED_S = 150.0
_folder = click.option(
    "--folder",
    envvar="ECX_HYPERV_LAB_FOLDER",
    type=click.Path(file_okay=False),
    help="Where the lab keeps its files, for this user alone."
    "  [default: ecx-hyperv-lab in $XDG_RUNTIME_DIR, else a new folder in the temporary one, which is found again]",
)


@click.group(epilog="Example: ecx-hyperv lab start && ecx-hyperv lab run ec1 vm-start vm1")
def lab() -> None:
    """A simulated pair of Hyper-V hosts and EC-VMs, to try everything on: real SSH, the real commands, a small ECX."""


@lab.command(epilog="Example: ecx-hyperv lab start --vm web1 --vm web2")
@_folder
@click.option("--vm", "vms", multiple=True, default=["vm1"], show_default=True, help="A protected VM; may be repeated.")
@click.option("--fast", is_flag=True, help="Everything takes a tenth of the time.")
@click.option("--language", type=click.Choice(["en", "ja"]), default="en", help="What the hosts speak.")
@click.option("--stdin", type=click.Choice(["handle", "input"]), default="handle", help="As [ssh] stdin.")
@click.option(
    "--powershell",
    metavar="PATH",
    help="A pwsh, 7.4 or later: the hosts' side runs in it, with stand-ins for Windows' cmdlets. It takes seconds.",
)
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="Another setting, powershell=0.3 say.")
@run_to_exit()
def start(
    _invocation: Invocation,
    folder: str | None,
    vms: tuple[str, ...],
    *,
    fast: bool,
    language: str,
    stdin: str,
    powershell: str | None,
    sets: tuple[str, ...],
) -> Exit:
    """Start a lab in the background."""
    pwsh = _find_powershell(powershell)
    if pwsh and fast:
        raise UsageError("--fast leaves no time for a real PowerShell", remedy="leave --fast or --powershell out")
    pace, timing = (FAST, FAST_TIMING) if fast else (ENGINE, ENGINE_TIMING) if pwsh else (Timings(), TIMING)
    timings = _with_sets(msgspec.structs.replace(pace, language=language), sets)
    choices = Choices(vms=vms, timings=timings, timing=timing, stdin=stdin, powershell=pwsh)
    return _start(place.to_start(os.environ) if folder is None else Path(folder), choices)


@lab.command(epilog="Example: ecx-hyperv lab stop")
@_folder
@run_to_exit()
def stop(_invocation: Invocation, folder: str | None) -> Exit:
    """Stop the lab."""
    return _ask(folder, "stop")


@lab.command(epilog="Example: ecx-hyperv lab show")
@_folder
@run_to_exit()
def show(_invocation: Invocation, folder: str | None) -> Exit:
    """Show the lab's world as JSON."""
    return _ask(folder, "show")


@lab.command(epilog="Example: ecx-hyperv lab history")
@_folder
@run_to_exit()
def history(_invocation: Invocation, folder: str | None) -> Exit:
    """Show all that has happened in the lab."""
    return _ask(folder, "history")


@lab.command(epilog="Example: ecx-hyperv lab power host2 off")
@_folder
@click.argument("what", type=click.Choice(["host1", "host2", *NODES]))
@click.argument("how", type=click.Choice(["on", "off", "shutdown", "hang"]))
@run_to_exit()
def power(_invocation: Invocation, folder: str | None, what: str, how: str) -> Exit:
    """Power a host or an EC-VM on or off, shut it down, or have an EC-VM hang."""
    return _ask(folder, "power", what, how)


@lab.command(epilog="Example: ecx-hyperv lab iscsi cut")
@_folder
@click.argument("how", type=click.Choice(["cut", "restore"]))
@run_to_exit()
def iscsi(_invocation: Invocation, folder: str | None, how: str) -> Exit:
    """Cut every host off from the iSCSI target, or restore the connections."""
    return _ask(folder, "iscsi", how)


@lab.command(epilog="Example: ecx-hyperv lab network isolate host1")
@_folder
@click.argument("how", type=click.Choice(["isolate", "cut", "restore"]))
@click.argument("machines", nargs=-1)
@run_to_exit()
def network(_invocation: Invocation, folder: str | None, how: str, machines: tuple[str, ...]) -> Exit:
    """Cut all networks of a machine, or those between two (host1 host2 ec1 ec2 witness); or restore all networks."""
    return _ask(folder, "network", how, *machines)


@lab.command(epilog="Example: ecx-hyperv lab group move ec2")
@_folder
@click.argument("how", type=click.Choice(["start", "stop", "move"]))
@click.argument("where", type=click.Choice(NODES), default=NODES[0])
@click.option("--no-wait", is_flag=True, help="Do not wait until it is done.")
@run_to_exit()
def group(_invocation: Invocation, folder: str | None, how: str, where: str, *, no_wait: bool) -> Exit:
    """Have ECX start its group on a node, stop it, or move it to a node; wait until that is done."""
    options = {"start": "-s", "stop": "-t", "move": "-m"}
    code = _ask(folder, "clpgrp", options[how], "-a", where)
    if code is Exit.DONE and not no_wait:
        click.echo(waiting.for_group(Folder(_started(folder)).socket, how, where))
    return code


@lab.command(epilog="Example: ecx-hyperv lab mirror green red")
@_folder
@click.argument("how", nargs=-1, type=click.Choice(["copy", "green", "red", "gray", "blue", "yellow"]))
@run_to_exit()
def mirror(_invocation: Invocation, folder: str | None, how: tuple[str, ...]) -> Exit:
    """Show the mirror disk; or have it copied, or of one color, or of one for each EC-VM.

    ECX copies a red side again by itself, unless the lab was started with --set mirror_auto=false. In which of several
    shapes clpmdstat answers is set by: ecx-hyperv lab set ec1 mirror_shape no-header.
    """
    return _ask(folder, "mirror", *how)


@lab.command("set", epilog="Example: ecx-hyperv lab set vm1 stop_action Save")
@_folder
@click.argument("where")
@click.argument("name")
@click.argument("value")
@run_to_exit()
def set_fact(_invocation: Invocation, folder: str | None, where: str, name: str, value: str) -> Exit:
    """Set up something else than it should be: of the cluster, host1, vm1, EC-VM1, or ec1's Linux."""
    return _ask(folder, "set", where, name, value)


@lab.command(
    "powershell", epilog="Example: ecx-hyperv lab powershell host1 'Set-VM -Name vm1 -AutomaticStopAction ShutDown'"
)
@_folder
@click.argument("host")
@click.argument("line")
@run_to_exit()
def powershell(_invocation: Invocation, folder: str | None, host: str, line: str) -> Exit:
    """Run a line that a check prints as its remedy on a host."""
    return _ask(folder, "powershell", host, line)


@lab.command("move-vm", epilog="Example: ecx-hyperv lab move-vm vm1")
@_folder
@click.argument("vm")
@run_to_exit()
def move_vm(_invocation: Invocation, folder: str | None, vm: str) -> Exit:
    """Have WSFC live-migrate a VM by itself, as its balancer does."""
    return _ask(folder, "move-vm", vm)


@lab.command(
    context_settings={"ignore_unknown_options": True}, epilog="Example: ecx-hyperv lab run ec1 ecx-hyperv status"
)
@_folder
@click.argument("node", type=click.Choice(NODES))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(folder: str | None, node: str, command: tuple[str, ...]) -> None:
    """Run a command as on an EC-VM of the lab; one that is off, or hangs, runs nothing."""
    try:
        lab_folder = _started(folder)
        _check_up(lab_folder, node)
    except LocalError as error:
        raise click.ClickException(str(error)) from None
    environment = {**Folder(lab_folder).environment(node), "TERM": os.environ.get("TERM", "dumb")}
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606 - the command is the user's own
    except OSError as error:
        raise click.ClickException(f"{command[0]}: {error.strerror}") from None


@lab.command(epilog="Example: ecx-hyperv lab demo")
@click.option("--fast", is_flag=True, help="Everything takes a tenth of the time.")
@run_to_exit()
def demo(_invocation: Invocation, *, fast: bool) -> Exit:
    """Play the main job: start, live migration, failover, stop."""
    return _demo(fast=fast)


@lab.command(epilog="Example: ecx-hyperv lab bench")
@run_to_exit()
def bench(_invocation: Invocation) -> Exit:
    """Measure what each job costs: connections, PowerShells, requests, time."""
    return _bench()


def _find_powershell(given: str | None) -> str:
    """Return the program that a path or a name leads to; empty where none was named."""
    if given is None:
        return ""
    found = shutil.which(given)
    if found is None:
        remedy = "name a pwsh, 7.4 or later, or leave --powershell out"
        raise UsageError("--powershell names no program that can be run", seen=given, remedy=remedy)
    return str(Path(found).absolute())


def _with_sets(timings: Timings, sets: tuple[str, ...]) -> Timings:
    """Return settings with those changed that --set names."""
    names = {name: value for name, _, value in (one.partition("=") for one in sets)}
    try:
        changed = {**msgspec.to_builtins(timings), **names}
        return msgspec.convert(changed, Timings, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(
            "--set cannot be done", seen=str(error), remedy="write it like --set powershell=0.3, or leave it out"
        ) from None


def _launch() -> str:
    # The RPM's modules are where no other Python looks; what this process runs from, the lab runs from.
    return f"import sys; sys.path[:] = {sys.path!r}; from ecx_hyperv.lab.__main__ import main; main()"


def _started(folder: str | None) -> Path:
    """Return the folder of the lab that runs: programs of it are run, so it must be this user's; raises LocalError."""
    path = place.started(os.environ) if folder is None else Path(folder)
    place.check_private(path)
    return path


def _check_up(folder: Path, node: str) -> None:
    """Raise LocalError where the lab, or that EC-VM of it, does not run."""
    shown = control.ask(Folder(folder).socket, "show").data["ec_vms"][node]
    if not shown["up"]:
        raise LocalError(
            f"{node} runs no commands", seen=shown["state"], remedy=f"wait for it, or: ecx-hyperv lab power {node} on"
        )


def _start(folder: Path, choices: Choices) -> Exit:
    place.make_private(folder)
    socket_path = Folder(folder).socket
    if socket_path.exists():
        try:
            control.ask(socket_path, "show")
        except LocalError:
            pass
        else:
            raise LocalError("a lab runs already", seen=str(folder), remedy="ecx-hyperv lab stop, or another --folder")
    socket_path.unlink(missing_ok=True)
    log = folder / "lab.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _launch(), str(folder), msgspec.json.encode(choices).decode()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    limit = time.monotonic() + (_COMPILED_S if choices.powershell else _STARTED_S)
    while not socket_path.exists():
        if process.poll() is not None or time.monotonic() > limit:
            raise LocalError("the lab does not start", seen=log.read_text(errors="replace")[-400:], remedy=f"see {log}")
        time.sleep(0.05)
    click.echo(f"a lab runs in {folder}; VMs: {', '.join(choices.vms)}")
    click.echo("next: ecx-hyperv lab group start ec1; ecx-hyperv lab run ec1 ecx-hyperv status")
    return Exit.DONE


def _ask(folder: str | None, do: str, *arguments: str) -> Exit:
    answer = control.ask(Folder(_started(folder)).socket, do, *arguments)
    click.echo(answer.text, nl=False)
    return Exit.DONE if answer.code == 0 else Exit.NOT_AS_ASKED


def _demo(*, fast: bool) -> Exit:
    from ecx_hyperv.lab.service.demo import DemoFailed, play

    try:
        play(fast=fast)
    except DemoFailed as failed:
        raise LocalError("the demo failed", seen=str(failed)) from None
    return Exit.DONE


def _bench() -> Exit:
    from ecx_hyperv.lab.service.bench import run as run_bench

    line = "{:24} {:>4}  {:15} {:>11} {:>11} {:>8} {:>11} {:>5} {:>7}  {}"
    heads = ("what", "exit", "host", "connections", "PowerShells", "requests", "round trips", "polls", "seconds")
    click.echo(line.format(*heads, "changes"))
    for cost in run_bench():
        click.echo(
            line.format(
                cost.what,
                cost.exit,
                cost.host,
                cost.logins,
                cost.powershells,
                cost.requests,
                cost.round_trips - cost.polls,
                cost.polls,
                f"{cost.seconds:.2f}",
                ", ".join(cost.changes) or "-",
            )
        )
    return Exit.DONE
