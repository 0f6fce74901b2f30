"""The worlds that have a name: the scenarios, the partitions, the rows of the tables; what a run is to make of each."""

from dataclasses import dataclass

from tests.virtual.invariants import ProgramKind

Values = dict[str, str]


@dataclass(frozen=True, slots=True)
class Named:
    """A world by its facts, and what runs in it."""

    job: ProgramKind
    values: Values

    @property
    def works_at_home(self) -> bool:
        """Tell whether the local host, once all is mended, can run the VM."""
        return self.job in (ProgramKind.START, ProgramKind.STOP)


PEER_HAS_IT = {"owner": "peer", "volume's owner": "peer"}
_START: dict[str, Values] = {
    "it runs": {},
    "it is off": {"state": "Off"},
    "it is saved": {"state": "Saved"},
    "it is paused": {"state": "Paused"},
    "it is critical": {"state": "PausedCritical", "iSCSI": "lost"},
    "it is off and critical": {"state": "OffCritical", "iSCSI": "lost"},
    "it is in a state that nobody knows": {"state": "Daydreaming"},
    "it is being saved": {"state": "Saving"},
    "it is not registered": {"configuration": "Offline"},
    "it is not registered, its volume is offline": {"configuration": "Offline", "volume": "Offline"},
    "its configuration has failed": {"configuration": "Failed"},
    "it is registered, but Hyper-V does not know it": {"state": "absent"},
    "its resource has failed while it runs": {"machine": "Failed"},
    "its resource has failed, it is off": {"state": "Off", "machine": "Failed"},
    "it boots and dies": {"state": "Off", "guest": "doomed"},
    "there is no memory for it": {"state": "Off", "memory": "short"},
    "the volume is offline": {"state": "Off", "volume": "Offline"},
    "the volume has failed": {"state": "Off", "volume": "Failed"},
    "the volume is the peer's": {"state": "Off", "volume's owner": "peer"},
    "the volume is not in the cluster": {"state": "Off", "volume": "not in the cluster"},
    "iSCSI is lost": {"state": "Off", "iSCSI": "lost"},
    "the target is off": {"state": "Off", "iSCSI": "target off"},
    "it runs on the peer": PEER_HAS_IT,
    "it runs on the peer, there is no memory here": {**PEER_HAS_IT, "memory": "short"},
    "it is off on the peer": {**PEER_HAS_IT, "state": "Off"},
    "it is saved on the peer": {**PEER_HAS_IT, "state": "Saved"},
    "it is paused on the peer": {**PEER_HAS_IT, "state": "Paused"},
    "it is critical on the peer": {**PEER_HAS_IT, "state": "PausedCritical"},
    "it is being saved on the peer": {**PEER_HAS_IT, "state": "Saving"},
    "its resource has failed while it runs on the peer": {**PEER_HAS_IT, "machine": "Failed"},
    "it is not registered, and the peer's": {**PEER_HAS_IT, "configuration": "Offline"},
    "it comes from the peer already": {**PEER_HAS_IT, "moving": "live"},
    "it is leaving for the peer": {"moving": "live"},
    "its migration waits its turn": {**PEER_HAS_IT, "moving": "queued"},
    "the peer host lost power with it": {**PEER_HAS_IT, "peer host": "lost power"},
    "the peer host was shut down with it": {**PEER_HAS_IT, "peer host": "shut down"},
    "the peer host lost power with it and boots": {**PEER_HAS_IT, "peer host": "boots"},
    "the peer host is cut off with it": {**PEER_HAS_IT, "peer host": "isolated"},
    "the peer host is cut off from this EC-VM alone": {**PEER_HAS_IT, "peer host": "not reached"},
    "the peer host's sshd is stopped": {**PEER_HAS_IT, "peer host": "sshd stopped"},
    "the peer host lets nobody in": {**PEER_HAS_IT, "peer host": "login refused"},
    "the peer host is drained": {**PEER_HAS_IT, "peer host": "paused"},
    "the peer host is quarantined": {**PEER_HAS_IT, "state": "Off", "peer host": "quarantined"},
    "the peer host's cluster service is stopped": {**PEER_HAS_IT, "state": "Off", "peer host": "service stopped"},
    "the local node is drained": {"state": "Off", "local node": "paused"},
    "the local node is quarantined": {"state": "Off", "local node": "quarantined"},
    "the local cluster service is stopped": {"state": "Off", "local node": "service stopped"},
    "the local host is cut off": {"local node": "without quorum"},
    "the local host's sshd restarts": {"state": "Off", "local sshd": "restarts"},
    "the local host's sshd is stopped": {"state": "Off", "local sshd": "stopped"},
    "the local host lets nobody in": {"state": "Off", "local sshd": "login refused"},
    "it is in maintenance": {"state": "Off", "maintenance": "yes"},
    "all is in Japanese": {**PEER_HAS_IT, "language": "ja"},
}
_STOP: dict[str, Values] = {
    "it runs": {},
    "it runs and is deaf": {"guest": "deaf"},
    "it is off": {"state": "Off"},
    "it is paused": {"state": "Paused"},
    "it is critical": {"state": "PausedCritical", "iSCSI": "target off"},
    "it is being saved": {"state": "Saving"},
    "it is in a state that nobody knows": {"state": "Daydreaming"},
    "it is not registered": {"configuration": "Offline"},
    "it is not registered, its volume is offline": {"configuration": "Offline", "volume": "Offline"},
    "its resource has failed while it runs": {"machine": "Failed"},
    "it runs on the peer": PEER_HAS_IT,
    "it runs on the peer, and the server is shut down": {**PEER_HAS_IT, "factor": "SERVERSHUTDOWN"},
    "another resource failed": {"factor": "GROUPFAILOVER"},
    "another resource failed, the peer's ECX is off": {"factor": "GROUPFAILOVER", "ECX on the peer": "Offline"},
    "the group moves": {"factor": "GROUPMOVE"},
    "it is leaving for the peer": {"moving": "live"},
    "it is leaving for the peer, and the server is shut down": {"moving": "live", "factor": "SERVERSHUTDOWN"},
    "another VM runs on the volume": {"other VM": "runs"},
    "a VM that nobody configured runs on the volume": {"other VM": "stranger"},
    "a VM of another volume runs": {"other VM": "elsewhere"},
    "the peer host lost power": {"peer host": "lost power"},
    "the peer host lost power with it": {**PEER_HAS_IT, "peer host": "lost power"},
    "the peer host is cut off with it": {**PEER_HAS_IT, "peer host": "isolated"},
    "the peer host's sshd is stopped, it runs there": {**PEER_HAS_IT, "peer host": "sshd stopped"},
    "the local host's sshd is stopped": {"local sshd": "stopped"},
    "the local host is cut off": {"local node": "without quorum"},
    "the local cluster service is stopped": {"state": "Off", "local node": "service stopped"},
    "it is in maintenance": {"maintenance": "yes"},
}
_WATCH: dict[str, Values] = {
    "it runs": {},
    "it is off": {"state": "Off"},
    "it is paused": {"state": "Paused"},
    "it is critical": {"state": "PausedCritical", "iSCSI": "lost"},
    "it is leaving for the peer": {"moving": "live"},
    "it runs on the peer": PEER_HAS_IT,
    "it is not registered": {"configuration": "Offline"},
    "it is in maintenance": {"state": "Off", "maintenance": "yes"},
    "the local host's sshd is stopped": {"local sshd": "stopped"},
    "the local host lets nobody in": {"local sshd": "login refused"},
    "the local cluster service is stopped": {"local node": "service stopped"},
}
# The worlds that the second edition adds.
_START_2: dict[str, Values] = {
    "it was renamed in Hyper-V": {"name": "renamed in Hyper-V"},
    "it was renamed in Hyper-V and runs on the peer": {**PEER_HAS_IT, "name": "renamed in Hyper-V"},
    "its role is called otherwise, and it is off": {"state": "Off", "name": "role renamed"},
    "its role is called otherwise, and it runs on the peer": {**PEER_HAS_IT, "name": "role renamed"},
    "its role was removed": {"name": "role removed"},
    "a copy of its name lies off here": {"configuration": "Offline", "namesake": "is off here"},
    "a copy of its name runs here": {**PEER_HAS_IT, "namesake": "runs here"},
    "a dead entry of its name is beside it": {"namesake": "is dead here"},
    "Hyper-V on the peer has just restarted": {**PEER_HAS_IT, "Hyper-V on the peer": "restarts"},
    "Hyper-V on the peer is away, its resource has failed": {
        **PEER_HAS_IT,
        "Hyper-V on the peer": "away",
        "machine": "Failed",
    },
    "Hyper-V here has just restarted": {"Hyper-V here": "restarts"},
    "its role arrives failed": {**PEER_HAS_IT, "state": "Off", "WSFC": "roles arrive failed"},
    "its failed resource cannot be cleared": {"state": "Off", "machine": "Failed", "WSFC": "clears nothing"},
    "WSFC restarts it by itself": {**PEER_HAS_IT, "WSFC": "restarts the guest"},
    "its disk is in use once": {"state": "Off", "refused": "disk in use once"},
    "access is denied once": {"state": "Off", "refused": "access denied once"},
    "memory is short once": {"state": "Off", "refused": "no memory once"},
    "its group is busy once": {**PEER_HAS_IT, "refused": "group busy once"},
    "a look is denied once": {"state": "Off", "refused": "a look denied once"},
    "Get-IscsiConnection hangs": {"hangs": "Get-IscsiConnection"},
    "it is on two volumes": {"state": "Off", "volumes": "two"},
    "no host has the cluster's database": {**PEER_HAS_IT, "database": "none"},
    "no host has the cluster's database, and the peer host is gone": {
        **PEER_HAS_IT,
        "database": "none",
        "peer host": "lost power",
    },
}
_STOP_2: dict[str, Values] = {
    "it was renamed in Hyper-V": {"name": "renamed in Hyper-V"},
    "its role is called otherwise": {"name": "role renamed"},
    "its role was removed": {"name": "role removed"},
    "a copy of its name runs on the peer": {"namesake": "runs on the peer"},
    "a copy of its name runs here": {"namesake": "runs here"},
    "a dead entry of its name is beside it": {"namesake": "is dead here"},
    "it has no integration services": {"services": "missing"},
    "it does not answer its host": {"services": "not ready"},
    "somebody works on it": {"services": "locked"},
    "it never ends its shutdown": {"services": "stuck"},
    "it reboots by itself": {"the guest's own": "reboot"},
    "Hyper-V here has just restarted": {"Hyper-V here": "restarts"},
    "Hyper-V here is away, its resource has failed": {"Hyper-V here": "away", "machine": "Failed"},
    "Get-ClusterSharedVolume hangs": {"hangs": "Get-ClusterSharedVolume"},
    "the cluster turns it off": {**PEER_HAS_IT, "peer host": "sshd stopped", "offline action": "turn off"},
    "the cluster shuts it down": {**PEER_HAS_IT, "peer host": "sshd stopped", "offline action": "shut down"},
    "WSFC restarts it by itself": {"WSFC": "restarts the guest"},
    "its failed resource cannot be cleared": {"state": "Off", "machine": "Failed", "WSFC": "clears nothing"},
    "it is on two volumes": {"volumes": "two"},
    "it is on two volumes, of which the cluster knows one": {"volumes": "two, the cluster knows of one"},
}
_WATCH_2: dict[str, Values] = {
    "it was renamed in Hyper-V": {"name": "renamed in Hyper-V"},
    "a copy of its name runs here": {"state": "Off", "namesake": "runs here"},
    "a dead entry of its name is beside it": {"namesake": "is dead here"},
    "Hyper-V here is away": {"Hyper-V here": "away"},
    "Get-ClusterSharedVolume hangs": {"hangs": "Get-ClusterSharedVolume"},
}


def _named(*tables: tuple[ProgramKind, dict[str, Values]]) -> dict[str, Named]:
    return {f"{job.value}: {name}": Named(job, values) for job, worlds in tables for name, values in worlds.items()}


OF_EDITION_2 = _named((ProgramKind.START, _START_2), (ProgramKind.STOP, _STOP_2), (ProgramKind.WATCH, _WATCH_2))
WORLDS = {
    **_named((ProgramKind.START, _START), (ProgramKind.STOP, _STOP), (ProgramKind.WATCH, _WATCH)),
    **OF_EDITION_2,
}
