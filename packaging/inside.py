"""The RPM in a tree of its own: installed, run, upgraded, downgraded, erased. Called by packaging/test, in a namespace.

Everything below runs in the tree, without network but the loopback, and each command in an environment that is empty
unless the test is about one that is odd.
"""

import fnmatch
import json
import platform
import re
import subprocess
import sys
import threading
import time
from typing import Any

from tree import LAB, LIMIT_S, TREE, Failed, lab, must, rpm, run, wait, world

OLD, NEXT = "/old.rpm", "/next.rpm"
CONFIG = TREE / "etc/ecx-hyperv/config.toml"
SCRIPTS = "/usr/share/ecx-hyperv/ecx"
ONE, TWO = "ws2019-host-1", "ws2019-host-2"
ECX = "/opt/nec/clusterpro"
PATH = "/usr/bin:/usr/sbin:/bin"
COMMANDS = ("vm-start", "vm-unregister", "genw-vm", "genw-remote-node", "ecx-hyperv")


def ok(text: str) -> None:
    """Tell what has been shown."""
    print(f"ok: {text}", flush=True)


def prepare() -> None:
    """Make the tree a machine with a loopback, and its rpm know what is there."""
    subprocess.run(["mount", "-t", "proc", "proc", TREE / "proc"], check=True)
    subprocess.run(["mount", "--bind", "/dev", TREE / "dev"], check=True)
    must(0, run("/usr/sbin/ip", "link", "set", "lo", "up"))
    must(0, run("/usr/sbin/ip", "address", "add", "127.77.0.1/32", "dev", "lo"))
    must(0, run("/bin/sh", "/system", PATH=PATH))
    rpm("--install", OLD, expected=1, says="python3.12 is needed by ecx-hyperv")
    must(0, run("/bin/sh", "/system", "python", PATH=PATH))
    ok("without python3.12 it does not install, and says so")
    must(0, run("/bin/mkdir", "/newer"))
    for library, says in {"libzstd.so.1": "needs GLIBC_2.", "librpm.so.9": "needs libcap.so.2, "}.items():
        must(0, run("/bin/cp", f"/usr/lib/x86_64-linux-gnu/{library}", "/newer/one.so"))
        must(1, run("/usr/bin/python3.12", "/wheels.py", "elf", "/newer", PATH=PATH), says)
    ok("the build's check refuses what needs a newer glibc, or another library")


def installs() -> None:
    """It installs with all that it requires met, verifies clean, and every file is as the table has it."""
    rpm("--install", OLD)
    ok(f"rpm --install: {release()}")
    verifies()
    table = (
        (TREE / "files.table").read_text(encoding="utf-8").replace("{release}", release().removeprefix("ecx-hyperv-"))
    )
    wanted = [line for line in table.splitlines() if not line.startswith("#")]
    listed = rpm("--query", "--list", "--verbose", "ecx-hyperv").splitlines()
    seen = [
        re.sub(r"^(\S+)\s+\d+\s+(\S+)\s+(\S+)\s+\d+\s+\w+\s+\d+\s+[\d:]+\s+", r"\1 \2 \3 ", line) for line in listed
    ]
    fits = {line: [one for one in wanted if fnmatch.fnmatchcase(line, one)] for line in seen}
    if strangers := [line for line, found in fits.items() if not found]:
        raise Failed(f"not in packaging/files.table: {strangers[:9]}")
    if unused := set(wanted) - {one for found in fits.values() for one in found}:
        raise Failed(f"in packaging/files.table, but not in the RPM: {sorted(unused)}")
    for line in seen:
        path = TREE / line.split(" ", 3)[3].split(" -> ")[0].lstrip("/")
        if not path.is_symlink() and "ghost" not in line and path.stat().st_mode & 0o777 != mode(line):
            raise Failed(f"not installed so: {line}: {path.stat().st_mode:o}")
    ok(f"{len(seen)} files, their owners and modes are those of packaging/files.table")


def mode(line: str) -> int:
    """Return the permissions that a line as of ls stands for."""
    return int("".join("0" if one == "-" else "1" for one in line[1:10]), 2)


def release() -> str:
    """Return what is installed."""
    return rpm("--query", "--queryformat", "%{NAME}-%{VERSION}-%{RELEASE}", "ecx-hyperv")


def verifies() -> None:
    """Fail unless every file is as it was installed."""
    if shown := rpm("--verify", "ecx-hyperv"):
        raise Failed(f"rpm --verify: {shown}")
    ok(f"rpm --verify: clean ({release()})")


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


def survives_damage() -> None:
    """With a part of it gone a command says so in a line, and the monitor does not fail a VM for it."""
    part = next((TREE / "usr/lib/ecx-hyperv").glob("*/site-packages/click"))
    away = part.rename(part.with_name("away"))
    for name in COMMANDS:
        done = run(f"/usr/bin/{name}", "vm1")
        said = must(0 if name == "genw-vm" else 7, done, "the program is damaged: No module named 'click'")
        if len(said.splitlines()) != 1:
            raise Failed(said)
    away.rename(part)
    ok("damaged, a command says so in one line, and genw-vm fails no VM")


