"""ecx-hyperv setup: SSH, the hosts, the iSCSI target, ECX; each by itself, and again as often as wanted."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ecx_hyperv.cli import common
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.config import Config, Node
from ecx_hyperv.errors import UsageError
from ecx_hyperv.exits import Exit
from ecx_hyperv.setup.files import Writer

dry_run = click.option("--dry-run", is_flag=True, help="Tell what would be done, change nothing.")
output = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the files go [default: setup in [paths] state].",
)
as_print = click.option("--print", "to_stdout", is_flag=True, help="Print the scripts, write no file.")
only = click.option("--host", "only", help="The script for one host only: its address, or its EC-VM's node name.")


@click.group("setup", epilog="Example: ecx-hyperv setup ssh --dry-run")
def setup() -> None:
    """Set up SSH, the hosts, the iSCSI target and ECX; the README's set-up chapter says when."""


@setup.command("ssh", epilog="Example: ecx-hyperv setup ssh --public-key ec2.pub")
@click.option("--from", "more", multiple=True, metavar="ADDRESS", help="Let this address or network in, too.")
@click.option(
    "--public-key",
    "others",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Let this key in, too: the other EC-VM's.",
)
@click.option("--yes", is_flag=True, help="Pin the hosts' keys without asking.")
@click.option("--no-trust", is_flag=True, help="Do not fetch the hosts' keys yet.")
@only
@output
@as_print
@dry_run
@run_to_exit()
def setup_ssh(invocation: Invocation, /, **options: Any) -> Exit:
    """Have a key here, write the script that lets it in on each host, and pin the hosts' keys."""
    return _ssh(invocation, **options)


@setup.command("host", epilog='Example: ecx-hyperv setup host --switch "iSCSI_switch=Ethernet 3"')
@click.option("--target", help="The iSCSI target's name [default: iqn.1996-10.com.ecx].")
@click.option("--switch", "switches", multiple=True, metavar="NAME=ADAPTER", help="A virtual switch and its adapter.")
@click.option(
    "--cluster-network", "cluster_networks", multiple=True, metavar="ADDRESS", help="A network for the cluster."
)
@click.option(
    "--migration-network", "migration_networks", multiple=True, metavar="ADDRESS", help="One to migrate over."
)
@click.option("--witness", default="", help="The cluster disk that is the quorum witness.")
@click.option("--cluster", "cluster", default="", help="Create the cluster of this name.")
@click.option("--cluster-address", default="", help="Its address.")
@click.option("--cluster-node", "cluster_nodes", multiple=True, help="The Windows name of a host; give both.")
@click.option("--authentication", type=click.Choice(["CredSSP", "Kerberos"]), default="CredSSP", show_default=True)
@click.option("--parallel", type=click.IntRange(1, 64), default=2, show_default=True, help="Live migrations at a time.")
@only
@output
@as_print
@dry_run
@run_to_exit()
def setup_host(invocation: Invocation, /, **options: Any) -> Exit:
    """Write the script of each host's steps: features, switches, migration, cluster, iSCSI, volumes, VMs."""
    return _host(invocation, **options)


@setup.command("iscsi", epilog="Example: ecx-hyperv setup iscsi --initiator iqn.1991-05.com.microsoft:host1 --dry-run")
@click.option("--initiator", "initiators", multiple=True, metavar="IQN", help="A host's initiator; give both.")
@click.option("--device", default="/dev/NMP1", show_default=True, help="The mirror disk's own device.")
@click.option("--target", default="iqn.1996-10.com.ecx", show_default=True, help="The target's name.")
@click.option("--backstore", default="idisk1", show_default=True, help="targetcli's name for the disk.")
@click.option("--disk", help="The disk under the mirror, such as /dev/sdb: make the udev rule for it.")
@click.option("--serial", help="Its serial, where it is known already.")
@click.option("--link", default="cp-diska", show_default=True, help="Its lasting name under /dev.")
@click.option("--rule", type=click.Path(path_type=Path), help="The udev rule's file.")
@dry_run
@run_to_exit()
def setup_iscsi(_invocation: Invocation, /, **options: Any) -> Exit:
    """Serve the mirror disk from this EC-VM, and name the disk under it for good."""
    return _iscsi(**options)


