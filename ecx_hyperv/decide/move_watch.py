"""What became of a move that was ordered: judged from where the group is, and for how long that has been so.

Kept: "done" needs the group Online on the target and each VM that ran before running there. "Failed" needs a picture
that has lasted, since a group is Offline for a moment in each move. A command that ended with an error may have begun
the move all the same, so what the group does outweighs what the command said. A move that is late is no failed move:
ECX goes on with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.move import MoveFacts
from ecx_hyperv.exits import Exit

_ONLINE = "Online"


class OrderState(Enum):
    """How the command is that has ordered the move."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveMoment:
    """A moment of a move: the group by clpstat (empty where it could not be asked), the command, the VMs.

    `lasted_s` is for how long group and place have been as they are, `has_left` whether the group was seen other than
    Online on the source. `missing` are the VMs that do not run on the target's host.
    """

    status: str
    current: str
    order: OrderState
    said: str
    lasted_s: float
    has_left: bool
    missing: Sequence[str]
    is_late: bool


@dataclass(frozen=True, slots=True)
class MoveEnd:
    """How a move ended."""

    exit: Exit
    what: str
    seen: str = ""
    remedy: str = ""


def judge(facts: MoveFacts, now: MoveMoment, calm_s: float) -> MoveEnd | None:
    """Return how the move ended, None while it is under way; what has lasted for `calm_s` does not pass by itself."""
    has_lasted = now.lasted_s >= calm_s
    at = now.current.casefold()
    if now.status == _ONLINE and at == facts.target.casefold():
        if not now.missing:
            return MoveEnd(Exit.DONE, f"{facts.group} is Online on {facts.target}")
        if has_lasted:
            return _without(facts, now)
    elif now.status == _ONLINE and at == facts.source.casefold():
        end = _at_the_source(facts, now, has_lasted=has_lasted)
        if end is not None:
            return end
    elif now.status and "Pending" not in now.status and has_lasted and now.order is not OrderState.RUNNING:
        return MoveEnd(
            Exit.NOT_AS_ASKED,
            f"{facts.group} is {now.status}{_on(now)}, and not on its way",
            _said(now),
            "see ECX's alert log and the logs of the resources; ecx-hyperv status",
        )
    return _late(facts, now) if now.is_late else None


def _without(facts: MoveFacts, now: MoveMoment) -> MoveEnd:
    return MoveEnd(
        Exit.NOT_AS_ASKED,
        f"{facts.group} is Online on {facts.target}, but {', '.join(now.missing)} does not run on"
        f" {facts.target_host.name}",
        _said(now),
        "ecx-hyperv status shows where it is; the log of its resource says why",
    )


def _at_the_source(facts: MoveFacts, now: MoveMoment, *, has_lasted: bool) -> MoveEnd | None:
    if now.order is OrderState.FAILED and not now.has_left and has_lasted:
        return MoveEnd(
            Exit.REFUSED,
            f"ECX did not move {facts.group}: it is on {facts.source} as before",
            _said(now),
            "see ECX's alert log; clpstat shows the servers and the group",
        )
    if now.has_left and has_lasted:
        return MoveEnd(
            Exit.NOT_AS_ASKED,
            f"{facts.group} is back on {facts.source}: the move to {facts.target} failed",
            _said(now),
            f"see ECX's alert log, and the logs of the resources on {facts.target}",
        )
    if now.order is OrderState.DONE and has_lasted:
        return MoveEnd(
            Exit.NOT_AS_ASKED,
            f"{facts.group} did not leave {facts.source}, although ECX took the order",
            _said(now),
            "see ECX's alert log; clpstat shows the servers and the group",
        )
    return None


def _late(facts: MoveFacts, now: MoveMoment) -> MoveEnd:
    return MoveEnd(
        Exit.OUT_OF_TIME,
        f"the move of {facts.group} to {facts.target} is not over yet, and goes on by itself",
        f"clpstat: {facts.group} {now.status or 'not told'}{_on(now)}",
        "ecx-hyperv status shows how far it is",
    )


def _on(now: MoveMoment) -> str:
    return f" on {now.current}" if now.current else ""


def _said(now: MoveMoment) -> str:
    return f"clpgrp: {now.said}" if now.said else f"clpgrp: {now.order.value}"
