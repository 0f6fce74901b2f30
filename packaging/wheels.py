"""The wheels that the RPM brings: the lock file that names them, and the checks that let them in.

wheels.py lock FOLDER...                prints the lines of a lock file of the wheels in folders, one for each Python
wheels.py check PYTHON LOCK FOLDER      fails unless the folder holds exactly the wheels locked for that Python (3.12)
wheels.py elf FOLDER                    fails unless all shared objects, those in wheels too, run on the oldest target
wheels.py list FOLDER                   prints what the wheels install, byte code too, for whichever Python
wheels.py same FOLDER FOLDER            fails unless the wheels for one Python install what those for the other do
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# Enterprise Linux 8: its glibc, and what its libgcc offers.
GLIBC = (2, 28)
NEWEST = {"GLIBC": GLIBC, "GCC": (7, 0, 0)}
LIBRARIES = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1"}
LOADER = "ld-linux-x86-64.so.2"

_FORMAT = "elf64-x86-64"
_NUMBERED = re.compile(r"([A-Z]+)_([0-9]+(?:\.[0-9]+)*)")
# Packed relative relocations, by name or, as an objdump older than they are shows them, by number.
_RELR = re.compile(r"RELR\w*|0x0*2[345]")

_LOCKED = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^\s]+)(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)")
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_x86_64")
_OLD_NAMES = {"manylinux2014_x86_64": (2, 17), "manylinux2010_x86_64": (2, 12), "manylinux1_x86_64": (2, 5)}
# All that may differ between what two Pythons are given: the tag in the names of compiled files.
_TAG = re.compile(r"\.cpython-3\d+(?=[-.])")


class Refused(Exception):
    """A wheel, or a file of one, that must not go into the RPM."""


@dataclass(frozen=True, slots=True)
class Locked:
    """A line of the lock file; several digests where each Python has a wheel of its own."""

    name: str
    version: str
    digests: tuple[str, ...]


def read_lock(path: Path) -> list[Locked]:
    """Return the lines of a lock file; raises Refused for one that it does not understand."""
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line and not line.startswith("#")]
    found = []
    for line in lines:
        match = _LOCKED.fullmatch(line)
        if match is None:
            raise Refused(f"{path}: not NAME==VERSION --hash=sha256:DIGEST...: {line}")
        digests = tuple(one.removeprefix("--hash=sha256:") for one in match["hashes"].split())
        found.append(Locked(match["name"], match["version"], digests))
    return found


def digest_of(wheel: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def lock(*folders: Path) -> str:
    """Return the lines that lock the wheels in folders; raises Refused unless each has the same names and versions."""
    sets = [{(_name_of(path), path.name.split("-")[1]): path for path in folder.glob("*.whl")} for folder in folders]
    if odd := sorted({f"{name} {version}" for one in sets for name, version in one.keys() ^ sets[0].keys()}):
        raise Refused(f"not for every Python: {', '.join(odd)}")
    lines = []
    for name, version in sorted(sets[0]):
        digests = dict.fromkeys(digest_of(one[name, version]) for one in sets)
        lines.append(" ".join([f"{name}=={version}", *(f"--hash=sha256:{digest}" for digest in digests)]))
    return "\n".join(lines) + "\n"


def check(python: str, lock_file: Path, folder: Path) -> list[Path]:
    """Return the wheels, in the lock's order; raises Refused unless they are exactly those locked for this Python."""
    locked = read_lock(lock_file)
    line_of = {digest: one for one in locked for digest in one.digests}
    paths = sorted(folder.iterdir())
    if wrong := [path.name for path in paths if digest_of(path) not in line_of]:
        raise Refused(f"not in {lock_file}, or not with this content: {', '.join(wrong)}")
    for path in paths:
        check_tags(path.name, python)
    found = {line_of[digest_of(path)].name: path for path in paths}
    if missing := [one.name for one in locked if one.name not in found]:
        raise Refused(f"locked, but not there: {', '.join(missing)}")
    return [found[one.name] for one in locked]


def check_tags(wheel: str, python: str) -> None:
    """Raise Refused unless a wheel's name says that it runs on this Python, x86_64, and the oldest glibc."""
    *_, pythons, abis, platforms = wheel.removesuffix(".whl").split("-")
    if not any(_fits(python, tag, abi) for tag in pythons.split(".") for abi in abis.split(".")):
        raise Refused(f"{wheel}: not for Python {python}")
    needs = [_glibc_of(platform) for platform in platforms.split(".")]
    if not any(need is not None and need <= GLIBC for need in needs):
        raise Refused(f"{wheel}: not for x86_64 with glibc {GLIBC[0]}.{GLIBC[1]}")


