"""What genw-remote-node tells a person of the mirror disks, and when what it told is over.

Kept: an alert ends only once ECX is Online on the peer and each mirror disk is known to be GREEN on both sides: until
then a failover would lose data, or be refused. A mirror that cannot be told is never GREEN. What a mirror does never
changes the monitor's answer to ECX: it is told, and no more.
"""

from dataclasses import dataclass

from ecx_hyperv.decide.mirror import MirrorHealth, PairMirrors
from ecx_hyperv.decide.mirror_judgement import MirrorJudgement, MirrorVerdict, judge_mirrors

# What stops the group, or loses data, unless a person acts: an ERR alert, however the peer is.
_URGENT = frozenset({MirrorHealth.BOTH_RED, MirrorHealth.BOTH_ACTIVE})
# What keeps a failover from being safe, and is told for that. All else is told only where an alert waits for its end.
_TOLD = frozenset({MirrorHealth.COPYING, MirrorHealth.ONE_RED, MirrorHealth.NOT_CONSTRUCTED})


@dataclass(frozen=True, slots=True)
class MirrorNews:
    """A sentence for a person, with what to do; `key` stays the same for as long as it is about the same trouble.

    `mirror` is the name of the mirror disk, empty where the list of them is meant.
    """

    mirror: str
    key: str
    text: str
    is_urgent: bool = False


def is_urgent(pair: PairMirrors) -> bool:
    """Tell whether a mirror disk needs a person at once."""
    return any(one.health in _URGENT for one in pair.mirrors)


def news_of(pair: PairMirrors, *, is_online: bool, is_awaited: bool) -> tuple[MirrorNews, ...]:
    """Return what is to be told of the mirror disks, each at most once an hour.

    `is_online` is whether ECX is Online on the peer: a peer that is away is told by itself. `is_awaited` is whether the
    end of an earlier alert waits for the mirrors: then a copy that is not seen, and what nobody can tell, is told too.
    """
    return tuple(
        MirrorNews(
            one.name,
            " ".join(filter(None, (one.name, one.health.name, one.node))),
            f"{one.text}; do: {one.remedy}",
            is_urgent=one.health in _URGENT,
        )
        for one in judge_mirrors(pair)
        if _is_news(one, is_online=is_online, is_awaited=is_awaited)
    )


def _is_news(one: MirrorJudgement, *, is_online: bool, is_awaited: bool) -> bool:
    if one.health in _URGENT:
        return True
    if not is_online or one.verdict is MirrorVerdict.WELL:
        return False
    return is_awaited or one.health in _TOLD
