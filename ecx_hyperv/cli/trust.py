"""ecx-hyperv trust: fetch the hosts' keys, show them, pin them.

Everything that is shown here comes from somebody who has not proven yet who they are: it goes through `flat`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from ecx_hyperv.config import Config, Node
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import EcxHypervError, UsageError
from ecx_hyperv.exits import Exit, worst
from ecx_hyperv.host.known_hosts import KnownHosts, Pins, PinState
from ecx_hyperv.host.known_hosts_file import PinnedKey
from ecx_hyperv.host.ssh import SshTarget, fetch_host_keys
from ecx_hyperv.plain import flat

_CHANGES = frozenset({PinState.CHANGED, PinState.OTHER_KIND})


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a host shows, and what is pinned for it."""

    node: Node
    port: int
    keys: tuple[tuple[PinnedKey, PinState], ...]
    own: tuple[PinnedKey, ...]

    @property
    def good(self) -> tuple[PinnedKey, ...]:
        """Return the keys that may be pinned."""
        return tuple(key for key, state in self.keys if state is not PinState.REVOKED)

    @property
    def gone(self) -> tuple[PinnedKey, ...]:
        """Return the pinned keys that the host no longer shows."""
        return tuple(key for key in self.own if key not in [one for one, _ in self.keys])

    @property
    def is_change(self) -> bool:
        """Tell whether it shows a key that is not one of those pinned for it."""
        return any(state in _CHANGES for _, state in self.keys)

    @property
    def is_pinned(self) -> bool:
        """Tell whether all is pinned that may be."""
        return all(state is PinState.PINNED for _, state in self.keys if state is not PinState.REVOKED)


def pin(config: Config, deadline: Deadline, *, yes: bool, dry: bool, replace: Sequence[str] = ()) -> Exit:
    """Show the keys of both hosts, and pin them once a person has agreed; raises UsageError, LocalError.

    A host that does not answer is told, and keeps the keys it had. So does a host whose keys have changed, unless it is
    one of `replace`: its address. Whoever answers at that address may be somebody else.
    """
    replaced = _named(config, replace)
    known = KnownHosts.read(config.ssh.known_hosts)
    shown, exits = _fetch(config, known, deadline)
    wanted: list[_Shown] = []
    for one in shown:
        refusal = _refusal(one, is_replaced=one.node.host in replaced)
        if refusal:
            click.echo(flat(f"{one.node.host} (host of {one.node.name}): {refusal}"), err=True)
            exits.append(Exit.LOGIN)
        elif not one.is_pinned or (one.gone and one.node.host in replaced):
            wanted.append(one)
    if not wanted:
        if shown and len(exits) < len(config.node):
            which = "all" if not exits else "what the other host shows is"
            click.echo(flat(f"{which} pinned already in {known.path}"))
    elif dry:
        asked = "" if yes else " once a person agrees,"
        click.echo(flat(_pinned(wanted, f"will be pinned{asked}", known)))
    else:
        if not _agreed(yes, [one for one in wanted if one.own]):
            click.echo("nothing was pinned")
            return Exit.NOT_AS_ASKED
        _write(known, wanted)
    return worst(exits)


def _named(config: Config, replace: Iterable[str]) -> set[str]:
    hosts = {node.host.casefold(): node.host for node in config.node}
    for name in replace:
        if name.casefold() not in hosts:
            raise UsageError(
                f"--replace: no host has the address {name}", remedy=f"name one of: {', '.join(hosts.values())}"
            )
    return {hosts[name.casefold()] for name in replace}


def _fetch(config: Config, known: KnownHosts, deadline: Deadline) -> tuple[list[_Shown], list[Exit]]:
    """Fetch and show the keys of each host that answers; return them, and how those end that do not."""
    found, exits = [], []
    ssh = config.ssh
    for node in config.node:
        target = SshTarget(node.host, ssh.port, ssh.user, ssh.key, ssh.known_hosts)
        try:
            keys = fetch_host_keys(target, deadline.within(40))
        except EcxHypervError as error:
            click.echo(flat(f"{node.host} (host of {node.name}): {error.details}"), err=True)
            exits.append(error.exit)
            continue
        states = tuple((key, known.state_of(node.host, ssh.port, key)) for key in keys)
        one = _Shown(node, ssh.port, states, known.own(node.host, ssh.port))
        _show(one)
        found.append(one)
    return found, exits


def _show(shown: _Shown) -> None:
    click.echo(flat(f"{shown.node.host} (host of {shown.node.name}):"))
    for key, state in shown.keys:
        click.echo(flat(f"  {key.kind:20} {key.fingerprint}  {state.value}"))
    for key in shown.gone:
        click.echo(flat(f"  {key.kind:20} {key.fingerprint}  pinned, but not shown by the host"))
    click.echo(
        "  compare on the host: Get-ChildItem C:\\ProgramData\\ssh\\*.pub | ForEach-Object { ssh-keygen -lf $_ }"
    )


def _refusal(shown: _Shown, *, is_replaced: bool) -> str:
    """Return why nothing is pinned for a host whatever a person says; empty if it may be."""
    host = shown.node.host
    if not shown.good:
        return "each key that it shows is revoked; nothing is pinned for it; do: give the host new keys"
    if shown.is_change and not is_replaced:
        return (
            "its keys are not those that are pinned; the pinned ones stay; do: if the host was reinstalled and these "
            f"fingerprints are its own: ecx-hyperv trust --replace {host}; if not, find out who answers there"
        )
    return ""


def _agreed(yes: bool, replaced: Sequence[_Shown]) -> bool:
    if yes:
        return True
    hosts = ", ".join(one.node.host for one in replaced)
    more = f" Those of {hosts} are to replace the pinned ones." if hosts else ""
    try:
        return click.confirm(flat(f"Are these the hosts' keys?{more}"), default=False)
    except click.Abort:
        raise UsageError(
            "nothing was pinned", seen="no answer", remedy="compare the keys, then run: ecx-hyperv trust --yes"
        ) from None


def _write(known: KnownHosts, wanted: Sequence[_Shown]) -> None:
    after = known.pin([Pins(one.node.host, one.port, one.good) for one in wanted])
    for one in wanted:
        for key in after.own(one.node.host, one.port):
            if key not in one.good:
                click.echo(
                    flat(f"{one.node.host}: a line with a pattern still pins {key.kind} {key.fingerprint} for it"),
                    err=True,
                )
    click.echo(flat(_pinned(wanted, "pinned", known)))


def _pinned(wanted: Sequence[_Shown], done: str, known: KnownHosts) -> str:
    hosts = ", ".join(one.node.host for one in wanted)
    return f"{hosts}: {done} in {known.path}; copy that file to the other EC-VM, or run this there too"
