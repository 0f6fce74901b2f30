"""The modules of the stand-ins, compiled once, and what makes a PowerShell on Linux a host that has them."""

import fcntl
import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ecx_hyperv.errors import LocalError
from ecx_hyperv.lab.engine import generate

_COMPILED_S = 120


@dataclass(frozen=True, slots=True)
class Engine:
    """A pwsh, the modules of the stand-ins, and a home folder of its own."""

    pwsh: str
    modules: Path
    home: Path


def build(pwsh: str, cache: Path) -> Path:
    """Return a folder with the stand-ins' modules, built there unless an earlier run built the same.

    Of several processes that ask at once, one builds. Raises LocalError where pwsh does not run, or does not compile
    them.
    """
    with tempfile.TemporaryDirectory(dir=cache) as name, (cache / "lock").open("w") as lock:
        folder = Path(name) / "new"
        folder.mkdir()
        generate.write(folder)
        compiler = Path(name) / "compile.ps1"
        compiler.write_text(_text("compile.ps1"), encoding="ascii")
        made_from = [pwsh.encode(), compiler.read_bytes()]
        made_from += [one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()]
        built = cache / hashlib.sha256(b"\0".join(made_from)).hexdigest()[:16]
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _compile(pwsh, compiler, folder)
            folder.rename(built)
    return built


def _compile(pwsh: str, compiler: Path, folder: Path) -> None:
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(compiler), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMPILED_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalError("PowerShell does not run", seen=str(error), remedy="name a pwsh, 7.4 or later") from None
    if done.returncode != 0:
        said = f"{done.stdout}{done.stderr}".strip()[-400:]
        raise LocalError("PowerShell does not compile the stand-ins", seen=said, remedy="name a pwsh, 7.4 or later")


def environment(engine: Engine, socket: Path, host: str) -> dict[str, str]:
    """Return the environment that makes a PowerShell one of the world's hosts."""
    profile = engine.home / "powershell" / "profile.ps1"
    if not profile.exists():
        profile.parent.mkdir(parents=True, exist_ok=True)
        profile.write_text(_text("profile.ps1"), encoding="ascii")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(engine.home),
        "XDG_CONFIG_HOME": str(engine.home),
        # What a module's analysis leaves is the same for all, and takes long to make.
        "XDG_CACHE_HOME": str(engine.modules),
        "PSModulePath": str(engine.modules),
        # These processes live for a second: what pays off later only costs.
        "DOTNET_TieredPGO": "0",
        "DOTNET_gcConcurrent": "0",
        "ECX_STANDINS": str(engine.modules),
        "ECX_WORLD": str(socket),
        "ECX_WORLD_HOST": host,
        "NO_COLOR": "1",
        # Far from UTC, so that a time which is not turned into UTC shows.
        "TZ": "Asia/Tokyo",
        "POWERSHELL_TELEMETRY_OPTOUT": "1",
        "POWERSHELL_UPDATECHECK": "Off",
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": os.environ.get("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1"),
    }


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="ascii")
