"""The mistakes that are planted into the program, one at a time, to see that a check catches each."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mistake: in which file, what stands there, and what is put in its place."""

    name: str
    file: str
    right: str
    wrong: str

    def plant(self, root: Path) -> None:
        """Make the mistake in a copy of the project; raises ValueError if the place is not there exactly once."""
        path = root / "ecx_hyperv" / self.file
        text = path.read_text(encoding="utf-8")
        if text.count(self.right) != 1:
            raise ValueError(f"{self.name}: {self.file} holds {text.count(self.right)} times {self.right!r}")
        path.write_text(text.replace(self.right, self.wrong), encoding="utf-8")


_FETCH, _ATTEMPTS = "decide/fetch.py", "decide/attempts.py"
_START, _STOP, _MONITOR = "decide/start.py", "decide/unregister.py", "decide/monitor.py"
MUTATIONS = (
    Mutation("a running guest is moved by quick migration", _FETCH, "Do.MIGRATE_LIVE, why", "Do.MIGRATE_QUICK, why"),
    Mutation(
        "an isolated owner is treated as one that is down",
        _FETCH,
        "    if seen.peer_node is NodeKind.ISOLATED:\n        return _from_isolated(seen, tried)\n",
        "",
    ),
    Mutation(
        "a host that cannot be asked counts as silent",
        "host/situation.py",
        "return Contact.SILENT if isinstance(answer, Silent) else Contact.TROUBLED",
        "return Contact.SILENT",
    ),
    Mutation(
        "the volume goes offline while another VM runs",
        "decide/volume.py",
        "case Users.NONE:",
        "case Users.NONE | Users.SOME:",
    ),
    Mutation(
        "the volume goes offline although a host is silent",
        "decide/volume.py",
        "if seen.local is not Contact.ANSWERS or seen.peer is not Contact.ANSWERS:",
        "if seen.local is not Contact.ANSWERS:",
    ),
    Mutation(
        "a host that cannot be reached counts as failed",
        _MONITOR,
        'Verdict(Health.UNKNOWN, f"{local} does not answer")',
        'Verdict(Health.FAILED, f"{local} does not answer")',
    ),
    Mutation(
        "a monitor fails on one look", "run/watch.py", "if any(verdict.health is Health.FAILED", "if not any(True"
    ),
    Mutation("one look is enough beside another failure", "run/watch.py", "first.health is Health.FAILED", "True"),
    Mutation(
        "a VM in transition fails at once",
        _MONITOR,
        "return Verdict(Health.HEALTHY, what)",
        "return Verdict(Health.FAILED, what)",
    ),
    Mutation(
        "a stop does not look for the owner",
        _STOP,
        "    side = Side.LOCAL if seen.owner is Place.LOCAL else Side.PEER\n    if seen.on(side).is_off:",
        "    side = Side.LOCAL\n    if seen.on(side).is_off:",
    ),
    Mutation(
        "a stop takes what it cannot see for off",
        _STOP,
        "    if seen.on(side).is_off:\n        return None",
        "    if not seen.on(side).is_live:\n        return None",
    ),
    Mutation("a guest is never turned off in a hurry", _STOP, "if tried.hurry or stuck or", "if stuck or"),
    Mutation(
        "a failover leaves the guest though nobody follows it",
        _STOP,
        "seen.on_local.healthy and asked.ecx_peer_online",
        "seen.on_local.healthy",
    ),
    Mutation("the cool-down is forgotten", "decide/peer.py", "    if seen.cooling:", "    if False:"),
    Mutation(
        "an EC-VM without ping is restarted at once",
        "decide/peer.py",
        "if looks_hung(seen) and seen.hung",
        "if looks_hung(seen)",
    ),
    Mutation(
        "attempts are never used up",
        _ATTEMPTS,
        "case Retry.READY:\n            return Act(do, side, why)",
        "case Retry.READY | Retry.USED_UP:\n            return Act(do, side, why)",
    ),
    Mutation("a lost reply is not counted", "run/look.py", "planned if answer.may_have_been_done else ()", "()"),
    Mutation("a start ignores maintenance", _START, "    _in_maintenance,\n", ""),
    Mutation("a start ignores that the VM was moved away again", _START, "    _left_again,\n", ""),
    Mutation("a start ignores a guest on the other host", _START, "    _alive_on_both,\n", ""),
    Mutation(
        "a failed group is cleared though its guest runs",
        _START,
        "or seen.machine is ResourceKind.OFFLINE or not seen.on_local.is_gone",
        "or seen.machine is ResourceKind.OFFLINE",
    ),
    Mutation("a start does not wait for iSCSI", _START, "    _iscsi,\n", ""),
    Mutation(
        "storage that is away for a moment moves the VM",
        _FETCH,
        "if Timer.PEER_CRITICAL in tried.over:",
        "if True:",
    ),
    Mutation(
        "any error of Get-VM reads as absent",
        "host/queries.py",
        "lambda error: None if says_absent(error, name) else error",
        "lambda _: None",
    ),
    Mutation(
        "a VM whose storage is away reads as down",
        "decide/states.py",
        '"PausedCritical": VmKind.CRITICAL',
        '"PausedCritical": VmKind.DOWN',
    ),
)
