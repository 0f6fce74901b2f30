"""The faults that can strike at a remote call: each is one thing that goes wrong, at one moment of one run."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.errors import HostError, HostKeyRefused, LoginRefused, SessionLost, Unreachable
from ecx_hyperv.host.link import Answered, Ask, Exchanged
from ecx_hyperv.host.wire import Answer, Frames, RemoteError, Reply, Request, Result, WireError
from ecx_hyperv.lab.model.things import Guest, Host, Sshd
from tests.proof.facts import Case
from tests.virtual.hosts import Proceed

_NONCE = "0123456789abcdef0123456789abcdef"
# A session waits for an answer as long as its request has, and two seconds more.
_GRACE_S = 2.0


class Killed(BaseException):
    """Our own process is killed here."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A remote call of a run, about to be made."""

    case: Case
    side: Side
    ask: Ask
    deadline: Deadline
    proceed: Proceed

    @property
    def name(self) -> str:
        """Return the name of the host that is asked."""
        return self.case.sim.hosts.name(self.side)

    @property
    def host(self) -> Host:
        """Return the host that is asked."""
        return self.case.world.hosts[self.name]

    @property
    def guest(self) -> Guest | None:
        """Return the VM's guest, wherever it is."""
        return next(iter(self.case.vm.guests.values()), None)

    def go_on(self) -> Exchanged:
        """Have the call made as if nothing had happened."""
        return self.proceed(self.ask)


Fault = Callable[[Spot], Exchanged]


# The way to the host.


def refused(spot: Spot) -> Exchanged:
    """The connection is refused."""
    spot.case.sim.hosts.hang_up(spot.side)
    return Unreachable(spot.name, "port 22 does not answer", seen="connection refused")


def hangs(spot: Spot) -> Exchanged:
    """The host takes the call, and says nothing more."""
    spot.case.sim.hosts.hang_up(spot.side)
    spot.case.sim.hosts.takes(min(spot.ask.seconds, spot.deadline.remaining()) + _GRACE_S)
    return SessionLost(spot.name, "no answer in time")


def key_changed(spot: Spot) -> Exchanged:
    """The host shows another key."""
    spot.case.sim.hosts.hang_up(spot.side)
    return HostKeyRefused(spot.name, "its key is not the pinned one")


def login_refused(spot: Spot) -> Exchanged:
    """The host does not let us in."""
    spot.case.sim.hosts.hang_up(spot.side)
    return LoginRefused(spot.name, "it does not accept our key")


def reset(spot: Spot) -> Exchanged:
    """The connection is reset before the call arrives."""
    spot.case.sim.hosts.hang_up(spot.side)
    return SessionLost(spot.name, "the connection was reset")


def reply_lost(spot: Spot) -> Exchanged:
    """The call is carried out, and its reply lost."""
    spot.go_on()
    spot.case.sim.hosts.hang_up(spot.side)
    return SessionLost(spot.name, "the connection was reset")


# What the host says.


def _through_the_wire(spot: Spot, spoil: Callable[[bytes], bytes]) -> Exchanged:
    answer = spot.go_on()
    if isinstance(answer, HostError):
        return answer
    frame = f"{_NONCE} 1 ".encode() + base64.b64encode(msgspec.json.encode(answer.reply)) + b"\n"
    try:
        frames = Frames(_NONCE).feed(spoil(frame))
    except WireError as error:
        spot.case.sim.hosts.hang_up(spot.side)
        return SessionLost(spot.name, "its answer makes no sense", seen=str(error))
    if not frames or not isinstance(frames[0], Answer):
        spot.case.sim.hosts.hang_up(spot.side)
        spot.case.sim.hosts.takes(min(spot.ask.seconds, spot.deadline.remaining()) + _GRACE_S)
        return SessionLost(spot.name, "no answer in time")
    return replace(answer, reply=frames[0].reply)


