"""What is put together from the hosts' views: who may be on a Shared Volume, and what trouble says of a host."""

from typing import Any

import pytest

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.facts import Contact, Identity, Refusal, Side
from ecx_hyperv.decide.states import VmKind
from ecx_hyperv.decide.steps import Act, Do
from ecx_hyperv.decide.volume import Users
from ecx_hyperv.errors import (
    HostError,
    HostKeyRefused,
    LoginRefused,
    NoAgent,
    NoCommonAlgorithm,
    SessionLost,
    Silent,
    Unreachable,
)
from ecx_hyperv.host.actions import action_for
from ecx_hyperv.host.identity import CONFIGURATION, VmIdentity
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.refusals import refusal_of
from ecx_hyperv.host.rows import GroupRow, ResourceRow, VmRow, VolumeRow
from ecx_hyperv.host.situation import observe_vm
from ecx_hyperv.host.snapshots import HostNames, SnapshotOrError, Snapshots, contact_of
from ecx_hyperv.host.volumes import observe_volume
from ecx_hyperv.host.wire import RemoteError
from tests.decide.support import off_at_peer
from tests.unit.samples import config_of

CSV = "Cluster Disk 1"


@pytest.mark.parametrize(
    ("answer", "contact"),
    [
        (None, Contact.UNASKED),
        (HostSnapshot(host="HOST-1"), Contact.ANSWERS),
        (Silent("h", "x"), Contact.SILENT),
        *((kind("h", "x"), Contact.TROUBLED) for kind in (HostError, Unreachable, NoAgent, SessionLost)),
        *((kind("h", "x"), Contact.TROUBLED) for kind in (LoginRefused, HostKeyRefused, NoCommonAlgorithm)),
    ],
)
def test_only_silence_is_silent(answer: SnapshotOrError, contact: Contact) -> None:
    """A host counts as silent only where nothing came back from it; any other trouble may come from one that lives."""
    assert contact is contact_of(answer)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"id": "AccessDenied,Microsoft.HyperV.PowerShell.Commands.GetVM"}, Refusal.DENIED),
        ({"category": "PermissionDenied"}, Refusal.DENIED),
        ({"category": "SecurityError"}, Refusal.DENIED),
        ({"code": 5}, Refusal.DENIED),
        ({"id": "OutOfMemory,Microsoft.HyperV.PowerShell.Commands.StartVM"}, Refusal.MEMORY),
        ({"code": 5957}, Refusal.MEMORY),
        ({"code": 32}, Refusal.IN_USE),
        ({"message": "access denied, out of memory (0x80070005)", "category": "NotSpecified"}, Refusal.OTHER),
        ({"message": "the disk 'C:\\\\web.vhdx' (0x80070005)", "code": 5}, Refusal.DISK_DENIED),
    ],
)
def test_an_error_is_told_by_its_id_category_or_code(error: dict[str, Any], expected: Refusal) -> None:
    """What will fail again however often it is tried must be known by any of the three, and never by its words."""
    assert expected is refusal_of(RemoteError(**error))


def group(name: str, kind: str = "VirtualMachine") -> GroupRow:
    """Return a group that is online."""
    return GroupRow(name, kind, "Online", frozenset(), "HOST-1")


def configuration(name: str, kind: str = CONFIGURATION, state: str = "Offline") -> ResourceRow:
    """Return what should be the configuration resource of a VM."""
    return ResourceRow(f"SCVMM {name} Configuration", name, kind, state, frozenset(), 0)


@pytest.mark.parametrize(
    ("groups", "resources", "placed", "users"),
    [
        ([group("web1")], [], None, Users.NONE),
        ([group("web1"), group("Cluster Group", "Cluster")], [], None, Users.NONE),
        ([group("web1"), group("db1")], [configuration("db1")], None, Users.NONE),
        ([group("web1"), group("db1")], [configuration("db1", "?")], None, Users.DOUBT),
        ([group("web1"), group("db1")], [], None, Users.DOUBT),
        ([group("web1"), group("db1")], [], "Cluster Disk 2", Users.NONE),
        ([group("web1"), group("db1")], [], CSV.upper(), Users.DOUBT),
    ],
)
def test_a_vm_of_unknown_configuration_may_be_on_the_volume(
    groups: list[GroupRow], resources: list[ResourceRow], placed: str | None, users: Users
) -> None:
    """A VM's group must count as using the volume where its configuration cannot be told, unless it is placed."""
    snapshot = HostSnapshot(
        host="HOST-1",
        groups=tuple(groups),
        resources=tuple(resources),
        shared_volumes=(VolumeRow(CSV, "1", "Online", "HOST-1"),),
    )
    config = config_of(*([ProtectedVm(name="db1", csv=placed)] if placed else []))
    assert users is observe_volume(config, CSV, Snapshots(snapshot, snapshot), {}, ["WEB1"], []).users


KEY = "9fa0e4b7-d01c-51c5-99fd-ca0935ac26c2"
KNOWN = VmIdentity(
    identity=Identity.KNOWN, id=KEY, role="web1", machine="SCVMM web1", configuration="SCVMM web1 Configuration"
)
EC_VM = (VmRow("EC-VM1", "Running", frozenset(), None, 1.0, "1"),)


@pytest.mark.parametrize(
    ("shown", "kind"),
    [((), VmKind.UNREADABLE), (RemoteError(message="x", id="y"), VmKind.UNREADABLE), (EC_VM, VmKind.ABSENT)],
)
def test_a_vm_is_absent_only_where_its_host_shows_the_ec_vm(
    shown: tuple[VmRow, ...] | RemoteError, kind: VmKind
) -> None:
    """Hyper-V that has just restarted shows nothing: a VM must count as absent only beside the EC-VM of that host."""
    snapshot = HostSnapshot(host="HOST-1", vms={KEY: None}, ec_vm=shown)
    hosts = HostNames("HOST-1", "HOST-2", peer_is_known=True)
    seen = observe_vm(config_of(), hosts, "web1", Snapshots(snapshot, None), KNOWN, maintenance=False)
    assert kind is seen.on_local.kind


@pytest.mark.parametrize(
    ("do", "guarded"),
    [(Do.MIGRATE_QUICK, True), (Do.STOP_CONFIGURATION, True), (Do.CLEAR_FAILED, True), (Do.MIGRATE_LOST, False)],
)
def test_what_could_save_a_guest_is_guarded(do: Do, guarded: bool) -> None:
    """What would save a guest that runs must be made only while its VM resource is down at that moment (D10)."""
    action = action_for(Act(do, Side.LOCAL, "so"), off_at_peer(), KNOWN)
    assert action is not None
    guard = action.call.guard
    assert guarded == (guard is not None)
    if guard is not None:
        assert ("Get-ClusterResource", {"Name": "SCVMM web1"}) == (guard.cmdlet, dict(guard.args))
        assert {"Offline", "Failed"} >= set(guard.only["State"]) > set()


def test_a_vm_of_this_stop_that_runs_again_is_on_the_volume() -> None:
    """A VM that this run brought down, and that somebody has started since, must count as one that uses the volume."""
    running = VmRow("web1", "Running", frozenset(), None, 1.0, KEY)
    snapshot = HostSnapshot(
        host="HOST-1", vms={KEY: running}, shared_volumes=(VolumeRow(CSV, "1", "Online", "HOST-1"),)
    )
    config = config_of(ProtectedVm(name="web1", csv=CSV))
    seen = observe_volume(config, CSV, Snapshots(snapshot, snapshot), {"web1": KNOWN}, ["web1"], [])
    assert Users.SOME is seen.users
