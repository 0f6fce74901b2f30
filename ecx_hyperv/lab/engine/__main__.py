"""What a host's sshd starts, with a real PowerShell in it: python -m ecx_hyperv.lab.engine FOLDER HOST.

The launch line stands in SSH_ORIGINAL_COMMAND, as with a forced command. It is not changed but for the program and for
-NoProfile: the profile is what brings the stand-ins. FOLDER is what `launch.prepare` made.
"""

import os
import sys
from pathlib import Path

from ecx_hyperv.lab.engine import launch
from ecx_hyperv.lab.windows.agent import LaunchRefused


def main() -> None:
    """Become the PowerShell, or end with the status of a line that is no launch of it."""
    folder, host = Path(sys.argv[1]), sys.argv[2]
    try:
        command, environment = launch.read(folder, host, os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    except LaunchRefused as refused:
        sys.stderr.write(f"{refused}\r\n")
        sys.exit(refused.status)
    launch.name_machine(host.upper())
    os.execve(command[0], command, environment)  # noqa: S606 - the engine is the user's own


if __name__ == "__main__":
    main()
