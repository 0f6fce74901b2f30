"""What a decision can say: do one thing, wait, done, or failed; and what it is told about earlier steps."""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.facts import Side
from ecx_hyperv.exits import Exit


class Counted(Enum):
    """What attempts are counted under: steps that fail for one reason share a counter."""

    STARTS = "starts"
    CLEARS = "clears"
    REGISTRATIONS = "registrations"
    MIGRATIONS = "migrations"
    PORTAL = "portal"
    SHUTDOWNS = "shutdowns"
    TURN_OFFS = "turn-offs"
    MACHINE_STOPS = "stops through the cluster"


@dataclass(frozen=True, slots=True)
class StepKind:
    """What is to be known of a step: its words in a log, its counter (None: it may be repeated at will), whether it is
    done to what a host has (and not to what the cluster has), whether a person should hear of it even where all ends
    well, and whether its cmdlet returns only once it is done."""

    words: str
    counted: Counted | None = None
    on_host: bool = False
    notable: bool = False
    blocks: bool = False


class Do(Enum):
    """Everything that a step can do: the one table of what is to be known of each."""

    RECONNECT_ISCSI = StepKind("reconnect iSCSI", Counted.PORTAL, on_host=True)
    START_CSV = StepKind("bring the Shared Volume online")
    MOVE_CSV = StepKind("move the Shared Volume here")
    STOP_CSV = StepKind("take the Shared Volume offline")
    MIGRATE_LIVE = StepKind("live-migrate", Counted.MIGRATIONS)
    # The cmdlet is not made unless the VM resource is Offline or Failed; that of a lost host stays Online.
    MIGRATE_QUICK = StepKind("move by quick migration", Counted.MIGRATIONS)
    MIGRATE_LOST = StepKind("move by quick migration from a host that lost it", Counted.MIGRATIONS)
    CANCEL_MOVE = StepKind("cancel the migration", notable=True)
    START_CONFIGURATION = StepKind("register")
    STOP_CONFIGURATION = StepKind("unregister", Counted.REGISTRATIONS)
    CLEAR_FAILED = StepKind("clear the failed group", Counted.CLEARS, notable=True)
    ADOPT = StepKind("let the cluster adopt the running guest", Counted.CLEARS, notable=True)
    STOP_MACHINE = StepKind("have the cluster stop the guest", Counted.MACHINE_STOPS, notable=True)
    START_VM = StepKind("power on", Counted.STARTS, on_host=True, blocks=True)
    RESUME_VM = StepKind("resume", Counted.STARTS, on_host=True, notable=True, blocks=True)
    SHUT_DOWN = StepKind("shut down", Counted.SHUTDOWNS, on_host=True, blocks=True)
    FORCE_SHUT_DOWN = StepKind("shut down, though it is locked", Counted.SHUTDOWNS, on_host=True, blocks=True)
    TURN_OFF = StepKind("turn off", Counted.TURN_OFFS, on_host=True, notable=True, blocks=True)

    @property
    def words(self) -> str:
        """Return what the step is called in a log."""
        return self.value.words


class Timer(Enum):
    """How long something has lasted, without a break, and against which limit of [timing] it is held.

    Those that say "twice" make one sample into two: they are over in a later look that shows the same, an interval on
    (6 s where both looks rest on Get-VM alone, which may repeat what it read up to 5 s before).
    """

    AT_HOME = "settle"
    PEER_CRITICAL = "critical"
    PEER_TRANSITIONAL = "settle, on the peer host"
    ODD = "settle, in an unknown state"
    BUSY = "settle, in transition"
    CANCELLED = "settle, after the migration was cancelled"
    CONTRADICTION = "settle, while Hyper-V and the cluster contradict each other"
    GRACE = "shutdown"
    HALF_GRACE = "half of shutdown"
    TWICE_THE_GRACE = "twice shutdown_on_failover"
    STARVED = "half of shutdown, without storage"
    RESUME_REFUSED = "half of shutdown, refused to resume"
    OWNER_SILENT = "isolated"
    OWNER_UNREADABLE = "patience, the owner's host not answering for the VM"
    MACHINE_OFFLINE = "patience, the VM resource Offline"
    REFUSED = "patience, refused"
    LEFT_RUNNING = "shutdown, in no role"
    PEER_AWAY = "patience, the peer host not answering"
    OFF_TWICE = "two looks that show the guest off"
    BLIND_OFF = "settle, neither host showing it live and the cluster not telling"
    STOPPED_TWICE = "two looks that show the VM resource offline"
    TURN_OFF_TWICE = "two looks that call for a power cut"
    OFF = "leftover"


class Retry(Enum):
    """Whether something may be tried (again)."""

    READY = "ready"
    RECENT = "tried a moment ago"
    USED_UP = "used up"


@dataclass(frozen=True, slots=True)
class Act:
    """Do one thing now, from that host, and look again."""

    do: Do
    side: Side
    why: str

    @property
    def words(self) -> str:
        """Return what is done, and on which host where that matters."""
        elsewhere = self.do.value.on_host and self.side is Side.PEER
        return f"{self.do.words} on the peer host" if elsewhere else self.do.words


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing now, and look again; `alarm` if a person must act for it to end."""

    why: str
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Look at the peer host too, from now on, and decide again."""

    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do.

    `warn` if a person should know how it ended, `alarm` if a person must act; `stays` if a stop lets the guest run, or
    cannot keep it from running, so that its volume stays Online.
    """

    how: str
    warn: bool = False
    stays: bool = False
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    """It can't be done; what is wrong, what was seen, and what a person should do."""

    exit: Exit
    what: str
    seen: str
    remedy: str


Step = Act | Wait | Look | Done | Fail
