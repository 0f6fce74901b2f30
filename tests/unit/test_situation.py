"""What is put together from the hosts' views: who may be on a Shared Volume, and what trouble says of a host."""

from typing import Any

import pytest

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.facts import Contact, Refusal
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
from ecx_hyperv.host.identity import CONFIGURATION
from ecx_hyperv.host.observe import HostSnapshot
from ecx_hyperv.host.refusals import refusal_of
from ecx_hyperv.host.rows import GroupRow, ResourceRow, VolumeRow
from ecx_hyperv.host.snapshots import SnapshotOrError, Snapshots, contact_of
from ecx_hyperv.host.volumes import observe_volume
from ecx_hyperv.host.wire import RemoteError
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