@setup.command("ecx", epilog="Example: ecx-hyperv setup ecx --conf ./clp.conf --apply")
@click.option(
    "--conf", type=click.Path(dir_okay=False, path_type=Path), help="A copy of clp.conf: change only what it lacks."
)
@click.option("--apply", "do_apply", is_flag=True, help="Change that copy, and put the scripts beside it.")
@click.option("--push", is_flag=True, help="Then hand its folder to the cluster: clpcfctrl --push -l -x FOLDER.")
@click.option("--tool", type=click.Choice(["clpcfset", "clpcfadm"]), default="clpcfset", show_default=True)
@click.option("--group", default="", help="The failover group [default: the copy's, else failover1].")
@click.option("--fip", default="", help="Its floating IP resource [default: the copy's, else fip1].")
@click.option("--md", default="", help="Its mirror disk resource [default: the copy's, else md1].")
@click.option("--data-partition", default="/dev/cp-diska2", show_default=True)
@click.option("--cluster-partition", default="/dev/cp-diska1", show_default=True)
@output
@dry_run
@run_to_exit()
def setup_ecx(invocation: Invocation, /, **options: Any) -> Exit:
    """Make the group's resources and monitors: a script of ECX's own commands, or a changed copy of clp.conf."""
    return _ecx(invocation, **options)


def _ssh(
    invocation: Invocation,
    *,
    more: tuple[str, ...],
    others: tuple[Path, ...],
    yes: bool,
    no_trust: bool,
    only: str | None,
    output: Path | None,
    to_stdout: bool,
    dry_run: bool,
) -> Exit:
    import platform

    from ecx_hyperv.cli.trust import pin
    from ecx_hyperv.setup import ssh

    config = common.load_config(invocation)
    # Whatever is wrong with what was given is told before anything is made.
    known = [ssh.read_public(path) for path in others]
    allowed = ssh.check_addresses(config, more)
    writer = Writer(click.echo, dry_run or to_stdout)
    quiet = Writer(lambda text: click.echo(text, err=True), dry_run or to_stdout) if to_stdout else writer
    this_key = ssh.make_key(Path(config.ssh.key), f"ecx-hyperv@{platform.node()}", quiet)
    if this_key is None and to_stdout:
        raise UsageError(
            "the scripts need the key", seen=f"none at {config.ssh.key}", remedy="run ecx-hyperv setup ssh first"
        )
    if this_key is None:
        click.echo("the scripts for the hosts need the key: run this without --dry-run", err=True)
        return Exit.DONE
    keys = list(dict.fromkeys([this_key, *known]))
    _scripts(config, only, output, writer, to_stdout, "ssh", lambda node: ssh.host_script(config, node, keys, allowed))
    if to_stdout or no_trust:
        return Exit.DONE
    click.echo("run each script on its host, with -Apply; what follows works once that is done")
    common.guard(invocation, 300, Exit.UNREACHABLE, "the hosts' keys were not pinned")
    return pin(config, common.deadline_of(invocation, 120), yes=yes, dry=dry_run)


def _host(
    invocation: Invocation,
    *,
    target: str | None,
    switches: tuple[str, ...],
    cluster_networks: tuple[str, ...],
    migration_networks: tuple[str, ...],
    witness: str,
    cluster: str,
    cluster_address: str,
    cluster_nodes: tuple[str, ...],
    authentication: str,
    parallel: int,
    only: str | None,
    output: Path | None,
    to_stdout: bool,
    dry_run: bool,
) -> Exit:
    from ecx_hyperv.setup import host

    config = common.load_config(invocation)
    plan = host.HostPlan(
        target=target or host.TARGET,
        switches=tuple(host.parse_switch(one) for one in switches),
        cluster_networks=tuple(host.parse_network(one) for one in cluster_networks),
        migration_networks=tuple(host.parse_network(one) for one in migration_networks),
        witness=witness,
        cluster=host.parse_cluster(cluster, cluster_address, cluster_nodes),
        authentication=host.Authentication(authentication),
        parallel=parallel,
    )
    writer = Writer(click.echo, dry_run)
    _scripts(config, only, output, writer, to_stdout, "host", lambda node: host.host_script(config, node, plan))
    return Exit.DONE


