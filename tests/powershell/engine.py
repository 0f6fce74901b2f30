"""Where a real PowerShell is found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_UNPACK = Path(__file__).parents[3] / "shared" / "pwsh" / "unpack"


def find() -> str | None:
    """Return the path of pwsh: the one that ECX_PWSH names, one on PATH, or one unpacked from beside the checkout.

    An ECX_PWSH that is set to nothing means that there is none, wherever else one may be.
    """
    named = os.environ.get("ECX_PWSH")
    if named is not None:
        return named or None
    found = shutil.which("pwsh")
    if found or not _UNPACK.exists():
        return found
    unpacked = subprocess.run([_UNPACK], capture_output=True, text=True, check=False)
    return unpacked.stdout.strip() or None


def main() -> int:
    """Print the path of pwsh, or say why there is none."""
    found = find()
    if found is None or shutil.which(found) is None:
        where = f"{found} cannot be run" if found else "ECX_PWSH, PATH and ../shared/pwsh name none"
        sys.stderr.write(f"no PowerShell for the tests: {where}; CONTRIBUTING.md says how to get it\n")
        return 1
    sys.stdout.write(f"{found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
