"""Which of the lab's hosts are members of WSFC: who hears whom, who holds the witness, who has quorum."""

from ecx_hyperv.lab.model.state import WorldState
from ecx_hyperv.lab.model.things import Plane


class Membership:
    """Quorum and membership, as functions of the state, and of which host holds the disk witness."""

    def __init__(self, state: WorldState) -> None:
        self._state = state
        self._holder = next(iter(state.hosts))

    def is_member(self, host: str) -> bool:
        """Tell whether a host's cluster service runs and has quorum."""
        there = self._state.hosts[host]
        return there.on and there.service and not there.quarantined and self.has_quorum(host)

    def talk(self, one: str, other: str) -> bool:
        """Tell whether two hosts are on and hear each other on a network that WSFC's heartbeats use."""
        a, b = self._state.hosts[one], self._state.hosts[other]
        on = a.on and b.on
        planes = (Plane.MANAGEMENT, Plane.MIRROR)
        return on and any(self._state.reaches(one, other, plane) for plane in planes)

    def has_quorum(self, host: str) -> bool:
        """Tell whether a host hears the other host, or has the witness's vote."""
        other = self._state.other(host)
        if self.talk(host, other.name) and other.service:
            return True
        if not other.on or other.left_cleanly or not other.service:
            return self._sees_witness(host)
        return self._holder == host and self._sees_witness(host)

    def _sees_witness(self, host: str) -> bool:
        return self._state.reaches(host, "witness", Plane.MANAGEMENT)

    def arbitrate(self) -> None:
        """Give the disk witness to a host that reaches it, first of all to the one that holds it."""
        able = [name for name in self._state.hosts if self._sees_witness(name) and self._state.hosts[name].service]
        if able and self._holder not in able:
            self._holder = able[0]
