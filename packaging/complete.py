"""complete.py PYTHON PYPROJECT FOLDER: fails unless the wheels in a folder are all that the program needs, and no more.

What a wheel needs is asked for that Python, whichever this is: pip would ask for the one that runs it. Needs packaging.
"""

import re
import sys
import tomllib
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name


@dataclass(frozen=True, slots=True)
class Wheel:
    """What a wheel says of itself."""

    version: str
    pythons: str
    needs: tuple[Requirement, ...]


def read(path: Path) -> tuple[NormalizedName, Wheel]:
    """Return a wheel's name, and what it says of itself."""
    with ZipFile(path) as archive:
        name = next(one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
        says: Message = HeaderParser().parsestr(archive.read(name).decode("utf-8"))
    needs = tuple(Requirement(text) for text in says.get_all("Requires-Dist", []))
    return canonicalize_name(says["Name"]), Wheel(says["Version"], says.get("Requires-Python", ""), needs)


def mistakes(python: str, wanted: list[Requirement], wheels: dict[NormalizedName, Wheel]) -> list[str]:
    """Return what is missing, does not fit, or is needed by nothing."""
    machine = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
    }
    found: list[str] = []
    used: set[tuple[NormalizedName, str]] = set()
    waiting = [(one, "the program", "") for one in wanted]
    while waiting:
        need, by, extra = waiting.pop()
        if need.marker is not None and not need.marker.evaluate({**machine, "extra": extra}):
            continue
        name = canonicalize_name(need.name)
        wheel = wheels.get(name)
        if wheel is None or not need.specifier.contains(wheel.version):
            found.append(f"{by} needs {need}, and there is {wheel.version if wheel else 'none'}")
            continue
        for one in {"", *need.extras} - {one for known, one in used if known == name}:
            used.add((name, one))
            waiting += [(below, name, one) for below in wheel.needs]
    for name, wheel in wheels.items():
        if name not in {known for known, _ in used}:
            found.append(f"nothing needs {name}")
        if not SpecifierSet(wheel.pythons).contains(f"{python}.0"):
            found.append(f"{name} is for Python {wheel.pythons}")
    return sorted(found)


def main(python: str, pyproject: str, folder: str) -> None:
    """Do what the command line says."""
    project = tomllib.loads(Path(pyproject).read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    if not SpecifierSet(project["requires-python"]).contains(f"{python}.0"):
        sys.exit(f"complete.py: the program is for Python {project['requires-python']}")
    if found := mistakes(python, wanted, dict(map(read, Path(folder).glob("*.whl")))):
        sys.exit("complete.py: " + "; ".join(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