def rebuilds() -> None:
    """The source RPM alone, without network, gives the same files."""
    built = run("/usr/bin/rpmbuild", "--rebuild", "--nodeps", "--define", "_topdir /rebuilt", "/old.src.rpm", PATH=PATH)
    must(0, built)
    query = "[%{FILENAMES} %{FILEDIGESTS} %{FILEMODES:perms} %{FILEUSERNAME}\n]"
    again = next((TREE / "rebuilt/RPMS/x86_64").glob("*.rpm")).name
    one, two = (
        rpm("--query", "--package", path, "--queryformat", query) for path in (OLD, f"/rebuilt/RPMS/x86_64/{again}")
    )
    if one != two:
        raise Failed("the source RPM does not give the files of the RPM")
    ok("the source RPM alone, without network, gives the same files")


def is_ours(page: str) -> bool:
    """Tell whether a man page is of one of the commands."""
    return page.startswith(COMMANDS)


def runs_on(seen: dict[str, Any], host: str) -> bool:
    """Tell whether the VM runs on a host, and on no other."""
    guests = seen["vms"]["vm1"]["guests"]
    return [host] == [name for name, guest in guests.items() if guest["state"] == "Running"]


def set_up() -> None:
    """Start a lab, and make the tree its EC-VM ec1: one file edited, and ECX's commands where ECX has them."""
    lab("start", "--fast", "--set", "live=15")
    place = TREE / ECX.lstrip("/") / "bin"
    place.mkdir(parents=True)
    for name in ("clpstat", "clpcl", "clplogcmd", "ping", "systemctl"):
        text = f'#!/bin/sh\nECX_HYPERV_LAB={LAB}/lab.sock ECX_HYPERV_NODE=ec1 exec {LAB}/bin/{name} "$@"\n'
        (place / name).write_text(text, encoding="ascii")
        (place / name).chmod(0o755)
    text = (TREE / LAB.lstrip("/") / "ec1/config.toml").read_text(encoding="utf-8")
    CONFIG.write_text(re.sub(r"(?m)^(state|run) = .*\n", "", text), encoding="utf-8")
    must(0, run("/usr/bin/ecx-hyperv", "config", "check"), "good: 1 VMs")


def works() -> None:
    """Every command that ECX calls does its work on the lab over SSH, in an empty environment."""
    path = f"{ECX}/bin"
    must(0, run(f"{SCRIPTS}/iscsi/start.sh", PATH=path))
    must(0, run("/usr/bin/vm-start", "vm1"), "vm1 is running on ws2019-host-1")
    must(0, run("/usr/bin/genw-vm", "vm1"), "vm1")
    table = must(0, run("/usr/bin/ecx-hyperv", "status"))
    status = json.loads(run("/usr/bin/ecx-hyperv", "status", "--json").stdout)
    if status["vms"][0]["own"]["state"] != "Running" or "Running" not in table:
        raise Failed(f"the VM does not run: {status}")
    must(0, run("/usr/bin/vm-unregister", "vm1", CLP_FACTOR="GROUPSTOP"))
    if world()["vms"]["vm1"]["guests"] or world()["vms"]["vm1"]["configuration"] != "Offline":
        raise Failed(f"the VM is not off and unregistered: {world()}")
    must(1, run("/usr/bin/genw-vm", "vm1"), "vm1")
    must(0, run(f"{SCRIPTS}/iscsi/stop.sh", PATH=path))
    lab("power", "ec2", "shutdown")
    wait(lambda seen: seen["ecx"]["ec2"]["service"] == "Offline", "ec2 is off")
    must(0, run("/usr/bin/genw-remote-node"), "power on ec2")
    wait(lambda seen: seen["ecx"]["ec2"]["service"] == "Online", "ec2 is on again")
    modes = [oct((TREE / one).stat().st_mode & 0o777) for one in ("var/lib/ecx-hyperv", "run/ecx-hyperv")]
    if modes != ["0o700", "0o700"]:
        raise Failed(f"state and locks may be read by others: {modes}")
    ok("vm-start, genw-vm, status, vm-unregister, genw-remote-node did their work over SSH, in an empty environment")
    lab("group", "start", "ec1")
    wait(lambda seen: runs_on(seen, ONE) and seen["idle"], "the group runs on ec1")
    ok("ECX's group started by the installed scripts")


