"""The text that clpstat prints in the lab, column by column as the real one."""

from collections.abc import Iterator

from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.servers import GROUP

_RULE = " ======================================================================"


def render(ecx: SimulatedEcx, node: str, *, long: bool = False) -> str:
    """Return what clpstat prints on one server."""
    return "\n".join(_lines(ecx, node, 33 if long else 16)) + "\n"


def _lines(ecx: SimulatedEcx, node: str, width: int) -> Iterator[str]:
    yield " ========================  CLUSTER STATUS  ==========================="
    yield "  Cluster : hyperv-cluster"
    yield "  <server>"
    for name in ecx.servers:
        status = ecx.sees(node, name)
        yield f"   {'*' if name == node else ' '}{_dotted(name, width)}: {status:17}"
        heartbeat = "Normal" if status == "Online" else "Offline"
        yield f"      {_plain('lankhb1', width - 2)}: {heartbeat:17}Kernel Mode LAN Heartbeat"
    active = [one for one in ecx.servers.values() if one.is_active and ecx.sees(node, one.name) == "Online"]
    yield "  <group>"
    yield f"    {_dotted(GROUP, width)}: {active[0].group if active else 'Offline':17}"
    yield f"      {_plain('current', width - 2)}: {active[0].name if active else 'None'}"
    for resource, state in (active[0].resources if active else {}).items():
        yield f"      {_plain(resource, width - 2)}: {state:17}"
    yield "  <monitor>"
    for monitor in ecx.servers[node].monitors.values():
        yield f"    {_plain(monitor.name, width)}: {monitor.status:17}"
    yield _RULE


def _dotted(name: str, width: int) -> str:
    """Fill a name up with dots, or cut it, as clpstat does."""
    return f"{name[:width]} ".ljust(width + 1, ".")


def _plain(name: str, width: int) -> str:
    """Fill a name up with blanks, or cut it."""
    return f"{name[:width]} ".ljust(width + 1)
