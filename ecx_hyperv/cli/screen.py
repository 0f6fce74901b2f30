"""The screen of `ecx-hyperv status`, as lines: the verdict first, what to do last, and between them what was seen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from rich.text import Text

from ecx_hyperv.cli.lines import Cell, hanging, table, wrapped
from ecx_hyperv.deadline import in_time
from ecx_hyperv.decide.facts import VmOnHost
from ecx_hyperv.decide.mirror import MirrorHealth
from ecx_hyperv.decide.overview import HostStatus, MirrorStatus, Reach, VmStatus
from ecx_hyperv.decide.states import NodeKind, ResourceKind, VmKind, node_kind, resource_kind
from ecx_hyperv.decide.verdict import PairVerdict, Severity
from ecx_hyperv.decide.vm_shown import ShownVm, show_vm
from ecx_hyperv.run.status import PairStatus

_INDENT = 12
# Below this a VM is a block of lines: a row of a table would break.
_BLOCKS_BELOW = 100
# So many monitors are named where all is well with them.
_MOST_MONITORS = 4
_BAD, _WORSE, _BLIND = "yellow", "bold red", "magenta"
STYLES = {
    Severity.OK: "bold green",
    Severity.WARNING: "bold yellow",
    Severity.CANNOT_TELL: "bold magenta",
    Severity.CRITICAL: "bold red",
}
_COLORS = {"GREEN": "green", "YELLOW": "bold yellow", "RED": "bold red", "GRAY": _BLIND, "BLUE": "bold red"}
_ISCSI = {True: "connected", False: "not connected", None: "-"}
_REACH = {
    Reach.ANSWERS: "",
    Reach.SILENT: "silent",
    Reach.NO_CONNECTION: "cannot be connected to",
    Reach.LOGIN_REFUSED: "refuses the login",
    Reach.KEY_NOT_PINNED: "host key not pinned",
    Reach.NO_ALGORITHM: "no common SSH algorithm",
    Reach.UNREADABLE: "unreadable",
}
_ECX_STYLES = {"Error": _WORSE, "Offline": _WORSE, "Caution": _BAD, "Suspend": _BAD}


def screen(status: PairStatus, width: int) -> list[Text]:
    """Return the whole screen for a terminal of that many columns."""
    return [
        *verdict_lines(status.verdict, width),
        *_hosts(status, width),
        *_vms(status, width),
        *_rest(status, width),
        *(line for do in status.verdict.do for line in hanging([Cell("Do:", "bold")], [Cell(do)], width, _INDENT)),
    ]


def verdict_lines(verdict: PairVerdict, width: int) -> list[Text]:
    """Return the verdict with its reasons; one line where the screen is wide enough."""
    head = Cell(verdict.severity.value, STYLES[verdict.severity]).line() + Text("  ")
    return wrapped(head, [Cell(verdict.text)], width, _INDENT)


def _hosts(status: PairStatus, width: int) -> Iterator[Text]:
    rows = [_host_row(status, host) for host in status.hosts]
    heading = ["HOST", "WSFC", "iSCSI", "ECX on its EC-VM", ""]
    lines = table(heading, rows, width)
    if lines is not None:
        yield from lines
    else:
        for (name, *cells), host in zip(rows, status.hosts, strict=True):
            yield from hanging([Cell("HOST ", "bold"), name], [], width, 0)
            for label, cell in zip([*heading[1:3], f"ECX on {host.ec_vm}", "contact"], cells, strict=True):
                if cell.text:
                    yield from hanging([Cell(f"  {label}")], [cell], width, _INDENT + 4)
    for host in status.hosts:
        if host.trouble:
            yield from hanging([Cell(f"{host.label}:")], [Cell(host.trouble)], width, _INDENT)


def _host_row(status: PairStatus, host: HostStatus) -> list[Cell]:
    server = status.ecx.server(host.ec_vm)
    is_active = host.ec_vm == status.ecx.active
    ecx = "-" if server is None else server.status + (", active" if is_active else "")
    kind = None if host.node is None else node_kind(host.node, host.node_flags)
    node = ", ".join(host.node_flags) or host.node or "-"
    here = "  (here)" if host.ec_vm == status.node else ""
    return [
        Cell(host.label + here),
        Cell(node, "" if kind in (None, NodeKind.UP) else _BAD),
        Cell(_ISCSI[host.iscsi], _BAD if host.iscsi is False else ""),
        Cell(f"{host.ec_vm} {ecx}", _ECX_STYLES.get("" if server is None else server.status, "")),
        Cell(_REACH[host.reach], _BAD),
    ]


def _vms(status: PairStatus, width: int) -> Iterator[Text]:
    shown = [(vm, show_vm(vm, status)) for vm in status.vms]
    rows = [
        [
            Cell(vm.name),
            Cell(how.where),
            Cell(how.state, _vm_style(how)),
            Cell("" if vm.seconds is None else in_time(vm.seconds)),
            Cell(_note(vm, how, status)),
        ]
        for vm, how in shown
    ]
    lines = table(["VM", "WHERE", "STATE", "FOR", "NOTE"], rows, width) if width >= _BLOCKS_BELOW else None
    if lines is not None:
        yield from lines
        return
    for name, where, state, lasted, note in rows:
        yield from hanging([Cell("VM ", "bold"), name], [], width, 0)
        how_long = Cell(f"for {lasted.text}" if lasted.text else "", apart=True)
        on = Cell(f"on {where.text}" if where.text != "-" else "")
        yield from hanging([Cell(" ")], [on, replace(state, apart=True), how_long], width, 2)
        if note.text:
            yield from hanging([Cell(" ")], [note], width, 2)


def _vm_style(how: ShownVm) -> str:
    if how.is_twice:
        return _WORSE
    if how.kind is VmKind.RUNNING:
        return _BAD if how.is_moving or how.heartbeat_lost else ""
    return {VmKind.TRANSITIONAL: _BAD, VmKind.UNREADABLE: _BLIND}.get(how.kind, _WORSE)


def _note(vm: VmStatus, how: ShownVm, status: PairStatus) -> str:
    if vm.maintenance:
        return f"in maintenance {_until(vm.maintenance_until)}"
    if VmOnHost(how.kind).is_critical and status.ecx.active:
        return f"its monitor fails it after {in_time(status.settle)}"
    return ""


def _until(moment: str | None) -> str:
    return f"until {datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else "until it is ended"


def _rest(status: PairStatus, width: int) -> Iterator[Text]:
    for volume in status.volumes:
        kind = ResourceKind.UNKNOWN if volume.state is None else resource_kind(volume.state)
        style = {ResourceKind.ONLINE: "", ResourceKind.PENDING: _BAD, ResourceKind.UNKNOWN: _BLIND}.get(kind, _WORSE)
        on = f"on {volume.owner}" if volume.owner and kind is ResourceKind.ONLINE else ""
        words = [Cell(volume.name), Cell(volume.state or "unknown", style, apart=True), Cell(on)]
        yield from hanging([Cell("volume", "bold")], words, width, _INDENT)
    for mirror in status.mirrors:
        yield from hanging([Cell("mirror", "bold")], _mirror(status, mirror), width, _INDENT)
    yield from hanging([Cell("ECX", "bold")], _ecx(status), width, _INDENT)
    for flag in status.maintenance:
        reason = f": {flag.reason}" if flag.reason else ""
        words = [Cell(flag.name), Cell(f"{_until(flag.until)}{reason}", apart=True)]
        yield from hanging([Cell("maintenance", "bold")], words, width, _INDENT)
    if status.maintenance_trouble:
        yield from hanging([Cell("maintenance", "bold")], [Cell(status.maintenance_trouble, _BLIND)], width, _INDENT)
    if status.configuration.is_last_good_copy:
        words = [
            Cell(f"{status.configuration.path}, the last good copy:", _BAD),
            _or_empty(status.configuration.trouble),
        ]
        yield from hanging([Cell("config", "bold")], words, width, _INDENT)


def _or_empty(text: str | None) -> Cell:
    return Cell(text or "")


def _mirror(status: PairStatus, mirror: MirrorStatus) -> list[Cell]:
    if not mirror.copies:
        return [Cell(mirror.name or ""), Cell(mirror.text, _BLIND)]
    cells = [Cell(mirror.name or "")]
    for copy in mirror.copies:
        share = f" {mirror.percent} %" if copy.color == "YELLOW" and mirror.percent is not None else ""
        active = "(active)" if copy.server and copy.server == status.ecx.active else ""
        cells += [
            Cell(copy.server or "", apart=True),
            Cell(copy.color + share, _COLORS[copy.color], apart=not copy.server),
            Cell(active),
        ]
    if mirror.health is MirrorHealth.COPYING:
        cells.append(Cell("- do not move or fail over now", _BAD))
    elif mirror.health is not MirrorHealth.GREEN:
        cells.append(Cell(f"- {mirror.health.value}", _BAD))
    return cells


def _ecx(status: PairStatus) -> list[Cell]:
    ecx = status.ecx
    if ecx.trouble:
        return [Cell(ecx.trouble, _BLIND)]
    cells: list[Cell] = []
    for group in ecx.groups:
        where = f" on {group.server}" if group.server else ""
        bad = [one for one in group.resources if one.status != group.status]
        end = ":" if bad else ";"
        cells += [Cell(group.name), Cell(f"{group.status}{where}{end}", _ECX_STYLES.get(group.status, ""))]
        for number, one in enumerate(bad, 1):
            end = ";" if number == len(bad) else ","
            cells += [Cell(one.name), Cell(one.status + end, _ECX_STYLES.get(one.status, ""))]
    return [*cells, *_monitors([(one.name, one.status) for one in ecx.monitors])]


def _monitors(monitors: Sequence[tuple[str, str]]) -> list[Cell]:
    """Name the monitors; of many only those that are not Normal, and how many are."""
    if not monitors:
        return [Cell("no monitor is shown")]
    bad = [one for one in monitors if one[1] != "Normal"]
    named = list(monitors) if len(monitors) <= _MOST_MONITORS else bad
    more = len(monitors) - len(named)
    cells = [Cell("monitors:")]
    for number, (name, state) in enumerate(named, 1):
        end = "," if number < len(named) or more else ""
        cells += [Cell(name), Cell(state + end, _ECX_STYLES.get(state, ""))]
    return [*cells, Cell(f"{more} Normal")] if more else cells
