"""What comes from outside, made fit to be shown: on a terminal, in a log, in a remedy that somebody copies.

A host, the other EC-VM, ECX and the files around this program say what they like. A control character moves the
cursor and repaints what stands there already; C1 holds the same commands in one character each; a mark of direction
(bidi) has a line read as something else than it is. So each text from outside goes through `flat` or `as_json` before
it reaches a person, and never takes more than a bounded share of a line.
"""

import json
import re
from typing import Any

# What one value may take of a line. Longer than anything that a person reads, shorter than what fills a disk.
MOST_SHOWN = 4000
# Windows' longest name of a machine, as DNS has it.
MOST_OF_A_NAME = 255
# In JSON the line ends that stand between its values are its own; those in a value are escaped already.
_HIDDEN = re.compile(r"[^\n\x20-\x7e]")


def flat(value: object, most: int = MOST_SHOWN) -> str:
    """Return a text on one line, without anything that could control a terminal, and no longer than `most`."""
    text = str(value)
    cut = text if len(text) <= most else f"{text[:most]}... ({len(text) - most} more characters)"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(one if one.isprintable() else " " for one in cut)


def flat_lines(text: str) -> str:
    """Return a text of several lines, each of them flat."""
    return "\n".join(flat(line.removesuffix("\r"), len(line)) for line in text.split("\n"))


def flat_name(value: object) -> str:
    """Return the name of a machine or a thing as it can be shown and compared: flat, and cut to a name's length."""
    return flat(str(value)[:MOST_OF_A_NAME])


def as_json(value: object, **options: Any) -> str:
    """Return JSON in which what could control a terminal is escaped: whoever reads it gets each value unchanged."""
    return _HIDDEN.sub(_escaped, json.dumps(value, ensure_ascii=False, **options))


def bounded(value: object) -> object:
    """Return a value for a log: a text, and each in a list, no longer than what is shown of one."""
    if isinstance(value, str):
        return value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}..."
    if isinstance(value, list | tuple):
        return [bounded(one) for one in value[:MOST_SHOWN]]
    return value


def _escaped(found: re.Match[str]) -> str:
    one = found[0]
    if one.isprintable():
        return one
    units = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
