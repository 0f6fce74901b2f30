"""The end of a maintenance: when a person is told, and when nobody is."""

import pytest

from ecx_hyperv.decide.maintenance import Notice, notice

HOUR = 3600.0


@pytest.mark.parametrize(
    ("left", "length", "off", "healthy", "told"),
    [
        (None, HOUR, True, False, Notice.NOTHING),
        (601, HOUR, False, True, Notice.NOTHING),
        (600, HOUR, False, True, Notice.SOON),
        (1, HOUR, True, False, Notice.SOON),
        (299, 599, False, True, Notice.SOON),
        (301, 600, False, True, Notice.NOTHING),
        (0, HOUR, True, False, Notice.NOT_BACK),
        (-3599, HOUR, True, False, Notice.NOT_BACK),
        (-3600, HOUR, True, False, Notice.NOTHING),
        (-5, HOUR, False, True, Notice.SETTLED),
        (-5, HOUR, False, False, Notice.NOTHING),
    ],
)
def test_a11_what_is_told_of_an_end(
    left: float | None, length: float, told: Notice, *, off: bool, healthy: bool
) -> None:
    """Ten minutes before the end a person must be told, and at the end where the VM is off; later nothing."""
    assert told is notice(left, length, off=off, healthy=healthy)
