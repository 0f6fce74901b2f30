"""What a person is told of a maintenance that ends: beforehand, and at its end if the VM is not back."""

from enum import Enum

# A person needs so long to bring a VM back, or to extend the maintenance.
_SOON_S = 600.0
# Whatever happens to the VM later has nothing to do with the maintenance.
_LATE_S = 3600.0


class Notice(Enum):
    """What is told; SETTLED is not told, but ends the matter."""

    NOTHING = "nothing"
    SOON = "soon over"
    NOT_BACK = "over, and the VM is not back"
    SETTLED = "over, and the VM is back"


def notice(left: float | None, length: float, *, off: bool, healthy: bool) -> Notice:
    """Say what is to be told of a maintenance that ends in `left` seconds (None: not by itself) of `length` in all.

    `off` and `healthy` are the monitor's verdict on the VM; neither is so where the monitor cannot tell.
    """
    if left is None or left <= -_LATE_S:
        return Notice.NOTHING
    if left > 0:
        # Who sets ten minutes knows that they are ten.
        return Notice.SOON if left <= min(_SOON_S, length / 2) else Notice.NOTHING
    if off:
        return Notice.NOT_BACK
    return Notice.SETTLED if healthy else Notice.NOTHING
