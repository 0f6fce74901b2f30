"""The way to a host: from its port to a PowerShell with the agent, and how its sshd is set up."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ecx_hyperv.check.catalogue import Area, names_of
from ecx_hyperv.check.host_facts import NOT_SHOWN, HostFacts
from ecx_hyperv.check.outcome import (
    Finding,
    Outcome,
    Unavailable,
    cannot_tell,
    here,
    is_so,
    judged,
    ok,
    on_host,
    warning,
    words,
    wrong,
)
from ecx_hyperv.check.sshd_config import Criterion, SshdConfig, SshdValue, is_yes, number, parse, seconds
from ecx_hyperv.errors import (
    HostError,
    HostKeyRefused,
    LoginRefused,
    NoAgent,
    NoCommonAlgorithm,
    SessionLost,
    Unreachable,
)
from ecx_hyperv.host.rows import WindowsService
from ecx_hyperv.host.setting_queries import AUTHORIZED_KEYS

_STAGES = ("reachable", "host-key", "login", "powershell")
_REACHED: dict[type[HostError], str] = {
    Unreachable: "reachable",
    HostKeyRefused: "host-key",
    # No key is checked before both sides have agreed on how.
    NoCommonAlgorithm: "host-key",
    LoginRefused: "login",
    NoAgent: "powershell",
    SessionLost: "powershell",
}
_MENDED_BY = {"host-key": here("ecx-hyperv trust"), "login": here("ecx-hyperv setup ssh")}
_SSH = here("ecx-hyperv setup ssh")
_INCLUDE = words("on the host: sshd.exe -T shows what sshd makes of all its files")
# Beyond this Kerberos refuses; below it only logs suffer.
_KERBEROS_S, _LOGS_S = 300, 5
_ACE = re.compile(r"\(([^;()]*);[^;()]*;([^;()]*);[^;()]*;[^;()]*;([^;()]+)[^()]*\)")
_SDDL = "O:BAG:SYD:PAI(A;;FA;;;SY)(A;;FA;;;BA)"
_TRUSTED = {"BA", "SY", "S-1-5-32-544", "S-1-5-18"}


def silent(place: str, error: HostError, *, tried: bool) -> Iterator[Finding]:
    """Say where the way to a host ends; nobody can tell what lies beyond, unless the wire was tried all the same."""
    reached = next(stage for kind, stage in _REACHED.items() if isinstance(error, kind))
    for stage in _STAGES[: _STAGES.index(reached)]:
        yield (
            ok(stage, place, "yes")
            if error.tried
            else cannot_tell(stage, place, Unavailable(why=f"the host was not called: see {reached}"))
        )
    seen = error.what + (f": {error.seen}" if error.seen else "")
    known = None if isinstance(error, NoCommonAlgorithm) else _MENDED_BY.get(reached)
    remedy = known or words(error.remedy or "see the host")
    yield wrong(reached, place, seen, "that it answers", remedy)
    reason = Unavailable(why=f"the host {error.in_short}: see {reached}")
    beyond = names_of(Area.LOGIN, Area.HOST, Area.EC_GUEST, *(() if tried else (Area.WIRE,)))
    for name in beyond[beyond.index(reached) + 1 :]:
        yield cannot_tell(name, place, reason)


def judge_login(place: str, facts: HostFacts, asked: tuple[datetime, datetime]) -> Iterator[Finding]:
    """Judge the way to a host that answered; `asked` is when it was asked and when it had answered."""
    for stage in _STAGES[:-1]:
        yield ok(stage, place, "yes")
    yield _powershell(place, facts)
    yield _clock(place, facts, asked)
    yield judged("sshd-passwords", place, facts.sshd_config, lambda lines: _passwords(place, lines))
    yield judged("sshd-keepalive", place, facts.sshd_config, lambda lines: _keepalive(place, lines))
    yield judged("sshd-sessions", place, facts.sshd_config, lambda lines: _sessions(place, lines))
    yield judged("authorized-keys", place, facts.keys_sddl, lambda sddl: _keys(place, sddl))
    yield judged("services", place, facts.services, lambda services: _services(place, services))


def _powershell(place: str, facts: HostFacts) -> Finding:
    version, language = facts.hello.ps, facts.hello.language
    if not version or not language:
        return cannot_tell("powershell", place, NOT_SHOWN)
    return is_so(
        "powershell",
        place,
        f"{version}, {language}",
        so=version.startswith("5.1") and language == "FullLanguage",
        expected="5.1, FullLanguage",
        remedy=words("exempt this login from AppLocker or WDAC; install Windows Management Framework 5.1"),
    )


def _clock(place: str, facts: HostFacts, asked: tuple[datetime, datetime]) -> Finding:
    try:
        there = datetime.fromisoformat(facts.hello.utc or "").astimezone(UTC)
    except ValueError:
        return cannot_tell("clock", place, Unavailable(why="the host does not say what time it has"))
    before, after = asked
    apart = max((before - there).total_seconds() - 1, (there - after).total_seconds(), 0.0)
    seen = f"{apart:.0f} s apart" if apart else "the same"
    remedy = words("have hosts and EC-VMs take their time from one source: w32tm /config, chronyd")
    if apart <= _LOGS_S:
        return ok("clock", place, seen)
    make = wrong if apart > _KERBEROS_S else warning
    return make("clock", place, seen, f"at most {_LOGS_S} s", remedy)


def _fits(one: Criterion) -> bool | None:
    """Tell whether a condition is met by this program's login, which is one of an administrator."""
    if one.attribute == "all" or one.patterns == "*":
        return True
    return True if (one.attribute, one.patterns.casefold()) == ("group", "administrators") else None


