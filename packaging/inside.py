"""The RPMs in a tree of their own: installed, run, upgraded, downgraded, erased. For packaging/test, in a namespace.

Everything below runs in the tree, without network but the loopback, and each command in an environment that is empty
unless the test is about one that is odd.
"""

import json
import platform
import re
import subprocess
import sys
import threading
import time
from typing import Any

from contents import (
    COMMANDS,
    LAB_PACKAGE,
    OLD,
    OLD_LAB,
    PACKAGES,
    PATH,
    PROGRAM,
    explains_itself,
    installs,
    rebuilds,
    release,
    rpm_verify,
)
from tree import LAB, LIMIT_S, PYTHON, TREE, Failed, lab, must, ok, rpm, run, run_build, wait, world

NEXT, NEXT_LAB = "/next.rpm", "/next-lab.rpm"
CONFIG = TREE / "etc/ecx-hyperv/config.toml"
SCRIPTS = "/usr/share/ecx-hyperv/ecx"
ONE, TWO = "ws2019-host-1", "ws2019-host-2"
ECX = "/opt/nec/clusterpro"
# One second, not ten: that a PowerShell outlives more is for real hosts to show.
CHECK = ("/usr/bin/ecx-hyperv", "check", "--peer", "--json", "--idle", "1")
# The lab runs in so much of the time that the world takes; ecx_hyperv/lab says so to what runs there.
PACE = "0.02"


def prepare() -> None:
    """Make the tree a machine with a loopback, and its rpm know what is there."""
    subprocess.run(["mount", "-t", "proc", "proc", TREE / "proc"], check=True)
    subprocess.run(["mount", "--bind", "/dev", TREE / "dev"], check=True)
    must(0, run("/usr/sbin/ip", "link", "set", "lo", "up"))
    must(0, run("/usr/sbin/ip", "address", "add", "127.77.0.1/32", "dev", "lo"))
    must(0, run_build("/bin/sh", "/system", PATH=PATH))
    rpm("--install", OLD, expected=1, says=f"{PYTHON} is needed by ecx-hyperv")
    must(0, run_build("/bin/sh", "/system", PYTHON, PATH=PATH))
    ok(f"without {PYTHON} it does not install, and says so")
    must(0, run("/bin/mkdir", "/newer"))
    for library, says in {"libzstd.so.1": "needs GLIBC_2.", "librpm.so.9": "needs libcap.so.2; "}.items():
        must(0, run("/bin/cp", f"/usr/lib/x86_64-linux-gnu/{library}", "/newer/one.so"))
        must(1, run(f"/usr/bin/{PYTHON}", "/wheels.py", "elf", "/newer", PATH=PATH), says)
    ok("the build's check refuses what needs a newer glibc, or another library")


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


def runs_on(seen: dict[str, Any], host: str) -> bool:
    """Tell whether the VM runs on a host, and on no other."""
    guests = seen["vms"]["vm1"]["guests"]
    return [host] == [name for name, guest in guests.items() if guest["state"] == "Running"]


