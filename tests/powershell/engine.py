"""A real PowerShell on Linux, and the stand-ins' modules built for it."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from tests.powershell import generate

_HERE = Path(__file__).parent
_UNPACK = Path(__file__).parents[3] / "shared" / "pwsh" / "unpack"
NOT_FOUND = "no PowerShell here: install pwsh, or name it in ECX_PWSH"


def find() -> str | None:
    """Return the path of pwsh: the one that ECX_PWSH names, one on PATH, or one unpacked from beside the checkout."""
    named = os.environ.get("ECX_PWSH") or shutil.which("pwsh")
    if named or not _UNPACK.exists():
        return named
    unpacked = subprocess.run([_UNPACK], capture_output=True, text=True, check=False)
    return unpacked.stdout.strip() or None


def environment(standins: Path, socket: Path, host: str, home: Path) -> dict[str, str]:
    """Return the environment that makes a PowerShell one of the world's hosts."""
    profile = home / "powershell" / "profile.ps1"
    if not profile.exists():
        profile.parent.mkdir(parents=True, exist_ok=True)
        profile.write_text(files(__package__).joinpath("profile.ps1").read_text(encoding="ascii"), encoding="ascii")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        # What a module's analysis leaves is the same for all, and takes long to make.
        "XDG_CACHE_HOME": str(standins),
        "PSModulePath": str(standins),
        # These processes live for a second: what pays off later only costs.
        "DOTNET_TieredPGO": "0",
        "DOTNET_gcConcurrent": "0",
        "ECX_STANDINS": str(standins),
        "ECX_WORLD": str(socket),
        "ECX_WORLD_HOST": host,
        "NO_COLOR": "1",
        # Far from UTC, so that a time which is not turned into UTC shows.
        "TZ": "Asia/Tokyo",
        "POWERSHELL_TELEMETRY_OPTOUT": "1",
        "POWERSHELL_UPDATECHECK": "Off",
        "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": os.environ.get("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1"),
    }


def build(pwsh: str, cache: Path) -> Path:
    """Return a folder with the stand-ins' modules, built there unless an earlier run built the same."""
    with tempfile.TemporaryDirectory(dir=cache) as name:
        folder = Path(name) / "new"
        folder.mkdir()
        generate.write(folder)
        compiler = _HERE / "compile.ps1"
        made_from = [pwsh.encode(), compiler.read_bytes()]
        made_from += [one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()]
        built = cache / hashlib.sha256(b"\0".join(made_from)).hexdigest()[:16]
        if not built.exists():
            command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(compiler), str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"the stand-ins do not compile: {done.stdout}{done.stderr}")
            try:
                folder.rename(built)
            except OSError:  # another process was faster
                if not built.exists():
                    raise
    return built
