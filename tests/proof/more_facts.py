"""The facts of a world that the second edition adds: who a VM is, how its guest is asked, what fails for a while."""

from functools import partial

from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.lab.model.things import HostRefusal, ShutdownService
from tests.proof.cases import ONE, TWO, Case, Setter

# Only these values of an older fact are paired with a newer one: of each kind one.
KINDS = {
    "state": ("Running", "Off", "Saved", "Paused", "PausedCritical", "Saving", "absent"),
    "factor": ("GROUPSTOP", "GROUPFAILOVER"),
    "language": ("en",),
    "guest": ("usual", "deaf"),
}


def _usual(_case: Case) -> None:
    """Leave it as it is."""


def _renamed(case: Case) -> None:
    case.vm.name = "vm1-renamed"


def _role_renamed(case: Case) -> None:
    case.world.roles.rename(case.vm, "SCVMM vm1 Resources")


def _role_removed(case: Case) -> None:
    case.world.roles.remove(case.vm)


def _shared(case: Case) -> None:
    case.world.vms["vm2"].role = case.vm.role
    case.world.vms["vm2"].owner = case.vm.owner


def _namesake(host: str, state: str) -> Setter:
    def add(case: Case) -> None:
        case.world.roles.namesake("vm1", host, state)

    return add


def _no_database(case: Case) -> None:
    for host in case.world.hosts.values():
        host.no_database = True


def _service(service: ShutdownService) -> Setter:
    return lambda case: setattr(case.vm, "service", service)


def _hyper_v(host: str, *, back: bool) -> Setter:
    def act(case: Case) -> None:
        if back:
            case.world.restart_hyper_v(host)
        else:
            case.world.hosts[host].vmms = False

    return act


def _hangs(cmdlet: str) -> Setter:
    return lambda case: case.world.hosts[ONE].hangs.add(cmdlet)


def _refused(cmdlet: str, code: int, *, times: int = 1, identifier: str = "", category: str = "NotSpecified") -> Setter:
    def refuse(case: Case) -> None:
        refusal = HostRefusal(cmdlet, code=code, identifier=identifier, category=category, times=times)
        case.world.hosts[ONE].refusals.append(refusal)

    return refuse


def _wsfc(**how: bool) -> Setter:
    def set_vm(case: Case) -> None:
        for name, value in how.items():
            setattr(case.vm, name, value)

    return set_vm


def _crashes(case: Case) -> None:
    """A guest that dies soon, and that WSFC brings back by itself."""
    case.vm.restarts = True
    case.world.at(7, partial(case.world.cluster.crash, case.vm))


def _offline_action(action: OfflineAction) -> Setter:
    return lambda case: setattr(case.vm, "offline_action", action)


def _second_volume(*, believed: bool) -> Setter:
    def add(case: Case) -> None:
        second = type(case.volume)("Cluster Disk 3", "{00000000-0000-4000-8000-000000000003}", ONE)
        case.world.volumes[second.name] = second
        case.vm.more_volumes = (second.name,)
        case.vm.believed_volumes = None if believed else (case.vm.csv,)

    return add


def _reboots(case: Case) -> None:
    case.world.guests.reboot(case.vm, case.vm.owner)


FACTS_OF_EDITION_2: dict[str, dict[str, Setter]] = {
    "name": {
        "as its role": _usual,
        "renamed in Hyper-V": _renamed,
        "role renamed": _role_renamed,
        "role removed": _role_removed,
    },
    "group": {"its own": _usual, "shared": _shared},
    "namesake": {
        "none": _usual,
        "runs on the peer": _namesake(TWO, "Running"),
        "runs here": _namesake(ONE, "Running"),
        "is off here": _namesake(ONE, "Off"),
        "is dead here": _namesake(ONE, "OffCritical"),
    },
    "database": {"present": _usual, "none": _no_database},
    "services": {
        "ready": _usual,
        "missing": _service(ShutdownService.MISSING),
        "not ready": _service(ShutdownService.NOT_READY),
        "locked": _service(ShutdownService.LOCKED),
        "stuck": _service(ShutdownService.STUCK),
    },
    "the guest's own": {"nothing": _usual, "reboot": _reboots},
    "Hyper-V here": {"up": _usual, "away": _hyper_v(ONE, back=False), "restarts": _hyper_v(ONE, back=True)},
    "Hyper-V on the peer": {"up": _usual, "away": _hyper_v(TWO, back=False), "restarts": _hyper_v(TWO, back=True)},
    "hangs": {
        "nothing": _usual,
        **{
            cmdlet: _hangs(cmdlet)
            for cmdlet in ("Get-VM", "Get-ClusterGroup", "Get-ClusterSharedVolume", "Get-IscsiConnection", "Start-VM")
        },
    },
    "refused": {
        "nothing": _usual,
        "disk in use once": _refused("Start-VM", 32),
        "access denied once": _refused("Start-VM", 5, category="PermissionDenied"),
        "no memory once": _refused("Start-VM", 14, identifier="OutOfMemory"),
        "group busy once": _refused("Move-ClusterVirtualMachineRole", 5944),
        "a look denied once": _refused("Get-ClusterGroup", 5, identifier="AccessDenied", category="PermissionDenied"),
        "Hyper-V denied once": _refused("Get-VM", 5, identifier="AccessDenied", category="PermissionDenied"),
    },
    "WSFC": {
        "does nothing": _usual,
        "clears nothing": _wsfc(stays_failed=True),
        "roles arrive failed": _wsfc(arrives_failed=True),
        "restarts the guest": _crashes,
    },
    "offline action": {
        "save": _usual,
        "turn off": _offline_action(OfflineAction.TURN_OFF),
        "shut down": _offline_action(OfflineAction.SHUT_DOWN),
    },
    "volumes": {
        "one": _usual,
        "two": _second_volume(believed=True),
        "two, the cluster knows of one": _second_volume(believed=False),
    },
}


def values_of(fact: str, values: dict[str, Setter], other: str) -> list[str]:
    """Return the values of a fact that are paired with another: all, or where that one is newer, of each kind one."""
    if other in FACTS_OF_EDITION_2 and fact in KINDS:
        return [value for value in values if value in KINDS[fact]]
    return list(values)
