"""The cmdlet calls that change something, typed; their parameters are those of cmdlets.json.

The cluster's Start-, Stop- and Move- cmdlets are sent with Wait 0 and then observed, Stop-VM as a job: none of them
has a limit of its own. Start-VM and Resume-VM block, so that their error is seen.
"""

from ecx_hyperv.host.wire import Call


def update_iscsi_portal(address: str) -> Call:
    """Log in again to what an iSCSI portal offers."""
    return Call(cmdlet="Update-IscsiTargetPortal", args={"TargetPortalAddress": address})


def move_shared_volume(name: str, node: str) -> Call:
    """Make a node the owner of a Shared Volume."""
    return Call(cmdlet="Move-ClusterSharedVolume", args={"Name": name, "Node": node, "Wait": 0})


def start_resource(name: str) -> Call:
    """Bring a resource, or a Shared Volume, online."""
    return Call(cmdlet="Start-ClusterResource", args={"Name": name, "Wait": 0})


def stop_resource(name: str) -> Call:
    """Take a resource, or a Shared Volume, offline; a VM's saves its guest."""
    return Call(cmdlet="Stop-ClusterResource", args={"Name": name, "Wait": 0})


def move_vm(group: str, node: str, *, live: bool) -> Call:
    """Move a VM's group to a node, its guest running on or saved on the way."""
    kind = "Live" if live else "Quick"
    return Call(
        cmdlet="Move-ClusterVirtualMachineRole",
        args={"Name": group, "Node": node, "MigrationType": kind, "Wait": 0},
    )


def cancel_move(group: str) -> Call:
    """Cancel a VM's migration."""
    return Call(cmdlet="Move-ClusterVirtualMachineRole", args={"Name": group, "Cancel": True, "Wait": 0})


def start_vm(name: str) -> Call:
    """Power a VM on, or restore it."""
    return Call(cmdlet="Start-VM", args={"Name": name})


def resume_vm(name: str) -> Call:
    """Resume a paused VM."""
    return Call(cmdlet="Resume-VM", args={"Name": name})


def stop_vm(name: str) -> Call:
    """Ask a guest to shut down."""
    return Call(cmdlet="Stop-VM", args={"Name": name, "AsJob": True})


def turn_off_vm(name: str) -> Call:
    """Cut a VM's power."""
    return Call(cmdlet="Stop-VM", args={"Name": name, "TurnOff": True, "AsJob": True})


def restart_vm(name: str) -> Call:
    """Reset a VM; without Force it asks."""
    return Call(cmdlet="Restart-VM", args={"Name": name, "Force": True})
