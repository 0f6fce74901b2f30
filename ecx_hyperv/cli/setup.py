"""ecx-hyperv setup: SSH, the hosts, the iSCSI target, ECX; each by itself, and again as often as wanted."""

import sys
from pathlib import Path
from typing import Any

import click

from ecx_hyperv.cli import common, configuration
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.desired.windows import MIRROR_DEVICE, TARGET
from ecx_hyperv.exits import Exit
from ecx_hyperv.plain import flat_lines

dry_run = click.option("--dry-run", is_flag=True, help="Tell what will be done, change nothing.")
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
@click.option("--yes", is_flag=True, help="Pin new keys of the hosts without asking; never in place of others.")
@click.option("--no-trust", is_flag=True, help="Do not fetch the hosts' keys yet.")
@only
@output
@as_print
@dry_run
@run_to_exit()
def setup_ssh(invocation: Invocation, /, **options: Any) -> Exit:
    """Have a key here, write the script that lets it in on each host, and pin the hosts' keys."""
    from ecx_hyperv.cli.trust import pin
    from ecx_hyperv.setup import ssh

    given = ssh.SshOptions(**options)
    config = configuration.load_usable(invocation)
    are_written = ssh.write_scripts(config, given, _say, _note)
    if given.to_stdout or given.no_trust or not (are_written or given.dry_run):
        return Exit.DONE
    click.echo("run each script on its host, with -Apply; what follows works once that is done")
    common.guard(invocation, 300, Exit.UNREACHABLE, "the hosts' keys were not pinned")
    return pin(config, common.deadline_of(invocation, 120), yes=given.yes, dry=given.dry_run)


@setup.command("host", epilog='Example: ecx-hyperv setup host --switch "iSCSI_switch=Ethernet 3"')
@click.option("--target", help="The iSCSI target's name [default: " + TARGET + "].")
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
@click.option(
    "--offline-action",
    "offline_action",
    type=click.Choice(["save", "shutdown", "force-shutdown"]),
    help="What WSFC does to a guest that it takes offline [default: as it is, but save where it would turn off].",
)
@only
@output
@as_print
@dry_run
@run_to_exit()
def setup_host(invocation: Invocation, /, authentication: str, **options: Any) -> Exit:
    """Write the script of each host's steps: features, switches, migration, cluster, iSCSI, volumes, VMs."""
    from ecx_hyperv.setup import host

    given = host.HostOptions(authentication=host.Authentication(authentication), **options)
    host.write_scripts(configuration.load_usable(invocation), given, _say)
    return Exit.DONE


@setup.command("iscsi", epilog="Example: ecx-hyperv setup iscsi --initiator iqn.1991-05.com.microsoft:host1 --dry-run")
@click.option("--initiator", "initiators", multiple=True, metavar="IQN", help="A host's initiator; give both.")
@click.option("--device", default=MIRROR_DEVICE, show_default=True, help="The mirror disk's own device.")
@click.option("--target", default=TARGET, show_default=True, help="The target's name.")
@click.option("--backstore", default="idisk1", show_default=True, help="targetcli's name for the disk.")
@click.option("--disk", help="The disk under the mirror, such as /dev/sdb: make the udev rule for it.")
@click.option("--serial", help="Its serial, where it is known already.")
@click.option("--link", default="cp-diska", show_default=True, help="Its lasting name under /dev.")
@click.option("--rule", type=click.Path(path_type=Path), help="The udev rule's file.")
@dry_run
@run_to_exit()
def setup_iscsi(_invocation: Invocation, /, **options: Any) -> Exit:
    """Serve the mirror disk from this EC-VM, and name the disk under it for good."""
    from ecx_hyperv.ecx.commands import run
    from ecx_hyperv.setup import iscsi

    iscsi.set_up(iscsi.IscsiOptions(**options), run, _say)
    return Exit.DONE


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
def setup_ecx(invocation: Invocation, /, tool: str, **options: Any) -> Exit:
    """Make the group's resources and monitors: a script of ECX's own commands, or a changed copy of clp.conf."""
    from ecx_hyperv.ecx.commands import run
    from ecx_hyperv.setup import ecx

    given = ecx.EcxOptions(tool=ecx.Tool(tool), **options)
    ecx.set_up(configuration.load_usable(invocation), given, run, _say, _note)
    return Exit.DONE


def _say(text: str) -> None:
    # A script that goes into a file must be what it is; what goes to a terminal must not control it.
    click.echo(flat_lines(text) if sys.stdout.isatty() else text)


def _note(text: str) -> None:
    click.echo(flat_lines(text), err=True)
