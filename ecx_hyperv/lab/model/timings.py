"""How long things take in the lab, and how it behaves; seconds."""

from msgspec import Struct, field


class Timings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lab's constants; the defaults make a demo that a person can follow."""

    # Hosts and guests.
    host_boot: float = 6
    host_shutdown: float = 2
    ec_boot: float = 3
    guest_boot: float = 1
    guest_shutdown: float = 2
    turn_off: float = 0.2
    save: float = 1
    pause: float = 0.2
    # For how long a guest that runs does not answer its host yet; how long a reboot shows as Stopping.
    services: float = 0
    reboot: float = 1
    # Hyper-V's management service, restarted: how long it is away, and until it knows all its VMs again. For how long
    # one PowerShell repeats what Get-VM read before.
    vmms_away: float = 5
    vmms_load: float = 8
    vm_cache: float = 0
    # After how long WSFC restarts a guest by itself, where it is told to.
    restart_by_itself: float = 5
    # Migrations; at most `parallel` at a time, the others queue.
    live: float = 3
    quick: float = 1
    # How long a cancelled migration goes on showing as one.
    cancel: float = 0
    parallel: int = 1
    # The cluster: how long until a lost node is noticed, until one that lost quorum turns its guests off, a rejoin.
    notice: float = 1
    quorum_stop: float = 2
    join: float = 1
    resource: float = 0.3
    csv_move: float = 0.3
    # Right after a node is lost, so many moves and starts of a Shared Volume fail.
    csv_failures: int = 2
    # Storage: until guests notice that it is away, until they notice that it is back, until iSCSI reconnects by itself.
    io_patience: float = 2
    heal: float = 1
    iscsi_reconnect: float = 1.5
    csv_failed_after: float = 6
    # ECX. With a witness, a server that hears neither it nor the other server shuts itself down.
    witness: bool = False
    heartbeat: float = 2
    script_timeout: float = 120
    ecx_start: float = 1
    # The mirror disk: how long a copy takes, whether ECX begins one by itself; whether no copy is known to be good once
    # both EC-VMs were lost at the same time while the disk was in use.
    mirror_recovery: float = 2
    mirror_auto: bool = True
    both_red: bool = True
    monitor_interval: float = 2
    monitor_timeout: float = 60
    monitor_retry: int = 1
    peer_interval: float = 3
    # PowerShell: its start, and loading each module, and each call.
    powershell: float = 0.1
    failover_clusters: float = 0.1
    hyper_v: float = 0.1
    iscsi: float = 0.05
    call: float = 0.002
    # How long after a request's limit the agent's deadman waits.
    deadman: float = 5
    # What the hosts speak, and whether they spell their own name otherwise than the cluster does.
    language: str = "en"
    shout_names: bool = True


FAST = Timings(
    host_boot=0.6,
    host_shutdown=0.2,
    ec_boot=0.4,
    guest_boot=0.1,
    guest_shutdown=0.2,
    turn_off=0.05,
    save=0.1,
    pause=0.05,
    live=0.4,
    quick=0.15,
    notice=0.1,
    quorum_stop=0.2,
    join=0.2,
    resource=0.05,
    csv_move=0.05,
    io_patience=0.3,
    heal=0.2,
    iscsi_reconnect=0.3,
    csv_failed_after=1.5,
    heartbeat=0.4,
    script_timeout=60,
    ecx_start=0.2,
    mirror_recovery=0.3,
    # Each run of a monitor takes half a second of a processor.
    monitor_interval=4,
    monitor_timeout=30,
    peer_interval=5,
    powershell=0.01,
    failover_clusters=0.01,
    hyper_v=0.01,
    iscsi=0.005,
    call=0.0005,
    deadman=0.5,
)

# How long a second of the world lasts in the lab at its fastest: the floors of [timing] are that much lower there.
PACE = 0.02
# What [timing] says in the lab's configurations, at the pace of the defaults above and of FAST.
TIMING = {
    "interval": 0.3,
    "connect": 8,
    "start": 90,
    "unregister": 90,
    "monitor": 30,
    "shutdown": 20,
    "shutdown_on_failover": 8,
    "reserve": 10,
    "leftover": 6,
    "settle": 10,
    "critical": 15,
    "isolated": 4,
    "confirm_vm": 0.5,
    "confirm_peer": 1,
    "unknown_limit": 20,
    "hung_after": 6,
    "stale": 30,
    "cool_down": 15,
}
FAST_TIMING = {
    **TIMING,
    "interval": 0.15,
    "connect": 3,
    "start": 40,
    "unregister": 40,
    "shutdown": 6,
    "shutdown_on_failover": 2,
    "reserve": 5,
    "leftover": 2,
    "settle": 4,
    "critical": 4,
    "isolated": 1,
    "patience": 10,
    "confirm_vm": 0.2,
    "confirm_peer": 0.3,
    "unknown_limit": 5,
    "hung_after": 1.5,
    "cool_down": 4,
}
# With a real PowerShell for a host, each launch takes a second or more of a processor; ECX looks less often then.
ENGINE = Timings(script_timeout=660, monitor_interval=20, monitor_timeout=120, peer_interval=30)
ENGINE_TIMING = {
    **TIMING,
    "interval": 1,
    "connect": 30,
    "start": 600,
    "unregister": 600,
    "monitor": 90,
    "settle": 30,
    "critical": 45,
    "unknown_limit": 60,
    "hung_after": 60,
    "stale": 90,
    "cool_down": 60,
}


class Choices(Struct, frozen=True, kw_only=True):
    """What a lab is started with."""

    vms: tuple[str, ...] = ("vm1",)
    timings: Timings = Timings()
    timing: dict[str, float] = field(default_factory=TIMING.copy)
    stdin: str = "handle"
    # The PowerShell that the hosts' side runs in; empty: the lab's own agent.
    powershell: str = ""
