"""clpmdstat: how a mirror disk is, on both servers.

NEC's manual of this command was not at hand. What public scripts read of its answer is all that is known: a row
`Mirror Color` with two words, one for each server, of GREEN, YELLOW, RED, GRAY and BLUE; `Mirror Status:` with some
words, `No Construction` among them; `Lastupdate` and `Break` with dates and times. Which column is which server is not
documented. So rows are read by their labels, whatever is not known is kept, and nothing but two GREEN columns, and no
word against them, is ever taken for a mirror that is well.

A side has a name only where the answer itself has a header, above the colors, that names both servers. `clpmdctrl -f`
on the wrong side destroys the newer data: a caller without a name must show the answer and name no side.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.mirror import Mirror, MirrorColor, MirrorRow, MirrorSide
from ecx_hyperv.ecx.commands import Completed, Runner
from ecx_hyperv.errors import LocalError

_ASK_S = 30.0
_LISTED = re.compile(r"^\s*<(?P<name>[^<>\s]+)>")
# Labels whose values are told from them however few blanks there are.
_KNOWN = re.compile(
    r"(?P<label>Mirror\s+(?:Color|Status)|(?:Last\s?update|Break)(?:\s+Time)?)\b\s*:?\s*(?P<rest>.*)", re.IGNORECASE
)
_COLUMNS = re.compile(r"\s{2,}|\t")
_TIME = re.compile(r"\d{2,4}[/-]\d{1,2}[/-]\d{1,2}[ T]+\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?|-{1,}")
_MOMENT = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})[ T]+(\d{1,2}):(\d{2}):(\d{2})(?:\.\d+)?")
_PERCENT = re.compile(r"(\d{1,3})(?:\.\d+)? ?%?")
_DURATION = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})")
# A color beside the row of colors: of a row that is broken, or of another mirror.
_BAD_COLOR = re.compile(r"(?<![\w-])(?:YELLOW|RED|GRAY|BLUE)(?![\w-])")
_RULED = re.compile(r"[\s=+*_-]*")
# A share that is not the progress of a copy: of a difference, of a disk, of a limit.
_OTHER_SHARES = ("diff", "need", "used", "volume", "limit", "history", "max", "min", "compress", "cpu", "band")


def parse_names(text: str) -> tuple[str, ...]:
    """Read the names that `clpmdstat -l` lists, each once."""
    found = [row["name"] for line in text.split("\n") if (row := _LISTED.match(line))]
    return tuple(dict.fromkeys(found))


def parse(text: str, name: str, servers: tuple[str, str]) -> Mirror:
    """Read what `clpmdstat -m NAME` printed; `servers` are the names to look for in a header. Nothing raises."""
    lines = [line.strip() for line in text.split("\n")]
    rows = [row for line in lines if (row := _row(line)) is not None]
    at = [number for number, line in enumerate(lines) if _is_color(line)]
    colors = [_colors(lines[number]) for number in at]
    sides: tuple[MirrorSide, ...] = ()
    is_against = colors == [[MirrorColor.GREEN] * 2] and _BAD_COLOR.search(text)
    # Two rows of colors are two mirrors, or none that is understood.
    if len(colors) == 1 and len(colors[0]) == 2 and not is_against:
        named = _header(lines[: at[0]], name, servers)
        updates, breaks = _times(rows, "lastupdate"), _times(rows, "break")
        sides = tuple(_side(*one) for one in zip(colors[0], named, updates, breaks, strict=True))
    remaining = _remaining(rows)
    return Mirror(
        name=name,
        status=_status(rows),
        sides=sides,
        percent=_percent(rows),
        remaining=remaining,
        remaining_s=_seconds(remaining),
        rows=tuple(rows),
        unknown=tuple(line for line in lines if line and _row(line) is None and not _RULED.fullmatch(line)),
        text=text,
    )


def ask_names(run: Runner, deadline: Deadline) -> tuple[str, ...]:
    """Return the names of all mirror disks, none where ECX has none; raises LocalError if clpmdstat fails."""
    done = run(["clpmdstat", "-l"], deadline.within(_ASK_S).remaining())
    _refuse_failure(done, "clpmdstat -l")
    return parse_names(done.text)


def ask(run: Runner, name: str, servers: tuple[str, str], deadline: Deadline) -> Mirror:
    """Return how a mirror disk is; raises LocalError if clpmdstat fails, never for an answer without sense."""
    done = run(["clpmdstat", "-m", name], deadline.within(_ASK_S).remaining())
    _refuse_failure(done, f"clpmdstat -m {name}")
    return parse(done.text, name, servers)


def _refuse_failure(done: Completed, command: str) -> None:
    if done.code == 0:
        return
    said = (done.text + done.stderr.decode("utf-8", "replace")).strip().splitlines()
    ended = f"was killed because it {done.why_killed}" if done.code is None else f"exit code {done.code}"
    raise LocalError(
        "clpmdstat does not say how the mirror is",
        seen=f"{ended}, {said[-1] if said else 'nothing printed'}",
        remedy=f"run {command} by hand; see whether ECX runs on this EC-VM",
    )


def _row(line: str) -> MirrorRow | None:
    """Read a line as a label and its values, which a colon, a tab or two blanks part; None for what is neither."""
    if known := _KNOWN.fullmatch(line):
        return MirrorRow(" ".join(known["label"].split()), _values(known["rest"]))
    label, colon, rest = line.partition(":")
    if colon and label.strip() and not _COLUMNS.search(label.strip()) and (not rest or rest[0].isspace()):
        return MirrorRow(" ".join(label.split()), _values(rest.strip()))
    parts = _COLUMNS.split(line, maxsplit=1)
    return MirrorRow(parts[0], _values(parts[1].strip())) if len(parts) == 2 and parts[0] else None


def _values(text: str) -> tuple[str, ...]:
    return tuple(part for part in _COLUMNS.split(text) if part)


def _is_color(line: str) -> bool:
    known = _KNOWN.fullmatch(line)
    return known is not None and known["label"].casefold().endswith("color")


def _colors(line: str) -> list[MirrorColor]:
    """Return the colors of a row, none if any of its words is no color."""
    row = _KNOWN.fullmatch(line)
    words = row["rest"].split() if row else []
    known = {color.value: color for color in MirrorColor}
    return [known[word] for word in words] if all(word in known for word in words) else []


def _header(above: Sequence[str], name: str, servers: tuple[str, str]) -> tuple[str, str]:
    """Return whose the columns are; empty names unless each line that names both servers says the same."""
    found = set()
    for line in above:
        words = line.split()
        if servers[0] != servers[1] and sorted(word for word in words if word in servers) == sorted(servers):
            # A line of a header names the mirror at most besides; one with other words is about something else.
            others = [word for word in words if word not in (*servers, name, f"<{name}>")]
            found.add(tuple(word for word in words if word in servers) if not others else ("", ""))
    only = next(iter(found)) if len(found) == 1 else ("", "")
    return (only[0], only[1])


def _labelled(rows: Sequence[MirrorRow], *beginnings: str) -> Iterator[MirrorRow]:
    return (row for row in rows if row.label.casefold().replace(" ", "").startswith(beginnings))


def _status(rows: Sequence[MirrorRow]) -> str:
    found = [" ".join(row.values) for row in _labelled(rows, "mirrorstatus")]
    return found[0] if len(found) == 1 else " / ".join(found)


def _times(rows: Sequence[MirrorRow], label: str) -> tuple[str, str]:
    """Return the two times of a row, or one where only one stands; empty where there is no such row, or two."""
    found = [_TIME.findall(" ".join(row.values)) for row in _labelled(rows, label)]
    times = [one if any(map(str.isdigit, one)) else "" for one in found[0]] if len(found) == 1 else []
    # A single time belongs to the first column in all public scripts, but to which server nobody says.
    return (times[0], times[1]) if len(times) == 2 else (times[0], "") if len(times) == 1 else ("", "")


def _side(color: MirrorColor, server: str, updated: str, broken: str) -> MirrorSide:
    return MirrorSide(color, server, updated, broken, _moment(updated), _moment(broken))


def _moment(text: str) -> int | None:
    """Return a date and time in seconds; None for what is none, or has no seconds: the servers' own time, compared."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp())


def _percent(rows: Sequence[MirrorRow]) -> int | None:
    found = set()
    for row in rows:
        label = row.label.casefold()
        is_share = ("percent" in label or "progress" in label) and not any(word in label for word in _OTHER_SHARES)
        if is_share and len(row.values) == 1 and (share := _PERCENT.fullmatch(row.values[0])):
            found.add(int(share[1]))
    only = found.pop() if len(found) == 1 else None
    return only if only is not None and only <= 100 else None


def _remaining(rows: Sequence[MirrorRow]) -> str:
    found = {row.values[0] for row in rows if "remain" in row.label.casefold() and len(row.values) == 1}
    only = found.pop() if len(found) == 1 else ""
    return only if any(map(str.isdigit, only)) else ""


def _seconds(text: str) -> int | None:
    found = _DURATION.fullmatch(text)
    return int(found[1] or 0) * 3600 + int(found[2]) * 60 + int(found[3]) if found else None
