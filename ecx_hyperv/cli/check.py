"""ecx-hyperv check: whether everything is right."""

import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecx_hyperv import __version__
from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.cli.configuration import ConfigInUse
from ecx_hyperv.cli.progress import LineBar, any_terminal
from ecx_hyperv.exits import Exit
from ecx_hyperv.plain import as_json, flat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ecx_hyperv.check.linux_facts import LinuxFacts
    from ecx_hyperv.check.outcome import Finding
    from ecx_hyperv.check.run import CheckRun
    from ecx_hyperv.deadline import Deadline

# PowerShell's start, all modules on both hosts, and the idle time on top; the other EC-VM takes as long again.
_CHECK_S = 120.0
_PEER_S = 200.0


@click.command("check", epilog="Example: ecx-hyperv check vm-failover resiliency")
@click.argument("name", nargs=-1)
@click.option("--list", "as_list", is_flag=True, help="Name every check, and what it means where it is not ok.")
@click.option("--json", "as_json", is_flag=True, help="The same findings as JSON.")
@click.option("--problems", is_flag=True, help="Show only what is not ok.")
@click.option("--peer", is_flag=True, help="The other EC-VM too; this one must be able to log in there as root.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a report for a support case.")
@click.option(
    "--idle",
    type=click.FloatRange(0.1, 110),
    default=10.0,
    show_default=True,
    help="How many seconds a PowerShell's stdin is left idle when that is tried.",
)
@run_to_exit()
def check(
    invocation: Invocation,
    name: tuple[str, ...],
    *,
    as_list: bool,
    as_json: bool,
    problems: bool,
    peer: bool,
    report: Path | None,
    idle: float,
) -> Exit:
    """Check both hosts, the cluster, the VMs, this EC-VM and ECX's settings; all checks, or those named.

    0: all is right, or warnings only; 1: something is wrong; 3: only which VM is meant is wrong; 7: something could not
    be told. Nothing is changed.
    """
    if as_list:
        return _list()
    # All of it before a host is asked: an upgrade may replace the files meanwhile.
    from ecx_hyperv.check import linux_facts
    from ecx_hyperv.check.catalogue import choose
    from ecx_hyperv.check.outcome import exit_of
    from ecx_hyperv.check.report import library_versions
    from ecx_hyperv.check.run import ask_peer, ordered

    show = _shower(is_json=as_json, problems=problems)
    libraries = library_versions() if report is not None else ()
    wanted = choose(name)
    in_use = configuration.load_in_use(invocation)
    seconds = _CHECK_S + idle + (_PEER_S if peer else 0)
    common.guard(invocation, seconds * 1.2, Exit.CANNOT_TELL, "the check is not complete")
    check_run = _check_run(invocation, in_use, common.deadline_of(invocation, seconds), idle)
    with _progress(invocation, check_run, len(wanted), is_json=as_json) as check_run:
        facts = linux_facts.read(check_run.system, in_use.config, invocation.options.config)
        findings = check_run.go(wanted, facts)
        if peer:
            findings = ordered([*findings, *ask_peer(check_run.system, check_run.pair, in_use.config, wanted)])
    code = exit_of(findings)
    show(findings, check_run, code)
    if report is not None:
        _report(invocation, check_run, facts, findings, libraries, report)
    _last_line(invocation, findings, code)
    return code


@contextmanager
def _progress(invocation: Invocation, check_run: "CheckRun", total: int, *, is_json: bool) -> "Iterator[CheckRun]":
    """Return a check that shows how far it has come, and on a terminal each problem as soon as it is certain."""
    has_terminal = any_terminal()
    done: set[str] = set()
    if has_terminal:
        from ecx_hyperv.cli.findings import problems_in
        from ecx_hyperv.cli.live import LiveBar

        bar: LiveBar | LineBar = LiveBar("check", invocation.clock, check_run.deadline)
    else:
        bar = LineBar("check", invocation.clock, invocation.log)

    def tell(findings: "Sequence[Finding]") -> None:
        done.update(one.name for one in findings)
        bar.reach(len(done), total)
        if has_terminal and not is_json:
            for line in problems_in(findings):
                click.echo(flat(line), err=not sys.stdout.isatty())

    bar.reach(0, total)
    with bar:
        yield replace(check_run, on_findings=tell)
        bar.reach(total, total)


