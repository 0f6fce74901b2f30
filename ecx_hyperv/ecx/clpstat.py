"""clpstat: how the servers, groups and monitors of the cluster are.

A section's name stands in angle brackets, two columns to the right of the page's edge. A server's row begins one
column to the right of it (`*` for the local one, else a blank), then comes a name cell of 16 columns, or of 33 with
--long, filled up with dots, a colon, a blank, the status in a field of 17 columns, and behind it the comment that an
operator gave the server in Cluster WebUI. A group's row is alike, without the mark; a monitor's and those below a
server (heartbeats, network partition resources) or a group (current, resources) are filled up with blanks. A name
that is longer than its cell is cut without a mark.

The status may be two words and the comment any text, so the status ends where two blanks follow, or with its field. A
row in which neither tells is kept whole as the status, which then means nothing: a comment that was taken for a
status once made a monitor blind and let a failover shut healthy guests down.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from tenacity import Retrying, retry_if_result, wait_fixed

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.peer import PeerEcx
from ecx_hyperv.ecx.commands import Completed, Runner
from ecx_hyperv.errors import LocalError

BUSY = 9

# The columns of a status, and of the shortest name cell.
_STATUS_WIDTH, _CELL = 17, 16
_SECTION = re.compile(r"^(?P<edge>\s*)<(?P<name>[^<>]+)>\s*$")
_CLUSTER = re.compile(r"^\s*Cluster\s*:\s*(?P<name>\S(?:.*\S)?)\s*$")
_RULE = re.compile(r"^\s*=+.*=+\s*$")
_ROW = re.compile(r"^(?P<name>\S+)(?P<fill>[ .]*):(?P<rest>.*)$")
_GAP = re.compile(r" {2,}|\t")

_STATUS = {
    "Online": PeerEcx.ONLINE,
    "Caution": PeerEcx.ONLINE,
    "Online Pending": PeerEcx.PENDING,
    "Offline Pending": PeerEcx.PENDING,
    "Suspend": PeerEcx.PENDING,
    "Offline": PeerEcx.OFFLINE,
}


@dataclass(frozen=True, slots=True)
class ClpstatRow:
    """A heartbeat, network partition resource, resource or monitor; the comment is ECX's third column."""

    name: str
    status: str
    comment: str = ""
    may_be_cut: bool = False


