"""The scripts that ECX runs. They are data of this package, so a wheel brings them as a checkout and the RPM do."""

from importlib.resources import files
from pathlib import Path

from ecx_hyperv.desired.clpconf import ConfiguredMonitor, ConfiguredResource
from ecx_hyperv.errors import LocalError

_FOLDER = "ecx_scripts"


def are_elsewhere(there: ConfiguredResource | ConfiguredMonitor | None) -> bool:
    """Tell whether ECX is set to scripts by an absolute path: then they are the user's own affair."""
    paths = ("parameters/act/path", "parameters/path")
    return there is not None and any(there.parameters.get(path, "").startswith("/") for path in paths)


def find_scripts() -> Path:
    """Return the folder of the scripts for ECX, a subfolder for each kind; raises LocalError where it is missing."""
    # ECX runs these as files, and setup copies them; a package inside of a zip file is not supported.
    place = Path(str(files("ecx_hyperv.desired").joinpath(_FOLDER)))
    if not place.is_dir():
        raise LocalError(
            "the scripts for ECX are missing from the program",
            seen=f"no folder {place}",
            remedy="install the program again: the RPM, or the wheel",
        )
    return place
