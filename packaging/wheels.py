"""The wheels that the RPM brings: the lock file that names them, and the checks that let them in.

wheels.py lock FOLDER           writes a lock file of the wheels in a folder to stdout
wheels.py check LOCK FOLDER     fails unless the folder holds exactly the locked wheels, all for the oldest target
wheels.py elf FOLDER            fails unless every shared object under a folder runs on the oldest target
"""

import hashlib
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

# Enterprise Linux 8: its glibc, and what its libgcc offers.
GLIBC = (2, 28)
NEWEST = {"GLIBC": GLIBC, "GCC": (7, 0, 0)}
LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1"}
LOADER = "ld-linux-x86-64.so.2"
PYTHON = (3, 12)

_LOCKED = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^\s]+) --hash=sha256:(?P<digest>[0-9a-f]{64})")
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_x86_64")
_OLD_NAMES = {"manylinux2014_x86_64": (2, 17), "manylinux2010_x86_64": (2, 12), "manylinux1_x86_64": (2, 5)}


class Refused(Exception):
    """A wheel, or a file of one, that must not go into the RPM."""


@dataclass(frozen=True, slots=True)
class Locked:
    """A line of the lock file."""

    name: str
    version: str
    digest: str


def read_lock(path: Path) -> list[Locked]:
    """Return the lines of a lock file; raises Refused for one that it does not understand."""
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line and not line.startswith("#")]
    found = [_LOCKED.fullmatch(line) for line in lines]
    for line, match in zip(lines, found, strict=True):
        if match is None:
            raise Refused(f"{path}: not NAME==VERSION --hash=sha256:DIGEST: {line}")
    return [Locked(**match.groupdict()) for match in found if match is not None]


def digest_of(wheel: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def lock(folder: Path) -> str:
    """Return a lock file of the wheels in a folder."""
    lines = ["# Everything that the RPM brings. Written by packaging/lock; nothing else names a version."]
    for wheel in sorted(folder.glob("*.whl"), key=_name_of):
        check_tags(wheel.name)
        lines.append(f"{_name_of(wheel)}=={wheel.name.split('-')[1]} --hash=sha256:{digest_of(wheel)}")
    return "\n".join(lines) + "\n"


def check(lock_file: Path, folder: Path) -> list[Path]:
    """Return the wheels, in the lock's order; raises Refused unless they are exactly the locked ones."""
    locked = {one.digest: one for one in read_lock(lock_file)}
    found = {digest_of(path): path for path in folder.iterdir()}
    if wrong := sorted([found[digest].name for digest in found.keys() - locked.keys()]):
        raise Refused(f"not in {lock_file}, or not with this content: {', '.join(wrong)}")
    if missing := sorted([locked[digest].name for digest in locked.keys() - found.keys()]):
        raise Refused(f"locked, but not there: {', '.join(missing)}")
    for path in found.values():
        check_tags(path.name)
    return [found[digest] for digest in locked]


def check_tags(wheel: str) -> None:
    """Raise Refused unless a wheel's name says that it runs on Python 3.12, x86_64, and the oldest glibc."""
    *_, pythons, abis, platforms = wheel.removesuffix(".whl").split("-")
    if not any(_fits_python(python, abi) for python in pythons.split(".") for abi in abis.split(".")):
        raise Refused(f"{wheel}: not for Python {PYTHON[0]}.{PYTHON[1]}")
    needs = [_glibc_of(platform) for platform in platforms.split(".")]
    if not any(need is not None and need <= GLIBC for need in needs):
        raise Refused(f"{wheel}: not for x86_64 with glibc {GLIBC[0]}.{GLIBC[1]}")


def check_elf(path: Path) -> None:
    """Raise Refused if a shared object needs a library, or a version of one, that the oldest target lacks."""
    shown = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"^\s+NEEDED\s+(\S+)", shown, re.MULTILINE))
    if foreign := sorted(needed - LIBRARIES - {LOADER}):
        raise Refused(f"{path}: needs {', '.join(foreign)}")
    references = shown.partition("Version References:")[2]
    for library, version in re.findall(r"\b(GLIBC|GCC|GLIBCXX|CXXABI)_([0-9.]+)", references):
        if _numbers(version) > NEWEST.get(library, (0,)):
            raise Refused(f"{path}: needs {library}_{version}")


def _fits_python(python: str, abi: str) -> bool:
    if abi == "none":
        return python in {"py3", "py312", "cp312"}
    if abi == "abi3":
        return python.startswith("cp3") and int(python.removeprefix("cp3")) <= PYTHON[1]
    return (python, abi) == ("cp312", "cp312")


def _glibc_of(platform: str) -> tuple[int, ...] | None:
    if platform == "any":
        return (0,)
    match = _MANYLINUX.fullmatch(platform)
    return (int(match[1]), int(match[2])) if match else _OLD_NAMES.get(platform)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _name_of(wheel: Path) -> str:
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()


def main(what: str, *paths: str) -> None:
    """Do what the command line says."""
    if what == "lock":
        sys.stdout.write(lock(Path(paths[0])))
    elif what == "check":
        check(Path(paths[0]), Path(paths[1]))
    elif what == "elf":
        for path in sorted(Path(paths[0]).rglob("*.so*")):
            check_elf(path)
    else:
        raise Refused(f"no {what!r}: lock, check or elf")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(f"wheels.py: {refused}")
