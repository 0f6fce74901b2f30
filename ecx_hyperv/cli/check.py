"""ecx-hyperv check: whether everything is right."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecx_hyperv import __version__
from ecx_hyperv.cli import common
from ecx_hyperv.cli.common import Setting, with_options
from ecx_hyperv.exits import Exit

if TYPE_CHECKING:
    from ecx_hyperv.check.outcome import Finding
    from ecx_hyperv.check.run import Surveyor
    from ecx_hyperv.config import Config
    from ecx_hyperv.deadline import Deadline

# PowerShell's start, all modules on both hosts, and the idle time on top; the other EC-VM takes as long again.
_CHECK_S = 120.0
_PEER_S = 200.0


@click.command("check", epilog="Example: ecx-hyperv check vm-failover resiliency")
@click.argument("name", nargs=-1)
@click.option("--list", "as_list", is_flag=True, help="Name every check, and what it means where it is not ok.")
@click.option("--json", "as_json", is_flag=True, help="The same findings as JSON.")
@click.option("--peer", is_flag=True, help="The other EC-VM too; this one must be able to log in there as root.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a report for a support case.")
@click.option(
    "--idle",
    type=click.FloatRange(0.1, 110),
    default=10.0,
    show_default=True,
    help="How many seconds a PowerShell's stdin is left idle when that is tried.",
)
@with_options
def check(
    setting: Setting,
    name: tuple[str, ...],
    *,
    as_list: bool,
    as_json: bool,
    peer: bool,
    report: Path | None,
    idle: float,
) -> None:
    """Check both hosts, the cluster, the VMs, this EC-VM and ECX's settings; all checks, or those named.

    0: all is right, or warnings only; 1: something is wrong; 7: something could not be told. Nothing is changed.
    """
    if as_list:
        common.run_to_exit(setting, _list)
    common.run_to_exit(setting, lambda: _check(setting, name, as_json, peer, report, idle))


def _list() -> Exit:
    from ecx_hyperv.check.catalogue import CATALOGUE, Area

    for area in Area:
        click.echo(f"{area.value}:")
        for one in CATALOGUE.values():
            if one.area is area:
                click.echo(f"  {one.name:20} {one.means}")
    return Exit.DONE


def _check(
    setting: Setting, names: tuple[str, ...], as_json: bool, peer: bool, report: Path | None, idle: float
) -> Exit:
    from ecx_hyperv.check.catalogue import choose
    from ecx_hyperv.check.outcome import exit_of
    from ecx_hyperv.check.run import ask_peer, ordered

    wanted = choose(names)
    config = common.load_config(setting)
    seconds = _CHECK_S + idle + (_PEER_S if peer else 0)
    common.guard(setting, seconds * 1.2, Exit.CANNOT_TELL, "the check is not complete")
    surveyor = _surveyor(setting, config, common.deadline_of(setting, seconds), idle)
    findings = surveyor.survey(wanted)
    if peer:
        findings = ordered([*findings, *ask_peer(surveyor.system, surveyor.pair, config, wanted)])
    code = exit_of(findings)
    if as_json:
        _print_json(findings, surveyor, code)
    else:
        from ecx_hyperv.cli.findings import show_findings

        show_findings(findings)
    if report is not None:
        _report(setting, surveyor, findings, report)
    _last_line(setting, findings, code)
    return code


def _surveyor(setting: Setting, config: "Config", deadline: "Deadline", idle: float) -> "Surveyor":
    from ecx_hyperv.check.linux_facts import System
    from ecx_hyperv.check.probes import Trial
    from ecx_hyperv.check.run import Surveyor
    from ecx_hyperv.decide.facts import Side
    from ecx_hyperv.desired.scripts import find_scripts
    from ecx_hyperv.ecx import commands
    from ecx_hyperv.ecx.maintenance import Maintenance
    from ecx_hyperv.errors import LocalError
    from ecx_hyperv.host.ssh import connect

    pair = common.which_pair(setting, config)
    try:
        scripts: Path | None = find_scripts()
    except LocalError:
        scripts = None

    def trial(side: Side) -> Trial:
        target = common.target_of(config, pair, side)
        return Trial(lambda deadline: connect(target, deadline), config.ssh.powershell, idle)

    return Surveyor(
        config=config,
        pair=pair,
        hosts=common.open_hosts(setting, config, pair),
        # Only the lab, which has both EC-VMs on one machine, says another root.
        system=System(commands.run, Path(os.environ.get("ECX_HYPERV_ROOT", "/")), deadline),
        flags=lambda: Maintenance(Path(config.paths.state)).all(setting.clock.wall()),
        trial=trial,
        wall=setting.clock.wall,
        deadline=deadline,
        scripts=scripts,
    )


def _print_json(findings: "list[Finding]", surveyor: "Surveyor", code: Exit) -> None:
    import msgspec

    from ecx_hyperv.check.run import Answers, digest

    answers = Answers(
        node=surveyor.pair.own.name,
        program=__version__,
        config=digest(surveyor.config),
        exit=int(code),
        findings=findings,
    )
    click.echo(json.dumps(msgspec.to_builtins(answers), indent=2, ensure_ascii=False))


def _report(setting: Setting, surveyor: "Surveyor", findings: "list[Finding]", path: Path) -> None:
    from ecx_hyperv.check import linux_facts, report

    facts = linux_facts.read(surveyor.system, surveyor.config)
    ecx = facts.ecx_version if isinstance(facts.ecx_version, str) else facts.ecx_version.why
    text = report.compose(
        findings,
        surveyor.pair.own.name,
        setting.clock.wall().isoformat(timespec="seconds"),
        setting.options.config,
        facts.os_name,
        ecx,
        surveyor.system.file("opt/nec/clusterpro/log"),
    )
    report.write(path, text)
    click.echo(f"report: {path}", err=True)


def _last_line(setting: Setting, findings: "list[Finding]", code: Exit) -> None:
    from ecx_hyperv.check.outcome import Outcome

    if code is Exit.DONE:
        return
    worst = Outcome.WRONG if code is Exit.NOT_AS_ASKED else Outcome.CANNOT_TELL
    bad = [one for one in findings if one.outcome is worst]
    first = bad[0]
    how = "wrong" if worst is Outcome.WRONG else "not to be told"
    setting.log.error(
        f"{len(bad)} of {len(findings)} checks {how}; the first: {first.name} of {first.place}",
        seen=first.seen,
        do=str(first.remedy or "see the others first"),
        exit=int(code),
    )
