"""Whether the mirror disks are in sync, as clpmdstat says: what a failover now would come to."""

from collections.abc import Iterator

from ecx_hyperv.check.linux_facts import System
from ecx_hyperv.check.outcome import Finding, Outcome, ok, words
from ecx_hyperv.decide.mirror import PairMirrors
from ecx_hyperv.decide.mirror_judgement import MirrorVerdict, judge_mirrors
from ecx_hyperv.decide.mirror_news import is_urgent
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.mirrors import CLP_CONF, has_mirror, read_mirrors
from ecx_hyperv.plain import flat

_NAME = "mirror-sync"
_LOOK_S = 15.0
_OUTCOMES = {
    MirrorVerdict.WELL: Outcome.OK,
    MirrorVerdict.WARNING: Outcome.WARNING,
    MirrorVerdict.WRONG: Outcome.WRONG,
    MirrorVerdict.CANNOT_TELL: Outcome.CANNOT_TELL,
}


def look_at_mirrors(system: System, pair: Pair) -> PairMirrors:
    """Return how the mirror disks are; the peer EC-VM is asked too where its answer may tell which copy to keep."""
    expected = has_mirror(system.file(str(CLP_CONF)))
    found = read_mirrors(system.run, pair, system.deadline.within(_LOOK_S), expected=expected)
    if not is_urgent(found):
        return found
    return read_mirrors(system.run, pair, system.deadline.within(_LOOK_S), expected=expected, ask_peer=True)


def judge_mirror_sync(place: str, mirrors: PairMirrors) -> Iterator[Finding]:
    """Judge each mirror disk; a cluster that has none is well."""
    judged = judge_mirrors(mirrors)
    if not judged:
        yield ok(_NAME, place, "this cluster has no mirror disk")
    for one in judged:
        seen, where = flat(one.text), flat(one.name) or place
        if one.verdict is MirrorVerdict.WELL:
            yield ok(_NAME, where, seen)
            continue
        remedy = words(one.remedy, said=[one.name] if one.name else [])
        expected = "GREEN on both EC-VMs" if one.verdict is not MirrorVerdict.CANNOT_TELL else ""
        outcome = _OUTCOMES[one.verdict]
        yield Finding(name=_NAME, place=where, outcome=outcome, seen=seen, expected=expected, remedy=remedy)
