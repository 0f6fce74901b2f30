"""What is in the RPMs: files, modes, owners, man pages, completions, source; part of packaging/inside.py."""

import fnmatch
import re

import wheels
from tree import PYTHON, TREE, Failed, must, ok, rpm, run, run_build

# The RPM of the EC-VM, and that of the lab: the files in the tree, and the packages' names.
OLD, OLD_LAB = "/old.rpm", "/old-lab.rpm"
PROGRAM, LAB_PACKAGE = PACKAGES = ("ecx-hyperv", "ecx-hyperv-lab")
PATH = "/usr/bin:/usr/sbin:/bin"
COMMANDS = ("vm-start", "vm-unregister", "genw-vm", "genw-remote-node", "ecx-hyperv")


def rebuilds() -> None:
    """The source RPM alone, without network, gives the same files."""
    command = ("/usr/bin/rpmbuild", "--rebuild", "--nodeps", "--define", "_topdir /rebuilt", "/old.src.rpm")
    must(0, run_build(*command, PATH=PATH))
    query = "[%{NAME} %{FILENAMES} %{FILEDIGESTS} %{FILEMODES:perms} %{FILEUSERNAME}\n]"
    again = [f"/{path.relative_to(TREE)}" for path in (TREE / "rebuilt/RPMS").glob("*/*.rpm")]
    one, two = (
        sorted(rpm("--query", "--queryformat", query, "--package", *paths).splitlines())
        for paths in ((OLD, OLD_LAB), again)
    )
    if one != two:
        raise Failed("the source RPM does not give the files of the RPMs")
    ok(f"the source RPM alone, without network, gives the same {len(again)} RPMs, file by file")


def installs() -> None:
    """They install with all that they require met, verify clean, and every file is as the table has it."""
    rpm("--install", OLD_LAB, expected=1, says=f"{PROGRAM} = ")
    rpm("--install", OLD)
    ok(f"rpm --install: {release()}")
    leaves_the_lab_out()
    rpm("--install", OLD_LAB)
    ok(f"rpm --install: {LAB_PACKAGE}, which does not install without the program")
    verifies()
    for package in PACKAGES:
        is_as_in_the_table(package)
    is_what_users_get()


def leaves_the_lab_out() -> None:
    """The EC-VM's RPM has no module of the lab; what is asked of the lab is answered with the package to install."""
    listed = rpm("--query", "--list", "--package", OLD).splitlines()
    if modules := [path for path in listed if re.search(r"/ecx_hyperv/(lab/|lab$|cli/(__pycache__/)?lab\.)", path)]:
        raise Failed(f"of the lab, in the EC-VM's RPM: {modules[:9]}")
    for arguments in ((), ("start", "--fast"), ("--help",)):
        said = must(2, run("/usr/bin/ecx-hyperv", "lab", *arguments), f"install the package {LAB_PACKAGE}")
        if len(said.splitlines()) != 1:
            raise Failed(said)
    must(0, run("/usr/bin/ecx-hyperv", "--help"), LAB_PACKAGE)
    ok(f"none of {len(listed)} files is of the lab; without {LAB_PACKAGE}, ecx-hyperv lab names it in one line")


def is_as_in_the_table(package: str) -> None:
    """Every file of a package is in its section of packaging/files.table, and installed so."""
    table = (TREE / "files.table").read_text(encoding="utf-8").partition(f"[{package}]\n")[2].partition("\n[")[0]
    wanted = table.replace("{release}", release().removeprefix("ecx-hyperv-")).strip().splitlines()
    listed = rpm("--query", "--list", "--verbose", package).splitlines()
    seen = [
        re.sub(r"^(\S+)\s+\d+\s+(\S+)\s+(\S+)\s+\d+\s+\w+\s+\d+\s+[\d:]+\s+", r"\1 \2 \3 ", line) for line in listed
    ]
    fits = {line: [one for one in wanted if fnmatch.fnmatchcase(line, one)] for line in seen}
    if strangers := [line for line, found in fits.items() if not found]:
        raise Failed(f"not in packaging/files.table: {strangers[:9]}")
    if unused := set(wanted) - {one for found in fits.values() for one in found}:
        raise Failed(f"in packaging/files.table, but not in {package}: {sorted(unused)}")
    for line in seen:
        path = TREE / line.split(" ", 3)[3].split(" -> ")[0].lstrip("/")
        if not path.is_symlink() and "ghost" not in line and path.stat().st_mode & 0o777 != mode(line):
            raise Failed(f"not installed so: {line}: {path.stat().st_mode:o}")
    ok(f"{package}: {len(seen)} files, their owners and modes are those of packaging/files.table")


