"""What is known of the whole set-up when it is judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ecx_hyperv.check.host_facts import HostFacts
from ecx_hyperv.check.vm_identity import IdentifiedVm, identify_vm
from ecx_hyperv.config import Config, ProtectedVm
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.errors import HostError
from ecx_hyperv.host.observe import is_same_host


@dataclass(frozen=True, slots=True)
class CheckContext:
    """Both hosts as they answered, or why not.

    `group_runs` is whether ECX has the failover group online anywhere, None where that is not known: without it no VM
    is registered and no disk served, and that is as it should be. `runs_here` is whether the group may be online on
    this EC-VM: then its runs have seen the VMs. `acls` are the initiators that the target lets in, `identities` which
    VM each [[vm]] means, by its casefolded name.
    """

    config: Config
    pair: Pair
    hosts: Mapping[Side, HostFacts | HostError]
    group_runs: bool | None
    acls: tuple[str, ...] | None = None
    identities: Mapping[str, IdentifiedVm] = field(default_factory=dict)
    runs_here: bool = True

    @property
    def migrations_wanted(self) -> int:
        """Return how many live migrations must be allowed at a time."""
        return min(2, max(1, len(self.config.vm)))

    def place(self, side: Side) -> str:
        """Return a host's name, its address where it did not say."""
        facts = self.hosts[side]
        return self.pair.of(side).host if isinstance(facts, HostError) else facts.hello.host

    def told(self) -> dict[Side, HostFacts]:
        """Return the hosts that answered."""
        return {side: facts for side, facts in self.hosts.items() if not isinstance(facts, HostError)}

    def identity(self, vm: ProtectedVm) -> IdentifiedVm:
        """Return which VM a [[vm]] means."""
        return self.identities.get(vm.name.casefold()) or identify_vm(vm, "", ())

    def node_name(self, side: Side) -> str:
        """Return the name of a host's node in the cluster, as the cluster spells it."""
        place = self.place(side)
        for facts in self.told().values():
            if isinstance(facts.nodes, tuple):
                found = [node.name for node in facts.nodes if is_same_host(node.name, place)]
                if found:
                    return found[0]
        return place
