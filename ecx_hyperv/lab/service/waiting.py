"""Waiting for what a person has asked of the lab's group: until it is done, or until it is clear that it is not."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecx_hyperv.errors import LocalError
from ecx_hyperv.lab.model.servers import GROUP
from ecx_hyperv.lab.service import control
from ecx_hyperv.lab.service.control import ControlAnswer

# More than a script may take, and less than a person waits for a lab that hangs.
_LONGEST_S = 300.0
_POLL_S = 0.1
# So long may nothing be under way before a group that is not as asked counts as failed: a takeover begins only once a
# lost server was noticed.
_QUIET_S = 3.0


def for_group(
    path: Path,
    verb: str,
    target: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Wait until the group is as asked, and return that in words; raises LocalError where it is not."""
    began = clock()
    quiet_since: float | None = None
    while True:
        shown = control.ask(path, "show")
        if _is_done(shown, verb, target):
            where = "Offline" if verb == "stop" else f"Online on {target}"
            return f"{GROUP} is {where} ({clock() - began:.1f} s)"
        idle = bool(shown.data["idle"])
        quiet_since = (clock() if quiet_since is None else quiet_since) if idle else None
        if quiet_since is not None and clock() - quiet_since >= _QUIET_S:
            raise LocalError(
                f"{GROUP} was not {'stopped' if verb == 'stop' else f'brought Online on {target}'}",
                seen=_in_words(shown.data["ecx"]),
                remedy="see what happened: ecx-hyperv lab history",
            )
        if clock() - began >= _LONGEST_S:
            raise LocalError(
                f"the {verb} of {GROUP} is not over after {_LONGEST_S:g} s",
                seen=_in_words(shown.data["ecx"]),
                remedy="it goes on; see ecx-hyperv lab history",
            )
        sleep(_POLL_S)


def _is_done(shown: ControlAnswer, verb: str, target: str) -> bool:
    servers: dict[str, Any] = shown.data["ecx"]
    if not shown.data["idle"]:
        return False
    if verb == "stop":
        return all(one["group"] == "Offline" for one in servers.values())
    return bool(servers[target]["group"] == "Online")


def _in_words(servers: dict[str, Any]) -> str:
    return ", ".join(f"{name}: ECX {one['service']}, {GROUP} {one['group']}" for name, one in servers.items())