def is_what_users_get() -> None:
    """The libraries' files are those of the RPM for users, but for the version in the names of what is compiled."""
    site = f"/usr/lib/ecx-hyperv/{release().removeprefix('ecx-hyperv-')}/site-packages/"
    listed = rpm("--query", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\n]", "ecx-hyperv").splitlines()
    paths = [line.partition(site)[2] for line in listed if not line.startswith("d") and site in line]
    of_libraries = [path for path in paths if not path.startswith("ecx_hyperv/")]
    wanted = set((TREE / "users.list").read_text(encoding="utf-8").splitlines())
    if odd := sorted({wheels.neutral(path) for path in of_libraries} ^ wanted):
        raise Failed(f"only in the RPM, or only in the wheels for Python 3.12: {odd[:9]}")
    tag = f".cpython-{PYTHON.removeprefix('python').replace('.', '')}"
    if strangers := [path for path in paths if wheels.neutral(path) not in {path, path.replace(tag, "")}]:
        raise Failed(f"not for {PYTHON}: {strangers[:9]}")
    ok(f"{len(of_libraries)} files of libraries, as in the RPM for users but for the version in compiled ones' names")


def mode(line: str) -> int:
    """Return the permissions that a line as of ls stands for."""
    return int("".join("0" if one == "-" else "1" for one in line[1:10]), 2)


def release() -> str:
    """Return what is installed."""
    return rpm("--query", "--queryformat", "%{NAME}-%{VERSION}-%{RELEASE}", "ecx-hyperv")


def verifies() -> None:
    """Fail unless every file is as it was installed."""
    if shown := rpm("--verify", *PACKAGES):
        raise Failed(f"rpm --verify: {shown}")
    ok(f"rpm --verify: clean ({release()})")


def rpm_verify() -> list[str]:
    """Return what is not as it was installed."""
    shown = run("/usr/bin/rpm", "--force-debian", "--verify", *PACKAGES, PATH="/usr/bin:/bin")
    return shown.stdout.splitlines()


def explains_itself() -> None:
    """Every command has its page and its completion, and runs whatever the environment holds."""
    pages = sorted(path.name for path in (TREE / "usr/share/man/man8").glob("*.8.gz") if is_ours(path.name))
    for page in pages:
        shell = f"gzip -dc /usr/share/man/man8/{page} | groff -man -Tutf8 -ww -rCHECKSTYLE=3"
        warned = run("/bin/sh", "-c", shell, PATH="/usr/bin")
        if warned.stderr:
            raise Failed(f"{page}: {warned.stderr}")
    listed = must(0, run("/usr/bin/ecx-hyperv", "--help")).partition("Commands:")[2].partition("Example:")[0]
    below = {f"ecx-hyperv-{name}.8.gz" for name in re.findall(r"(?m)^  ([a-z][a-z-]*)", listed)}
    if missing := (below | {f"{name}.8.gz" for name in COMMANDS}) - set(pages):
        raise Failed(f"no page: {sorted(missing)}")
    ok(f"{len(pages)} man pages, groff has nothing against them")
    for name in COMMANDS:
        function = f"_{name.replace('-', '_')}_completion"
        script = (
            f". /usr/share/bash-completion/completions/{name}; COMP_WORDS=({name} --ver); COMP_CWORD=1;"
            f" {function} {name} --ver; echo ${{COMPREPLY[*]}}"
        )
        must(0, run("/bin/bash", "-c", script, PATH="/usr/bin"), "--version")
    ok("bash completes the options of every command")
    evil = TREE / "evil"
    evil.mkdir()
    for module in ("click", "ecx_hyperv", "re", "sitecustomize", "usercustomize"):
        (evil / f"{module}.py").write_text("raise SystemExit('evil')\n", encoding="ascii")
    odd = dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "HOME", "PATH", "PYTHONSTARTUP", "PYTHONUSERBASE"), "/evil")
    for name in COMMANDS:
        must(0, run("/bin/sh", "-c", f"cd /evil && exec /usr/bin/{name} --help", **odd), "Usage: ")
        must(0, run(f"/usr/bin/{name}", "--version"), f"{name} ")
    ok("every command runs with odd PYTHONPATH, PYTHONHOME, HOME, PATH and folder, and with no environment at all")


def is_ours(page: str) -> bool:
    """Tell whether a man page is of one of the commands."""
    return page.startswith(COMMANDS)
