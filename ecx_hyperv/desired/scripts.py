"""The scripts that ECX runs: where they are in a checkout or an installation."""

from pathlib import Path

from ecx_hyperv.desired.clpconf import ConfiguredMonitor, ConfiguredResource
from ecx_hyperv.errors import LocalError

INSTALLED = Path("/usr/share/ecx-hyperv/ecx")


def are_elsewhere(there: ConfiguredResource | ConfiguredMonitor | None) -> bool:
    """Tell whether ECX is set to scripts by an absolute path: then they are the user's own affair."""
    paths = ("parameters/act/path", "parameters/path")
    return there is not None and any(there.parameters.get(path, "").startswith("/") for path in paths)


def find_scripts() -> Path:
    """Return the folder of the scripts for ECX: of a checkout, or where the package puts them; raises LocalError."""
    for place in (Path(__file__).parents[2] / "scripts" / "ecx", INSTALLED):
        if place.is_dir():
            return place
    raise LocalError(
        "the scripts for ECX are not there",
        seen=f"neither in a checkout nor in {INSTALLED}",
        remedy="run this from a checkout, or install the RPM",
    )