def _iscsi(
    *,
    initiators: tuple[str, ...],
    device: str,
    target: str,
    backstore: str,
    disk: str | None,
    serial: str | None,
    link: str,
    rule: Path | None,
    dry_run: bool,
) -> Exit:
    from ecx_hyperv.ecx.commands import run
    from ecx_hyperv.setup import iscsi

    if not (initiators or disk or serial):
        raise UsageError(
            "nothing to set up", remedy="give --disk for the disk's names, --initiator (twice) for the target, or all"
        )
    served = iscsi.served(initiators, device, target, backstore) if initiators else None
    if disk or serial:
        text = iscsi.udev_rule(serial or iscsi.disk_serial(disk or "", run), link)
        writer = Writer(click.echo, dry_run)
        writer.write(rule or iscsi.RULE, text.encode("ascii"), 0o644)
        if dry_run:
            click.echo(text, nl=False)
        elif writer.changed:
            iscsi.reload_rules(run)
    if served:
        iscsi.serve(served, run, click.echo, dry=dry_run)
    return Exit.DONE


def _ecx(
    invocation: Invocation,
    *,
    conf: Path | None,
    do_apply: bool,
    push: bool,
    tool: str,
    group: str,
    fip: str,
    md: str,
    data_partition: str,
    cluster_partition: str,
    output: Path | None,
    dry_run: bool,
) -> Exit:
    from ecx_hyperv.desired.clpconf import read
    from ecx_hyperv.desired.ecx import Disk, expected
    from ecx_hyperv.desired.quoting import check_device
    from ecx_hyperv.desired.scripts import find_scripts
    from ecx_hyperv.ecx.commands import run
    from ecx_hyperv.setup import ecx

    config = common.load_config(invocation)
    ecx.check_asked(conf, output, do_apply, push)
    known = read(conf) if conf else None
    names = ecx.choose_names(known, config, group, fip, md)
    disk = ecx.choose_disk(known, Disk(check_device(data_partition), check_device(cluster_partition)))
    edits = ecx.edits(known, config, names, disk)
    for sentence in ecx.doubts(config):
        click.echo(f"note: {sentence}", err=True)
    for edit in edits:
        click.echo(str(edit))
    writer = Writer(click.echo, dry_run)
    beside = conf.absolute().parent if conf and not ecx.is_live(conf.resolve().parent) else None
    folder = output or beside or _default_output(config) / "ecx"
    wanted = expected(config, names, disk)
    if do_apply and known and conf:
        ecx.apply(known, edits)
        writer.write(conf, known.to_bytes(), conf.stat().st_mode & 0o777)
    elif edits:
        writer.write(folder / "setup-ecx.sh", ecx.script(edits, ecx.Tool(tool)).encode(), 0o755)
    else:
        click.echo("clp.conf is as it should be")
    ecx.place_scripts(known, wanted, names.group, find_scripts(), folder, writer)
    if push:
        ecx.push(folder, run, click.echo, dry=dry_run)
    return Exit.DONE


def _scripts(
    config: Config,
    only: str | None,
    output: Path | None,
    writer: Writer,
    to_stdout: bool,
    what: str,
    build: Callable[[Node], str],
) -> None:
    from ecx_hyperv.setup.powershell import to_file

    nodes = _nodes(config, only)
    if to_stdout and len(nodes) > 1:
        raise UsageError("--print prints one script", seen=f"{len(nodes)} hosts", remedy="name one of them with --host")
    for node in nodes:
        script = build(node)
        if to_stdout:
            click.echo(script, nl=False)
            continue
        place = re.sub(r"[^A-Za-z0-9.-]", "_", node.host)
        writer.write((output or _default_output(config)) / f"setup-{what}-{place}.ps1", to_file(script), 0o644)


def _nodes(config: Config, only: str | None) -> tuple[Node, ...]:
    found = tuple(node for node in config.node if only is None or only in (node.host, node.name))
    if not found:
        known = ", ".join(f"{node.host} ({node.name})" for node in config.node)
        raise UsageError(f"no host {only!r}", seen=f"configured: {known}", remedy="name one of these")
    return found


def _default_output(config: Config) -> Path:
    return Path(config.paths.state) / "setup"
