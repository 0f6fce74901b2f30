"""The RPMs by dnf, as an administrator installs them: signed, from a machine without Python, with a repository.

with_dnf.py MACHINE PYTHON FOLDER: MACHINE is a tree, which becomes a machine that lacks Python, ip and ping. FOLDER has
the RPMs (old and next), the signed ones (signed/), and what they require of the system under the names of Enterprise
Linux (offered/). The dnf is this machine's own, with what Enterprise Linux sets in dnf.conf. Part of packaging/test, in
a namespace without network.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tree import PYTHON, TREE, Failed, must, ok, run

FOLDER = Path(sys.argv[3]).resolve()
PROGRAM, LAB = PACKAGES = ("ecx-hyperv", "ecx-hyperv-lab")
REQUIRED = {PYTHON, "iproute", "iputils"}
CONFIG = TREE / "etc/ecx-hyperv/config.toml"
RELEASES = TREE / "usr/lib/ecx-hyperv"
LIMIT_S = 300
CHECKED = "--setopt=localpkg_gpgcheck=1"
# As /etc/dnf/dnf.conf of Enterprise Linux is.
MAIN = """[main]
gpgcheck=1
installonly_limit=3
clean_requirements_on_remove=True
best=True
skip_if_unavailable=False
"""
REPOSITORY = """[base]
name=What the RPM requires of the system
baseurl=file://{folder}
gpgcheck=0
"""


@dataclass(frozen=True, slots=True)
class Release:
    """The two RPMs of a release."""

    program: Path
    lab: Path

    @property
    def paths(self) -> tuple[str, str]:
        """Return both files, as dnf is handed them."""
        return str(self.program), str(self.lab)

    @property
    def version(self) -> str:
        """Return VERSION-RELEASE."""
        return self.program.name.removeprefix("ecx-hyperv-").removesuffix(".x86_64.rpm")


def release_in(folder: Path, version: str) -> Release:
    """Return the RPMs of a version, or of every version but one (`!9.0.0`)."""
    ones = [
        path
        for path in folder.glob("ecx-hyperv*.rpm")
        if not path.name.endswith(".src.rpm") and (f"-{version.lstrip('!')}-" in path.name) != version.startswith("!")
    ]
    (lab,) = (path for path in ones if path.name.startswith("ecx-hyperv-lab-"))
    (program,) = (path for path in ones if path != lab)
    return Release(program, lab)


def here(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command of this machine, which looks for rpm's database where Enterprise Linux has it."""
    home = FOLDER / "home"
    home.mkdir(exist_ok=True)
    (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n", encoding="ascii")
    return subprocess.run(
        ["/usr/bin/env", "-i", "PATH=/usr/bin:/usr/sbin:/bin:/sbin", f"HOME={home}", "LC_ALL=C.UTF-8", *command],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def dnf(*arguments: str, expected: int = 0, says: str = "") -> str:
    """Run dnf on the machine in the tree."""
    state = FOLDER / "dnf"
    places = {"reposdir": "repos", "cachedir": "cache", "persistdir": "state", "logdir": "log", "varsdir": "vars"}
    for place in places.values():
        (state / place).mkdir(parents=True, exist_ok=True)
    (state / "dnf.conf").write_text(MAIN, encoding="ascii")
    (state / "repos/base.repo").write_text(REPOSITORY.format(folder=FOLDER / "offered"), encoding="ascii")
    options = [f"--setopt={name}={state / place}" for name, place in places.items()]
    command = ("dnf", "--assumeyes", "--noplugins", f"--config={state / 'dnf.conf'}", f"--installroot={TREE}")
    return must(expected, here(*command, "--releasever=9", *options, *arguments), says)


def installed() -> set[str]:
    """Return the names of what the machine's rpm knows."""
    return set(must(0, here("rpm", "--root", TREE, "--query", "--all", "--queryformat", "%{NAME}\n")).split())


def is_there(release: Release) -> None:
    """Both packages are there in this release, verify clean, and nothing of another release is left."""
    query = ("rpm", "--root", TREE, "--query", "--queryformat", "%{VERSION}-%{RELEASE}\n", *PACKAGES)
    seen = must(0, here(*query)).split()
    folders = {path.name for path in RELEASES.iterdir() if not path.is_symlink()}
    if seen != [release.version] * 2 or folders != {release.version}:
        raise Failed(f"not {release.version} alone: {seen}, {folders}")
    shown = here("rpm", "--root", TREE, "--verify", *PACKAGES).stdout.splitlines()
    if odd := [line for line in shown if not line.endswith(" /etc/ecx-hyperv/config.toml")]:
        raise Failed(f"rpm --verify: {odd}")
    version = release.version.partition("-")[0]
    for name in ("vm-start", "genw-vm", "ecx-hyperv"):
        must(0, run(f"/usr/bin/{name}", "--version"), f"{name} {version}")
    must(0, run("/usr/bin/ecx-hyperv", "lab", "--help"), "Usage: ")


def prepare(base: set[str]) -> None:
    """Make the tree a machine with a base system, and take away what the repository is to bring."""
    offered = {path.name.rsplit("-", 2)[0]: path for path in (FOLDER / "offered").glob("*.rpm")}
    must(
        0,
        here(
            "rpm", "--root", TREE, "--install", "--justdb", "--nosignature", *(offered[name] for name in sorted(base))
        ),
    )
    for name in REQUIRED:
        for line in must(0, here("rpm", "--query", "--list", "--package", offered[name])).splitlines():
            path = TREE / line.lstrip("/")
            if path.is_symlink() or path.is_file():
                path.unlink()
    if any(run(command, "-V").returncode == 0 for command in ("/usr/bin/ip", "/usr/bin/ping")):
        raise Failed("ip and ping are there before they are installed")
    must(0, here("createrepo_c", "--quiet", FOLDER / "offered"))


def signatures(old: Release, signed: Release) -> None:
    """An RPM installs with localpkg_gpgcheck=1 only if a key signed it that the machine has imported."""
    key = FOLDER / "signed/RPM-GPG-KEY-ecx-hyperv"
    dnf(CHECKED, "install", *old.paths, expected=1, says="is not signed")
    dnf(CHECKED, "install", *signed.paths, expected=1, says="Public key for")
    # rpmkeys counts those that are not OK.
    must(len(PACKAGES), here("rpmkeys", "--root", TREE, "--checksig", *signed.paths), "digests SIGNATURES NOT OK")
    must(0, here("rpmkeys", "--root", TREE, "--import", key))
    must(0, here("rpmkeys", "--root", TREE, "--checksig", *signed.paths), "digests signatures OK")
    damaged = FOLDER / "dnf" / signed.program.name
    data = bytearray(signed.program.read_bytes())
    data[-1000] ^= 1
    damaged.write_bytes(data)
    must(1, here("rpmkeys", "--root", TREE, "--checksig", damaged), "NOT OK")
    dnf(CHECKED, "install", str(damaged), expected=1)
    damaged.unlink()
    if installed() & {*PACKAGES, *REQUIRED}:
        raise Failed(f"installed all the same: {sorted(installed())}")
    ok("localpkg_gpgcheck=1 refuses unsigned, signed by a stranger, damaged; rpm -K says OK once the key is known")


def installs(release: Release) -> None:
    """Dnf brings what is required of the system, by the names that it has on Enterprise Linux."""
    dnf(CHECKED, "--disablerepo=*", "install", *release.paths, expected=1, says=f"nothing provides {PYTHON} needed by")
    before = installed()
    dnf(CHECKED, "install", *release.paths)
    if (new := installed() - before) != {*PACKAGES, *REQUIRED}:
        raise Failed(f"dnf brought {sorted(new)}")
    is_there(release)
    must(0, run("/usr/bin/ip", "-V"), "iproute2")
    ok(f"dnf install: {release.version}, both RPMs, with {', '.join(sorted(REQUIRED))} from the repository")


def replaces(command: str, before: Release, after: Release) -> None:
    """Another release comes by one command for both RPMs; the program's alone, with the lab there, is refused."""
    said = dnf(CHECKED, command, str(after.program), expected=1, says=LAB)
    if f"requires {PROGRAM} = {before.version}" not in said:
        raise Failed(said)
    is_there(before)
    text = CONFIG.read_text(encoding="utf-8")
    dnf(CHECKED, command, *after.paths)
    is_there(after)
    if CONFIG.read_text(encoding="utf-8") != text:
        raise Failed("the configuration was changed")
    ok(f"dnf {command}: {before.version} became {after.version}, both RPMs; without the lab's it is refused")


def repairs(release: Release) -> None:
    """Reinstalling brings back what was damaged, as the program's own message says."""
    (RELEASES / release.version / "site-packages/click/__init__.py").unlink()
    for cached in (RELEASES / release.version / "site-packages/click/__pycache__").glob("__init__.*"):
        cached.unlink()
    must(7, run("/usr/bin/vm-start", "vm1"), "the program is damaged")
    dnf(CHECKED, "reinstall", *release.paths)
    is_there(release)
    ok(f"dnf reinstall: {release.version}, which was damaged, is whole again")


def removes() -> None:
    """Removed, the program takes the lab and what dnf brought for it along, and leaves what is the user's."""
    text = CONFIG.read_text(encoding="utf-8")
    said = dnf("remove", PROGRAM, says="left as they are: /etc/ecx-hyperv")
    if "no script of ECX" not in said or installed() & {*PACKAGES, *REQUIRED}:
        raise Failed(f"{sorted(installed())}:\n{said}")
    left = {str(path.relative_to(TREE)) for top in ("usr", "etc") for path in (TREE / top).glob("**/*ecx-hyperv*")}
    if left != {"etc/ecx-hyperv"} or CONFIG.read_text(encoding="utf-8") != text:
        raise Failed(f"left behind: {sorted(left)}")
    ok("dnf remove: the lab with the program, and what dnf brought for them; the configuration stays")


def main() -> None:
    """Do all of it."""
    old, new = release_in(FOLDER / "signed", "!9.0.0"), release_in(FOLDER / "signed", "9.0.0")
    prepare({"bash", "coreutils", "glibc", "grep", "libgcc"})
    version = re.sub(r"\n.*", "", must(0, here("dnf", "--version")), flags=re.DOTALL)
    print(f"with: dnf {version} of this machine; not of Enterprise Linux")
    signatures(release_in(FOLDER, "!9.0.0"), old)
    installs(old)
    CONFIG.write_text(CONFIG.read_text(encoding="utf-8") + "# A line of the user's.\n", encoding="utf-8")
    replaces("upgrade", old, new)
    if not CONFIG.with_suffix(".toml.rpmnew").exists():
        raise Failed("the changed sample is not there as config.toml.rpmnew")
    repairs(new)
    replaces("downgrade", new, old)
    removes()


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"failed: {failed}")
