"""The set-up scripts, made as the program makes them and run as an administrator runs them."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.config_file import load
from ecx_hyperv.setup.powershell import to_file

CONFIG = msgspec.structs.replace(
    load(Path(__file__).parents[2] / "config" / "config.toml"), vm=(ProtectedVm(name="A"),)
)
NODE = CONFIG.node[0]


@dataclass(frozen=True, slots=True)
class Run:
    """What a script said, and how it ended."""

    code: int
    lines: tuple[str, ...]
    stderr: str

    def of(self, word: str) -> list[str]:
        """Return what was said with a word at its head, without it."""
        return [line.removeprefix(word).strip() for line in self.lines if line.startswith(word)]


@dataclass(frozen=True, slots=True)
class Host:
    """A host's PowerShell, and a folder for its files."""

    pwsh: str
    environment: dict[str, str]
    folder: Path

    def run(self, script: str, *switches: str, by_file: bool = True, asks: str = "") -> Run:
        """Run a script by -File, or from a prompt by its path; `asks` is from which impact on that prompt is asked."""
        path = self.folder / "script.ps1"
        path.write_bytes(to_file(script))
        before = f"$ConfirmPreference = '{asks}'; " if asks else ""
        line = " ".join((f"{before}& '{path}'", *switches))
        command = ["-File", str(path), *switches] if by_file and not asks else ["-Command", line]
        done = subprocess.run(
            [self.pwsh, "-NoLogo", "-NonInteractive", *command],
            env={**self.environment, "ProgramData": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        return Run(done.returncode, tuple(lines), done.stderr.decode("utf-8", "replace"))
