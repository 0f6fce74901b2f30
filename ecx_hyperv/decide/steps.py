"""What a decision can say: do one thing, wait, done, or failed; and what it is told about earlier steps."""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.exits import Exit


class Do(Enum):
    """Everything that a step can do, and what it is called in a log."""

    RECONNECT_ISCSI = "reconnect iSCSI"
    RECONNECT_ISCSI_PEER = "reconnect iSCSI on the peer host"
    START_CSV = "bring the Shared Volume online"
    MOVE_CSV = "move the Shared Volume here"
    STOP_CSV = "take the Shared Volume offline"
    MIGRATE_LIVE = "live-migrate"
    MIGRATE_QUICK = "move by quick migration"
    CANCEL_MOVE = "cancel the migration"
    START_CONFIGURATION = "register"
    STOP_CONFIGURATION = "unregister"
    CLEAR_FAILED = "clear the failed group"
    ADOPT = "let the cluster adopt the running guest"
    STOP_MACHINE = "have the cluster stop the guest"
    START_VM = "power on"
    RESUME_VM = "resume"
    RESUME_VM_PEER = "resume on the peer host"
    STOP_VM = "shut down"
    STOP_VM_PEER = "shut down on the peer host"
    TURN_OFF = "turn off"
    TURN_OFF_PEER = "turn off on the peer host"


class Timer(Enum):
    """How long something has lasted, without a break, and against which limit of [timing] it is held."""

    AT_HOME = "settle"
    PEER_CRITICAL = "critical"
    PEER_TRANSITIONAL = "settle, on the peer host"
    PEER_SILENT = "isolated"
    ODD = "settle, in an unknown state"
    BUSY = "settle, in transition"
    GRACE = "shutdown"
    OWNER_SILENT = "isolated, owner"
    OFF = "leftover"


class Retry(Enum):
    """Whether something may be tried (again)."""

    READY = "ready"
    RECENT = "tried a moment ago"
    USED_UP = "used up"


@dataclass(frozen=True, slots=True)
class Act:
    """Do one thing now, and look again."""

    do: Do
    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing now, and look again."""

    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """Look at the peer host too, from now on, and decide again."""

    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do; `warn` if a person should know how it ended, `stays` if a stop lets the guest run."""

    how: str
    warn: bool = False
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """It can't be done; what is wrong, what was seen, and what a person should do."""

    exit: Exit
    what: str
    seen: str
    remedy: str


Step = Act | Wait | Look | Done | Fail
