"""Commands on the other EC-VM: by ssh as root, without a question, never for longer than asked."""

import shlex
from collections.abc import Sequence

from ecx_hyperv.ecx.commands import Completed, Runner
from ecx_hyperv.ecx.environment import Pair

# No question is asked: a person, or ECX, would wait for an answer that nobody gives.
_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
# How ssh itself ends that does not come through.
NO_LOGIN = 255


def on_peer(run: Runner, pair: Pair, command: Sequence[str], seconds: float, *, settings: str = "") -> Completed:
    """Run a command on the other EC-VM, and return how it ended; raises LocalError where there is no ssh.

    `settings` are variables that the shell there sets for the command, as that shell reads them.
    """
    # The shell there takes the line apart once more.
    line = f"{settings} {shlex.join(command)}".lstrip()
    return run(["ssh", *_OPTIONS, f"root@{pair.peer.address}", line], seconds)


def why_not(done: Completed) -> str:
    """Return why a command on the other EC-VM was not carried out, empty if it was."""
    if done.code == 0:
        return ""
    said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    last = said[-1].strip() if said else "nothing said"
    if done.code is None:
        return f"no answer in time: {done.why_killed}"
    return f"no login by ssh: {last}" if done.code == NO_LOGIN else f"exit {done.code}: {last}"