@dataclass(frozen=True, slots=True)
class ClpstatServer:
    """A server row, with its heartbeats and network partition resources."""

    name: str
    status: str
    is_local: bool
    may_be_cut: bool = False
    comment: str = ""
    heartbeats: tuple[ClpstatRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ClpstatGroup:
    """A group row with its resources; `current` is empty while it is active nowhere."""

    name: str
    status: str
    current: str
    may_be_cut: bool = False
    comment: str = ""
    resources: tuple[ClpstatRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Clpstat:
    """What clpstat printed; `unknown` are the lines that are no row of any known kind."""

    servers: tuple[ClpstatServer, ...]
    groups: tuple[ClpstatGroup, ...]
    monitors: tuple[ClpstatRow, ...] = ()
    cluster: str = ""
    unknown: tuple[str, ...] = ()

    def find(self, name: str) -> ClpstatServer | None:
        """Return the row of a server by its name, or by the columns that clpstat leaves of it; None if two fit."""
        return _find(self.servers, name)

    def find_group(self, name: str) -> ClpstatGroup | None:
        """Return the row of a group by its name, or by the columns that clpstat leaves of it; None if two fit."""
        return _find(self.groups, name)

    def find_monitor(self, name: str) -> ClpstatRow | None:
        """Return the row of a monitor by its name, or by the columns that clpstat leaves of it; None if two fit."""
        return _find(self.monitors, name)


def active_elsewhere(said: Clpstat, resources: Collection[str], local: str, peer: str) -> str:
    """Return the name of the group of these resources that is Online on the peer, and none of them here; else empty.

    Where clpstat shows the resources of no group, each group may be theirs.
    """
    holding = [one for one in said.groups if any(row.name in resources for row in one.resources)]
    active = [one for one in holding or said.groups if one.status == "Online"]
    if any(one.current.casefold() == local.casefold() for one in active):
        return ""
    return next((one.name for one in active if one.current.casefold() == peer.casefold()), "")


def parse(text: str) -> Clpstat:
    """Read what clpstat printed; a line that is no row is kept under `unknown`, nothing raises."""
    page = _Page()
    # Not splitlines(): a comment may hold what only Unicode takes for the end of a line.
    for line in text.split("\n"):
        page.add(line.rstrip())
    return page.read()


def ask(run: Runner, deadline: Deadline) -> Clpstat:
    """Run clpstat, again while it is busy; raises LocalError if it fails or shows no server."""
    done = _while_busy(lambda: run(["clpstat", "--long"], deadline.within(30).remaining()), deadline)
    status = parse(done.text)
    if done.code != 0 or not status.servers:
        said = (done.text or done.stderr.decode("utf-8", "replace")).strip().splitlines()
        ended = f"was killed because it {done.why_killed}" if done.code is None else f"exit code {done.code}"
        raise LocalError(
            "clpstat does not say how the cluster is",
            seen=f"{ended}, {said[-1] if said else 'nothing printed'}",
            remedy="run clpstat by hand; see whether ECX runs on this EC-VM",
        )
    return status


def judge(status: Clpstat, local: str, other: str) -> PeerEcx:
    """Say how the other server is; SENSELESS unless this one is itself in the cluster and says so."""
    here, there = status.find(local), status.find(other)
    # A stopped cluster goes on printing: every server Offline, this one among them.
    if here is None or there is None or not here.is_local or there.is_local:
        return PeerEcx.SENSELESS
    if _STATUS.get(here.status) is not PeerEcx.ONLINE:
        return PeerEcx.SENSELESS
    return _STATUS.get(there.status, PeerEcx.SENSELESS)


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def may_be_cut(self) -> bool: ...


_N = TypeVar("_N", bound=_Named)


def _find(rows: Sequence[_N], name: str) -> _N | None:
    exact = [row for row in rows if row.name == name]
    found = exact or [row for row in rows if row.may_be_cut and name.startswith(row.name)]
    return found[0] if len(found) == 1 else None


@dataclass(slots=True)
class _Page:
    """A page that is being read: its section, the page's edge there, and the rows so far."""

    section: str = ""
    edge: int = 0
    cluster: str = ""
    servers: list[ClpstatServer] = field(default_factory=list)
    groups: list[ClpstatGroup] = field(default_factory=list)
    monitors: list[ClpstatRow] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        if section := _SECTION.match(line):
            self.section, self.edge = section["name"], len(section["edge"])
        elif not self.section and (cluster := _CLUSTER.match(line)):
            self.cluster = cluster["name"]
        elif line and not _RULE.match(line) and not self._row(line):
            self.unknown.append(line)

    def read(self) -> Clpstat:
        return Clpstat(tuple(self.servers), tuple(self.groups), tuple(self.monitors), self.cluster, tuple(self.unknown))

    def _row(self, line: str) -> bool:
        """Take a row up; false for a line that is none."""
        depth = len(line) - len(line.lstrip(" ")) - self.edge
        is_local = self.section == "server" and depth == 1 and line.startswith("*", self.edge + 1)
        row = _row(line[self.edge + 2 :]) if is_local else _row(line.lstrip(" "))
        if row is None:
            return False
        if self.section == "server" and (is_local or depth == 2):
            self.servers.append(ClpstatServer(row.name, row.status, is_local, row.may_be_cut, row.comment))
        elif self.section == "group" and depth == 2:
            self.groups.append(ClpstatGroup(row.name, row.status, "", row.may_be_cut, row.comment))
        elif self.section == "monitor" and depth == 2:
            self.monitors.append(row)
        elif self.section == "server" and depth == 4 and self.servers:
            last = self.servers[-1]
            self.servers[-1] = replace(last, heartbeats=(*last.heartbeats, row))
        elif self.section == "group" and depth == 4 and self.groups:
            self.groups[-1] = _with(self.groups[-1], row)
        else:
            return False
        return True


def _with(group: ClpstatGroup, row: ClpstatRow) -> ClpstatGroup:
    """Return a group with one more of its rows: the first row `current` says where it is active."""
    if row.name == "current" and not group.resources and not group.current:
        return replace(group, current="" if row.status == "None" else row.status)
    return replace(group, resources=(*group.resources, row))


def _row(text: str) -> ClpstatRow | None:
    """Read a row without what stands before its name; None for what has no name or no status."""
    row = _ROW.match(text)
    if row is None:
        return None
    rest = row["rest"]
    # A field that begins with more than its one blank is empty, and what follows is the comment.
    status, comment = _status(rest.removeprefix(" ")) if not rest.startswith("  ") else ("", "")
    if not status:
        return None
    # A name that leaves room for dots, or for more than the one blank, is whole.
    cut = "." not in row["fill"] and len(row["fill"]) <= 1 and len(row["name"]) >= _CELL - 2
    return ClpstatRow(row["name"], status, comment, cut)


def _status(text: str) -> tuple[str, str]:
    """Part a status from the comment behind it."""
    gap = _GAP.search(text)
    if gap is not None and gap.start() <= _STATUS_WIDTH:
        return text[: gap.start()].strip(), text[gap.end() :].strip()
    if len(text) > _STATUS_WIDTH and text[_STATUS_WIDTH - 1] == " ":
        return text[:_STATUS_WIDTH].strip(), text[_STATUS_WIDTH:].strip()
    return text.strip(), ""


def _while_busy(command: Callable[[], Completed], deadline: Deadline) -> Completed:
    patience = deadline.within(20)
    again = Retrying(
        retry=retry_if_result(lambda done: done.code == BUSY),
        stop=lambda _: patience.has_passed,
        wait=wait_fixed(3),
        sleep=patience.sleep,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    return again(command)
