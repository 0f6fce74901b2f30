"""What is said of tests that were skipped for want of a PowerShell engine."""

from collections.abc import Iterable

# The reason that such a test gives; what is said at the end of a run is found by it.
NO_ENGINE = "no PowerShell here: install pwsh, or name it in ECX_PWSH"


def last_line(reasons: Iterable[str]) -> str:
    """Return what a run ends with, from the reasons of its skipped tests; empty where the engine was there."""
    skipped = sum(NO_ENGINE in one for one in reasons)
    if not skipped:
        return ""
    return (
        f"NOT RUN: {skipped} tests that run the PowerShell of this program, since there is no pwsh here; "
        "CONTRIBUTING.md says how to get it"
    )
