"""The cmdlet calls that show how a host and its cluster are set up: `ecx-hyperv check` makes them, nothing else does.

All of them only read. A stand-in that is older than they are refuses them, and the checks then cannot tell.
"""

from ecx_hyperv.host.wire import Call

SSHD_CONFIG = r"C:\ProgramData\ssh\sshd_config"
AUTHORIZED_KEYS = r"C:\ProgramData\ssh\administrators_authorized_keys"


def get_cluster() -> Call:
    """The cluster's own properties."""
    return Call(cmdlet="Get-Cluster", args={}, select=("Name", "ResiliencyDefaultPeriod", "QuarantineThreshold"))


def get_failover_settings() -> Call:
    """What WSFC would do about each group by itself."""
    return Call(
        cmdlet="Get-ClusterGroup",
        args={},
        select=("Name", "GroupType", "FailoverThreshold", "FailoverPeriod", "AutoFailbackType"),
    )


def get_networks() -> Call:
    """Every network of the cluster."""
    return Call(cmdlet="Get-ClusterNetwork", args={}, select=("Name", "Id", "Role", "State", "Address", "AddressMask"))


def get_barred_networks() -> Call:
    """The networks that live migration must not use, by their IDs."""
    return Call(
        cmdlet="Get-ClusterParameter",
        args={"Name": "MigrationExcludeNetworks"},
        select=("Name", "Value"),
        from_=Call(cmdlet="Get-ClusterResourceType", args={"Name": "Virtual Machine"}),
    )


def get_quorum() -> Call:
    """The cluster's witness."""
    return Call(
        cmdlet="Get-ClusterQuorum", args={}, select=("QuorumType", "QuorumResource.Name", "QuorumResource.State")
    )


def get_volume_states() -> Call:
    """How each node gets at each Shared Volume."""
    return Call(cmdlet="Get-ClusterSharedVolumeState", args={}, select=("Name", "Node", "StateInfo"))


def get_vm_host() -> Call:
    """Hyper-V's own settings."""
    return Call(
        cmdlet="Get-VMHost",
        args={},
        select=("VirtualMachineMigrationEnabled", "MaximumVirtualMachineMigrations", "MemoryCapacity"),
    )


def get_vm_settings(name: str) -> Call:
    """How one VM is set up, as this host knows it."""
    return Call(
        cmdlet="Get-VM",
        args={"Name": name},
        select=(
            *("Name", "State", "IsClustered", "AutomaticStartAction", "AutomaticStartDelay", "AutomaticStopAction"),
            *("AutomaticCriticalErrorAction", "AutomaticCriticalErrorActionTimeout", "MemoryStartup"),
            "HardDrives.Path",
        ),
    )


def get_integration_services(vm: str) -> Call:
    """The integration services of one VM; their names are in the host's language, their IDs end alike everywhere."""
    return Call(cmdlet="Get-VMIntegrationService", args={"VMName": vm}, select=("Id", "Enabled"))


def get_iscsi_sessions() -> Call:
    """Every iSCSI session of this host."""
    return Call(
        cmdlet="Get-IscsiSession",
        args={},
        select=("TargetNodeAddress", "InitiatorNodeAddress", "IsConnected", "IsPersistent"),
    )


def get_iscsi_portals() -> Call:
    """The portals that this host asks for targets."""
    return Call(cmdlet="Get-IscsiTargetPortal", args={}, select=("TargetPortalAddress",))


def get_services() -> Call:
    """The services that must come up with the host."""
    return Call(cmdlet="Get-Service", args={"Name": ["sshd", "MSiSCSI"]}, select=("Name", "Status", "StartType"))


def get_sshd_config() -> Call:
    """The lines of sshd's configuration; a string has no property of its own that is its text."""
    return Call(cmdlet="Get-Content", args={"LiteralPath": SSHD_CONFIG}, select=("PSObject.BaseObject",))


def get_keys_acl() -> Call:
    """Who may do what to the file of authorized keys, in SDDL, which is the same in every language."""
    return Call(cmdlet="Get-Acl", args={"LiteralPath": AUTHORIZED_KEYS}, select=("Sddl",))
