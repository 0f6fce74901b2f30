"""A host's own time against this run's: until when an act may be made there, and whether this run was frozen.

Each hello and reply carries `up_ms`, which the host read between the moment when the question was sent and the moment
when the answer arrived. So no clock of either side needs to be right; only that both advance at the same pace.

- An act carries `not_after`: what is left until this run stops waiting, counted from the newest `up_ms`. The host had
  read it before it arrived here, so its count is never behind, and the act is never made later than this run waits.
- An EC-VM that was saved, paused, or stalled with its host does not notice. Its host's count went on meanwhile: once
  that has advanced by far more than this run's clock can explain, another run may have begun elsewhere.
"""

from dataclasses import dataclass

FROZEN_S = 30.0


@dataclass(slots=True)
class HostClock:
    """What is known of one host's count; moments are of this run's monotonic clock, in seconds."""

    # The newest count in ms, and when it was received: one value, so that no thread reads half of a change.
    _newest: tuple[int, float] | None = None
    # By how much the host's count is ahead of this run's clock, at most: the least that any exchange allows.
    _ahead: float | None = None
    was_frozen: bool = False

    @property
    def is_known(self) -> bool:
        """Tell whether the host has told its count in this run."""
        return self._newest is not None

    def heard(self, up_ms: int | None, sent: float, received: float) -> None:
        """Take note of a frame that answers what was sent at one moment, and was received at another."""
        if up_ms is None or (self._newest is not None and received < self._newest[1]):
            return
        up = up_ms / 1000
        if self._ahead is not None and up - received > self._ahead + FROZEN_S:
            self.was_frozen = True
        self._ahead = up - sent if self._ahead is None else min(self._ahead, up - sent)
        self._newest = (up_ms, received)

    def not_after(self, until: float) -> int | None:
        """Return the host's count, in ms, after which nothing may be done for a run that waits until then.

        None for a host that has not told its count: no act goes there.
        """
        if self._newest is None:
            return None
        up_ms, received = self._newest
        return up_ms + int((until - received) * 1000)