def _list() -> Exit:
    from ecx_hyperv.check.catalogue import CATALOGUE, Area

    for area in Area:
        click.echo(f"{area.value}:")
        for one in CATALOGUE.values():
            if one.area is area:
                click.echo(f"  {one.name:20} {one.means}")
    return Exit.DONE


def _check_run(invocation: Invocation, in_use: ConfigInUse, deadline: "Deadline", idle: float) -> "CheckRun":
    from ecx_hyperv.check.linux_facts import System
    from ecx_hyperv.check.probes import WireProbe
    from ecx_hyperv.check.run import CheckRun
    from ecx_hyperv.decide.facts import Side
    from ecx_hyperv.desired.scripts import find_scripts
    from ecx_hyperv.ecx import commands
    from ecx_hyperv.ecx.kept_ids import FileKeptIds
    from ecx_hyperv.ecx.maintenance import Maintenance
    from ecx_hyperv.ecx.state_folder import StateFolder
    from ecx_hyperv.errors import LocalError
    from ecx_hyperv.host.ssh import connect

    config = in_use.config
    pair = configuration.which_pair(invocation, config)
    try:
        scripts: Path | None = find_scripts()
    except LocalError:
        scripts = None

    def probe(side: Side) -> WireProbe:
        target = common.target_of(config, pair, side)
        return WireProbe(lambda deadline: connect(target, deadline), config.ssh.powershell, idle)

    return CheckRun(
        config=config,
        pair=pair,
        hosts=common.open_hosts(invocation, config, pair),
        system=System(commands.run, common.root_of_system(), deadline),
        kept_id=FileKeptIds(StateFolder(Path(config.paths.state), Path(config.paths.run))).load_id,
        flags=lambda: Maintenance(Path(config.paths.state)).all(invocation.clock.wall()),
        probe=probe,
        wall=invocation.clock.wall,
        deadline=deadline,
        scripts=scripts,
        mistakes=(in_use.last_good,) if in_use.last_good else tuple(map(str, configuration.mistakes_in(in_use.loaded))),
        notes=configuration.notes_on(in_use.loaded),
    )


def _shower(*, is_json: bool, problems: bool) -> "Callable[[list[Finding], CheckRun, Exit], None]":
    """Return what prints the findings; whatever it needs is imported now."""
    if is_json:
        return _print_json
    from ecx_hyperv.cli.findings import show_findings

    return lambda findings, _check_run, _code: show_findings(findings, problems=problems)


def _print_json(findings: "list[Finding]", check_run: "CheckRun", code: Exit) -> None:
    import msgspec

    from ecx_hyperv.check.run import CheckReport, digest

    answers = CheckReport(
        node=check_run.pair.local.name,
        program=__version__,
        config=digest(check_run.config),
        exit=int(code),
        findings=findings,
    )
    click.echo(as_json(msgspec.to_builtins(answers), indent=2))


def _report(
    invocation: Invocation,
    check_run: "CheckRun",
    facts: "LinuxFacts",
    findings: "list[Finding]",
    libraries: tuple[str, ...],
    path: Path,
) -> None:
    from ecx_hyperv.check import report

    heading = report.Heading(
        node=check_run.pair.local.name,
        written=invocation.clock.wall().isoformat(timespec="seconds"),
        os_name=facts.os_name,
        ecx=facts.ecx_version if isinstance(facts.ecx_version, str) else facts.ecx_version.why,
        libraries=libraries,
    )
    logs = check_run.system.file("opt/nec/clusterpro/log")
    text = report.compose(heading, findings, check_run.config, invocation.options.config, logs)
    report.write(path, text)
    click.echo(flat(f"report: {path}"), err=True)


def _last_line(invocation: Invocation, findings: "list[Finding]", code: Exit) -> None:
    from ecx_hyperv.check.outcome import Outcome

    if code is Exit.DONE:
        return
    worst = Outcome.CANNOT_TELL if code is Exit.CANNOT_TELL else Outcome.WRONG
    bad = [one for one in findings if one.outcome is worst]
    first = bad[0]
    how = "wrong" if worst is Outcome.WRONG else "not to be told"
    invocation.log.error(
        f"{len(bad)} of {len(findings)} checks {how}; the first: {first.name} of {first.place}",
        seen=first.seen,
        do=str(first.remedy or "see the others first"),
        exit=int(code),
    )
