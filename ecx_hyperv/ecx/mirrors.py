"""The mirror disks of the pair, read in one place: by clpmdstat here and, where it is asked for, on the peer EC-VM.

The peer is reached as `check --peer` reaches it: by ssh, as root. What is not a fault: a cluster without a mirror disk
(a shared disk), in which clpmdstat may be missing, fail or list nothing. ECX's own configuration tells the two apart:
a clpmdstat that fails where clp.conf holds a mirror disk, or cannot be read, is "cannot tell".
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.mirror import MirrorAnswer, PairMirrors, combine
from ecx_hyperv.ecx import clpmdstat, remote
from ecx_hyperv.ecx.commands import Completed, Runner
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.errors import CommandMissing, LocalError
from ecx_hyperv.plain import flat

CLP_CONF = Path("/opt/nec/clusterpro/etc/clp.conf")
# Of an encoding that Python may not know, so it is searched as bytes; no monitor is of these types.
_MIRROR_TYPE = re.compile(rb"""<types\s+name\s*=\s*["'](?:md|hd)["']""")
# A shell that no person logged in to may not look where ECX keeps its commands.
_PATH = 'PATH="$PATH:/usr/sbin:/opt/nec/clusterpro/bin" LC_ALL=C'


def has_mirror(conf: Path = CLP_CONF) -> bool | None:
    """Tell whether ECX's configuration holds a mirror disk; None where it cannot be read."""
    try:
        return _MIRROR_TYPE.search(conf.read_bytes()) is not None
    except OSError:
        return None


def read_mirrors(
    run: Runner, pair: Pair, deadline: Deadline, *, expected: bool | None = None, ask_peer: bool = False
) -> PairMirrors:
    """Return how all mirror disks of the pair are; raises nothing.

    `expected` is whether ECX's configuration holds a mirror disk, None where that is not known. With `ask_peer` the
    peer EC-VM is asked too, one ssh for each mirror disk.
    """
    try:
        names = clpmdstat.ask_names(run, deadline)
    except LocalError as error:
        is_none = expected is False or (expected is None and isinstance(error, CommandMissing))
        return PairMirrors() if is_none else PairMirrors(why=_why(error), remedy=error.remedy)
    if not names and expected:
        return PairMirrors(why="clpmdstat -l names no mirror disk, clp.conf does", remedy="run clpmdstat -l by hand")
    found, peer = [], _OtherEcVm(run, pair)
    peer_why = ""
    for name in names:
        here = _answer(run, pair, name, pair.local.name, deadline)
        # A peer that could not be reached once is not waited for again.
        there = _answer(peer, pair, name, pair.peer.name, deadline) if ask_peer and not peer_why else None
        if ask_peer and peer_why:
            there = MirrorAnswer(pair.peer.name, why=peer_why)
        elif there is not None and there.said is None:
            peer_why = there.why
        found.append(combine(name, shlex.quote(name), here, there))
    return PairMirrors(tuple(found), peer_why=peer_why)


def _answer(run: Runner, pair: Pair, name: str, node: str, deadline: Deadline) -> MirrorAnswer:
    try:
        said = clpmdstat.ask(run, name, (pair.local.name, pair.peer.name), deadline)
    except LocalError as error:
        return MirrorAnswer(node, why=_why(error))
    return MirrorAnswer(node, said)


def _why(error: LocalError) -> str:
    return error.what + (f": {error.seen}" if error.seen else "")


@dataclass(frozen=True, slots=True)
class _OtherEcVm:
    """Runs a command on the peer EC-VM."""

    run: Runner
    pair: Pair

    def __call__(self, command: Sequence[str], seconds: float) -> Completed:
        """Run a command there for at most that many seconds; raises LocalError where ssh does not get there."""
        done = remote.on_peer(self.run, self.pair, command, seconds, settings=_PATH)
        if done.code == remote.NO_LOGIN:
            said = flat(done.stderr.decode("utf-8", "replace").strip()[-200:])
            raise LocalError(
                "the other EC-VM cannot be asked",
                seen=said or "ssh says nothing",
                remedy=f"let root of this EC-VM log in to root@{self.pair.peer.address} by its key",
            )
        return done
