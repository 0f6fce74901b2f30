"""Looking at both hosts side by side, and performing on the way what was decided.

The looks at a guest must never be further apart than three intervals, whatever hangs: a guest that is shutting down,
or whose grace is over, is not to be lost sight of. So once a guest was seen, a look goes on with what it has when the
next one would come too late otherwise; what hangs is left to end by itself, in a session that nobody else uses.
"""

from collections.abc import Container, Sequence

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.host.link import Pending
from ecx_hyperv.host.observe import SnapshotRequest
from ecx_hyperv.host.situation import HostNames, Snapshots, name_hosts
from ecx_hyperv.run.acts import Acts, Plan
from ecx_hyperv.run.context import RunContext
from ecx_hyperv.run.host_look import HostLook

# Of the three intervals, one is for the pause after a look, and half of one for a PowerShell that has to be started.
_SPAN, _HOLD, _LEAST = 3.0, 1.5, 0.5
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
        self._vms = tuple(vms)
        self._iscsi = iscsi
        self._paced = paced
        self._looks = {side: HostLook(side, context.hosts, context.config.timing.interval) for side in Side}
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
            in_front[side] = look.send(wanted[side], front, deadline, self.acts.last)
        self._wait(sides, [one for pendings in in_front.values() for one in pendings], deadline)
        for side, pendings in in_front.items():
            for pending in pendings:
                pending.take_back()
                self.acts.note_front(plan.on(side, blocks=False), pending.outcome())
        taken = {side: self._looks[side].take(wanted[side]) for side in sides}
        self.acts.collect()
        snapshots = Snapshots(local=taken.get(Side.LOCAL), peer=taken.get(Side.PEER))
        self.names = name_hosts(snapshots, self.names)
        return snapshots

    def rest(self, seconds: float, deadline: Deadline) -> None:
        """Let time pass before the next look; not longer than until the act that was sent last is over."""
        pendings = self.acts.pendings
        if pendings:
            self._context.hosts.wait(pendings[-1:], deadline.within(seconds))
        else:
            deadline.sleep(seconds)

    def _wait(self, sides: Sequence[Side], in_front: Sequence[Pending], deadline: Deadline) -> None:
        """Wait for a look, but not for so long that the next one would come too late."""
        looks = [self._looks[side] for side in sides]
        pendings = [*in_front, *(one for look in looks for one in look.pendings)]
        latest = Deadline(deadline.clock, deadline.end + _LATEST_S)
        began = deadline.clock.monotonic()
        while True:
            until = self._go_on_at(looks, began)
            limit = latest if until is None else Deadline(deadline.clock, min(until, latest.end))
            self._context.hosts.wait(pendings, limit)
            for look in looks:
                look.see_guests()
            is_over = all(one.outcome() is not None for one in pendings)
            if is_over or until is None or self._go_on_at(looks, began) == until:
                return

    def _go_on_at(self, looks: Sequence[HostLook], began: float) -> float | None:
        """Return when a look must go on with what it has; None while no guest was seen for as long as it may be."""
        interval = self._context.config.timing.interval
        seen = [look.guests_seen for look in looks if look.guests_seen is not None]
        recent = [one for one in seen if began - one < _SPAN * interval]
        if not self._paced or not recent:
            return None
        return max(min(recent) + _HOLD * interval, began + _LEAST * interval)

    def _wanted(self, side: Side, volumes_of: tuple[str, ...]) -> SnapshotRequest:
        return SnapshotRequest(
            vms=self._vms,
            iscsi=side in self._iscsi,
            volumes_of=volumes_of,
            ec_vm=self._context.pair.of(side).vm,
        )
