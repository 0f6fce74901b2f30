"""How a host's PowerShell is launched: its files, its environment, its name, and the line that the program sent."""

import ctypes
import socket
from contextlib import suppress
from pathlib import Path

import msgspec

from ecx_hyperv.lab.engine.modules import Engine, environment
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.agent import read_command
from ecx_hyperv.lab.windows.allowed import ALLOWED

SSHD_CONFIG = Path("ProgramData", "ssh", "sshd_config")
# CLONE_NEWUTS
_NEW_NAME = 0x04000000
# A program that takes a machine name as name_machine does, and becomes what stands behind it.
AS_HOST = f"""
import ctypes, os, socket, sys
if ctypes.CDLL(None).unshare({_NEW_NAME}) == 0:
    try:
        socket.sethostname(sys.argv[1])
    except OSError:
        pass
os.execv(sys.argv[2], sys.argv[2:])
"""


class _Prepared(msgspec.Struct, frozen=True):
    """What a launch needs to know: the engine, and where the stand-ins ask."""

    pwsh: str
    modules: str
    home: str
    socket: str


_PREPARED = msgspec.json.Decoder(_Prepared)


def prepare(folder: Path, engine: Engine, door: Path) -> None:
    """Write down what launches of a lab's hosts need."""
    told = _Prepared(engine.pwsh, str(engine.modules), str(engine.home), str(door))
    (folder / "engine.json").write_bytes(msgspec.json.encode(told))


def read(folder: Path, host: str, line: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of a host's PowerShell; raises LaunchRefused."""
    read_command(line)
    known = _PREPARED.decode((folder / "engine.json").read_bytes())
    switches = [one for one in line.split(" ")[1:] if one != "-NoProfile"]
    engine = Engine(known.pwsh, Path(known.modules), Path(known.home))
    told = environment(engine, Path(known.socket), host)
    drive, own_modules = _drive(folder, host), folder / f"{host}.modules"
    told["ECX_DRIVE_C"] = str(drive)
    if own_modules.is_dir():
        told["PSModulePath"] = str(own_modules)
    return [known.pwsh, *switches], told


def write_host(folder: Path, host: str, world: World, modules: Path) -> None:
    """Write the files that a host's PowerShell finds: sshd's settings, and the modules where one is missing."""
    facts = world.hosts[host].facts
    config = _drive(folder, host) / SSHD_CONFIG
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(facts.sshd_config, encoding="utf-8")
    own = folder / f"{host}.modules"
    for link in own.glob("*"):
        link.unlink()
    if not facts.missing:
        with suppress(FileNotFoundError):
            own.rmdir()
        return
    own.mkdir(exist_ok=True)
    for name in {*ALLOWED.values(), "CimCmdlets"} - {facts.missing}:
        if (modules / name).is_dir():
            (own / name).symlink_to(modules / name)


def name_machine(name: str) -> None:
    """Give this process, and what it becomes, a machine name of its own; where that is not allowed, the name stays."""
    if ctypes.CDLL(None).unshare(_NEW_NAME) == 0:
        with suppress(OSError):
            socket.sethostname(name)


def _drive(folder: Path, host: str) -> Path:
    return folder / f"{host}.C"