def replaces(package: str, node: str, host: str, *options: str) -> None:
    """Another release is installed while a vm-start migrates the VM, monitors run, and commands are started."""
    before, started = release(), [event for event in lab("history").splitlines() if "Starting" in event]
    text = CONFIG.read_text(encoding="utf-8")
    lab("group", "move", node)
    limit = time.monotonic() + LIMIT_S
    while not (running := pids("bin/vm-start")):
        if time.monotonic() > limit:
            raise Failed(f"no vm-start began: {lab('show')}{lab('history')}")
        time.sleep(0.1)
    wait(lambda seen: not runs_on(seen, host), "the migration is under way")
    over = threading.Event()
    called: list[subprocess.CompletedProcess[str]] = []

    def call() -> None:
        while not over.is_set():
            called.extend([run("/usr/bin/genw-vm", "--version"), run("/usr/bin/ecx-hyperv", "config", "check")])

    caller = threading.Thread(target=call)
    caller.start()
    rpm("--upgrade", *options, package)
    still = pids("bin/vm-start")
    over.set()
    caller.join()
    if still != running:
        raise Failed(f"the vm-start that ran before is not the one that runs after: {running}, {still}")
    if any((TREE / "usr/lib/ecx-hyperv" / before.removeprefix("ecx-hyperv-")).glob("**/*.py*")):
        raise Failed(f"{before} left files behind")
    for done in called:
        must(0, done)
    wait(lambda seen: runs_on(seen, host) and seen["idle"], f"the group runs on {node}")
    if [event for event in lab("history").splitlines() if "Starting" in event] != started or world()["violations"]:
        raise Failed(f"the VM was started again: {lab('history')}")
    logs = [
        path.read_text(encoding="utf-8", errors="replace") for path in (TREE / LAB.lstrip("/")).glob("ec*/log/*.log")
    ]
    if any("Traceback" in log or "error in the program" in log for log in logs):
        raise Failed("a command of ECX's met an error in the program:\n" + "\n".join(logs))
    if CONFIG.read_text(encoding="utf-8") != text:
        raise Failed("the configuration was changed")
    ok(
        f"{before} became {release()} under a running vm-start, which migrated the VM;"
        f" of {len(called)} commands started meanwhile none failed"
    )
    if shown := [line for line in rpm_verify() if not line.endswith(" /etc/ecx-hyperv/config.toml")]:
        raise Failed(f"rpm --verify: {shown}")


def rpm_verify() -> list[str]:
    """Return what is not as it was installed."""
    shown = run("/usr/bin/rpm", "--force-debian", "--verify", "ecx-hyperv", PATH="/usr/bin:/bin")
    return shown.stdout.splitlines()


def pids(what: str) -> list[str]:
    """Return the processes of a command."""
    return run("/usr/bin/pgrep", "-f", f"python3.12 -IS .*{what}").stdout.split()


def erases() -> None:
    """Erased, it tells what ECX still calls, leaves what is the user's, and takes all else with it."""
    lab("stop")
    script = TREE / f"{ECX.lstrip('/')}/scripts/failover1/exec-vm1/start.sh"
    script.parent.mkdir(parents=True)
    script.write_bytes((TREE / f"{SCRIPTS.lstrip('/')}/vm/start.sh").read_bytes())
    (CONFIG.parent / "known_hosts").write_text("a host's key\n", encoding="ascii")
    text = CONFIG.read_text(encoding="utf-8")
    said = rpm("--erase", "ecx-hyperv", says=f"{ECX}/scripts/failover1/exec-vm1/start.sh")
    if "left as they are: /etc/ecx-hyperv" not in said:
        raise Failed(said)
    left = {str(path.relative_to(TREE)) for top in ("usr", "etc") for path in (TREE / top).glob("**/*ecx-hyperv*")}
    if left != {"etc/ecx-hyperv"}:
        raise Failed(f"left behind: {sorted(left)}")
    if CONFIG.read_text(encoding="utf-8") != text or not (CONFIG.parent / "known_hosts").exists():
        raise Failed("the user's configuration is not what it was")
    rpm("--install", OLD)
    if CONFIG.read_text(encoding="utf-8") != text:
        raise Failed("a new installation does not take up the configuration that was left")
    rpm("--erase", "ecx-hyperv")
    ok("erased: told what ECX still calls, kept the configuration, which a new installation takes up again")


def measures() -> None:
    """Print how long each command takes to start, beside Python itself."""
    python = ("/usr/bin/python3.12", "-c", "pass")
    cases = [python, *((f"/usr/bin/{name}", option) for name in COMMANDS for option in ("--version", "--help"))]
    print("start-up in ms, best of 15:", ", ".join(f"{' '.join(one)[9:]} {took(one):.0f}" for one in cases))


def took(command: tuple[str, ...]) -> float:
    """Return the shortest time of a command, in ms: whatever else the machine does only adds to it."""
    times = []
    for _ in range(15):
        began = time.perf_counter()
        must(0, run(*command))
        times.append((time.perf_counter() - began) * 1000)
    return min(times)


def main() -> None:
    """Run everything, and say on what."""
    tree = (TREE / "etc/os-release").read_text(encoding="utf-8").split('PRETTY_NAME="')[1].split('"')[0]
    host = platform.freedesktop_os_release()["PRETTY_NAME"]
    prepare()
    rebuilds()
    python = must(0, run("/usr/bin/python3.12", "--version")).strip()
    version = rpm("--version").strip()
    print(f"on: a tree of {tree}, {python}, {version}; kernel {platform.release()} of {host}; not on Enterprise Linux")
    installs()
    explains_itself()
    survives_damage()
    measures()
    set_up()
    works()
    replaces(NEXT, "ec2", TWO)
    if not CONFIG.with_suffix(".toml.rpmnew").exists():
        raise Failed("the changed sample is not there as config.toml.rpmnew")
    replaces(OLD, "ec1", ONE, "--oldpackage")
    erases()


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"failed: {failed}")
