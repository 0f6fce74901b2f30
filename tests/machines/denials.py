"""What SELinux would have denied: read from the audit log of a permissive machine, and from the document's table."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.machines.qemu import Machine
from tests.machines.site import CHECKOUT

DOCUMENT = CHECKOUT / "docs" / "security.md"
HEAD = "| done | by | asks | of | class | permissions |"
_LOG = "/var/log/audit/audit.log"
_DENIED = re.compile(
    r"^type=AVC msg=audit\([^)]*\): avc: +denied +\{ (?P<permissions>[^}]+) \} for +pid=(?P<pid>\d+)"
    r" comm=(?P<command>\S+).* scontext=\w+:\w+:(?P<source>\w+):\S+ tcontext=\w+:\w+:(?P<target>\w+):\S*"
    r" tclass=(?P<kind>\w+)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, order=True)
class Denial:
    """Something that would have been denied: which program asks, its type, what of which type it asks for."""

    action: str
    command: str
    source: str
    target: str
    kind: str
    permissions: tuple[str, ...]

    def __str__(self) -> str:
        words = (self.action, self.command, self.source, self.target, self.kind, " ".join(self.permissions))
        return f"| {' | '.join(words)} |"


def watch(machine: Machine) -> int:
    """Have each denial told from now on, also one that was told before; return where the log ends."""
    # In permissive mode the kernel tells each access once, until its cache is emptied: here by setting no boolean anew.
    machine.must("echo 1 >/sys/fs/selinux/commit_pending_bools")
    return int(machine.must(f"sleep 1; stat -c %s {_LOG}"))


def told(machine: Machine, action: str, since: int) -> tuple[Denial, ...]:
    """Return what the log tells of an action, but for what the driver of the tests asks for itself."""
    driver = machine.must("systemctl show --property MainPID --value machine-agent").strip()
    text = machine.must(f"sleep 1; tail -c +{since + 1} {_LOG}")
    return tuple(_merged(action, (one for one in _DENIED.finditer(text) if one["pid"] != driver)))


def _merged(action: str, found: Iterable[re.Match[str]]) -> Iterator[Denial]:
    permissions: dict[tuple[str, str, str, str], set[str]] = {}
    for one in found:
        key = (_plain(one["command"]), one["source"], one["target"], one["kind"])
        permissions.setdefault(key, set()).update(one["permissions"].split())
    for key, those in permissions.items():
        yield Denial(action, *key, tuple(sorted(those)))


def _plain(command: str) -> str:
    """Return a command's name: the kernel quotes it, or writes it in hexadecimal where it holds what is special."""
    return command.strip('"') if command.startswith('"') else bytes.fromhex(command).decode("utf-8", "replace")


def documented(path: Path = DOCUMENT) -> tuple[Denial, ...]:
    """Return the rows of the document's table."""
    _, _, rest = path.read_text(encoding="utf-8").partition(HEAD + "\n")
    rows = rest.partition("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return tuple(
        Denial(action, command, source, target, kind, tuple(permissions.split()))
        for action, command, source, target, kind, permissions in cells
    )


def write_down(found: Iterable[Denial], path: Path = DOCUMENT) -> None:
    """Put what was found in place of the document's table."""
    before, head, rest = path.read_text(encoding="utf-8").partition(HEAD + "\n")
    _, _, after = rest.partition("\n\n")
    table = "\n".join(["|---|---|---|---|---|---|", *map(str, found)])
    path.write_text(f"{before}{head}{table}\n\n{after}", encoding="utf-8")
