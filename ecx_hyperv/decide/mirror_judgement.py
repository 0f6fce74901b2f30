"""What a mirror disk means for the pair, in a sentence for a person, and what to do about it.

Kept: `clpmdctrl -f` on the wrong side destroys the newer data. So the remedy names a side only where the facts do, and
where both copies tell when they were written last; a copy that is not seen may be the newer one, and is waited for.
"""

from dataclasses import dataclass
from enum import Enum

from ecx_hyperv.decide.mirror import MirrorColor, MirrorFacts, MirrorHealth, MirrorSide, PairMirrors


class MirrorVerdict(Enum):
    """What a mirror disk means for the pair."""

    WELL = "well"
    WARNING = "warning"
    WRONG = "wrong"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class MirrorJudgement:
    """What a person is told of one mirror disk: a sentence, and what to do; `remedy` is empty where all is well.

    `node` is the EC-VM on which the remedy is to be carried out, empty where none may be named.
    """

    name: str
    verdict: MirrorVerdict
    health: MirrorHealth
    text: str
    remedy: str = ""
    node: str = ""


def judge_mirrors(pair: PairMirrors) -> tuple[MirrorJudgement, ...]:
    """Judge each mirror disk of the pair, and the list of them where nobody can tell it."""
    if not pair.why:
        return tuple(map(judge_mirror, pair.mirrors))
    text = f"nobody can tell which mirror disks there are: {pair.why}"
    cannot = MirrorVerdict.CANNOT_TELL
    return (MirrorJudgement("", cannot, MirrorHealth.CANNOT_TELL, text, pair.remedy or "run clpmdstat -l"),)


def judge_mirror(facts: MirrorFacts) -> MirrorJudgement:
    """Say what a mirror disk means for the pair, in a sentence, and what a person should do about it."""
    verdict = _VERDICTS[facts.health]
    remedy, node = _force(facts) if facts.health is MirrorHealth.BOTH_RED else (_remedy(facts), "")
    return MirrorJudgement(facts.name, verdict, facts.health, _sentence(facts), remedy, node)


_VERDICTS = {
    MirrorHealth.GREEN: MirrorVerdict.WELL,
    MirrorHealth.COPYING: MirrorVerdict.WARNING,
    MirrorHealth.ONE_UNKNOWN: MirrorVerdict.WARNING,
    MirrorHealth.ONE_RED: MirrorVerdict.WRONG,
    MirrorHealth.BOTH_RED: MirrorVerdict.WRONG,
    MirrorHealth.BOTH_ACTIVE: MirrorVerdict.WRONG,
    MirrorHealth.NOT_CONSTRUCTED: MirrorVerdict.WRONG,
    MirrorHealth.BOTH_UNKNOWN: MirrorVerdict.CANNOT_TELL,
    MirrorHealth.CANNOT_TELL: MirrorVerdict.CANNOT_TELL,
}


def _sentence(facts: MirrorFacts) -> str:
    mirror, shown = f"the mirror disk {facts.name}", f" ({facts.colors})" if facts.colors else ""
    match facts.health:
        case MirrorHealth.GREEN:
            return f"{mirror} is in sync{shown}"
        case MirrorHealth.COPYING:
            return f"{mirror} is being copied{_progress(facts)}"
        case MirrorHealth.ONE_UNKNOWN:
            return f"one copy of {mirror} is stopped or not seen{shown}"
        case MirrorHealth.ONE_RED:
            return f"one copy of {mirror} is old{shown}{_loss(facts)}"
        case MirrorHealth.BOTH_RED:
            return f"no copy of {mirror} is known to be good{shown}; the group cannot start{_answers(facts)}"
        case MirrorHealth.BOTH_ACTIVE:
            return f"both EC-VMs use their own copy of {mirror}{shown}, and the copies differ"
        case MirrorHealth.NOT_CONSTRUCTED:
            return f"{mirror} was never constructed"
    because = f": {facts.why}" if facts.why else ""
    return f"nobody can tell how {mirror} is{shown}{because}{_answers(facts)}"


def _answers(facts: MirrorFacts) -> str:
    """Show what each EC-VM answered, in its own order, where nobody can say which column is whose."""
    if all(side.server for side in facts.sides) and not facts.why:
        return ""
    told = [
        f"{answer.node} answers {' and '.join(map(_column, answer.said.sides))}"
        for answer in facts.answers
        if answer.said is not None and answer.said.sides
    ]
    return f"; {', '.join(told)}" if told else ""


def _column(side: MirrorSide) -> str:
    return " ".join(filter(None, (side.server, side.color.value, side.last_update)))


def _remedy(facts: MirrorFacts) -> str:
    look = f"clpmdstat -m {facts.word}"
    match facts.health:
        case MirrorHealth.GREEN:
            return ""
        case MirrorHealth.COPYING:
            return f"wait until the copy is complete ({look}); move no group and stop no EC-VM before"
        case MirrorHealth.ONE_UNKNOWN:
            return f"start the EC-VM, or the ECX, of the side that is GRAY ({look})"
        case MirrorHealth.ONE_RED:
            return f"unless ECX copies by itself: clpmdctrl -r {facts.word}; move no group before the copy is complete"
        case MirrorHealth.BOTH_ACTIVE:
            return (
                "stop the group on both EC-VMs, find out which copy holds the data to keep, and copy from that side "
                "in Cluster WebUI; what the other copy holds is lost"
            )
        case MirrorHealth.NOT_CONSTRUCTED:
            return "construct the mirror in Cluster WebUI, from the EC-VM that holds the data"
    return f"run {look} on both EC-VMs, and compare"


def _progress(facts: MirrorFacts) -> str:
    left = f"{facts.remaining} left" if facts.remaining else ""
    told = [part for part in ("" if facts.percent is None else f"{facts.percent} %", left) if part]
    return f" ({', '.join(told)})" if told else ""


def _loss(facts: MirrorFacts) -> str:
    """Say what a failover to the old copy would lose: what was written between the break and the last update."""
    good = [side for side in facts.sides if side.color is MirrorColor.GREEN]
    for side in good:
        if side.updated_s is not None and side.broken_s is not None and side.updated_s > side.broken_s:
            return f"; a failover now would lose what was written in {side.updated_s - side.broken_s} s"
    return ""


def _force(facts: MirrorFacts) -> tuple[str, str]:
    """Return what makes one of two bad copies the good one, and the EC-VM for it, where it may be named."""
    command = f"clpmdctrl -f {facts.word}"
    if any(side.color is MirrorColor.GRAY for side in facts.sides):
        # The side that is not seen may be the one that was written last.
        return f"start the EC-VM and the ECX of the side that is GRAY first, then look again; no {command} before", ""
    dated = [(side.updated_s, side) for side in facts.sides if side.updated_s is not None]
    if len(dated) == 2:
        (older_s, older), (newer_s, newer) = sorted(dated, key=lambda one: one[0])
        if older_s == newer_s:
            why = f"both copies were written last at {newer.last_update}"
            return f"{why}: choose the EC-VM whose copy is to be kept, and run {command} there only", ""
        if newer.server:
            why = (
                f"its copy was written last, {newer.last_update}; that of {older.server}, {older.last_update}, is lost"
            )
            return f"on {newer.server}: clpgrp -t; {command}; clpgrp -s ({why})", newer.server
    return (
        f"find out which EC-VM has the later Lastupdate (Cluster WebUI), and run {command} on that one only; "
        "on the other one it destroys the newer data"
    ), ""
