"""Whether each host is the one that the configuration names: it shows the EC-VM that is to run on it.

Kept: hosts that are swapped between the nodes are told, and never a reason to fail (D20). A guest counts as absent only
where the same look shows an EC-VM of the host, so a host that does not show its own is asked for the other one.
"""

from collections.abc import Sequence

from ecx_hyperv.decide.facts import Side
from ecx_hyperv.host.observe import HostSnapshot, is_same_host
from ecx_hyperv.host.rows import VmRow, vm_key
from ecx_hyperv.host.snapshots import Snapshots
from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.run.context import RunContext


class Homes:
    """The EC-VM that each host is asked for; what they show goes into the context's `homes`."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._asked = {side: context.pair.of(side).vm for side in Side}

    def ec_vm(self, side: Side) -> str:
        """Return the name of the EC-VM that a host is asked for in the next look."""
        return self._asked[side]

    def note(self, snapshots: Snapshots) -> None:
        """Take note of what a look has shown."""
        for side in Side:
            snapshot = snapshots.snapshot(side)
            if snapshot is not None and not isinstance(snapshot.ec_vm, RemoteError):
                self._note(side, snapshot.host, snapshot.ec_vm)
        local, peer = snapshots.snapshot(Side.LOCAL), snapshots.snapshot(Side.PEER)
        if local is not None and peer is not None and is_same_host(local.host, peer.host):
            self._tell(f"both nodes name the same host: {local.host} answers at either address")

    def _note(self, side: Side, host: str, rows: Sequence[VmRow]) -> None:
        node = self._context.pair.of(side)
        other = self._context.pair.of(side.other)
        if self._asked[side].casefold() == node.vm.casefold():
            self._context.homes.own[side] = bool(rows)
        elif rows:
            self._tell(f"the host of {node.name} is {host}, on which {other.vm} runs: the hosts may be swapped")
        if not rows:
            self._asked[side] = other.vm if self._asked[side] == node.vm else node.vm

    def _tell(self, text: str) -> None:
        if text not in self._context.homes.told:
            self._context.homes.told.append(text)
            self._context.log.warning(text, do="correct host in each [[node]]: the host that this EC-VM runs on")


def ec_vm_ids(snapshots: Sequence[HostSnapshot]) -> frozenset[str]:
    """Return the ids of the EC-VMs that hosts show; of several VMs of that name those that are not clustered."""
    found: list[str] = []
    for snapshot in snapshots:
        rows = () if isinstance(snapshot.ec_vm, RemoteError) else snapshot.ec_vm
        found += [vm_key(row.id) for row in rows if len(rows) == 1 or row.is_clustered is not True]
    return frozenset(found) - {""}
