"""The questions that show how a host and its cluster are set up: `ecx-hyperv check` and `move` ask them.

All of them only read. A stand-in that is older than they are refuses them, and the checks then cannot tell.
"""

from collections.abc import Callable, Mapping

from ecx_hyperv.host.queries import NOT_SHOWN, Query, Row, Rows, each, none_if_absent, none_if_absent_by_id, number, one
from ecx_hyperv.host.rows import (
    ClusterProperties,
    GroupSettings,
    IntegrationServices,
    IscsiSession,
    MigrationSettings,
    Network,
    Quorum,
    VmSettings,
    VolumeAccess,
    WindowsService,
)
from ecx_hyperv.host.wire import Call, RemoteError, text, texts

SSHD_CONFIG = r"C:\ProgramData\ssh\sshd_config"
AUTHORIZED_KEYS = r"C:\ProgramData\ssh\administrators_authorized_keys"

# The integration services, as the ends of their Ids; their names are in the host's language.
HEARTBEAT_SERVICE = "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47"
SHUTDOWN_SERVICE = "9F8233AC-BE49-4C79-8EE3-E7E1985B2077"


def cluster() -> Query[ClusterProperties]:
    """The cluster's own properties."""
    settings = ("ResiliencyDefaultPeriod", "QuarantineThreshold", "MaximumParallelMigrations")
    call = Call(cmdlet="Get-Cluster", args={}, select=("Name", *settings))
    return Query("cluster", call, one(_cluster))


def failover_settings() -> Query[tuple[GroupSettings, ...]]:
    """What WSFC would do about each group by itself."""
    call = Call(
        cmdlet="Get-ClusterGroup",
        args={},
        select=("Name", "GroupType", "FailoverThreshold", "FailoverPeriod", "AutoFailbackType"),
    )
    return Query("failover settings", call, each(_group))


def networks() -> Query[tuple[Network, ...]]:
    """Every network of the cluster."""
    call = Call(cmdlet="Get-ClusterNetwork", args={}, select=("Name", "Id", "Role", "State", "Address", "AddressMask"))
    return Query("networks", call, each(_network))


def barred_networks() -> Query[tuple[str, ...]]:
    """The networks that live migration must not use, by their IDs."""
    call = Call(
        cmdlet="Get-ClusterParameter",
        args={"Name": "MigrationExcludeNetworks"},
        select=("Name", "Value"),
        from_=Call(cmdlet="Get-ClusterResourceType", args={"Name": "Virtual Machine"}),
    )
    return Query("barred networks", call, _barred)


def quorum() -> Query[Quorum]:
    """The cluster's witness."""
    call = Call(
        cmdlet="Get-ClusterQuorum", args={}, select=("QuorumType", "QuorumResource.Name", "QuorumResource.State")
    )
    return Query(
        "quorum", call, one(lambda row: Quorum(text(row, "QuorumResource.Name"), text(row, "QuorumResource.State")))
    )


def volume_access() -> Query[tuple[VolumeAccess, ...]]:
    """How each node gets at each Shared Volume."""
    call = Call(cmdlet="Get-ClusterSharedVolumeState", args={}, select=("Name", "Node", "StateInfo"))
    return Query(
        "volume access",
        call,
        each(lambda row: VolumeAccess(text(row, "Name"), text(row, "Node"), text(row, "StateInfo"))),
    )


def migration() -> Query[MigrationSettings]:
    """Hyper-V's own settings of live migration."""
    call = Call(
        cmdlet="Get-VMHost",
        args={},
        select=("VirtualMachineMigrationEnabled", "MaximumVirtualMachineMigrations", "MemoryCapacity"),
    )
    return Query("migration", call, one(_migration))


