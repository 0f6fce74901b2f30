"""udev's rules, as far as they make links to disks: read by udev's own grammar.

The rules are those of udev(7) and of systemd's udev-rules.c: keys and values in any layout, with commas or without;
lines that are continued by a backslash; values with escaped quotes, or as C strings behind an `e`; `%n` and `$number`
alike. A file in /etc takes the place of one of the same name in /run and /usr/lib. Whether a rule's conditions are met
by a disk is not known here: that the link is there is another fact.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

# In the order in which a later folder takes the place of an earlier one.
FOLDERS = ("usr/lib/udev/rules.d", "lib/udev/rules.d", "run/udev/rules.d", "etc/udev/rules.d")
_MOST_BYTES = 1 << 20
_TOKEN = re.compile(
    r"[\s,]*(?P<key>[A-Za-z_]+)(?:\{(?P<attribute>[^}]*)\})?\s*(?P<operator>==|!=|\+=|-=|:=|=)\s*"
    r'(?:e"(?P<escaped>(?:\\.|[^"\\])*)"|"(?P<plain>(?:[^"\\]|\\"|\\(?!"))*)")'
)
_REST = re.compile(r"[\s,]*")
_SUBSTITUTION = re.compile(
    r"%%|\$\$|%(?P<short>[a-zA-Z])(?:\{(?P<of>[^}]*)\})?"
    r"|\$(?P<long>devnode|tempnode|attr|sysfs|env|kernel|number|driver|devpath|id|major|minor|result|parent|name|links"
    r"|root|sys)(?:\{(?P<part>[^}]*)\})?"
)
# More properties than this in one name would make the comparison slow, and no rule has them.
_MOST_UNKNOWN = 4
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "s": " "}


class LinkMade(Enum):
    """Whether a rule makes a link."""

    YES = "yes"
    PERHAPS = "perhaps"
    NO = "no"


@dataclass(frozen=True, slots=True)
class UdevToken:
    """One condition or assignment of a rule."""

    key: str
    attribute: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class UdevRule:
    """One rule, with the file and line where it begins."""

    place: str
    tokens: tuple[UdevToken, ...]

    def makes(self, name: str) -> LinkMade:
        """Tell whether it makes /dev/NAME, as far as its text says: PERHAPS where a property of the disk decides."""
        found = LinkMade.NO
        for token in self.tokens:
            if token.key != "SYMLINK" or token.operator not in ("+=", "=", ":="):
                continue
            for link in token.value.split():
                pattern, is_certain = self._pattern(link.removeprefix("/dev/"))
                if re.fullmatch(pattern, name):
                    found = LinkMade.YES if is_certain else LinkMade.PERHAPS if found is LinkMade.NO else found
        return found

    def _pattern(self, link: str) -> tuple[str, bool]:
        """Return what a link may come to, and whether the rule alone says so."""
        parts: list[str] = []
        at, unknown = 0, 0
        for found in _SUBSTITUTION.finditer(link):
            parts.append(re.escape(link[at : found.start()]))
            at = found.end()
            part, is_known = self._substituted(found)
            parts.append(part)
            unknown += not is_known
        parts.append(re.escape(link[at:]))
        # What is nothing but a property may be anything, and says nothing.
        is_nothing = unknown > _MOST_UNKNOWN or (unknown and not parts[0])
        return ("(?!)", False) if is_nothing else ("".join(parts), not unknown)

    def _substituted(self, found: re.Match[str]) -> tuple[str, bool]:
        if found[0] in ("%%", "$$"):
            return re.escape(found[0][0]), True
        word = found["short"] or found["long"]
        if word in ("n", "number"):
            return r"\d*", True
        if word in ("E", "env"):
            # A property that the rule itself asks for by its whole value.
            asked = [
                token.value
                for token in self.tokens
                if (token.key, token.attribute, token.operator) == ("ENV", found["of"] or found["part"], "==")
            ]
            if len(asked) == 1 and not re.search(r"[*?\[|]", asked[0]):
                return re.escape(asked[0]), True
        return r"[^/]*", False


def read(root: Path) -> tuple[UdevRule, ...]:
    """Read the rules of a machine, in udev's order; a file that cannot be read has none."""
    files: dict[str, Path] = {}
    for folder in FOLDERS:
        try:
            files |= {path.name: path for path in (root / folder).glob("*.rules")}
        except OSError:
            continue
    return tuple(rule for name in sorted(files) for rule in _read_file(files[name]))


def parse(text: str, file: str) -> tuple[UdevRule, ...]:
    """Read the rules of one file; a line that udev would refuse is none. Nothing raises."""
    return tuple(_live([rule for line, place in _lines(text, file) if (rule := _rule(line, place)) is not None]))


def made_by(rules: Iterable[UdevRule], device: str) -> LinkMade:
    """Tell whether any of the rules makes a device's name."""
    name = posixpath.normpath(device).removeprefix("/dev/")
    found = {rule.makes(name) for rule in rules}
    return next(one for one in (LinkMade.YES, LinkMade.PERHAPS, LinkMade.NO) if one in found or one is LinkMade.NO)


def _read_file(path: Path) -> tuple[UdevRule, ...]:
    try:
        # /dev/null in place of a file switches it off.
        if not path.is_file():
            return ()
        with path.open("rb") as content:
            return parse(content.read(_MOST_BYTES).decode("utf-8", "replace"), path.name)
    except OSError:
        return ()


def _lines(text: str, file: str) -> Iterator[tuple[str, str]]:
    """Return whole lines: comments left out, even in the middle of a continued line, as udev does."""
    begun, whole = 0, ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line.startswith("#"):
            continue
        begun = begun or number
        if line.endswith("\\"):
            whole += line[:-1]
            continue
        if whole + line:
            yield whole + line, f"{file}:{begun}"
        begun, whole = 0, ""


def _rule(line: str, place: str) -> UdevRule | None:
    tokens, at = [], 0
    while found := _TOKEN.match(line, at):
        value = _unescaped(found["escaped"]) if found["plain"] is None else found["plain"].replace('\\"', '"')
        tokens.append(UdevToken(found["key"], found["attribute"] or "", found["operator"], value))
        at = found.end()
    return UdevRule(place, tuple(tokens)) if tokens and _REST.fullmatch(line, at) else None


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        word = found[1]
        return chr(int(word[1:], 16)) if word[0] == "x" and len(word) == 3 else _escape(_ESCAPES, word)

    return re.sub(r"\\(x[0-9a-fA-F]{2}|.)", one, text, flags=re.DOTALL)


def _escape(known: Mapping[str, str], word: str) -> str:
    return known.get(word, word)


def _live(rules: list[UdevRule]) -> Iterator[UdevRule]:
    """Leave out what stands between a jump without a condition and its label."""
    label = ""
    for rule in rules:
        named = [token.value for token in rule.tokens if (token.key, token.operator) == ("LABEL", "=")]
        if label and label not in named:
            continue
        label = ""
        jumps = [token.value for token in rule.tokens if (token.key, token.operator) == ("GOTO", "=")]
        is_conditional = any(token.operator in ("==", "!=") for token in rule.tokens)
        label = jumps[0] if jumps and not is_conditional and _has_label(rules, rule, jumps[0]) else ""
        yield rule


def _has_label(rules: list[UdevRule], rule: UdevRule, label: str) -> bool:
    """Tell whether a label follows a rule; udev ignores a jump to none."""
    following = rules[rules.index(rule) + 1 :]
    return any(token.key == "LABEL" and token.value == label for one in following for token in one.tokens)
