"""What genw-remote-node does: keep the peer EC-VM, and the ECX on it, up.

Kept: nothing is done to a peer whose state is unknown, and a healthy peer is never restarted. The decision is about a
machine that this EC-VM does not own, so it asks the two who know: ECX, whether the peer is gone, and the peer's host,
what became of the VM. Ping alone decides nothing. A restart takes Running, no ping and a silent heartbeat, all of them
for [timing] hung_after. The guest's heartbeat reaches the host through no network, so a partition alone cannot make an
EC-VM with integration services look hung.

Each action has a cool-down, and 3 in an hour are the most: after that a person is needed.

The forerunner believed a clpstat that failed (defect 51), took a maintenance back (52), let one packet decide (53),
never restarted a hung peer (54), repeated its start at each interval while the peer booted (55), and started a peer
that ran beyond a partition (56).
"""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.facts import UNSEEN, Contact, VmOnHost
from ecx_hyperv.decide.states import VmKind
from ecx_hyperv.exits import Exit


class PeerEcx(Enum):
    """What clpstat says of the peer's server row."""

    ONLINE = "online"
    PENDING = "in transition"
    OFFLINE = "offline"
    SENSELESS = "cannot tell"


class Ping(Enum):
    """Whether the peer EC-VM answers ping."""

    ANSWERS = "answers"
    SILENT = "silent"
    UNASKED = "unasked"


class PeerRemedy(Enum):
    """What can be done for the peer."""

    POWER_ON = "power on"
    RESUME = "resume"
    START_ECX = "start ECX"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerObservation:
    """The peer at one moment; `hung` once the look of a hung guest has lasted `hung_after`."""

    node: str
    vm: str
    host: str
    maintenance: bool = False
    ecx: PeerEcx
    contact: Contact = Contact.UNASKED
    on_host: VmOnHost = UNSEEN
    heartbeat_silent: bool = False
    ping: Ping = Ping.UNASKED
    cooling: bool = False
    used_up: bool = False
    hung: bool = False


@dataclass(frozen=True, slots=True)
class PeerAct:
    """Do this for the peer."""

    remedy: PeerRemedy
    why: str


@dataclass(frozen=True, slots=True)
class AskHost:
    """Ask the peer's host and ping the peer, and decide again."""


@dataclass(frozen=True, slots=True)
class PeerEnd:
    """Nothing to do; for another exit than DONE, `remedy` says what a person should do; `pending` if it may yet
    become well by itself, or by what was done. `online` once ECX is Online there, without maintenance."""

    exit: Exit
    why: str
    remedy: str = ""
    pending: bool = False
    online: bool = False


PeerStep = PeerAct | AskHost | PeerEnd


def decide(seen: PeerObservation) -> PeerStep:
    """Return the next step for the peer."""
    match seen.ecx:
        case PeerEcx.ONLINE | PeerEcx.PENDING:
            return PeerEnd(
                Exit.DONE,
                f"ECX on {seen.node} is {seen.ecx.value}",
                pending=seen.ecx is PeerEcx.PENDING,
                online=seen.ecx is PeerEcx.ONLINE and not seen.maintenance,
            )
        case PeerEcx.SENSELESS if not seen.maintenance:
            return PeerEnd(
                Exit.CANNOT_TELL, f"clpstat does not say how {seen.node} is", "run clpstat and clpstat --long"
            )
    if seen.maintenance:
        return PeerEnd(Exit.DONE, f"{seen.node} is in maintenance")
    if seen.cooling:
        return PeerEnd(Exit.DONE, f"{seen.node} is offline; waiting for what was done for it", pending=True)
    if seen.contact is Contact.UNASKED:
        return AskHost()
    if seen.contact is not Contact.ANSWERS:
        return PeerEnd(
            Exit.UNREACHABLE,
            f"ECX on {seen.node} is offline, and its host {seen.host} {seen.contact.in_words}",
            f"look at {seen.host}: power, network, sshd",
        )
    return _by_its_host(seen)


def looks_hung(seen: PeerObservation) -> bool:
    """Tell whether this look shows a guest that runs and answers nobody, not even its own host."""
    is_running = seen.on_host.kind is VmKind.RUNNING
    return seen.ecx is PeerEcx.OFFLINE and is_running and seen.ping is Ping.SILENT and seen.heartbeat_silent


def _by_its_host(seen: PeerObservation) -> PeerStep:
    where = f"{seen.vm} is {seen.on_host.word} on {seen.host}"
    match seen.on_host.kind:
        case VmKind.DOWN:
            return _act(seen, PeerRemedy.POWER_ON, where)
        case VmKind.PAUSED:
            return _act(seen, PeerRemedy.RESUME, where)
        case VmKind.RUNNING if seen.ping is Ping.ANSWERS:
            return _act(seen, PeerRemedy.START_ECX, f"{where} and answers ping, its ECX is offline")
        case VmKind.RUNNING if looks_hung(seen) and seen.hung:
            return _act(seen, PeerRemedy.RESTART, f"{where}, no ping and no heartbeat for [timing] hung_after")
        case VmKind.ABSENT:
            return PeerEnd(
                Exit.CONFIG, f"{seen.host} knows no VM {seen.vm}", f"compare vm of [[node]] {seen.node} with Get-VM"
            )
        case VmKind.UNREADABLE:
            return PeerEnd(
                Exit.CANNOT_TELL,
                f"Hyper-V on {seen.host} does not say how {seen.vm} is",
                f"run Get-VM on {seen.host}",
            )
    what = f"ECX on {seen.node} is offline; {where}"
    return PeerEnd(Exit.NOT_AS_ASKED, what, "wait; it is looked at again", pending=True)


def _act(seen: PeerObservation, remedy: PeerRemedy, why: str) -> PeerStep:
    if not seen.used_up:
        return PeerAct(remedy, why)
    return PeerEnd(
        Exit.NOT_AS_ASKED,
        f"{seen.node} does not stay up: {why}, after 3 actions in an hour",
        f"see why on its console, and whether its network and ECX's witness are there; then clpcl -s -h {seen.node}",
    )