def on_the_lab(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the EC-VM in an environment that holds the lab's pace alone: its times lie below all floors."""
    return run(*command, ECX_HYPERV_PACE=PACE, **environment)


def set_up() -> None:
    """Start a lab, and make the tree its EC-VM ec1: one file edited, and ECX's commands where ECX has them."""
    # A migration outlasts the upgrade that is made under it, on a busy machine too; a start may take 40 s here.
    lab("start", "--fast", "--set", "live=25")
    place = TREE / ECX.lstrip("/") / "bin"
    place.mkdir(parents=True)
    for name in ("clpstat", "clpcl", "clplogcmd", "ping", "systemctl"):
        text = f'#!/bin/sh\nECX_HYPERV_LAB={LAB}/lab.sock ECX_HYPERV_NODE=ec1 exec {LAB}/bin/{name} "$@"\n'
        (place / name).write_text(text, encoding="ascii")
        (place / name).chmod(0o755)
    text = (TREE / LAB.lstrip("/") / "ec1/config.toml").read_text(encoding="utf-8")
    CONFIG.write_text(re.sub(r"(?m)^(state|run) = .*\n", "", text), encoding="utf-8")
    must(0, on_the_lab("/usr/bin/ecx-hyperv", "config", "check"), "good: 1 VMs")


def works() -> None:
    """Every command that ECX calls does its work on the lab over SSH, the lab's pace alone in its environment."""
    path = f"{ECX}/bin"
    must(0, run(f"{SCRIPTS}/iscsi/start.sh", PATH=path))
    must(0, on_the_lab("/usr/bin/vm-start", "vm1"), "vm1 is running on ws2019-host-1")
    must(0, on_the_lab("/usr/bin/genw-vm", "vm1"), "vm1")
    table = must(0, on_the_lab("/usr/bin/ecx-hyperv", "status"))
    status = json.loads(on_the_lab("/usr/bin/ecx-hyperv", "status", "--json").stdout)
    if status["vms"][0]["local"]["state"] != "Running" or "Running" not in table:
        raise Failed(f"the VM does not run: {status}")
    must(0, on_the_lab("/usr/bin/vm-unregister", "vm1", CLP_FACTOR="GROUPSTOP"))
    if world()["vms"]["vm1"]["guests"] or world()["vms"]["vm1"]["configuration"] != "Offline":
        raise Failed(f"the VM is not off and unregistered: {world()}")
    must(1, on_the_lab("/usr/bin/genw-vm", "vm1"), "vm1")
    must(0, run(f"{SCRIPTS}/iscsi/stop.sh", PATH=path))
    lab("power", "ec2", "shutdown")
    wait(lambda seen: seen["ecx"]["ec2"]["service"] == "Offline", "ec2 is off")
    must(0, on_the_lab("/usr/bin/genw-remote-node"), "power on ec2")
    wait(lambda seen: seen["ecx"]["ec2"]["service"] == "Online", "ec2 is on again")
    modes = [oct((TREE / one).stat().st_mode & 0o777) for one in ("var/lib/ecx-hyperv", "run/ecx-hyperv")]
    if modes != ["0o700", "0o700"]:
        raise Failed(f"state and locks may be read by others: {modes}")
    ok("vm-start, genw-vm, status, vm-unregister, genw-remote-node did their work over SSH, the lab's pace alone set")
    lab("group", "start", "ec1")
    wait(lambda seen: runs_on(seen, ONE) and seen["idle"], "the group runs on ec1")
    ok("ECX's group started by the installed scripts")


def checks() -> None:
    """Check, from the installed root, finds all right, and looks at everything that it lists."""
    listed = set(re.findall(r"(?m)^  ([a-z][a-z-]+) ", must(0, run("/usr/bin/ecx-hyperv", "check", "--list"))))
    began = time.monotonic()
    done = run("/usr/bin/ecx-hyperv", "lab", "run", "--folder", LAB, "ec1", *CHECK)
    took_s = time.monotonic() - began
    must(0, done)
    # How far a check has come is told on stderr meanwhile.
    findings = json.loads(done.stdout)["findings"]
    if bad := [one for one in findings if one["outcome"] != "ok"]:
        raise Failed(f"not ok: {bad}")
    if odd := listed ^ {one["name"] for one in findings}:
        raise Failed(f"only listed, or only checked: {sorted(odd)}")
    ok(f"ecx-hyperv check on the lab: all of {len(listed)} checks ok, {len(findings)} findings, {took_s:.1f} s")


def sets_up() -> None:
    """Setup finds the templates for the hosts and the scripts for ECX."""
    for what in ("host", "ssh"):
        must(0, on_the_lab("/usr/bin/ecx-hyperv", "setup", what, "--print", "--host", "ec1"), "#Requires -Version 5.1")
    must(0, on_the_lab("/usr/bin/ecx-hyperv", "setup", "ecx", "--output", "/placed"), "exec-vm1")
    made = {path.read_bytes() for path in (TREE / "placed/scripts").rglob("*.sh")}
    if made != {path.read_bytes() for path in (TREE / SCRIPTS.lstrip("/")).rglob("*.sh")}:
        raise Failed(f"other scripts: {sorted((TREE / 'placed').rglob('*'))}")
    ok("ecx-hyperv setup writes the hosts' scripts, and puts the installed scripts in place for ECX")


def replaces(packages: tuple[str, str], node: str, host: str, *options: str) -> None:
    """Another release is installed while a vm-start migrates the VM, monitors run, and commands are started."""
    before, started = release(), [event for event in lab("history").splitlines() if "Starting" in event]
    text = CONFIG.read_text(encoding="utf-8")
    lab("group", "move", node, "--no-wait")
    running = begun("bin/vm-start")
    wait(lambda seen: not runs_on(seen, host), "the migration is under way")
    over = threading.Event()
    called: list[subprocess.CompletedProcess[str]] = []

    def call() -> None:
        while not over.is_set():
            called.extend([run("/usr/bin/genw-vm", "--version"), on_the_lab("/usr/bin/ecx-hyperv", "config", "check")])
            # By the path that a custom monitor may have; EXEC resources have theirs beside it.
            called.append(run(f"{SCRIPTS}/monitor-vm/genw.sh", "--version"))

    caller = threading.Thread(target=call)
    caller.start()
    rpm("--upgrade", *options, *packages)
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
    no_traceback()
    if CONFIG.read_text(encoding="utf-8") != text:
        raise Failed("the configuration was changed")
    ok(
        f"{before} became {release()} under a running vm-start, which migrated the VM;"
        f" of {len(called)} commands started meanwhile none failed"
    )
    if shown := [line for line in rpm_verify() if not line.endswith(" /etc/ecx-hyperv/config.toml")]:
        raise Failed(f"rpm --verify: {shown}")


def begun(what: str) -> list[str]:
    """Wait until a command of ECX's runs, and return its processes."""
    limit = time.monotonic() + LIMIT_S
    while not (running := pids(what)):
        if time.monotonic() > limit:
            raise Failed(f"no {what} began: {lab('show')}{lab('history')}")
        time.sleep(0.1)
    return running


def no_traceback() -> None:
    """No command that ECX has called met an error in the program."""
    logs = [
        path.read_text(encoding="utf-8", errors="replace") for path in (TREE / LAB.lstrip("/")).glob("ec*/log/*.log")
    ]
    if any("Traceback" in log or "error in the program" in log for log in logs):
        raise Failed("a command of ECX's met an error in the program:\n" + "\n".join(logs))


def pids(what: str) -> list[str]:
    """Return the processes of a command."""
    return run("/usr/bin/pgrep", "-f", f"{PYTHON} -IS .*{what}").stdout.split()


def erases() -> None:
    """Erased, it tells what ECX still calls, leaves what is the user's, and takes all else with it."""
    lab("stop")
    script = TREE / f"{ECX.lstrip('/')}/scripts/failover1/exec-vm1/start.sh"
    script.parent.mkdir(parents=True)
    script.write_bytes((TREE / f"{SCRIPTS.lstrip('/')}/vm/start.sh").read_bytes())
    (CONFIG.parent / "known_hosts").write_text("a host's key\n", encoding="ascii")
    text = CONFIG.read_text(encoding="utf-8")
    rpm("--erase", PROGRAM, expected=1, says=f"is needed by (installed) {LAB_PACKAGE}")
    said = rpm("--erase", *PACKAGES, says=f"{ECX}/scripts/failover1/exec-vm1/start.sh")
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
    rpm("--erase", PROGRAM)
    ok("erased: told what ECX still calls, kept the configuration, which a new installation takes up again")


def measures() -> None:
    """Print how long each command takes to start, beside Python itself."""
    python = (f"/usr/bin/{PYTHON}", "-c", "pass")
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
    python = must(0, run(f"/usr/bin/{PYTHON}", "--version")).strip()
    version = rpm("--version").strip()
    print(f"on: a tree of {tree}, {python}, {version}; kernel {platform.release()} of {host}; not on Enterprise Linux")
    installs()
    explains_itself()
    survives_damage()
    measures()
    set_up()
    works()
    checks()
    sets_up()
    replaces((NEXT, NEXT_LAB), "ec2", TWO)
    if not CONFIG.with_suffix(".toml.rpmnew").exists():
        raise Failed("the changed sample is not there as config.toml.rpmnew")
    replaces((OLD, OLD_LAB), "ec1", ONE, "--oldpackage")
    erases()


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        sys.exit(f"failed: {failed}")
