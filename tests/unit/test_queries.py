"""The questions to a host: what their readers make of answers that were once read wrongly."""

import pytest

from ecx_hyperv.host import queries, setting_queries
from ecx_hyperv.host.queries import Query
from ecx_hyperv.host.rows import VmRow, VmSettings
from ecx_hyperv.host.wire import RemoteError, Result

_ID = "0d9f2a3c-5b1e-4a77-8c2d-6e4f10b3a9d1"
_STOPPED = RemoteError(
    message="Hyper-V was unable to find a computer 'HOST-1'.", id="ObjectNotFound,GetVM", category="ObjectNotFound"
)


@pytest.mark.proven("F17")
@pytest.mark.parametrize(
    "query",
    [queries.vms_named("vm1"), queries.vm_by_id(_ID), setting_queries.vm_settings("vm1")],
    ids=["name", "id", "check"],
)
def test_a_stopped_hyper_v_service_is_no_missing_vm(query: Query[object]) -> None:
    """ObjectNotFound without the VM's name must stay an error, for a run and for a check."""
    assert query.read(Result(ok=False, error=_STOPPED)) == _STOPPED


@pytest.mark.proven("U1")
def test_an_uptime_of_400_digits_is_no_uptime() -> None:
    """A number that no float holds must read as an unknown uptime, and must not end the command."""
    row = {"Id": _ID, "Name": "vm1", "State": "Running", "Uptime.TotalSeconds": 10**400}
    found = queries.vm_by_id(_ID).read(Result(ok=True, value=(row,)))
    assert isinstance(found, VmRow)
    assert ("Running", 0.0) == (found.state, found.uptime)


@pytest.mark.parametrize(
    ("shown", "disks"),
    [
        ({"HardDrives.Path": None, "HardDrives.Count": 0}, ()),
        ({"HardDrives.Path": [], "HardDrives.Count": 0}, ()),
        ({"HardDrives.Path": None, "HardDrives.Count": None}, None),
        ({"HardDrives.Path": None, "HardDrives.Count": 1}, None),
        ({"HardDrives.Path": None}, None),
        ({"HardDrives.Path": "C:\\x.vhdx", "HardDrives.Count": 1}, ("C:\\x.vhdx",)),
        ({"HardDrives.Path": ["C:\\x,y.vhdx", "D:\\z.vhdx"], "HardDrives.Count": 2}, ("C:\\x,y.vhdx", "D:\\z.vhdx")),
    ],
)
def test_p15_a_vm_without_disks_has_none(shown: dict[str, object], disks: tuple[str, ...] | None) -> None:
    """A VM without disks must be known to have none: only a host that does not show them leaves it open."""
    query = setting_queries.vm_settings("vm1")
    assert "HardDrives.Count" in query.call.select
    settings = query.read(Result(ok=True, value=({"Name": "vm1", **shown},)))
    assert isinstance(settings, VmSettings)
    assert disks == settings.disks
