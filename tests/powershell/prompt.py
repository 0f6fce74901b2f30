"""A PowerShell that is kept, and told one thing after another."""

import base64
import subprocess
from pathlib import Path


class Prompt:
    """A PowerShell that runs one of this folder's scripts, which answers each line with one."""

    def __init__(self, pwsh: str, environment: dict[str, str], script: str) -> None:
        self.process = subprocess.Popen(
            [pwsh, "-NoLogo", "-NonInteractive", "-File", str(Path(__file__).with_name(script))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def type(self, line: str) -> str:
        """Send a line, and return what came of it."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(base64.b64encode(line.encode()) + b"\n")
        stdin.flush()
        for said in stdout:
            if said.startswith(b"came: "):
                return base64.b64decode(said.removeprefix(b"came: ")).decode()
        raise AssertionError(f"PowerShell has ended: {self.process.wait()}")

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()
