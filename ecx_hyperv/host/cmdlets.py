"""The cmdlet calls that change something, typed; their parameters are those of cmdlets.json.

What is done to a VM is done to what Get-VM finds by its id, in a state that it must still be in when it is done: no
namesake is ever meant, and a VM that was saved between look and act does not lose its memory. Start-VM, Resume-VM and
TurnOff block, so that their error is seen; the cluster's Start-, Stop- and Move- cmdlets are sent with Wait 0 and then
observed, since they have no limit of their own. Nothing is a job: a job's questions are answered with yes, and its
errors are seen by nobody.
"""

from collections.abc import Mapping

from ecx_hyperv.host.wire import Call

_DOWN = ("Off", "Saved", "FastSaved", "Hibernated")
_LIVE = ("Running", "Paused", "RunningCritical", "PausedCritical")


def update_iscsi_portal(address: str) -> Call:
    """Log in again to what an iSCSI portal offers."""
    return Call(cmdlet="Update-IscsiTargetPortal", args={"TargetPortalAddress": address})


def move_shared_volume(name: str, node: str) -> Call:
    """Make a node the owner of a Shared Volume."""
    return Call(cmdlet="Move-ClusterSharedVolume", args={"Name": name, "Node": node, "Wait": 0})


def start_resource(name: str) -> Call:
    """Bring a resource, or a Shared Volume, online."""
    return Call(cmdlet="Start-ClusterResource", args={"Name": name, "Wait": 0})


def stop_resource(name: str, guard: str | None = None) -> Call:
    """Take a resource, or a Shared Volume, offline; a VM's saves its guest.

    `guard` names the VM resource that must be down: a configuration is stopped under no running guest.
    """
    return Call(cmdlet="Stop-ClusterResource", args={"Name": name, "Wait": 0}, guard=_is_down(guard))


def move_vm(group: str, node: str, *, live: bool, guard: str | None = None) -> Call:
    """Move a VM's group to a node, its guest running on or saved on the way.

    `guard` names the VM resource that must be down: a quick migration of a guest that was seen off saves none.
    """
    kind = "Live" if live else "Quick"
    return Call(
        cmdlet="Move-ClusterVirtualMachineRole",
        args={"Name": group, "Node": node, "MigrationType": kind, "Wait": 0},
        guard=_is_down(guard),
    )


def cancel_move(group: str) -> Call:
    """Cancel a VM's migration."""
    return Call(cmdlet="Move-ClusterVirtualMachineRole", args={"Name": group, "Cancel": True, "Wait": 0})


def start_vm(key: str) -> Call:
    """Power the VM with that id on, or restore it."""
    return _on_vm("Start-VM", {}, key, _DOWN)


def resume_vm(key: str) -> Call:
    """Resume the paused VM with that id."""
    return _on_vm("Resume-VM", {}, key, ("Paused",))


def shutdown_guest(key: str, *, force: bool = False) -> Call:
    """Ask the guest of the VM with that id to shut down; `force` also one that somebody has locked.

    It returns at once with a code, and has no way to cut the power, unlike Stop-VM without TurnOff.
    """
    args: dict[str, str | int | float | bool | list[str]] = {"Id": key}
    return Call(cmdlet="Agent-ShutdownGuest", args={**args, "Force": True} if force else args, select=("Code",))


def turn_off_vm(key: str) -> Call:
    """Cut the power of the VM with that id."""
    return _on_vm("Stop-VM", {"TurnOff": True}, key, _LIVE)


def restart_vm(key: str) -> Call:
    """Reset the VM with that id; without Force it asks."""
    return _on_vm("Restart-VM", {"Force": True}, key, ("Running",))


def _on_vm(cmdlet: str, args: Mapping[str, bool], key: str, states: tuple[str, ...]) -> Call:
    found = Call(cmdlet="Get-VM", args={"Id": key}, only={"State": states})
    return Call(cmdlet=cmdlet, args=dict(args), from_=found)


def _is_down(resource: str | None) -> Call | None:
    if resource is None:
        return None
    return Call(cmdlet="Get-ClusterResource", args={"Name": resource}, only={"State": ("Offline", "Failed")})
