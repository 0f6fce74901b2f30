"""What the monitors remember from one run to the next.

It counts only within one boot (seconds since boot, which no clock change touches), and a span only while its looks are
no more than `stale` apart. A stamp in the future, which only a damaged file can hold, counts as now.
"""

from collections.abc import Iterable
from enum import Enum
from functools import reduce
from typing import Protocol

from msgspec import Struct, field
from msgspec.json import Decoder
from msgspec.structs import replace

from ecx_hyperv.deadline import Clock
from ecx_hyperv.ecx.files import slug
from ecx_hyperv.ecx.state_folder import StateFolder

_HOUR_S = 3600.0
# Two readings of when a guest booted lie this close together if they mean one boot.
_SAME_BOOT_S = 30.0


class MonitorState(Struct, frozen=True, kw_only=True):
    """What one monitor remembers; times are seconds since boot.

    `since` holds when each span began; `actions` when each action on the peer was taken; `last_alert` what a person was
    last alerted to, and when; `mirrors_told` each trouble of a mirror disk that a person was alerted to, and when.
    """

    boot: str = ""
    looked: float = 0.0
    since: dict[str, float] = {}
    actions: tuple[float, ...] = ()
    heartbeat_was_ok: bool = False
    heartbeat_asked: float | None = None
    heartbeat_booted: float | None = None
    # Under the names of the files that earlier releases wrote, so that an upgrade repeats no alert.
    last_alert: str = field(name="told", default="")
    last_alert_at: float = field(name="told_at", default=0.0)
    mirrors_told: dict[str, float] = {}

    def recalled(self, boot: str, now: float) -> "MonitorState":
        """Return what still counts of it, in this boot and at this moment."""
        if self.boot != boot:
            return MonitorState(boot=boot, looked=now)
        return replace(
            self,
            looked=min(self.looked, now),
            since={span: min(since, now) if since >= 0 else now for span, since in self.since.items()},
            actions=tuple(min(max(action, 0.0), now) for action in self.actions if now - action < _HOUR_S),
            last_alert_at=min(self.last_alert_at, now),
            mirrors_told={key: min(at, now) for key, at in self.mirrors_told.items()},
        )

    def merged(self, other: "MonitorState") -> "MonitorState":
        """Return the later of two memories of one boot, with the actions of both: too few would let one be repeated."""
        newer = self if self.looked >= other.looked else other
        return replace(newer, actions=tuple(sorted({*self.actions, *other.actions})))

    def look(self, spans: Iterable[Enum], now: float, stale: float) -> "MonitorState":
        """Take a look's spans: one that goes on keeps its beginning, unless nobody looked for too long."""
        goes_on = now - self.looked <= stale
        since = {span.value: self.since.get(span.value, now) if goes_on else now for span in spans}
        return replace(self, looked=now, since=since)

    def lasted(self, span: Enum, now: float) -> float:
        """Return for how long a span has lasted; zero if it is not on."""
        return now - self.since[span.value] if span.value in self.since else 0.0

    def heartbeat(self, *, was_ok: bool) -> "MonitorState":
        """Take note that the guest's heartbeat was OK, or is to be forgotten."""
        return replace(self, heartbeat_was_ok=was_ok)

    def asked_heartbeat(self, now: float, *, booted: float | None = None) -> "MonitorState":
        """Take note that the heartbeat was asked about; `booted` is the guest's boot in which it was well."""
        known = self.heartbeat_booted if booted is None else booted
        return replace(self, heartbeat_asked=now, heartbeat_booted=known)

    def saw_heartbeat(self, booted: float) -> bool:
        """Tell whether the heartbeat was seen well in the boot of the guest that began then."""
        return self.heartbeat_booted is not None and abs(booted - self.heartbeat_booted) < _SAME_BOOT_S

    def acted(self, now: float) -> "MonitorState":
        """Take note of an action on the peer."""
        return replace(self, actions=(*self.actions, now))

    def is_news(self, text: str, now: float) -> bool:
        """Tell whether a person should be alerted: to something else than last time, or to the same an hour later."""
        return text != self.last_alert or now - self.last_alert_at >= _HOUR_S

    def tell(self, text: str, now: float) -> "MonitorState":
        """Take note of what a person was alerted to; nothing, once all is well again."""
        return replace(self, last_alert=text, last_alert_at=now)

    def is_mirror_news(self, key: str, now: float) -> bool:
        """Tell whether a person should be alerted to a trouble of a mirror disk: at most once an hour to each."""
        return key not in self.mirrors_told or now - self.mirrors_told[key] >= _HOUR_S

    def tell_mirror(self, key: str, now: float) -> "MonitorState":
        """Take note that a person was alerted to a trouble of a mirror disk."""
        return replace(self, mirrors_told={**self.mirrors_told, key: now})

    def ended(self, now: float) -> "MonitorState":
        """Take note that a person was told that all is well again."""
        return replace(self, last_alert="", last_alert_at=now, mirrors_told={})


_MONITOR_STATE = Decoder(MonitorState)


class MonitorStates(Protocol):
    """Where the monitors of an EC-VM keep what they remember."""

    def load(self, kind: str, name: str) -> MonitorState:
        """Return a monitor's state, as far as it still counts; raises LocalError if it cannot be read."""

    def save(self, kind: str, name: str, state: MonitorState) -> None:
        """Keep a monitor's state; raises LocalError."""


class ReadMonitorStates:
    """States that are read, and kept as they are: of a person who only looks."""

    def __init__(self, states: MonitorStates) -> None:
        self._states = states

    def load(self, kind: str, name: str) -> MonitorState:
        """Return a monitor's state, as far as it still counts; raises LocalError if it cannot be read."""
        return self._states.load(kind, name)

    def save(self, kind: str, name: str, state: MonitorState) -> None:
        """Keep nothing."""


class FileMonitorStates:
    """The states of the monitors in the state folder of this EC-VM."""

    def __init__(self, folder: StateFolder, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def load(self, kind: str, name: str) -> MonitorState:
        """Return a monitor's state, as far as it still counts; raises LocalError if it cannot be read."""
        boot, now = self._clock.boot(), self._clock.boottime()
        found = self._folder.read(_file_of(kind, name), _MONITOR_STATE)
        states = [state.recalled(boot, now) for state in found if state.boot == boot]
        return reduce(MonitorState.merged, states) if states else MonitorState(boot=boot, looked=now)

    def save(self, kind: str, name: str, state: MonitorState) -> None:
        """Keep a monitor's state; raises LocalError."""
        self._folder.write(_file_of(kind, name), state)


def _file_of(kind: str, name: str) -> str:
    return f"monitors/{kind}-{slug(name)}.json"
