"""sshd_config as OpenSSH reads it: words, quotes, comments, Match blocks, and what holds for a connection.

The rules are those of OpenSSH's servconf.c, misc.c and match.c, and the tests hold this reader against `sshd -T`:
the first value for a keyword wins; a Match block that fits wins over what stands outside of all blocks, the first
such block over the others; a keyword ends with blanks, tabs or one `=`; words may be quoted in either way. What an
Include brings is not known here, since only the file itself is fetched from a host: the answer then is incomplete.
"""

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_BLANKS = " \t\r\n"
_TIME = re.compile(r"([0-9]+)([smhdw]?)", re.IGNORECASE)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition of a Match line: its attribute in lower case, and the patterns."""

    attribute: str
    patterns: str


@dataclass(frozen=True, slots=True)
class MatchBlock:
    """The conditions of one Match line, all of which must be met."""

    number: int
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class SshdLine:
    """One setting; `match` is None outside of all Match blocks, `fault` says why sshd would refuse it."""

    number: int
    keyword: str
    arguments: tuple[str, ...]
    match: MatchBlock | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class MatchedConnection:
    """Who logs in, as `sshd -T -C` takes it; None where that is not known."""

    user: str | None = None
    host: str | None = None
    address: str | None = None
    local_address: str | None = None
    local_port: int | None = None
    groups: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class SshdValue:
    """A value that may hold, None where sshd's default does; `where` tells a person its place."""

    value: str | None
    where: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class SshdConfig:
    """A file's settings in their order; `includes` are the lines that bring what is not known here."""

    lines: tuple[SshdLine, ...]

    @property
    def includes(self) -> tuple[SshdLine, ...]:
        """Return the Include lines."""
        return tuple(line for line in self.lines if line.keyword == "include")

    def value_for(self, keyword: str, connection: MatchedConnection) -> str | None:
        """Return a keyword's value for one connection, every part of which is known; None where it is not set."""
        return self.values(keyword, lambda one: _fits(one, connection))[0].value

    def values(self, keyword: str, fits: Callable[[Criterion], bool | None]) -> tuple[SshdValue, ...]:
        """Return all values that a keyword of one value may have: one, if `fits` knows whether each condition is met.

        Those of Match blocks stand first, in the order in which they would win.
        """
        found: list[SshdValue] = []
        blocks: set[MatchBlock | None] = set()
        outside = SshdValue(None)
        for line in self.lines:
            # Of the settings of one block, and of those outside, only the first one counts.
            if line.keyword != keyword.casefold() or line.match in blocks:
                continue
            blocks.add(line.match)
            if line.match is None:
                outside = _value(line)
                continue
            met = _all_met([fits(one) for one in line.match.criteria])
            if met is not False:
                found.append(_value(line))
            if met:
                return tuple(found)
        return (*found, outside)


def parse(lines: Sequence[str]) -> SshdConfig:
    """Read a file's lines; a line that sshd would refuse is kept with its fault. Nothing raises."""
    match: MatchBlock | None = None
    found = []
    for number, text in enumerate(lines, 1):
        keyword, rest = _keyword(text.lstrip("\ufeff") if number == 1 else text)
        if not keyword or keyword.startswith("#"):
            continue
        if keyword.casefold() == "match":
            match = MatchBlock(number, tuple(_criteria(rest)))
            continue
        words, is_whole = _words(rest)
        fault = "a quote is not closed" if not is_whole else "no value" if not words else ""
        found.append(SshdLine(number, keyword.casefold(), tuple(words), match, fault))
    return SshdConfig(tuple(found))


def is_yes(value: str) -> bool | None:
    """Tell what a flag says; None for what is neither yes nor no."""
    return {"yes": True, "no": False}.get(value.casefold())


def seconds(value: str) -> int | None:
    """Return a time in seconds, `1h30m` and `90` alike; None for what is no time that sshd takes."""
    parts = _TIME.findall(value) if _TIME.sub("", value) == "" and value.isascii() else []
    # Digits beyond these are beyond sshd's own limit, and would only take time.
    if not parts or any(len(digits.lstrip("0")) > 10 for digits, _ in parts):
        return None
    total = sum(int(digits) * _UNITS[unit.casefold()] for digits, unit in parts)
    return total if total <= _MOST else None


def number(value: str) -> int | None:
    """Return a whole number; None for what is none that sshd takes."""
    digits = value.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()) or len(digits.lstrip("0")) > 10:
        return None
    return int(digits) if int(digits) <= _MOST else None