def vm_settings(name: str, key: str = "") -> Query[VmSettings | None]:
    """How one VM is set up, as this host knows it; None for one that it does not know.

    `key` is its id where that is known: another VM may have the same name.
    """
    call = Call(
        cmdlet="Get-VM",
        args={"Id": key} if key else {"Name": name},
        select=(
            *("Name", "State", "IsClustered", "AutomaticStartAction", "AutomaticStartDelay", "AutomaticStopAction"),
            *("AutomaticCriticalErrorAction", "AutomaticCriticalErrorActionTimeout", "MemoryStartup"),
            # Without a disk the paths are null, as they are where a host does not show them (P15).
            *("HardDrives.Path", "HardDrives.Count"),
        ),
    )
    return Query(f"settings of {name}", call, one(_vm), _none_if_absent(name, key))


def integration_services(name: str, key: str = "") -> Query[IntegrationServices | None]:
    """The integration services of one VM, by its id where that is known; None for one that the host does not know."""
    cmdlet, select = "Get-VMIntegrationService", ("Id", "Enabled")
    call = (
        Call(cmdlet=cmdlet, args={}, select=select, from_=Call(cmdlet="Get-VM", args={"Id": key}))
        if key
        else Call(cmdlet=cmdlet, args={"VMName": name}, select=select)
    )
    return Query(f"services of {name}", call, _integration_services, _none_if_absent(name, key))


def restart_action(resource: str) -> Query[int]:
    """What WSFC does about a resource that fails: 0 nothing, 1 and 2 restart it."""
    call = Call(cmdlet="Get-ClusterResource", args={"Name": resource}, select=("Name", "RestartAction"))
    return Query(f"RestartAction of {resource}", call, one(lambda row: _shown_number(row, "RestartAction")))


def check_heartbeat(resource: str) -> Query[int]:
    """Whether a VM resource fails where the guest's heartbeat is lost: 0 no, 1 yes."""
    return _private(resource, "CheckHeartbeat")


def offline_action(resource: str) -> Query[int]:
    """What WSFC does to the guest when it takes its VM resource offline, as a number of WSFC's."""
    return _private(resource, "OfflineAction")


def migration_progress(resource: str) -> Query[int]:
    """How far the live migration of a VM is, in percent; whether current builds fill the property nobody has seen."""
    return _private(resource, "MigrationProgress")


def _private(resource: str, name: str) -> Query[int]:
    """A private property of a resource, which the node answers that owns the resource."""
    of_resource = Call(cmdlet="Get-ClusterResource", args={"Name": resource})
    call = Call(cmdlet="Get-ClusterParameter", args={"Name": name}, select=("Name", "Value"), from_=of_resource)
    return Query(f"{name} of {resource}", call, one(lambda row: _shown_number(row, "Value")))


def _none_if_absent(name: str, key: str) -> Callable[[RemoteError], RemoteError | None]:
    return none_if_absent_by_id(key) if key else none_if_absent(name)


def _shown_number(row: Row, key: str) -> int | RemoteError:
    value = number(row, key)
    return NOT_SHOWN if value is None else value


def iscsi_sessions() -> Query[tuple[IscsiSession, ...]]:
    """Every iSCSI session of this host."""
    call = Call(
        cmdlet="Get-IscsiSession",
        args={},
        select=("TargetNodeAddress", "InitiatorNodeAddress", "IsConnected", "IsPersistent"),
    )
    return Query("iscsi sessions", call, each(_session))


def iscsi_portals() -> Query[tuple[str, ...]]:
    """The portals that this host asks for targets."""
    call = Call(cmdlet="Get-IscsiTargetPortal", args={}, select=("TargetPortalAddress",))
    return Query("iscsi portals", call, each(lambda row: text(row, "TargetPortalAddress")))


def windows_services() -> Query[tuple[WindowsService, ...]]:
    """The services that must come up with the host."""
    call = Call(cmdlet="Get-Service", args={"Name": ["sshd", "MSiSCSI"]}, select=("Name", "Status", "StartType"))
    return Query(
        "windows services",
        call,
        each(lambda row: WindowsService(text(row, "Name"), text(row, "Status"), text(row, "StartType"))),
    )


