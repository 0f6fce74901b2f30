"""What is read from the rows that a host shows: above all, what counts as not knowing a VM."""

from typing import Any

import pytest

from ecx_hyperv.host.observe import SnapshotRequest, read
from ecx_hyperv.host.rows import VmRow
from ecx_hyperv.host.wire import Hello, RemoteError, Result

GET_VM = "Microsoft.HyperV.PowerShell.Commands.GetVM"
ID, OTHER_ID = "0d9f2a3c-5b1e-4a77-8c2d-6e4f10b3a9d1", "7c1f0a55-9d6b-4c3e-b1a2-3f4e5d6c7b8a"
WANTED = SnapshotRequest(named=("web1",), cluster=False, iscsi=False)


def seen(result: Result) -> tuple[VmRow, ...] | RemoteError:
    """Return what is read of the VMs of the name."""
    return read(Hello(agent=2, host="HOST-1"), [result], WANTED).named["web1"]


def by_id(result: Result) -> VmRow | RemoteError | None:
    """Return what is read of the VM with the id."""
    wanted = SnapshotRequest(vms={"web1": ID}, cluster=False, iscsi=False)
    return read(Hello(agent=2, host="HOST-1"), [result], wanted).vm(ID)


def failed(**error: Any) -> Result:
    """Return a Get-VM that failed."""
    return Result(ok=False, error=RemoteError(**error))


@pytest.mark.parametrize("category", ["InvalidArgument", "NotSpecified", "", None])
def test_a_name_that_hyper_v_does_not_know_is_absent(category: str | None) -> None:
    """The error for an unknown name must read as absent, in any language, by its identifier."""
    assert (
        seen(
            failed(
                message="\u898b\u3064\u304b\u308a\u307e\u305b\u3093", id=f"InvalidParameter,{GET_VM}", category=category
            )
        )
        == ()
    )


@pytest.mark.parametrize(
    "error",
    [
        {"id": f"ObjectNotFound,{GET_VM}", "category": "ObjectNotFound"},
        {"id": f"ObjectNotFound,{GET_VM}", "category": "InvalidArgument"},
        {"id": None, "category": "ObjectNotFound"},
        {"id": "CommandNotFoundException", "category": "ObjectNotFound"},
        {"id": f"InvalidParameter,{GET_VM}", "category": "PermissionDenied", "code": 5},
        {"id": f"InvalidParameter,{GET_VM}", "category": "ObjectNotFound"},
        {"id": f"AccessDenied,{GET_VM}", "category": "PermissionDenied"},
        {"id": f"OperationFailed,{GET_VM}", "category": "InvalidArgument"},
        {"message": "Hyper-V was unable to find a virtual machine with name web1."},
        {},
    ],
)
def test_any_other_error_leaves_it_open_whether_it_runs(error: dict[str, Any]) -> None:
    """Any other error, that of a stopped management service above all, must not read as absent: guests run on."""
    assert RemoteError(**error) == seen(failed(**error))


@pytest.mark.parametrize("message", ['unable to find a virtual machine with name "web1".', "「WEB1」 が見つかりません"])
def test_an_object_that_is_not_found_is_absent_if_it_is_the_vm(message: str) -> None:
    """Where a version of the module calls an unknown name ObjectNotFound, it must read as absent, since it names it."""
    assert seen(failed(message=message, id=f"ObjectNotFound,{GET_VM}", category="ObjectNotFound")) == ()


@pytest.mark.parametrize("name", ["HOST-1", "web11", "my web1"])
def test_an_object_that_is_not_found_leaves_it_open_if_it_is_another(name: str) -> None:
    """A management service that is not there names the computer, and must not read as absent."""
    message = f"encountered an error trying to access an object on computer '{name}' because it was not found"
    assert seen(failed(message=message, id=f"ObjectNotFound,{GET_VM}", category="ObjectNotFound")) != ()


@pytest.mark.parametrize("rows", [(), ({"Id": OTHER_ID, "Name": "another", "State": "Running"},)])
def test_nothing_at_all_is_not_absent(rows: tuple[dict[str, Any], ...]) -> None:
    """A Get-VM -Id that succeeds without the VM must not read as absent: the login may just not see it."""
    assert isinstance(by_id(Result(ok=True, value=rows)), RemoteError)


@pytest.mark.parametrize(("message", "is_absent"), [(f"no virtual machine with id {ID.upper()}", True), ("no", False)])
def test_an_id_that_is_not_found_is_absent_where_the_error_names_the_id(message: str, is_absent: bool) -> None:
    """ObjectNotFound must read as absent only where it names the id: otherwise it is Hyper-V that is in trouble."""
    read_as = by_id(failed(message=message, id=f"ObjectNotFound,{GET_VM}", category="ObjectNotFound"))
    assert is_absent is (read_as is None)


def test_two_vms_of_one_name_are_two() -> None:
    """Where a host knows two VMs of the name, both must be seen, each with its own state."""
    rows = ({"Id": ID, "Name": "web1", "State": "Off"}, {"Id": OTHER_ID, "Name": "WEB1", "State": "Running"})
    both = seen(Result(ok=True, value=rows))
    assert isinstance(both, tuple)
    assert [(ID, "Off"), (OTHER_ID, "Running")] == [(row.id, row.state) for row in both]


def test_a_row_with_holes_is_read() -> None:
    """What a row does not tell, or tells in another type, must not keep the rest from being read."""
    value = {"Name": None, "State": "Running", "OperationalStatus": None, "Heartbeat": None, "Uptime.TotalSeconds": "x"}
    assert (VmRow("web1", "Running", frozenset(), None, 0.0),) == seen(Result(ok=True, value=(value,)))
