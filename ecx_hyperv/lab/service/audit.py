"""What the EC-VMs have asked of the lab's hosts: so a test, or the bench, sees what each job costs."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AuditedRequest:
    """One request: how long after the one before it came, and what it changed."""

    after: float
    changes: tuple[str, ...]


@dataclass(slots=True)
class Audit:
    """What one EC-VM has asked of one host."""

    logins: int = 0
    powershells: int = 0
    # How often a PowerShell waited for what it was asked next: requests that were sent together are one round trip.
    round_trips: int = 0
    asked: list[AuditedRequest] = field(default_factory=list)
    answered_at: float = 0.0

    def polls(self, interval: float) -> int:
        """Count the requests that only looked again after a pause."""
        return sum(1 for one in self.asked[1:] if not one.changes and one.after >= 0.8 * interval)

    @property
    def changes(self) -> list[str]:
        """Return the cmdlets that changed something."""
        return [cmdlet for one in self.asked for cmdlet in one.changes]
