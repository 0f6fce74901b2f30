"""Lays the program out below a build root, as the RPM installs it, for the Python that runs this; needs nothing else.

assemble.py --wheels FOLDER --source CHECKOUT --root BUILDROOT --release VERSION-RELEASE

Each release has a folder of its own, and `current` names the one that new runs use. So an upgrade is one rename for
whoever starts a command meanwhile: it finds all of the old release or all of the new one, never a mixture.
"""

import argparse
import compileall
import os
import py_compile
import shutil
import sys
import tomllib
import zipfile
from pathlib import Path

import pages
import wheels

HOME = Path("/usr/lib/ecx-hyperv")
SCRIPTS = Path("/usr/share/ecx-hyperv/ecx")
# Where the package has them.
PACKAGED = Path("ecx_hyperv/desired/ecx_scripts")
LICENCES = Path("/usr/share/licenses/ecx-hyperv")
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# -I: whatever PYTHONPATH, HOME or the folder it is called in hold. -S: nor what is installed for this Python.
LAUNCHER = """\
#!/usr/bin/python{python} -IS
import sys

sys.path.insert(0, "{site}")
try:
    from {module} import {function}
except Exception as error:
    print(f"{name}: the program is damaged: {{error}}; see rpm --verify ecx-hyperv, install it again", file=sys.stderr)
    sys.exit({blind})

sys.exit({function}())
"""
# A program that is damaged cannot tell; and a monitor that cannot tell must not fail a VM that runs.
BLIND = {"genw-vm": 0}
CANNOT_TELL = 7


def main() -> None:
    """Lay everything out."""
    parser = argparse.ArgumentParser()
    for name in ("wheels", "source", "root"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--release", required=True)
    given = parser.parse_args()

    home = HOME / given.release
    site = given.root / home.relative_to("/") / "site-packages"
    site.mkdir(parents=True)
    for wheel in wheels.check(PYTHON, given.source / "packaging/requirements.lock", given.wheels):
        unpack(wheel, site)
        keep_licences(wheel, given.root / LICENCES.relative_to("/"))
    shutil.copytree(given.source / "ecx_hyperv", site / "ecx_hyperv")
    wheels.check_objects(site)
    set_modes(site)
    compile_all(site, home / "site-packages")
    link_scripts(given.root, site)

    entries = read_entries(given.source)
    write_launchers(given.root, home, entries)
    sys.path.insert(0, str(site))
    sys.dont_write_bytecode = True
    pages.write(given.root, entries)


def unpack(wheel: Path, site: Path) -> None:
    """Unpack a wheel; refuses one that wants files elsewhere, or that overwrites another's."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = Path(name).parts
            if parts[0].endswith(".data") or ".." in parts or (site / name).is_file():
                raise wheels.Refused(f"{wheel.name}: {name} has no place here")
        archive.extractall(site)


def keep_licences(wheel: Path, folder: Path) -> None:
    """Copy a wheel's licences to where an RPM's are looked for; refuses a wheel that brings none."""
    name, version = wheel.name.split("-")[:2]
    with zipfile.ZipFile(wheel) as archive:
        found = [
            one
            for one in archive.namelist()
            if ".dist-info/" in one
            and not one.endswith("/")
            and Path(one).name.upper().startswith(("LICEN", "COPYING", "NOTICE", "AUTHORS"))
        ]
        if not found:
            raise wheels.Refused(f"{wheel.name}: brings no licence")
        target = folder / f"{name}-{version}"
        target.mkdir(parents=True)
        for one in found:
            (target / Path(one).name).write_bytes(archive.read(one))


def set_modes(site: Path) -> None:
    """Give every file the mode that it is installed with, whatever the archive or umask said."""
    for path in site.rglob("*"):
        is_executable = path.is_dir() or ".so" in path.suffixes or path.suffix == ".sh"
        path.chmod(0o755 if is_executable else 0o644)


def compile_all(site: Path, installed: Path) -> None:
    """Compile every module, in one order, in one process, into files that are never checked against their source."""
    compiled = compileall.compile_dir(
        site,
        quiet=1,
        stripdir=str(site),
        prependdir=str(installed),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        sys.exit("assemble.py: a module does not compile")


def link_scripts(root: Path, site: Path) -> None:
    """Link the scripts for ECX from the path that EXEC resources may have, to those of the current release.

    File by file, in folders that are real: earlier releases had files there, and rpm replaces a file by a link, but
    neither a folder by a link nor, on a downgrade, a link by a folder.
    """
    for script in sorted((site / PACKAGED).rglob("*.sh")):
        place = SCRIPTS / script.relative_to(site / PACKAGED)
        link = root / place.relative_to("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(HOME / "current/site-packages" / script.relative_to(site), place.parent))


def read_entries(source: Path) -> dict[str, str]:
    """Return the commands, and the function behind each, of pyproject.toml."""
    entries: dict[str, str] = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "scripts"
    ]
    return entries


def write_launchers(root: Path, home: Path, entries: dict[str, str]) -> None:
    """Write a launcher for each command, and the links by which it is found."""
    launchers, commands = root / (home / "bin").relative_to("/"), root / "usr/bin"
    launchers.mkdir()
    commands.mkdir(parents=True, exist_ok=True)
    for name, entry in entries.items():
        module, function = entry.split(":")
        launcher = launchers / name
        blind = BLIND.get(name, CANNOT_TELL)
        site = home / "site-packages"
        text = LAUNCHER.format(python=PYTHON, name=name, site=site, module=module, function=function, blind=blind)
        launcher.write_text(text, encoding="ascii")
        launcher.chmod(0o755)
        (commands / name).symlink_to(os.path.relpath(HOME / "current/bin" / name, "/usr/bin"))
    (root / (HOME / "current").relative_to("/")).symlink_to(home.name)


if __name__ == "__main__":
    main()
