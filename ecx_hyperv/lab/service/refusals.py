"""What the lab does not do, as sentences: a name that it does not have, a group that cannot be moved."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from ecx_hyperv.errors import UsageError
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.servers import GROUP, SimulatedServer

_T = TypeVar("_T")


def named(known: Mapping[str, _T], name: str, what: str) -> _T:
    """Return what stands under a name; raises UsageError that lists the names where there is no such one."""
    if name not in known:
        raise UsageError(f"the lab has no {what} {name!r}", remedy=f"name one of: {', '.join(known)}")
    return known[name]


def words(given: Iterable[str], count: int, example: str) -> list[str]:
    """Return so many words of a command line; raises UsageError with an example where there are more or fewer."""
    found = list(given)
    if len(found) != count:
        raise UsageError(
            "this command of the lab has too many or too few words",
            seen=" ".join(found) or "none",
            remedy=f"write it like: ecx-hyperv lab {example}",
        )
    return found


def of_group(ecx: SimulatedEcx, verb: str, target: str) -> str:
    """Return why the lab's ECX does not start, stop or move its group now, in the words of clpgrp's last line."""
    active = next((one for one in ecx.servers.values() if one.is_active), None)
    if verb == "stop":
        return f"{GROUP} is not active on any server."
    if verb == "start":
        return _why_not_started(ecx, active, target)
    if active is None:
        return f"{GROUP} is not active on any server: there is nothing to move."
    if active.name == target:
        return f"{GROUP} is active on {target} already."
    if ecx.sees(active.name, target) != "Online":
        return f"ECX on {target} is not Online: {ecx.sees(active.name, target)}."
    if not ecx.mirror.is_whole(target):
        return f"the mirror disk of {target} is not usable."
    return f"{GROUP} is being started, stopped or moved already."


def _why_not_started(ecx: SimulatedEcx, active: SimulatedServer | None, target: str) -> str:
    if ecx.servers[target].service != "Online":
        return f"ECX on {target} is not Online: {ecx.servers[target].service}."
    if active is not None:
        return f"{GROUP} is active on {active.name} already."
    return f"{GROUP} is being started, stopped or moved already."
