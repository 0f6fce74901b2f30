"""Looking at both hosts side by side, and performing on the way what was decided.

The looks at a guest must never be further apart than three intervals, whatever hangs: a guest that is shutting down,
or whose grace is over, is not to be lost sight of. So once a guest was seen, a look goes on with what it has when the
next one would come too late otherwise; what hangs is left to end by itself, in a session that nobody else uses.
"""

from collections.abc import Container, Iterable, Sequence

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.host.link import Pending
from ecx_hyperv.host.observe import SnapshotRequest
from ecx_hyperv.host.rows import VmRow
from ecx_hyperv.host.snapshots import HostNames, Snapshots, name_hosts
from ecx_hyperv.run.acts import Acts, Plan
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.homes import Homes
from ecx_hyperv.run.host_look import HostLook
from ecx_hyperv.run.identities import Identities

# So many intervals may lie between two looks at a guest; so much of one may pass before the waiting is thought over.
_SPAN, _SLICE = 3.0, 0.25
# As if the interval were no shorter than this: a host that answers within seconds does not hang.
_SHORTEST_S = 2.0
# What is told later than this after the deadline is told to nobody.
_LATEST_S = 10.0


class HostPair:
    """The two hosts, acted on and looked at together, and their names; `iscsi` is who is asked for its connections.

    With `paced`, looks that follow one another wait for nothing that hangs.
    """

    def __init__(
        self, context: RunContext, vms: Sequence[str], iscsi: Container[Side] = (), *, paced: bool = False
    ) -> None:
        self._context = context
        self.identities = Identities(context, vms)
        self._ids_of: tuple[str, ...] = ()
        self._iscsi = iscsi
        self._paced = paced
        interval = context.config.timing.interval
        self._interval = max(interval, _SHORTEST_S)
        self._looks = {side: HostLook(side, context.pair.of(side).host, context.hosts, interval) for side in Side}
        self._has_news = False
        self._homes = Homes(context)
        self.acts = Acts(context)
        self.names = HostNames(context.pair.local.host, context.pair.peer.host, peer_is_known=False)

    def act_and_observe(
        self,
        sides: Sequence[Side],
        plan: Plan,
        deadline: Deadline,
        *,
        volumes_of: tuple[str, ...] = (),
    ) -> Snapshots:
        """Perform and observe, both hosts side by side."""
        self.acts.collect()
        for side in sides:
            self.acts.send(side, plan, deadline)
        wanted = {side: self._wanted(side, volumes_of) for side in sides}
        in_front: dict[Side, list[Pending]] = {}
        for side in sides:
            look = self._looks[side]
            front = self.acts.front(side, plan, look.session, deadline)
            in_front[side] = look.send(wanted[side], front, deadline)
        self._wait(sides, [one for pendings in in_front.values() for one in pendings], deadline)
        for side, pendings in in_front.items():
            for pending in pendings:
                pending.take_back()
                self.acts.note_front(plan.on(side, blocks=False), pending.outcome())
        taken = {side: self._looks[side].take(wanted[side], self.acts.last) for side in sides}
        self.acts.collect()
        snapshots = Snapshots(local=taken.get(Side.LOCAL), peer=taken.get(Side.PEER))
        self.names = name_hosts(snapshots, self.names)
        self._homes.note(snapshots)
        self._learn(snapshots)
        return snapshots

    def observe(
        self, sides: Sequence[Side], deadline: Deadline, *, plan: Plan | None = None, volumes_of: tuple[str, ...] = ()
    ) -> Snapshots:
        """Perform and observe; ask again at once where only that look has told which VM is meant."""
        snapshots = self.act_and_observe(sides, Plan() if plan is None else plan, deadline, volumes_of=volumes_of)
        if not self._has_news:
            return snapshots
        return self.act_and_observe(sides, Plan(), deadline, volumes_of=volumes_of)

    @property
    def has_news(self) -> bool:
        """Tell whether the last look has told an id that was not asked for in it."""
        return self._has_news

    def _learn(self, snapshots: Snapshots) -> None:
        before, asked_for = self.identities.ids, self._ids_of
        self.identities.learn(snapshots)
        self._ids_of = self.identities.resources_to_ask(snapshots)
        new = [key for name, key in self.identities.ids.items() if before.get(name) != key]
        hidden = any(not isinstance(one.vm(key), VmRow) for key in new for one in snapshots.all()[:1])
        self._has_news = hidden or self._ids_of != asked_for

    def new_ones(self, sides: Iterable[Side]) -> list[Side]:
        """Return the hosts that are still being asked for the first time: nothing can be decided without them yet."""
        now = self._context.clock.monotonic()
        return [side for side in sides if self._looks[side].is_new(now)]

    def rest(self, seconds: float, deadline: Deadline) -> None:
        """Let time pass before the next look: no longer than until the act that was sent last is over, or than the
        next look at a guest may be put off."""
        due = self._due(self._looks.values())
        now = deadline.clock.monotonic()
        # A host that refuses at once is not asked over and over: some time passes even where a look is late.
        seconds = seconds if due is None else min(seconds, max(due - now, self._interval * _SLICE))
        pendings = self.acts.pendings
        if pendings:
            self._context.hosts.wait(pendings[-1:], deadline.within(seconds))
        else:
            deadline.sleep(seconds)

    def _wait(self, sides: Sequence[Side], in_front: Sequence[Pending], deadline: Deadline) -> None:
        """Wait for a look, but not for so long that the next one would come too late."""
        looks = [self._looks[side] for side in sides]
        pendings = [*in_front, *(one for look in looks for one in look.pendings)]
        clock, interval = deadline.clock, self._interval
        latest, began = deadline.end + _LATEST_S, clock.monotonic()
        while any(one.outcome() is None for one in pendings) and clock.monotonic() < latest:
            until = latest
            if self._paced:
                due = self._due(looks)
                # What is late already gets as long as a look that begins now, and each look gets some time: without
                # it a host whose PowerShell takes longer than the span to come up would be asked over and over.
                held = began + max(_SPAN * interval - self._opening(looks), interval * _SLICE)
                until = latest if due is None else due if due > began else held
                if clock.monotonic() >= until:
                    return
                # Once a guest has been seen it is known how long the rest may be waited for.
                until = min(until, clock.monotonic() + interval * _SLICE)
            self._context.hosts.wait(pendings, Deadline(clock, until))
            for look in looks:
                look.see_guests()

    def _due(self, looks: Iterable[HostLook]) -> float | None:
        """Return when the next look at the guests must begin; None where none was seen lately."""
        interval, now = self._interval, self._context.clock.monotonic()
        looks = [one for one in looks if one.guests_seen is not None]
        recent = [one.guests_seen for one in looks if now - (one.guests_seen or 0.0) < _SPAN * interval]
        seen = [one for one in recent if one is not None]
        if not self._paced or not seen:
            return None
        return min(seen) + _SPAN * interval - self._opening(looks)

    def _opening(self, looks: Iterable[HostLook]) -> float:
        """Return how long before it is due a look begins: for a fresh PowerShell to come up, as far as one knows."""
        slack = self._interval * _SLICE
        return slack + max((one.opening for one in looks), default=0.0)

    def _wanted(self, side: Side, volumes_of: tuple[str, ...]) -> SnapshotRequest:
        return SnapshotRequest(
            vms=self.identities.ids,
            named=self.identities.names,
            ids_of=self._ids_of,
            iscsi=side in self._iscsi,
            volumes_of=volumes_of,
            ec_vm=self._homes.ec_vm(side),
        )
