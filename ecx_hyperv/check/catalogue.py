"""Every check by its name, and what it means for the user where it is not ok."""

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from ecx_hyperv.errors import UsageError


class Area(Enum):
    """What a check is about; the order is that of the table."""

    LOGIN = "the way from this EC-VM to a host"
    HOST = "a host"
    CLUSTER = "the cluster of the hosts"
    EC_GUEST = "an EC-VM, as its host has it"
    VM = "a protected VM"
    WIRE = "what the program takes for granted of PowerShell behind sshd, tried on the host"
    EC_VM = "this EC-VM"
    ECX = "ECX's settings"


class Check(Struct, frozen=True):
    """One check: its name, and what it means where it is not ok."""

    name: str
    area: Area
    means: str


def _of(area: Area, **means: str) -> list[Check]:
    return [Check(name.replace("_", "-"), area, text) for name, text in means.items()]


_ALL = [
    *_of(
        Area.LOGIN,
        reachable="without its host a VM can be neither started, moved nor watched",
        host_key="whoever answers there might not be the host; nothing is asked of it",
        login="the host lets this EC-VM do nothing",
        powershell="the agent cannot run: no start, no stop, no monitor",
        clock="the logs of hosts and EC-VMs cannot be laid side by side; Kerberos refuses more than 5 minutes",
        sshd_passwords="anybody who guesses the administrator's password is in",
        sshd_keepalive="an EC-VM that vanishes leaves its login on the host for hours",
        sshd_sessions="a command may be refused while another one runs",
        authorized_keys="sshd ignores the keys, or others may add theirs",
        services="after a restart of the host nobody gets in, or the shared disk stays away",
    ),
    *_of(
        Area.HOST,
        modules="the cmdlets that start and move VMs are not there",
        node="the host takes part in nothing: VMs cannot be moved to it",
        migration_enabled="a move of the group would have to stop the VM",
        migration_parallel="VMs that are moved together wait for one another, perhaps past the start's deadline",
        memory="after a failover the VM could not be started here",
        iscsi_portal="a lost connection to the mirror disk cannot be made again by the program",
        iscsi_connected="the host does not see the mirror disk",
        iscsi_persistent="after a restart the host does not connect to the mirror disk",
        iscsi_initiator="the target does not let this host in, on this EC-VM at least",
    ),
    *_of(
        Area.CLUSTER,
        resiliency="WSFC takes VMs from an isolated host by itself, while ECX does the same",
        quarantine="WSFC shuts a host out after a few losses, and every start on it fails",
        cluster_networks="heartbeats cross the storage network, or cross one network only",
        networks_up="one more failure of a network parts the hosts",
        migration_networks="live migration takes the storage network, or has none at all",
        csv="the VMs have no disk",
        csv_access="reads and writes take a detour over the other host: slow, and lost together with it",
        quorum="when one host is lost the other one stops its VMs too",
    ),
    *_of(
        Area.EC_GUEST,
        ec_vm_known="genw-remote-node cannot power the other EC-VM on",
        ec_vm_start_action="after a power failure nobody starts the EC-VM, and so none of the VMs",
        ec_vm_start_delay="the EC-VM comes up before the host's networks do",
        ec_vm_stop_action="a saved EC-VM comes back with a cluster of yesterday in its memory",
        ec_vm_clustered="WSFC moves the EC-VM, which is to hold the cluster's own disk",
        ec_vm_heartbeat="an EC-VM that hangs is not noticed",
    ),
    *_of(
        Area.VM,
        vm_identity="a start may not know which VM is meant, or take another one for it",
        vm_clustered="the VM cannot be moved or started by the program",
        vm_failover="WSFC starts the VM elsewhere by itself, while ECX does the same",
        vm_failback="WSFC moves the VM back by itself, and the monitor takes that for a failure",
        vm_restart_action="WSFC restarts a guest by itself, while ECX stops or moves it",
        vm_check_heartbeat="WSFC takes a guest that hangs for failed, and cuts its power, while ECX decides too",
        vm_offline_action="a stop through the cluster, of a guest that nobody can ask, cuts its power",
        vm_on_csv="the VM cannot run on the other host",
        vm_start_action="the host starts the VM by itself, perhaps on both hosts' say",
        vm_stop_action="a host that shuts down saves or cuts off the guest",
        vm_critical_action="a guest that loses its disk for a moment fails, rather than waits",
        vm_heartbeat="a guest that hangs is not noticed",
        vm_shutdown="the guest cannot be shut down, only turned off",
    ),
    *_of(
        Area.WIRE,
        wire_stdin="set [ssh] stdin to the way that works; where none does, nothing works on this host",
        wire_idle="a command that waits between two looks loses its session, and starts PowerShell again for each",
        wire_end="a PowerShell stays behind on the host for each command",
        wire_deadman="a cmdlet that hangs stays behind on the host for ever",
        wire_names="a VM with a name beyond ASCII cannot be told from others",
        wire_reply="a cluster of many VMs cannot be looked at",
        wire_refusal="the agent on the host is not ours: it runs what it must refuse",
        wire_cmdlets="this login may not do what the program needs",
        wire_times="monitors may run out of time; raise [timing] monitor and ECX's timeouts",
    ),
    *_of(
        Area.EC_VM,
        ecx_installed="nothing calls the program",
        node_name="this EC-VM takes itself for another one, or is unknown to ECX",
        node_address="this EC-VM does not find itself in the configuration",
        group="what shows only while the failover group runs was not looked at",
        programs="ECX's scripts cannot call the program",
        folders="maintenance, locks and what monitors remember are lost",
        configuration="a value is allowed, but probably not meant",
        config_file="others can say which VM is stopped, and which host is asked",
        maintenance="a VM or EC-VM that is in maintenance is neither started nor watched",
        key_file="others can read the key to the hosts; or nobody can use it",
        known_hosts_file="others can change which host is trusted",
        firewalld="the hosts cannot reach the iSCSI target, or ECX its other server",
        selinux="ECX's drivers may be kept from loading; this program does not need SELinux off",
        dnf_makecache="its timer downloads at odd moments; a small EC-VM may stall and lose its heartbeat",
        target_service="the target starts at boot by itself, before ECX has made the mirror disk its own",
        udev_rule="after a restart the mirror disk may be found under another name",
        udev_links="ECX finds no mirror disk under the name that it was given",
        mirror_device="ECX's mirror driver is not loaded: there is no disk to serve",
        mirror_sync="a failover or a move now is refused, or loses what was written",
        target_backstore="the target serves no disk, or one that is not mirrored",
        target_lun="the hosts find a target without a disk",
        target_acl="the target lets none of the hosts in, or only one",
        peer="the other EC-VM could not be asked, or works by another configuration",
    ),
    *_of(
        Area.ECX,
        ecx_conf="nobody knows what ECX will do",
        ecx_server="ECX knows this EC-VM by another name or address",
        ecx_address="the hosts look for the mirror disk at another address",
        ecx_mirror="the mirror disk is not the one that is served, or has a file system of Linux on it",
        ecx_object="ECX does not call the program",
        ecx_depends="ECX starts it before what it needs is there",
        ecx_script="ECX runs something else",
        ecx_script_timeout="ECX kills a start or stop in the middle, and shuts the EC-VM down",
        ecx_script_mode="ECX does not wait for the program, or runs it on the wrong EC-VM",
        ecx_monitor_timeout="ECX kills a monitor that was about to say that all is well",
        ecx_interval="looks are too far apart to belong together",
        ecx_normal_value="ECX takes healthy for failed",
        ecx_retry="a single look moves a VM",
        ecx_timing="a monitor watches where nothing runs",
        ecx_on_timeout="a monitor that is late moves a VM",
        ecx_recovery="ECX does the wrong thing about what a monitor says",
        ecx_log="what the program says is lost",
        ecx_log_rotation="the log fills the disk",
        ecx_watch="nothing watches the floating address or the mirror",
    ),
]
CATALOGUE = {check.name: check for check in _ALL}


def names_of(*areas: Area) -> list[str]:
    """Return the names of all checks of some areas."""
    return [check.name for check in _ALL if check.area in areas]


def choose(names: Iterable[str]) -> frozenset[str]:
    """Return the names of the checks that are wanted, all of them for none; raises UsageError."""
    wanted = list(names)
    unknown = [name for name in wanted if name not in CATALOGUE]
    if unknown:
        raise UsageError(
            f"no check named {unknown[0]!r}",
            seen=f"{len(CATALOGUE)} are known",
            remedy="see their names with: ecx-hyperv check --list",
        )
    return frozenset(wanted or CATALOGUE)
