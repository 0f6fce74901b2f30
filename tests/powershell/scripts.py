"""The set-up scripts, made as the program makes them and run as an administrator runs them."""

import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.config_file import load
from ecx_hyperv.setup.powershell import to_file
from tests.powershell.prompt import Prompt

CONFIG = msgspec.structs.replace(
    load(Path(__file__).parents[2] / "config" / "config.toml"), vm=(ProtectedVm(name="A"),)
)
NODE = CONFIG.node[0]


class By(Enum):
    """How a script is run."""

    SESSION = "in a runspace of a PowerShell that is there"
    FILE = "powershell -File"
    PROMPT = "by its path, at a prompt"


class Run(msgspec.Struct, frozen=True):
    """What a script said, and how it ended."""

    code: int
    lines: tuple[str, ...]
    stderr: str

    def of(self, word: str) -> list[str]:
        """Return what was said with a word at its head, without it."""
        return [line.removeprefix(word).strip() for line in self.lines if line.startswith(word)]


@dataclass(frozen=True, slots=True)
class Host:
    """A host's PowerShell, one that is kept and any number of new ones, and a folder for its files."""

    pwsh: str
    environment: dict[str, str]
    session: Prompt
    folder: Path

    def run(self, script: str, *switches: str, by: By = By.SESSION, asks: str = "") -> Run:
        """Run a script; `asks` is from which impact on a prompt asks whether a change is to be made."""
        path = self.folder / "script.ps1"
        path.write_bytes(to_file(script))
        if by is By.SESSION and not asks:
            job = {"path": str(path), "switches": " ".join(switches), "folder": str(self.folder)}
            return msgspec.json.decode(self.session.type(msgspec.json.encode(job).decode()), type=Run)
        before = f"$ConfirmPreference = '{asks}'; " if asks else ""
        line = " ".join((f"{before}& '{path}'", *switches))
        command = ["-File", str(path), *switches] if by is By.FILE else ["-Command", line]
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
