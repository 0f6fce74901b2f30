"""What ECX hands over: the CLP_* variables, the folder that a script runs in; and which EC-VM this is."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecx_hyperv.config import Config, Node
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.stops import Factor
from ecx_hyperv.ecx import ip_addresses
from ecx_hyperv.ecx.commands import Runner
from ecx_hyperv.ecx.ip_addresses import InterfaceAddress
from ecx_hyperv.errors import ConfigError, LocalError, Mistake, UsageError

_PREFIXES = ("exec-", "genw-")
_FACTORS = {factor.value: factor for factor in Factor if factor not in (Factor.OTHER, Factor.NONE)}


@dataclass(frozen=True, slots=True)
class EcxCall:
    """How ECX called us; every part is empty where it did not say."""

    event: str
    factor: Factor
    factor_word: str
    resource: str
    folder: str
    has_variables: bool = False

    @property
    def is_by_ecx(self) -> bool:
        """Tell whether ECX calls, as a CLP_* variable or the script's folder shows; a person calls without either."""
        said = self.has_variables or bool(self.event or self.factor_word or self.resource)
        return said or self.folder.startswith(_PREFIXES)


def read_call(environ: Mapping[str, str], folder: Path) -> EcxCall:
    """Read the CLP_* variables; none of them is certain, in a monitor least of all."""
    word = environ.get("CLP_FACTOR", "").strip()
    return EcxCall(
        event=environ.get("CLP_EVENT", "").strip(),
        factor=_factor(word),
        factor_word=word,
        resource=environ.get("CLP_RESOURCENAME", "").strip(),
        folder=folder.name,
        has_variables=any(name.startswith("CLP_") and value.strip() for name, value in environ.items()),
    )


def _factor(word: str) -> Factor:
    return _FACTORS.get(word, Factor.OTHER) if word else Factor.NONE


def choose_vms(config: Config, arguments: Sequence[str], call: EcxCall) -> list[str]:
    """Say which VMs are meant: the arguments, else the resource's, else the folder's; each as configured.

    Raises UsageError for a name that is not in the configuration: a typo must not pass for a VM that is off.
    """
    if arguments:
        found = [config.find_vm(name) for name in arguments]
        missing = [name for name, vm in zip(arguments, found, strict=True) if vm is None]
        if missing:
            raise UsageError(f"no VM named {missing[0]!r}", seen=_known(config), remedy="name one of these")
        return list(dict.fromkeys(vm.name for vm in found if vm is not None))
    for given in (call.resource, call.folder):
        name = _of_resource(config, given)
        if name is not None:
            return [name]
    given = ", ".join(repr(part) for part in (call.resource, call.folder) if part)
    raise UsageError(
        "which VM is meant is not said",
        seen=f"no argument, and neither CLP_RESOURCENAME nor the folder names one ({given}); {_known(config)}",
        remedy="name the VM, or set resource in its [[vm]] to the name of its ECX resource",
    )


def is_by_hand(config: Config, call: EcxCall) -> bool:
    """Tell whether a person calls: ECX hands over a CLP_* variable, or runs a script in the folder of a resource."""
    return not call.has_variables and _of_resource(config, call.folder) is None


def factor_of(config: Config, call: EcxCall) -> Factor:
    """Return why a stop was called; ECX that does not say why stops the group, and a person has no reason of ECX's."""
    if call.factor is Factor.NONE and not is_by_hand(config, call):
        return Factor.GROUPSTOP
    return call.factor


def _of_resource(config: Config, given: str) -> str | None:
    bare = next((given.removeprefix(prefix) for prefix in _PREFIXES if given.startswith(prefix)), None)
    for vm in config.vm:
        resource = vm.resource or f"exec-{vm.name}"
        # A monitor of the resource exec-web is called genw-web.
        if given and given in (resource, f"genw-{resource.removeprefix('exec-')}", f"genw-{vm.name}"):
            return vm.name
    found = config.find_vm(bare) if bare else None
    return None if found is None or found.resource else found.name


def _known(config: Config) -> str:
    return "configured: " + (", ".join(vm.name for vm in config.vm) or "none")


@dataclass(frozen=True, slots=True)
class Pair:
    """The two EC-VMs, as seen from this one."""

    local: Node
    peer: Node

    def of(self, side: Side) -> Node:
        """Return the EC-VM of that side."""
        return self.local if side is Side.LOCAL else self.peer


def identify(config: Config, node: str, addresses: Callable[[], frozenset[str]], file: str) -> Pair:
    """Say which of the two nodes this is: the one named, else the one that owns its address, exactly.

    Raises UsageError for a name that is not configured, ConfigError if the addresses cannot tell.
    """
    if node:
        local = [one for one in config.node if one.name == node]
        if not local:
            names = ", ".join(one.name for one in config.node)
            raise UsageError(f"no node named {node!r}", seen=f"configured: {names}", remedy="correct --node")
    else:
        here = {ipaddress.ip_address(address) for address in addresses()}
        local = [one for one in config.node if ipaddress.ip_address(one.address) in here]
        if len(local) != 1:
            names = ", ".join(f"{one.name} {one.address}" for one in config.node)
            seen = "both are" if local else "neither is"
            raise ConfigError(
                [
                    Mistake(
                        file, "node.address", f"the address of exactly one EC-VM to be this machine's ({names})", seen
                    )
                ],
                remedy="correct the addresses, or say which node this is with --node or ECX_HYPERV_NODE",
            )
    peer = next(one for one in config.node if one is not local[0])
    return Pair(local[0], peer)


def local_addresses(run: Runner) -> frozenset[str]:
    """Return this machine's addresses, as `ip` lists them; raises LocalError if it does not."""
    return frozenset(one.address for one in interface_addresses(run))


def interface_addresses(run: Runner) -> tuple[InterfaceAddress, ...]:
    """Return this machine's addresses with their interfaces, as `ip` lists them; raises LocalError if it does not."""
    done = run(["ip", "-json", "address", "show"], 10)
    found = ip_addresses.parse(done.stdout)
    if found is None:
        said = (done.stderr.decode("utf-8", "replace").strip() or "no list of interfaces").splitlines()[-1]
        raise LocalError(
            "this machine's addresses cannot be read",
            seen=f"ip -json address show: exit {done.code}, {said}",
            remedy="say which node this is with --node or ECX_HYPERV_NODE",
        )
    return found
