"""What systemctl, getenforce, rpm and dpkg-query answer: known words only, whatever is printed around them.

An answer may come with warnings, in another language or not at all. A word that is not known is no state: the check
then cannot tell, rather than take it for the harmless one.
"""

import re
from collections.abc import Sequence

from ecx_hyperv.check.outcome import Unavailable
from ecx_hyperv.ecx.commands import Completed

_ACTIVE = frozenset(
    {"active", "reloading", "refreshing", "inactive", "failed", "activating", "deactivating", "maintenance", "unknown"}
)
_ENABLED = frozenset(
    {
        *("enabled", "enabled-runtime", "linked", "linked-runtime", "alias", "masked", "masked-runtime", "static"),
        *("indirect", "disabled", "generated", "transient", "not-found"),
    }
)
_SELINUX = frozenset({"Enforcing", "Permissive", "Disabled"})
_VERSION = re.compile(r"(?:\d+:)?\d+\.\d[A-Za-z0-9.+~_-]*")
_NOT_INSTALLED = re.compile(r"is not installed|no packages found|no package .*matching", re.IGNORECASE)
_REMOVED = ("not-installed", "config-files", "half-installed")


def active_state(done: Completed) -> str | Unavailable:
    """Read `systemctl is-active UNIT`: its word, `inactive` for a unit that is not there."""
    return _word(done, _ACTIVE, "systemctl is-active")


def enabled_state(done: Completed) -> str | Unavailable:
    """Read `systemctl is-enabled UNIT`: its word, `not-found` for a unit that is not there."""
    stderr = done.stderr.decode("utf-8", "replace")
    # Until systemd 253 the word was missing where the unit was.
    if not done.text.strip() and re.search(r"No such file or directory|does not exist", stderr):
        return "not-found"
    return _word(done, _ENABLED, "systemctl is-enabled")


def selinux_mode(done: Completed) -> str | Unavailable:
    """Read `getenforce`."""
    return _word(done, _SELINUX, "getenforce")


def rpm_version(done: Completed) -> str | Unavailable:
    """Read what `rpm -q` prints of version and release, with a blank behind each: empty where it is not installed."""
    return _version(done, "rpm", done.text.splitlines())


def dpkg_version(done: Completed) -> str | Unavailable:
    """Read what `dpkg-query -W` prints of status and version, a line for each: empty where it is not installed."""
    lines = done.text.splitlines()
    if any(line.strip().startswith(_REMOVED) for line in lines):
        return ""
    return _version(done, "dpkg-query", [line.strip().removeprefix("installed ") for line in lines])


def _version(done: Completed, program: str, lines: Sequence[str]) -> str | Unavailable:
    # A warning may name a version too, but not in a line of nothing else.
    versions = [word for line in lines if all(map(_VERSION.fullmatch, line.split())) for word in line.split()]
    if versions and done.code == 0:
        return ", ".join(versions)
    stderr = done.stderr.decode("utf-8", "replace")
    if _NOT_INSTALLED.search(done.text + stderr):
        return ""
    return _unknown(done, program)


def _word(done: Completed, known: frozenset[str], program: str) -> str | Unavailable:
    """Return the one known word that stands alone in a line; the last one, as systemctl prints it last."""
    found = [word for line in done.text.splitlines() if (word := line.strip()) in known]
    return found[-1] if found else _unknown(done, program)


def _unknown(done: Completed, program: str) -> Unavailable:
    said = (done.text + "\n" + done.stderr.decode("utf-8", "replace")).strip().splitlines()
    return Unavailable(why=f"{program}: {said[-1].strip() if said else f'exit {done.code}, nothing printed'}")