def garbage(spot: Spot) -> Exchanged:
    """The call is carried out, its reply is garbled."""
    return _through_the_wire(spot, lambda frame: frame[: len(frame) // 2] + b"\xff\x00{" + frame[len(frame) // 2 :])


def cut_short(spot: Spot) -> Exchanged:
    """The call is carried out, of its reply only the first half arrives."""
    return _through_the_wire(spot, lambda frame: frame[: len(frame) // 2])


def noise(spot: Spot) -> Exchanged:
    """The host says 2 MiB of something else before it answers."""
    return _through_the_wire(spot, lambda frame: b"WARNING: \x1b[31m\r\n" * (2 * 1024 * 1024 // 16) + frame)


def empty_reply(spot: Spot) -> Exchanged:
    """The call is carried out, its reply holds no result."""
    answer = spot.go_on()
    return replace(answer, reply=Reply(results=())) if isinstance(answer, Answered) else answer


def failing(index: int, error: RemoteError) -> Fault:
    """Return the fault that one cmdlet of the call fails, and is not carried out."""

    def fail(spot: Spot) -> Exchanged:
        calls = spot.ask.request.calls
        others = Request(calls=(*calls[:index], *calls[index + 1 :]), stop_on_error=spot.ask.request.stop_on_error)
        answer = spot.proceed(replace(spot.ask, request=others))
        if isinstance(answer, HostError):
            return answer
        came = answer.reply.results
        results = (*came[:index], Result(ok=False, error=error), *came[index:])
        return replace(answer, reply=msgspec.structs.replace(answer.reply, results=results))

    return fail


ERRORS = {
    "busy": RemoteError(message="not in the correct state", id="Move-X,Y", category="NotSpecified", code=5023),
    "denied": RemoteError(message="Access is denied.", id="AccessDenied,X", category="PermissionDenied", code=5),
    "unknown": RemoteError(message="Something new happened.", id="BrandNew,X", category="InvalidResult", code=4242),
    "localised": RemoteError(message="操作に失敗しました。"),
}


# The world.


def power_lost(spot: Spot) -> Exchanged:
    """The host that is asked loses power."""
    spot.case.world.power_off_host(spot.name)
    if spot.side is Side.LOCAL:
        raise Killed
    return spot.go_on()


def service_stops(spot: Spot) -> Exchanged:
    """The cluster service of the host that is asked stops."""
    spot.host.service = False
    spot.case.world.cluster.lost(spot.host, cleanly=False)
    return spot.go_on()


def iscsi_drops(spot: Spot) -> Exchanged:
    """The target goes off, and comes back after half a minute."""
    storage = spot.case.world.storage
    storage.serve("ec1", on=False)
    spot.case.world.at(30, lambda: storage.serve("ec1", on=True))
    return spot.go_on()


def volume_fails(spot: Spot) -> Exchanged:
    """The Shared Volume fails."""
    spot.case.volume.state = "Failed"
    spot.case.world.storage.changed()
    return spot.go_on()


def moved_by_wsfc(spot: Spot) -> Exchanged:
    """WSFC live-migrates the VM."""
    spot.case.world.cluster.move(spot.case.vm, spot.case.world.other(spot.case.vm.owner).name, live=True)
    return spot.go_on()


def stopped_by_operator(spot: Spot) -> Exchanged:
    """An operator shuts the VM down."""
    spot.case.world.guests.shut_down(spot.case.vm, spot.case.vm.owner)
    return spot.go_on()


def turned_off_by_operator(spot: Spot) -> Exchanged:
    """An operator turns the VM off."""
    spot.case.world.guests.turn_off(spot.case.vm, spot.case.vm.owner)
    return spot.go_on()


def paused_by_operator(spot: Spot) -> Exchanged:
    """An operator pauses the VM."""
    spot.case.world.guests.pause(spot.case.vm, spot.case.vm.owner)
    return spot.go_on()


def started_by_operator(spot: Spot) -> Exchanged:
    """An operator starts the VM."""
    spot.case.world.guests.start(spot.case.vm, spot.case.vm.owner)
    return spot.go_on()


def guest_reboots(spot: Spot) -> Exchanged:
    """The guest reboots by itself."""
    spot.case.world.guests.reboot(spot.case.vm, spot.case.vm.owner)
    return spot.go_on()


def guest_dies(spot: Spot) -> Exchanged:
    """The guest dies, and WSFC brings it back by itself."""
    vm = spot.case.vm
    vm.restarts = True
    if vm.guests.get(vm.owner) is not None and vm.guests[vm.owner].state == "Running":
        spot.case.world.cluster.crash(vm)
    return spot.go_on()


def started_by_wsfc(spot: Spot) -> Exchanged:
    """WSFC brings the VM online by itself, where it is."""
    spot.case.world.cluster.restart_by_itself(spot.case.vm)
    return spot.go_on()


def saved_by_operator(spot: Spot) -> Exchanged:
    """An operator saves the VM."""
    vm = spot.case.vm
    guest = vm.guests.get(vm.owner)
    if guest is not None and guest.state == "Running" and not guest.going_down:
        spot.case.world.guests.save(vm, vm.owner, lambda: None)
    return spot.go_on()


def renamed_by_operator(spot: Spot) -> Exchanged:
    """An operator renames the VM in Hyper-V."""
    spot.case.vm.name = "vm1-renamed"
    return spot.go_on()


def role_renamed_by_operator(spot: Spot) -> Exchanged:
    """An operator renames the VM's role."""
    spot.case.world.roles.rename(spot.case.vm, "SCVMM vm1 Resources")
    return spot.go_on()


def copy_is_restored(spot: Spot) -> Exchanged:
    """Somebody restores a copy of the VM on the host that is asked, and starts it."""
    spot.case.world.roles.namesake("vm1", spot.name, "Running", number=77)
    return spot.go_on()


def hyper_v_restarts(spot: Spot) -> Exchanged:
    """Hyper-V's service restarts on the host that is asked."""
    spot.case.world.restart_hyper_v(spot.name)
    return spot.go_on()


def login_refused_for_a_while(spot: Spot) -> Exchanged:
    """The host that is asked lets nobody in for five seconds."""
    host = spot.host
    host.sshd = Sshd.REFUSING
    spot.case.world.at(5, lambda: setattr(host, "sshd", Sshd.UP))
    return spot.go_on()


def stands_still(spot: Spot) -> Exchanged:
    """Our EC-VM stands still for a minute."""
    spot.case.world.freeze_ec_vm(spot.case.world.ec_vms["ec1"], 60)
    return spot.go_on()


# Ourselves.


def killed_before(spot: Spot) -> Exchanged:
    """Our process is killed before the call."""
    raise Killed


def killed_after(spot: Spot) -> Exchanged:
    """Our process is killed once the call is carried out."""
    spot.go_on()
    raise Killed


def host_is_out(case: Case, name: str) -> bool:
    """Tell whether a host is on, but no member of the cluster."""
    return case.world.hosts[name].on and not case.world.cluster.is_member(name)


def mend(case: Case) -> None:
    """Undo what the faults above do to a world, and let it come to rest."""
    world = case.world
    for host in world.hosts.values():
        if not host.on:
            world.power_on_host(host.name)
        elif not host.service and host.name not in case.cut_out:
            world.cluster.returned(host)
    for name, guest in case.vm.guests.items():
        if guest.state == "Paused":
            world.guests.resume(case.vm, name)
        elif guest.is_live and host_is_out(case, name):
            # What an operator started there only an operator can stop.
            world.guests.turn_off(case.vm, name)
    world.advance(40)
    if case.values.get("iSCSI") != "target off":
        world.storage.serve("ec1", on=True)
    world.advance(20)


# Of the first kind each is tried twice: at one call, and from that call on for as long as the run lasts.
OF_THE_WAY: tuple[Fault, ...] = (refused, hangs, key_changed, login_refused, reset)
OF_THE_CALL: tuple[Fault, ...] = (
    *(reply_lost, garbage, cut_short, noise, empty_reply),
    *(power_lost, service_stops, iscsi_drops, volume_fails, moved_by_wsfc),
    *(stopped_by_operator, turned_off_by_operator, paused_by_operator, started_by_operator),
    *(killed_before, killed_after),
)
SINCE_EDITION_2: tuple[Fault, ...] = (
    *(guest_reboots, guest_dies, started_by_wsfc, saved_by_operator, renamed_by_operator, role_renamed_by_operator),
    *(copy_is_restored, hyper_v_restarts, login_refused_for_a_while, stands_still),
)
