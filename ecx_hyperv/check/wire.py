"""What the trials on a host mean."""

from collections.abc import Iterator

from ecx_hyperv.check.host_facts import HostFacts
from ecx_hyperv.check.outcome import Finding, Remedy, Unavailable, cannot_tell, here, is_so, ok, warning, words, wrong
from ecx_hyperv.check.probes import REPLY_BYTES, ProbeResult
from ecx_hyperv.config import StdinWay

# PowerShell and all modules must be there well before a monitor's limit of 90 s.
_SLOW_S = 25.0
_TELL = words("send the report to the developers: ecx-hyperv check --report FILE")


def judge_wire(place: str, tried: ProbeResult, facts: HostFacts | None, way: StdinWay) -> Iterator[Finding]:
    """Judge the trials on one host; `way` is the configured one, `facts` what it said of itself before."""
    yield _stdin(place, tried, way)
    needs_handle = words('nothing, with [ssh] stdin = "input": it starts a PowerShell for each request')
    held = Unavailable(why="stdin cannot be held open on this host: see wire-stdin", remedy=needs_handle)
    untried = held if tried.handle else Unavailable(why="; ".join(tried.trouble) or "not tried")
    yield _part("wire-idle", place, tried.idle, f"answers after {tried.idle_s:g} s of silence", untried)
    yield _part("wire-end", place, tried.end, "PowerShell ends with its stdin", untried)
    yield _part("wire-deadman", place, tried.deadman, "ended what slept past its limit", untried)
    dead = Unavailable(why="no way in works: see wire-stdin")
    yield _part("wire-names", place, tried.names, "Japanese comes back unharmed", dead)
    yield _part("wire-reply", place, tried.reply, f"{REPLY_BYTES // 1024} KiB in one answer", dead)
    yield _part("wire-refusal", place, tried.refusal, "refuses what it must", dead)
    if facts is None:
        asked = Unavailable(why="the host does not answer: see powershell")
        yield from (cannot_tell(name, place, asked) for name in ("wire-cmdlets", "wire-times"))
        return
    yield _cmdlets(place, facts)
    yield _times(place, tried, facts)


def _part(name: str, place: str, came: str | None, seen: str, unavailable: Unavailable) -> Finding:
    if came is None:
        return cannot_tell(name, place, unavailable)
    return is_so(name, place, came or seen, so=not came, expected=seen, remedy=_TELL)


def _stdin(place: str, tried: ProbeResult, way: StdinWay) -> Finding:
    if tried.handle is None or tried.input is None:
        return cannot_tell("wire-stdin", place, Unavailable(why="; ".join(tried.trouble) or "not tried"))
    works = [name.value for name, why in ((StdinWay.HANDLE, tried.handle), (StdinWay.INPUT, tried.input)) if not why]
    seen = f"{' and '.join(works) or 'neither'} work{'s' if len(works) == 1 else ''}; set: {way.value}"
    if way.value not in works:
        remedy: Remedy = words(f'set stdin = "{works[0]}" under [ssh], on both EC-VMs') if works else _TELL
        why = tried.handle if way is StdinWay.HANDLE else tried.input
        return wrong("wire-stdin", place, f"{seen}: {why}", "the way that is set", remedy)
    if len(works) == 1:
        return ok("wire-stdin", place, seen)
    if way is StdinWay.INPUT:
        return ok("wire-stdin", place, f"{seen}; handle is faster")
    return ok("wire-stdin", place, seen)


def _cmdlets(place: str, facts: HostFacts) -> Finding:
    return is_so(
        "wire-cmdlets",
        place,
        f"not allowed: {', '.join(facts.denied)}" if facts.denied else "all that only look may be run",
        so=not facts.denied,
        expected="every cmdlet that only looks; those that change something are not tried",
        remedy=words("put [ssh] user into the local Administrators of both hosts; ecx-hyperv setup ssh shows how"),
    )


def _times(place: str, tried: ProbeResult, facts: HostFacts) -> Finding:
    if tried.hello_s is None:
        return cannot_tell("wire-times", place, Unavailable(why="no way in works: see wire-stdin"))
    parts = {"PowerShell": tried.hello_s, **{name: ms / 1000 for name, ms in facts.modules.items()}}
    seen = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items())
    if sum(parts.values()) > _SLOW_S:
        remedy = here("ecx-hyperv check wire-times")
        return warning("wire-times", place, seen, f"{_SLOW_S:g} s in all; the first time on a host is slower", remedy)
    return ok("wire-times", place, seen)
