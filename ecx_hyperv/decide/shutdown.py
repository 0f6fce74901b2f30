"""What came of asking a guest to shut down, as its integration service answered."""

from enum import Enum


class ShutdownAnswer(Enum):
    """The answer of a guest's shutdown service, or why there is none."""

    ASKED = "asked"
    IN_PROGRESS = "it is shutting down already"
    NOT_READY = "its integration services are not ready"
    LOCKED = "somebody has locked it"
    NO_SERVICE = "it has no shutdown service"
    REFUSED = "it refused"
    UNKNOWN = "the answer did not come"

    @property
    def was_asked(self) -> bool:
        """Tell whether the guest knows that it is to shut down."""
        return self in (ShutdownAnswer.ASKED, ShutdownAnswer.IN_PROGRESS)
