"""ecx-hyperv trust: fetch the hosts' keys, show them, pin them."""

from collections.abc import Sequence

import click
import paramiko

from ecx_hyperv.config import Config, Node
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import EcxHypervError, UsageError
from ecx_hyperv.exits import Exit, worst
from ecx_hyperv.host.known_hosts import KnownHosts, PinState
from ecx_hyperv.host.ssh import SshTarget, fetch_host_keys


def pin(config: Config, deadline: Deadline, *, yes: bool, dry: bool) -> Exit:
    """Show the keys of both hosts, and pin them once a person has agreed; raises UsageError, LocalError.

    A host that does not answer is told, and keeps the keys it had.
    """
    known = KnownHosts.read(config.ssh.known_hosts)
    new: dict[str, list[paramiko.PKey]] = {}
    exits = []
    for node in config.node:
        target = SshTarget(node.host, config.ssh.port, config.ssh.user, config.ssh.key, config.ssh.known_hosts)
        try:
            new[target.entry] = fetch_host_keys(target, deadline.within(40))
        except EcxHypervError as error:
            click.echo(f"{node.host} (host of {node.name}): {error.details}", err=True)
            exits.append(error.exit)
            continue
        _show(node, known, target.entry, new[target.entry])
    if not new:
        return worst(exits)
    if all(_are_pinned(known, entry, keys) for entry, keys in new.items()):
        click.echo(f"all pinned already in {known.path}")
    elif not dry and _agreed(yes):
        known.pin(new)
        click.echo(f"pinned in {known.path}; copy it to the other EC-VM, or run this there too")
    return worst(exits)


def _are_pinned(known: KnownHosts, entry: str, keys: Sequence[paramiko.PKey]) -> bool:
    return bool(keys) and all(known.state_of(entry, key) is PinState.PINNED for key in keys)


def _show(node: Node, known: KnownHosts, entry: str, keys: Sequence[paramiko.PKey]) -> None:
    click.echo(f"{node.host} (host of {node.name}):")
    for key in keys:
        click.echo(f"  {key.get_name():20} {key.fingerprint}  {known.state_of(entry, key).value}")
    click.echo(
        "  compare on the host: Get-ChildItem C:\\ProgramData\\ssh\\*.pub | ForEach-Object { ssh-keygen -lf $_ }"
    )


def _agreed(yes: bool) -> bool:
    if yes:
        return True
    try:
        return click.confirm("Are these the hosts' keys?", default=False)
    except click.Abort:
        raise UsageError(
            "nothing was pinned", seen="no answer", remedy="compare the keys, then run: ecx-hyperv trust --yes"
        ) from None
