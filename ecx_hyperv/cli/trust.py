"""ecx-hyperv trust: fetch the hosts' keys, show them, pin them."""

from pathlib import Path

import click
import paramiko

from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import EcxHypervError, LocalError, UsageError
from ecx_hyperv.exits import Exit, worst
from ecx_hyperv.host.ssh import SshTarget, fetch_host_keys


def pin(config: Config, deadline: Deadline, *, yes: bool, dry: bool) -> Exit:
    """Show the keys of both hosts, and pin them once a person has agreed; raises UsageError, LocalError.

    A host that does not answer is told, and keeps the keys it had.
    """
    known = _load(config.ssh.known_hosts)
    new: dict[str, list[paramiko.PKey]] = {}
    exits = []
    for node in config.node:
        target = SshTarget(node.host, config.ssh.port, config.ssh.user, config.ssh.key, config.ssh.known_hosts)
        try:
            new[target.entry] = fetch_host_keys(target, deadline.within(40))
        except EcxHypervError as error:
            click.echo(f"{node.host} (host of {node.name}): {error}", err=True)
            exits.append(error.exit)
            continue
        _show(node.host, node.name, new[target.entry], _pinned(known, target.entry))
    if not new:
        return worst(exits)
    if all(keys and all(key in _pinned(known, entry) for key in keys) for entry, keys in new.items()):
        click.echo(f"all pinned already in {config.ssh.known_hosts}")
    elif not dry and _agreed(yes):
        _save(known, new, Path(config.ssh.known_hosts))
        click.echo(f"pinned in {config.ssh.known_hosts}; copy it to the other EC-VM, or run this there too")
    return worst(exits)


def _load(path: str) -> paramiko.HostKeys:
    try:
        return paramiko.HostKeys(path)
    except FileNotFoundError:
        return paramiko.HostKeys()
    except (OSError, ValueError, paramiko.SSHException) as error:
        raise LocalError(
            f"{path} cannot be read", seen=str(error), remedy=f"move {path} away and run this again"
        ) from None


def _pinned(known: paramiko.HostKeys, entry: str) -> list[paramiko.PKey]:
    return list((known.lookup(entry) or {}).values())


def _show(host: str, node: str, keys: list[paramiko.PKey], pinned: list[paramiko.PKey]) -> None:
    click.echo(f"{host} (host of {node}):")
    for key in keys:
        if key in pinned:
            state = "pinned already"
        else:
            state = "CHANGED since it was pinned" if any(one.get_name() == key.get_name() for one in pinned) else "new"
        click.echo(f"  {key.get_name():20} {key.fingerprint}  {state}")
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


def _save(known: paramiko.HostKeys, new: dict[str, list[paramiko.PKey]], path: Path) -> None:
    fresh = paramiko.HostKeys()
    for entry in list(known):
        for key in (known.lookup(entry) or {}).values() if entry not in new else ():
            fresh.add(entry, key.get_name(), key)
    for entry, keys in new.items():
        for key in keys:
            fresh.add(entry, key.get_name(), key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        fresh.save(str(temporary))
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise LocalError(f"{path} cannot be written", seen=error.strerror or str(error), remedy="run as root") from None
