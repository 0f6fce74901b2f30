"""Tables and the live line: the only place that imports rich."""

from typing import Self

from rich.console import Console
from rich.status import Status as Spinner
from rich.table import Table
from rich.text import Text

from ecx_hyperv.plain import flat
from ecx_hyperv.run.status import HostStatus, OnHost, PairStatus

_WIDE = 200


class LiveProgress:
    """A line on the terminal that says what is going on, for each VM."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, emoji=False)
        self._spinner = Spinner("", console=self._console)
        self._shown: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._spinner.stop()

    def show(self, vm: str, text: str) -> None:
        """Show what is being done for a VM, in place of what was shown before."""
        self._shown[vm] = text
        self._spinner.update(_plain("   ".join(f"{name}: {what}" for name, what in self._shown.items())))


def show_status(status: PairStatus) -> None:
    """Print a status as tables on stdout."""
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        # For a pager or a file nothing need be folded.
        console = Console(highlight=False, emoji=False, width=_WIDE)
    for table in (_hosts(status), _vms(status), _volumes(status)):
        console.print(table)
    console.print(_plain(f"ECX: {_ecx(status)}"))
    for flag in status.maintenance:
        until = f"until {flag.until.astimezone():%Y-%m-%d %H:%M}" if flag.until else "until it is ended"
        console.print(_plain(f"in maintenance {until}: {flag.name} {flag.reason}".rstrip()))
    for host in status.hosts:
        if host.trouble:
            console.print(_plain(f"{host.name or host.address}: {host.trouble}"))


def _hosts(status: PairStatus) -> Table:
    table = _table("host", "address", "node", "iSCSI")
    for host in status.hosts:
        name = f"{host.name or '-'} ({'local' if host.side == 'local' else 'peer'})"
        _row(table, name, host.address, _node(host), _ISCSI[host.iscsi])
    return table


_ISCSI = {True: "connected", False: "not connected", None: "-"}


def _node(host: HostStatus) -> str:
    if not host.answers:
        return host.contact
    return ", ".join([host.node or "unknown", *host.node_flags])


def _vms(status: PairStatus) -> Table:
    local, peer = (host.name or host.address for host in status.hosts)
    table = _table("VM", "owner", "group", f"on {local}", f"on {peer}", "configuration", "")
    for vm in status.vms:
        group = ", ".join([vm.group or "unknown", *vm.group_flags])
        remark = "maintenance" if vm.maintenance else ""
        _row(table, vm.name, vm.owner, group, _state(vm.local), _state(vm.peer), vm.configuration, remark)
    return table


def _state(shown: OnHost | None) -> str:
    if shown is None:
        return "-"
    extra = [word for word in shown.operational if word not in ("Ok", "InService")]
    beat = [shown.heartbeat] if shown.heartbeat and not shown.heartbeat.startswith("Ok") else []
    up = [f"up {_duration(shown.uptime)}"] if shown.uptime else []
    return ", ".join([shown.state, *up, *extra, *beat])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{days}d" if days else "", f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{rest}s"]
    return " ".join([part for part in parts if part][:2])


def _volumes(status: PairStatus) -> Table:
    table = _table("Shared Volume", "state", "owner")
    for volume in status.volumes:
        _row(table, volume.name, volume.state or "unknown", volume.owner)
    return table


def _ecx(status: PairStatus) -> str:
    if status.ecx.trouble:
        return status.ecx.trouble
    servers = [f"{'*' if one.is_local else ''}{one.name} {one.status}" for one in status.ecx.servers]
    groups = [f"{name} {where}" for name, where in status.ecx.groups.items()]
    return "; ".join([*servers, *groups])


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(_plain(column), overflow="fold")
    return table


def _row(table: Table, *cells: str | None) -> None:
    # Names of VMs may hold what rich would take for markup.
    table.add_row(*(_plain(cell or "-") for cell in cells))


def _plain(text: str) -> Text:
    return Text(flat(text))