def check_objects(folder: Path) -> int:
    """Return how many objects a folder holds, whatever their names, in wheels too; raises Refused as check_elf."""
    objects = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and _is_elf(path))
    for path in objects:
        check_elf(path)
    count = len(objects)
    for wheel in sorted(folder.rglob("*.whl")):
        with tempfile.TemporaryDirectory() as unpacked:
            zipfile.ZipFile(wheel).extractall(unpacked)
            count += check_objects(Path(unpacked))
    return count


def check_elf(path: Path) -> None:
    """Raise Refused if an object needs a library, a version of one, or a loader, that the oldest target lacks."""
    done = subprocess.run(["objdump", "-p", path], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{path}: objdump cannot read it: {done.stderr.strip()}")
    if found := misfits(done.stdout):
        raise Refused(f"{path}: {'; '.join(found)}")


def misfits(shown: str) -> list[str]:
    """Return what is against an object that `objdump -p` shows so: whatever is not known to be on the oldest target."""
    form, dynamic, references = (
        re.findall(pattern, shown, re.MULTILINE)
        for pattern in (r"file format (\S+)", r"^  (\S+) +(\S+)$", r"^ +0x\w+ +0x\w+ +\d+ +(\S+)")
    )
    found = [f"is for {one}" for one in form if one != _FORMAT]
    needed = {value for tag, value in dynamic if tag == "NEEDED"}
    found += [f"needs {one}" for one in sorted(needed - LIBRARIES - {LOADER})]
    found += [f"needs {one}" for one in sorted(set(references)) if not _is_there(one)]
    if any(_RELR.fullmatch(tag) for tag, _ in dynamic) and not any("DT_RELR" in one for one in found):
        # A loader older than glibc 2.36 passes them over, and the object breaks when it is used.
        found.append("needs a loader that knows DT_RELR")
    return found


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _is_there(version: str) -> bool:
    match = _NUMBERED.fullmatch(version)
    return match is not None and match[1] in NEWEST and _numbers(match[2]) <= NEWEST[match[1]]


def installed(folder: Path) -> set[str]:
    """Return what the wheels in a folder install, with a byte code file for each module, for whichever Python."""
    names: set[str] = set()
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            names |= {name for name in archive.namelist() if not name.endswith("/")}
    modules = [PurePosixPath(name) for name in names if name.endswith(".py")]
    return {neutral(name) for name in names} | {str(one.parent / f"__pycache__/{one.stem}.pyc") for one in modules}


def neutral(name: str) -> str:
    """Return a file's name without what says for which Python it was compiled."""
    return _TAG.sub("", name)


def check_same(one: Path, other: Path) -> int:
    """Return how many files the wheels in a folder install; raises Refused if those in the other install others."""
    if odd := sorted(installed(one) ^ installed(other)):
        raise Refused(f"only in one of {one} and {other}: {', '.join(odd)}")
    return len(installed(one))


def _fits(python: str, tag: str, abi: str) -> bool:
    major, minor = _numbers(python)
    exact = f"cp{major}{minor}"
    if abi == "none":
        return tag in {f"py{major}", f"py{major}{minor}", exact}
    if abi == "abi3":
        return tag.startswith(f"cp{major}") and int(tag.removeprefix(f"cp{major}")) <= minor
    return (tag, abi) == (exact, exact)


def _glibc_of(platform: str) -> tuple[int, ...] | None:
    if platform == "any":
        return (0,)
    match = _MANYLINUX.fullmatch(platform)
    return (int(match[1]), int(match[2])) if match else _OLD_NAMES.get(platform)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _name_of(wheel: Path) -> str:
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()


def main(what: str, *given: str) -> None:
    """Do what the command line says."""
    if what == "lock":
        sys.stdout.write(lock(*map(Path, given)))
    elif what == "check":
        print(f"{len(check(given[0], Path(given[1]), Path(given[2])))} wheels")
    elif what == "elf":
        print(f"{check_objects(Path(given[0]))} shared objects")
    elif what == "list":
        print("\n".join(sorted(installed(Path(given[0])))))
    elif what == "same":
        print(f"{check_same(Path(given[0]), Path(given[1]))} files")
    else:
        raise Refused(f"no {what!r}: lock, check, elf, list or same")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        sys.exit(f"wheels.py: {refused}")
