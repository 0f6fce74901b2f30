"""clpstat: which server is how.

A server row is indented by four columns (the local one's last is `*`), a name cell of 16 columns, or of 33 with --long,
filled up with dots, then a colon and the status, which may be two words. A longer name is cut without a mark. The rows
of a server's heartbeats, of a group's resources and of "current" are indented by six or belong to other sections.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import Retrying, retry_if_result, wait_fixed

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.peer import PeerEcx
from ecx_hyperv.ecx.commands import Completed, Runner
from ecx_hyperv.errors import LocalError

BUSY = 9

_SERVER = re.compile(r"^ {3}(?P<own>[ *])(?P<name>\S+)(?P<fill> \.*)? *: (?P<status>\S(?:.*\S)?) *$")
_GROUP = re.compile(r"^ {4}(?P<name>\S+)(?: \.*)? *: (?P<status>\S(?:.*\S)?) *$")
_CURRENT = re.compile(r"^ {6}current +: (?P<server>\S+) *$")

_STATUS = {
    "Online": PeerEcx.ONLINE,
    "Caution": PeerEcx.ONLINE,
    "Online Pending": PeerEcx.PENDING,
    "Offline Pending": PeerEcx.PENDING,
    "Suspend": PeerEcx.PENDING,
    "Offline": PeerEcx.OFFLINE,
}


@dataclass(frozen=True, slots=True)
class ClpstatServer:
    """A server row."""

    name: str
    status: str
    is_local: bool
    may_be_cut: bool = False


@dataclass(frozen=True, slots=True)
class ClpstatGroup:
    """A group row; `current` is empty while it is active nowhere."""

    name: str
    status: str
    current: str


@dataclass(frozen=True, slots=True)
class Clpstat:
    """What clpstat printed."""

    servers: tuple[ClpstatServer, ...]
    groups: tuple[ClpstatGroup, ...]

    def find(self, name: str) -> ClpstatServer | None:
        """Return the row of a server by its name, or by the 16 columns that clpstat leaves of it."""
        exact = [server for server in self.servers if server.name == name]
        cut = [server for server in self.servers if server.may_be_cut and name.startswith(server.name)]
        return exact[0] if exact else cut[0] if len(cut) == 1 else None


def parse(text: str) -> Clpstat:
    """Read what clpstat printed; whatever is not a server or group row is passed over."""
    servers: list[ClpstatServer] = []
    groups: list[ClpstatGroup] = []
    section = ""
    for line in text.splitlines():
        if line.startswith("  <"):
            section = line.strip()
        elif section == "<server>" and (row := _SERVER.match(line)):
            # A name that leaves room for dots is whole.
            cut = len(row["name"]) >= 16 and "." not in (row["fill"] or "")
            servers.append(ClpstatServer(row["name"], row["status"], row["own"] == "*", cut))
        elif section == "<group>" and (row := _GROUP.match(line)):
            groups.append(ClpstatGroup(row["name"], row["status"], ""))
        elif section == "<group>" and groups and (row := _CURRENT.match(line)):
            current = "" if row["server"] == "None" else row["server"]
            groups[-1] = ClpstatGroup(groups[-1].name, groups[-1].status, current)
    return Clpstat(tuple(servers), tuple(groups))


def ask(run: Runner, deadline: Deadline) -> Clpstat:
    """Run clpstat, again while it is busy; raises LocalError if it fails or shows no server."""
    done = _while_busy(lambda: run(["clpstat", "--long"], deadline.within(30).remaining()), deadline)
    status = parse(done.text)
    if done.code != 0 or not status.servers:
        said = (done.text or done.stderr.decode("utf-8", "replace")).strip().splitlines()
        ended = "was killed because it took too long" if done.code is None else f"exit code {done.code}"
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
