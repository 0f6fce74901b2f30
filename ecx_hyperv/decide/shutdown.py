"""What came of asking a guest to shut down, as its integration service answered."""

from enum import Enum


class ShutdownAnswer(Enum):
    """The answer of a guest's shutdown service, or why there is none."""

    UNASKED = "it was not asked yet"
    ASKED = "it was asked"
    IN_PROGRESS = "it is shutting down"
    NOT_READY = "it is not ready to be asked: it boots, or its integration services are away"
    LOCKED = "it is locked: somebody is logged in"
    NO_SERVICE = "it has no integration service that can be asked"
    REFUSED = "it refused"
    UNKNOWN = "whether it was asked is not known"

    @property
    def was_asked(self) -> bool:
        """Tell whether the guest knows that it is to shut down."""
        return self in (ShutdownAnswer.ASKED, ShutdownAnswer.IN_PROGRESS)