def sshd_config() -> Query[tuple[str, ...]]:
    """The lines of sshd's configuration; a string has no property of its own that is its text."""
    call = Call(cmdlet="Get-Content", args={"LiteralPath": SSHD_CONFIG}, select=("PSObject.BaseObject",))
    return Query("sshd_config", call, _lines)


def keys_acl() -> Query[str]:
    """Who may do what to the file of authorized keys, in SDDL, which is the same in every language."""
    call = Call(cmdlet="Get-Acl", args={"LiteralPath": AUTHORIZED_KEYS}, select=("Sddl",))
    return Query("keys acl", call, one(lambda row: text(row, "Sddl") or NOT_SHOWN))


def _cluster(row: Row) -> ClusterProperties:
    return ClusterProperties(
        text(row, "Name"),
        number(row, "ResiliencyDefaultPeriod"),
        number(row, "QuarantineThreshold"),
        number(row, "MaximumParallelMigrations"),
    )


def _group(row: Row) -> GroupSettings:
    numbers = (number(row, key) for key in ("FailoverThreshold", "FailoverPeriod", "AutoFailbackType"))
    return GroupSettings(text(row, "Name"), *numbers)


def _network(row: Row) -> Network:
    return Network(*(text(row, key) for key in ("Name", "Id", "Role", "State", "Address", "AddressMask")))


def _barred(rows: Rows) -> tuple[str, ...]:
    values = [word for row in rows for value in texts(row.get("Value")) for word in value.split(";")]
    return tuple(word.strip().strip("{}").casefold() for word in values if word.strip())


def _migration(row: Row) -> MigrationSettings | RemoteError:
    enabled, most = row.get("VirtualMachineMigrationEnabled"), number(row, "MaximumVirtualMachineMigrations")
    return NOT_SHOWN if not isinstance(enabled, bool) or most is None else MigrationSettings(enabled, most)


def _session(row: Row) -> IscsiSession:
    return IscsiSession(
        text(row, "TargetNodeAddress"),
        text(row, "InitiatorNodeAddress"),
        _yes_no(row, "IsConnected"),
        _yes_no(row, "IsPersistent"),
    )


def _lines(rows: Rows) -> tuple[str, ...] | RemoteError:
    lines = [row.get("PSObject.BaseObject") for row in rows]
    return tuple(map(str, lines)) if all(isinstance(line, str) for line in lines) else NOT_SHOWN


def _vm(row: Row) -> VmSettings:
    return VmSettings(
        is_clustered=_yes_no(row, "IsClustered"),
        start_action=text(row, "AutomaticStartAction"),
        start_delay=number(row, "AutomaticStartDelay"),
        stop_action=text(row, "AutomaticStopAction"),
        critical_action=text(row, "AutomaticCriticalErrorAction"),
        critical_minutes=number(row, "AutomaticCriticalErrorActionTimeout"),
        memory=number(row, "MemoryStartup"),
        disks=() if number(row, "HardDrives.Count") == 0 else _paths(row.get("HardDrives.Path")),
    )


def _integration_services(rows: Rows) -> IntegrationServices | RemoteError:
    if not rows:
        return NOT_SHOWN
    enabled: Mapping[str, bool] = {text(row, "Id").upper()[-36:]: row.get("Enabled") is True for row in rows}
    return IntegrationServices(enabled.get(HEARTBEAT_SERVICE), enabled.get(SHUTDOWN_SERVICE))


def _paths(value: object) -> tuple[str, ...] | None:
    # A path may hold a comma; one that is alone comes as itself.
    if isinstance(value, list):
        return tuple(str(path) for path in value)
    return (value,) if isinstance(value, str) else None


def _yes_no(row: Row, key: str) -> bool | None:
    value = row.get(key)
    return value if isinstance(value, bool) else None
