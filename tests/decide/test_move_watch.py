"""What became of a move: over, failed, refused, late, or still under way."""

from typing import Any

import pytest

from ecx_hyperv.decide.move_watch import MoveMoment, OrderState, judge
from ecx_hyperv.exits import Exit
from tests.decide.test_move import facts

CALM_S = 60.0


def moment(status: str, current: str, **changes: Any) -> MoveMoment:
    """Return a moment in which nothing has lasted yet, and the command runs."""
    usual: dict[str, Any] = {
        "order": OrderState.RUNNING,
        "said": "",
        "lasted_s": 0.0,
        "has_left": True,
        "missing": (),
        "is_late": False,
    }
    return MoveMoment(status=status, current=current, **{**usual, **changes})


LASTS = {"lasted_s": CALM_S}


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (moment("Online", "ec2"), Exit.DONE),
        (moment("Online", "EC2"), Exit.DONE),
        (moment("Online", "ec2", order=OrderState.FAILED), Exit.DONE),
        (moment("Online", "ec2", is_late=True), Exit.DONE),
        (moment("Online", "ec2", missing=["vm1"]), None),
        (moment("Online", "ec2", missing=["vm1"], **LASTS), Exit.NOT_AS_ASKED),
        (moment("Online", "ec2", missing=["vm1"], is_late=True), Exit.OUT_OF_TIME),
        (moment("Online", "ec1", has_left=False), None),
        (moment("Online", "ec1", has_left=False, **LASTS), None),
        (moment("Online", "ec1", has_left=False, order=OrderState.FAILED), None),
        (moment("Online", "ec1", has_left=False, order=OrderState.FAILED, **LASTS), Exit.REFUSED),
        (moment("Online", "ec1", has_left=False, order=OrderState.DONE), None),
        (moment("Online", "ec1", has_left=False, order=OrderState.DONE, **LASTS), Exit.NOT_AS_ASKED),
        (moment("Online", "ec1", has_left=False, is_late=True), Exit.OUT_OF_TIME),
        (moment("Online", "ec1"), None),
        (moment("Online", "ec1", **LASTS), Exit.NOT_AS_ASKED),
        (moment("Online", "ec1", order=OrderState.FAILED, **LASTS), Exit.NOT_AS_ASKED),
        (moment("Offline Pending", "ec1", order=OrderState.DONE, **LASTS), None),
        (moment("Offline", "", order=OrderState.DONE), None),
        (moment("Offline", "", **LASTS), None),
        (moment("Offline", "", order=OrderState.DONE, **LASTS), Exit.NOT_AS_ASKED),
        (moment("Online Failure", "ec2", order=OrderState.FAILED, **LASTS), Exit.NOT_AS_ASKED),
        (moment("", "", order=OrderState.DONE, **LASTS), None),
        (moment("", "", is_late=True), Exit.OUT_OF_TIME),
        (moment("Online Pending", "ec2", is_late=True), Exit.OUT_OF_TIME),
    ],
)
def test_what_became_of_a_move(now: MoveMoment, code: Exit | None) -> None:
    """Only what is seen, and has lasted, must end a move; a command that failed counts only where nothing moved."""
    end = judge(facts(), now, CALM_S)
    assert code is (None if end is None else end.exit)
    if end is not None and end.exit is not Exit.DONE:
        assert all((end.what, end.seen, end.remedy))


def test_what_clpgrp_said_is_told() -> None:
    """A move that ECX refused must be told in ECX's own words."""
    now = moment("Online", "ec1", has_left=False, order=OrderState.FAILED, said="Invalid. (exit 1)", **LASTS)
    end = judge(facts(), now, CALM_S)
    assert end is not None
    assert end.seen == "clpgrp: Invalid. (exit 1)"