def _value(line: SshdLine) -> SshdValue:
    fault = line.fault or ("more than one value" if len(line.arguments) > 1 else "")
    return SshdValue(line.arguments[0] if line.arguments else "", _where(line), fault)


def _where(line: SshdLine) -> str:
    if line.match is None:
        return f"line {line.number}"
    said = " ".join(f"{one.attribute} {one.patterns}".strip() for one in line.match.criteria)
    return f"line {line.number}, Match {said or 'without a condition'}"


def _all_met(parts: Sequence[bool | None]) -> bool | None:
    if any(part is False for part in parts) or not parts:
        return False
    return None if any(part is None for part in parts) else True


def _fits(one: Criterion, connection: MatchedConnection) -> bool | None:
    """Tell whether a condition is met; None where the connection does not say, or the condition is not known here."""
    if one.attribute == "all":
        return True
    if one.attribute in ("address", "localaddress"):
        address = connection.address if one.attribute == "address" else connection.local_address
        return None if address is None else _has_address(one.patterns, address)
    if one.attribute == "group":
        groups = connection.groups
        return None if groups is None else any(_has_pattern(one.patterns, group) for group in groups)
    if one.attribute == "localport":
        return None if connection.local_port is None else number(one.patterns) == connection.local_port
    said = {"user": connection.user, "host": connection.host}.get(one.attribute)
    if said is None:
        return None
    # Hosts are compared without case, users as they are written.
    is_host = one.attribute == "host"
    return _has_pattern(one.patterns.casefold(), said.casefold()) if is_host else _has_pattern(one.patterns, said)


def _has_pattern(patterns: str, text: str) -> bool:
    """Match as OpenSSH does: `*` and `?`, alternatives by commas, of which one with `!` that fits outweighs all."""
    found = False
    for part in patterns.split(","):
        glob = part.removeprefix("!").replace("[", "[[]")
        if fnmatch.fnmatchcase(text, glob):
            if part.startswith("!"):
                return False
            found = True
    return found


def _has_address(patterns: str, text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    found = False
    for part in patterns.split(","):
        bare = part.removeprefix("!")
        try:
            fits = address in ipaddress.ip_network(bare, strict=False)
        except (ValueError, TypeError):
            fits = _has_pattern(bare, text)
        if fits and part.startswith("!"):
            return False
        found = found or fits
    return found


def _criteria(rest: str) -> Iterator[Criterion]:
    attribute, rest = _delimited(rest)
    while attribute and not attribute.startswith("#"):
        name = attribute.casefold()
        if name in ("all", "invalid-user"):
            yield Criterion(name, "")
        else:
            patterns, rest = _delimited(rest)
            yield Criterion(name, patterns)
        attribute, rest = _delimited(rest)


def _keyword(line: str) -> tuple[str, str]:
    keyword, rest = _delimited(line.rstrip(_BLANKS + "\f"))
    return _delimited(rest) if not keyword and rest else (keyword, rest)


def _delimited(text: str) -> tuple[str, str]:
    """Part a word from the rest as OpenSSH's strdelim does: by blanks, one `=`, or a closing quote."""
    at = next((n for n, character in enumerate(text) if character in _BLANKS + '"='), None)
    if at is None:
        return text, ""
    if text[at] == '"':
        before, (inside, closed, rest) = text[:at], text[at + 1 :].partition('"')
        return (before + inside, rest.lstrip(_BLANKS)) if closed else ("", "")
    rest = text[at + 1 :].lstrip(_BLANKS)
    if text[at] != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(_BLANKS)
    return text[:at], rest


def _words(text: str) -> tuple[list[str], bool]:
    """Split the values of a keyword as OpenSSH's argv_split does; false: a quote is not closed."""
    words: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] == "#":
            break
        word, at, is_whole = _word(text, at)
        words.append(word)
        if not is_whole:
            return words, False
    return words, True


def _word(text: str, at: int) -> tuple[str, int, bool]:
    """Return the word that begins at a place, where it ends, and whether its quotes are closed."""
    word, quote = "", ""
    while at < len(text):
        character, following = text[at], text[at + 1 : at + 2]
        if character == "\\" and (following in ("'", '"', "\\") or (not quote and following == " ")):
            word, at = word + following, at + 1
        elif not quote and character in " \t":
            break
        elif not quote and character in "'\"":
            quote = character
        elif character == quote:
            quote = ""
        else:
            word += character
        at += 1
    return word, at, not quote