def _fits_anybody(one: Criterion) -> bool | None:
    return True if one.attribute == "all" or one.patterns == "*" else None


def _incomplete(config: SshdConfig) -> Unavailable:
    lines = ", ".join(f"line {line.number}" for line in config.includes)
    return Unavailable(why=f"sshd_config includes another file, which is not read: {lines}", remedy=_INCLUDE)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A keyword of sshd_config, its default, and what is right for it."""

    keyword: str
    default: str
    is_right: Callable[[str], bool | None]

    def accepts(self, one: SshdValue) -> bool:
        return not one.fault and bool(self.is_right(self.default if one.value is None else one.value))

    def said(self, one: SshdValue) -> str:
        value = self.default if one.value is None else one.value
        notes = ", ".join(part for part in (one.where, one.fault) if part)
        return f"{self.keyword} {value}".rstrip() + (f" ({notes})" if notes else "")


_KEYS_ONLY = (
    _Wanted("PasswordAuthentication", "yes", lambda value: is_yes(value) is False),
    _Wanted("PermitEmptyPasswords", "no", lambda value: is_yes(value) is False),
)
_KEPT_ALIVE = (
    _Wanted("ClientAliveInterval", "0", lambda value: bool(seconds(value))),
    # A count of 0 keeps sshd from ever giving up.
    _Wanted("ClientAliveCountMax", "3", lambda value: bool(number(value))),
)
# The looks, the slower questions, the acts, and one more for what hangs.
_ENOUGH = (_Wanted("MaxSessions", "10", lambda value: (number(value) or 0) >= 4),)


def _passwords(place: str, lines: tuple[str, ...]) -> Finding:
    """Nobody may be let in by a password, whoever a Match block is about."""
    config = parse(lines)
    open_ways = [
        wanted.said(one)
        for wanted in _KEYS_ONLY
        for one in config.values(wanted.keyword, _fits_anybody)
        if not wanted.accepts(one)
    ]
    if not open_ways and config.includes:
        return cannot_tell("sshd-passwords", place, _incomplete(config))
    return is_so(
        "sshd-passwords",
        place,
        ", ".join(open_ways) or "keys only",
        so=not open_ways,
        expected="PasswordAuthentication no, PermitEmptyPasswords no",
        remedy=_SSH,
    )


def _keepalive(place: str, lines: tuple[str, ...]) -> Finding:
    return _for_this_login("sshd-keepalive", place, lines, _KEPT_ALIVE, "ClientAliveInterval 15", Outcome.WARNING)


def _sessions(place: str, lines: tuple[str, ...]) -> Finding:
    expected = "MaxSessions 10, sshd's default"
    return _for_this_login("sshd-sessions", place, lines, _ENOUGH, expected, Outcome.WRONG)


def _for_this_login(
    name: str, place: str, lines: tuple[str, ...], settings: tuple[_Wanted, ...], expected: str, outcome: Outcome
) -> Finding:
    """Judge settings of which several values may hold for this program's login, as Match lines have it."""
    config = parse(lines)
    if config.includes:
        return cannot_tell(name, place, _incomplete(config))
    right, bad, is_certain = [], [], False
    for wanted in settings:
        values = config.values(wanted.keyword, _fits)
        wrong_ones = [wanted.said(one) for one in values if not wanted.accepts(one)]
        right += [wanted.said(one) for one in values if wanted.accepts(one)]
        bad += wrong_ones
        is_certain = is_certain or len(wrong_ones) == len(values)
    if bad and not is_certain:
        why = f"it depends on whom a Match line is about: {', '.join([*bad, *right])}"
        return cannot_tell(name, place, Unavailable(why=why, remedy=_INCLUDE))
    return is_so(name, place, ", ".join(bad or right), so=not bad, expected=expected, remedy=_SSH, outcome=outcome)


def _keys(place: str, sddl: str) -> Finding:
    owner = re.match(r"O:(S-[0-9-]+|[A-Z]{2})", sddl)
    others = {trustee for kind, _, trustee in _ACE.findall(sddl) if kind == "A" and trustee not in _TRUSTED}
    if owner is None or owner[1] not in _TRUSTED:
        others.add(f"owner {owner[1] if owner else 'unknown'}")
    return is_so(
        "authorized-keys",
        place,
        f"also open to {', '.join(sorted(others))}" if others else "Administrators and SYSTEM only",
        so=not others,
        expected="Administrators and SYSTEM only",
        remedy=on_host(
            place,
            f"$acl = Get-Acl -LiteralPath '{AUTHORIZED_KEYS}'; $acl.SetSecurityDescriptorSddlForm('{_SDDL}');"
            f" Set-Acl -LiteralPath '{AUTHORIZED_KEYS}' -AclObject $acl",
        ),
    )


def _services(place: str, services: tuple[WindowsService, ...]) -> Finding:
    by_name = {one.name.casefold(): one for one in services}
    off = []
    for name in ("sshd", "MSiSCSI"):
        one = by_name.get(name.casefold())
        if one is None or one.start != "Automatic" or one.status != "Running":
            off.append((name, "not there" if one is None else f"{one.status}, {one.start}"))
    if not off:
        return ok("services", place, "sshd and MSiSCSI start with the host")
    lines = [f"Set-Service -Name {name} -StartupType Automatic; Start-Service -Name {name}" for name, _ in off]
    seen = "; ".join(f"{name}: {how}" for name, how in off)
    return wrong("services", place, seen, "Running, Automatic", on_host(place, "; ".join(lines)))
