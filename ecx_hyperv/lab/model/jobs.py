"""What the lab's ECX wants of a script that it runs: to be asked whether the script has ended, and to be killed."""

from collections.abc import Mapping
from typing import Protocol


class ScriptJob(Protocol):
    """A script that runs, or has ended."""

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""

    def kill(self) -> None:
        """Kill it and whatever it started, at once."""


class ScriptRunner(Protocol):
    """Starts scripts on an EC-VM."""

    def __call__(self, node: str, folder: str, script: str, variables: Mapping[str, str]) -> ScriptJob:
        """Start a script of a resource's or monitor's folder, with the variables that ECX hands over."""
