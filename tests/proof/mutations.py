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
_OFF, _POWER = "decide/off.py", "decide/power.py"
_START, _STOP, _MONITOR = "decide/start.py", "decide/unregister.py", "decide/monitor.py"
MUTATIONS = (
    Mutation("a running guest is moved by quick migration", _FETCH, "Do.MIGRATE_LIVE, why", "Do.MIGRATE_QUICK, why"),
    Mutation(
        "an isolated owner is treated as one that is down",
        _OFF,
        "    if is_lost_by_local(seen) and Timer.OWNER_SILENT in over:",
        "    if is_lost_by_local(seen):",
    ),
    Mutation(
        "a host that cannot be asked counts as silent",
        "host/snapshots.py",
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
        "for one in (seen.local, seen.peer) if one is not Contact.ANSWERS",
        "for one in (seen.local,) if one is not Contact.ANSWERS",
    ),
    Mutation(
        "a host that cannot be reached counts as failed",
        _MONITOR,
        'Verdict(Health.UNKNOWN, f"{local} {seen.local.in_words}")',
        'Verdict(Health.FAILED, f"{local} {seen.local.in_words}")',
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
        "a stop does not look for the guest on the peer host",
        _STOP,
        "    side = live_side(seen)\n    if side is not None:\n        return bring_down",
        "    side = Side.LOCAL if seen.on_local.is_live else None\n    if side is not None:\n        return bring_down",
    ),
    Mutation(
        "a stop takes what it cannot see for off",
        _OFF,
        "    if is_down(seen, owner) and by_cluster:",
        "    if not seen.on(owner).is_live:",
    ),
    Mutation(
        "a guest is never turned off in a hurry",
        _POWER,
        "    if tried.hurry:\n        return True\n",
        "    if tried.hurry:\n        return False\n",
    ),
    Mutation(
        "a guest loses its power before it had its grace",
        _POWER,
        "    if Timer.GRACE not in tried.over:\n        return False\n",
        "",
    ),
    Mutation(
        "a guest loses its power after one look",
        _POWER,
        "    if Timer.TURN_OFF_TWICE not in tried.over:",
        "    if False:",
    ),
    Mutation("a guest in transition is cut short", _POWER, "if seen.on(side).is_in_transition:", "if False:"),
    Mutation(
        "a VM is unregistered after one look",
        "decide/off_for_stop.py",
        "twice = Timer.OFF_TWICE in tried.over or",
        "twice = True or",
    ),
    Mutation(
        "a VM is fetched after one look",
        _FETCH,
        "    if not spanned and Timer.OFF_TWICE not in tried.over:",
        "    if False:",
    ),
    Mutation(
        "an Offline of the run's own making proves that a guest is off",
        _OFF,
        "(seen.machine is ResourceKind.OFFLINE and not cleared)",
        "seen.machine is ResourceKind.OFFLINE",
    ),
    Mutation(
        "the power of a VM is cut that was saved meanwhile",
        "host/cmdlets.py",
        '{"TurnOff": True}, key, _LIVE)',
        '{"TurnOff": True}, key, (*_LIVE, "Saved"))',
    ),
    Mutation(
        "a quick migration is sent without a guard",
        "host/actions.py",
        "_quick(seen, identity, identity.machine)",
        "_quick(seen, identity, None)",
    ),
    Mutation(
        "Hyper-V that has just restarted counts as knowing no VM",
        "host/situation.py",
        "    row = snapshot.vm(identity.id)\n    if row is None:\n"
        "        return VmOnHost(VmKind.ABSENT) if knows_guests else UNSEEN",
        "    row = snapshot.vm(identity.id)\n    if row is None:\n        return VmOnHost(VmKind.ABSENT)",
    ),
    Mutation(
        "of two VMs that may be meant one is taken", "host/identity.py", "    if len(candidates) > 1:", "    if False:"
    ),
    Mutation(
        "a start gives up what is refused once",
        "decide/hopeless.py",
        "    if Timer.REFUSED not in tried.over or seen.on_local.is_in_transition:\n        return None\n",
        "",
    ),
    Mutation(
        "a run goes on after its EC-VM stood still",
        "run/loop.py",
        "                if self._was_frozen():",
        "                if False:",
    ),
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
    Mutation(
        "a step is counted only once its answer has come",
        "run/tasks.py",
        "        if counter is not None:\n            counter.add(now)\n",
        "",
    ),
    Mutation("a start ignores maintenance", _START, "    _in_maintenance,\n", ""),
    Mutation("a start ignores that the VM was moved away again", _START, "    left_again,\n", ""),
    Mutation("a start ignores a guest on the other host", _START, "    _alive_on_both,\n", ""),
    Mutation(
        "a failed group is cleared though its guest runs",
        _START,
        "seen.machine is not ResourceKind.FAILED or not is_down(seen, Side.LOCAL)",
        "seen.machine is not ResourceKind.FAILED",
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
    # The rules of evidence, and what was found by looking for where they are broken.
    Mutation(
        "the id that an earlier run kept is forgotten (3.1)", "host/identity.py", "own = vm_key(kept)", 'own = ""'
    ),
    Mutation(
        "an act is made on answers of the two hosts that do not lie together (3.4)",
        _FETCH,
        '    if not seen.is_fresh:\n        return Wait(f"{proof.why}; the answers',
        '    if False:\n        return Wait(f"{proof.why}; the answers',
    ),
    Mutation(
        "where a VM's files are does not say that it is on a volume (3.6)",
        "host/volumes.py",
        'return any(file.startswith(f"{path.casefold()}\\\\") for file in files for path in paths)',
        "return False",
    ),
    Mutation("what was not carried out uses up an attempt (3.7)", "run/tasks.py", "counter.take_back()", "pass"),
    Mutation(
        "what hangs is asked again in front of everything else (3.8)",
        "run/host_look.py",
        "            self._alone.add(one.part.key)",
        "            pass",
    ),
    Mutation(
        "a VM that was off counts as off for good, whoever starts it meanwhile",
        "host/volumes.py",
        "found = self._configured(vm.name, is_ours=vm.name.casefold() in off)",
        "found = None if vm.name.casefold() in off else self._configured(vm.name, is_ours=False)",
    ),
    Mutation(
        "a volume that is online again is taken offline again", "decide/volume.py", "if was_stopped:", "if False:"
    ),
    Mutation(
        "the volumes of a stop that stood still are taken offline",
        "run/volumes.py",
        "if any(self._context.hosts.was_frozen(side) for side in Side):",
        "if False:",
    ),
    Mutation(
        "a monitor that stood still acts on the other EC-VM",
        "run/peer.py",
        "if self._context.hosts.was_frozen(Side.PEER):",
        "if False:",
    ),
    Mutation(
        "the grace runs from a request that nobody has carried",
        _STOP,
        "was_asked = tried.asked_once and tried.answer is not ShutdownAnswer.UNASKED",
        "was_asked = tried.asked_once",
    ),
    Mutation(
        "a paused guest whose migration is waited for loses its power",
        _STOP,
        "seen.on(side).kind is VmKind.PAUSED and not waits",
        "seen.on(side).kind is VmKind.PAUSED",
    ),
    Mutation(
        "a VM in no role is nowhere once Hyper-V that restarts does not list it",
        _STOP,
        '    if Timer.BLIND_OFF not in tried.over:\n        return Wait(f"{vm} is in no role',
        '    if False:\n        return Wait(f"{vm} is in no role',
    ),
    Mutation(
        "a host that refuses at once is asked without a pause",
        "run/look.py",
        "min(seconds, max(due - now, self._interval * _SLICE))",
        "max(0.0, min(seconds, due - now))",
    ),
    Mutation(
        "what was refused stays refused",
        "run/start_task.py",
        "        for do in reached(seen):",
        "        for do in ():",
    ),
    Mutation(
        "a stop fails for hosts that fell silent behind its work",
        "run/stop_task.py",
        "        return unregister.without_contact(*self._told, trouble)",
        "        return trouble",
    ),
    # Each check of a move, taken out.
    *(
        Mutation(f"a move is ordered without a look at: {check}", "decide/move.py", f"    _{check},\n", "")
        for check in ("group", "ecx", "mirrors", "hosts", "nodes", "maintenance", "vms", "memory", "migration")
    ),
    Mutation(
        "a dry run takes a wait for its end",
        "decide/foresee.py",
        "            case Wait(why=why) if not _is_on_its_way(seen):",
        "            case Wait(why=why) if False:",
    ),
    Mutation(
        "a VM resource that does not answer is in no role",
        "run/identities.py",
        "is_current=is_up and _are_all_told(snapshot)",
        "is_current=is_up",
    ),
    Mutation(
        "names that were kept count although the cluster has them elsewhere",
        "run/identities.py",
        "if not all((kind, name, kept.role) in there for kind, name in names.items()):",
        "if not there:",
    ),
    Mutation(
        "a step of the volume makes old what was seen of the VM",
        "run/tasks.py",
        "for do, when in self._last.items() if do not in _OF_THE_VOLUME)",
        "for do, when in self._last.items())",
    ),
)
