"""A configuration that can be used, and not only read: what contradicts itself, with the file, line and key of each.

`config check`, `check` and `setup` demand it. A run does not: a file that worked yesterday goes on to work. It bounds
what cannot hold together (timing.py), leaves alone what is not a protected VM, and tells both.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence

from ecx_hyperv.config import Config
from ecx_hyperv.desired.ecx import LONGEST_S
from ecx_hyperv.errors import Mistake
from ecx_hyperv.toml_lines import line_of, lines_of
from ecx_hyperv.usable.timing import bounded

# What ECX adds to the timeout of a script, and what the program needs beyond its own limit.
_ECX_ADDS_S = 240
# What ECX's own editor takes for the name of a resource.
_RESOURCE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,29}[A-Za-z0-9._-])?", re.ASCII)

# Key, what was expected, what was seen.
_Doubt = tuple[str, str, str]


def find_mistakes(config: Config, file: str, text: str = "", pace: float = 1.0) -> list[Mistake]:
    """Return what keeps a valid configuration from being usable; `text` is the file's, for the lines."""
    lines = lines_of(text)
    return [Mistake(file, *one, line=line_of(lines, one[0])) for one in _doubts(config, pace)]


def advice(config: Config) -> list[str]:
    """Return what is allowed but probably not meant, one sentence each."""
    timing = config.timing
    # ECX kills a start or stop script after 1800 s, unless it is told another time.
    odd = {
        f"timing.{key} needs a longer timeout in ECX than the 1800 s that a script has by default": seconds > 1740
        for key, seconds in (("start", timing.start), ("unregister", timing.unregister))
    }
    odd["no [[vm]] is named"] = not config.vm
    return [text for text, is_so in odd.items() if is_so]


def _doubts(config: Config, pace: float) -> Iterator[_Doubt]:
    yield from _of_timing(config, pace)
    yield from _of_ec_vms(config)
    yield from _of_addresses(config)
    yield from _of_vms(config)
    yield from _of_paths(config)


def _of_timing(config: Config, pace: float) -> Iterator[_Doubt]:
    timing, doubts = bounded(config.timing, pace)
    yield from ((f"timing.{one.key}", one.expected, f"{one.value:g}") for one in doubts)
    longest = LONGEST_S - _ECX_ADDS_S
    for key in ("start", "unregister", "monitor"):
        seconds = getattr(timing, key)
        if seconds > longest:
            yield f"timing.{key}", f"{longest} or less, since ECX has no longer timeout", f"{seconds:g}"


def _of_ec_vms(config: Config) -> Iterator[_Doubt]:
    one, other = config.node
    if one.vm.casefold() == other.vm.casefold():
        yield "node[2].vm", "the EC-VM of this node, which is another one", f"{other.vm!r} again"
    nodes = {node.vm.casefold(): node.name for node in config.node}
    for number, vm in enumerate(config.vm, 1):
        for key, name in (("name", vm.name), ("role", vm.role)):
            if name is not None and name.casefold() in nodes:
                yield f"vm[{number}].{key}", "a protected VM", f"{name!r}, the EC-VM of {nodes[name.casefold()]}"


def _of_addresses(config: Config) -> Iterator[_Doubt]:
    places = [("cluster.iscsi_target", config.cluster.iscsi_target)]
    for number, node in enumerate(config.node, 1):
        places += [(f"node[{number}].address", node.address), (f"node[{number}].host", node.host)]
    taken: dict[str, str] = {}
    for key, text in places:
        why = _why_no_address(text, is_host=key.endswith("host"))
        if why:
            yield key, why, repr(text)
        machine = _canonical(text)
        if machine in taken:
            yield key, "an address of its own", f"{text!r}, which {taken[machine]} is too"
        taken.setdefault(machine, key)


def _canonical(text: str) -> str:
    """Return what two spellings of one address or host name have in common."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        # A domain may be left out, and names of Windows know no case.
        return text.casefold().rstrip(".").split(".")[0]
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _why_no_address(text: str, *, is_host: bool) -> str:
    """Return what was expected where a text is no address of a machine; empty if it is one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if re.fullmatch(r"[0-9.]+", text) or ":" in text:
            return "an IP address, whose numbers go up to 255"
        is_name = all(re.fullmatch(r"[\w](?:[\w-]{0,61}[\w])?", part) for part in text.rstrip(".").split("."))
        return "" if is_host and is_name else "an IP address, or the name of a host"
    unfit = address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255"
    return "the address of one machine" if unfit else ""


def _of_vms(config: Config) -> Iterator[_Doubt]:
    for number, vm in enumerate(config.vm, 1):
        # Where the name of the VM alone gives the resource its name, `setup ecx` tells what ECX may refuse.
        if vm.resource and not (_RESOURCE.fullmatch(vm.resource) and _RESOURCE.fullmatch(vm.monitor_name)):
            expected = (
                "a name that ECX takes, also with genw- for the monitor: up to 31 letters, digits, blanks and ._-"
            )
            yield f"vm[{number}].resource", expected, repr(vm.resource)
    roles = [(vm.role or vm.name).casefold() for vm in config.vm]
    yield from _again("role", roles)
    yield from _again("id", [(vm.id or "").strip("{}").casefold() for vm in config.vm])
    yield from _again("resource", [vm.monitor_name.casefold() for vm in config.vm])


def _again(key: str, values: Sequence[str]) -> Iterator[_Doubt]:
    for at, value in enumerate(values):
        if value and value in values[:at]:
            yield f"vm[{at + 1}].{key}", "a value of its own", f"{value!r}, as in vm[{values.index(value) + 1}]"


def _of_paths(config: Config) -> Iterator[_Doubt]:
    state, run = (path.rstrip("/") + "/" for path in (config.paths.state, config.paths.run))
    if state.startswith((run, "/run/ecx", "/var/run/", "/dev/")):
        yield "paths.state", "a folder that a restart does not empty, such as /var/lib/ecx-hyperv", repr(state[:-1])
