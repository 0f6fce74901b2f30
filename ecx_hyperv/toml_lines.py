"""The lines of a TOML file in which its keys stand: Python's reader tells none, and a person looks for a line.

The text is one that Python's reader has taken already, so nothing is judged here. Whatever is not understood has no
line, which costs a message its number and nothing else.
"""

import contextlib
import re
import tomllib
from collections.abc import Mapping

_BLANK = " \t"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
# The end of a value that is neither a text, a list nor a table.
_PLAIN = re.compile(r"[^,\]}#\r\n]*")
_TEXTS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"""(?!")', re.DOTALL),
    re.compile(r"'''.*?'''(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)


def lines_of(text: str) -> Mapping[str, int]:
    """Return the line of each key of a TOML text, counted from 1.

    A key is written as a mistake writes it: `timing.start`, `node[2].host`; `vm[1]` is the table itself.
    """
    reader = _LineReader(text)
    # What was found before goes on to count.
    with contextlib.suppress(IndexError, RecursionError, ValueError):
        reader.read()
    return reader.lines


def line_of(lines: Mapping[str, int], key: str) -> int:
    """Return the line of a key, that of its table where it is missing there, 0 where neither is known."""
    while key:
        found = lines.get(key) or lines.get(f"{key}[1]")
        if found:
            return found
        key = key.rpartition(".")[0]
    return 0


class _LineReader:
    """One pass over a text; `lines` is what it has found."""

    def __init__(self, text: str) -> None:
        self._text = text.removeprefix("\ufeff")
        self._at = 0
        self._counted = (0, 1)
        self._counts: dict[str, int] = {}
        self.lines: dict[str, int] = {}

    def read(self) -> None:
        table = ""
        self._skip()
        while self._at < len(self._text):
            if self._next("["):
                table = self._header(is_list=self._next("["))
            else:
                self._pair(table)
            self._skip()

    def _header(self, *, is_list: bool) -> str:
        line, parts = self._line(), self._key()
        self._at += 2 if is_list else 1
        path = ""
        for part in parts[:-1]:
            path = self._last_of(_join(path, part))
        path = _join(path, parts[-1])
        if is_list:
            self._counts[path] = self._counts.get(path, 0) + 1
        path = self._last_of(path)
        self.lines.setdefault(path, line)
        return path

    def _last_of(self, path: str) -> str:
        return f"{path}[{self._counts[path]}]" if path in self._counts else path

    def _pair(self, table: str) -> None:
        line, path = self._line(), table
        for part in self._key():
            path = _join(path, part)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._value(path)

    def _key(self) -> list[str]:
        parts = [self._part()]
        while self._next("."):
            parts.append(self._part())
        return parts

    def _part(self) -> str:
        self._blanks()
        found = _BARE.match(self._text, self._at)
        if found:
            self._at = found.end()
            part = found[0]
        else:
            written = self._quoted()
            value = tomllib.loads(f"x = {written}")["x"]
            part = str(value)
        self._blanks()
        return part

    def _value(self, path: str) -> None:
        self._blanks()
        if self._next("["):
            self._list(path)
        elif self._next("{"):
            self._inline(path)
        elif self._text[self._at] in "\"'":
            self._quoted()
        else:
            found = _PLAIN.match(self._text, self._at)
            self._at = found.end() if found else len(self._text)

    def _list(self, path: str) -> None:
        number = 0
        self._skip()
        while not self._next("]"):
            number += 1
            began = self._at
            self.lines.setdefault(f"{path}[{number}]", self._line())
            self._value(f"{path}[{number}]")
            self._skip()
            self._next(",")
            self._skip()
            if self._at == began:
                raise ValueError("no value")

    def _inline(self, path: str) -> None:
        self._skip()
        while not self._next("}"):
            self._pair(path)
            self._skip()
            self._next(",")
            self._skip()

    def _quoted(self) -> str:
        for kind in _TEXTS:
            found = kind.match(self._text, self._at)
            if found:
                self._at = found.end()
                return found[0]
        raise ValueError("no text")

    def _expect(self, sign: str) -> None:
        if not self._next(sign):
            raise ValueError(f"no {sign}")

    def _next(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _BLANK:
            self._at += 1

    def _skip(self) -> None:
        """Skip blanks, ends of lines and comments."""
        while self._at < len(self._text) and self._text[self._at] in " \t\r\n#":
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                self._at += 1

    def _line(self) -> int:
        """Return the line that the reader has come to; only what is new since the last call is counted."""
        at, line = self._counted
        self._counted = (self._at, line + self._text.count("\n", at, self._at))
        return self._counted[1]


def _join(path: str, part: str) -> str:
    return f"{path}.{part}" if path else part
