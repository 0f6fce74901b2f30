"""What the labs of the tests record is asked of the real agent; here the recorder itself is tried."""

import pytest

from ecx_hyperv.host.wire import Call, Request
from tests.powershell.bound import Recorder

FEED = Call(cmdlet="Get-VM", args={"Id": "11111111-aaaa-4aaa-8aaa-111111111111"}, only={"State": ("Running",)})


def recorded(*calls: Call) -> Recorder:
    """Return a recorder that has taken these calls."""
    recorder = Recorder()
    for call in calls:
        recorder.take("host", Request(calls=(call,)))
    return recorder


def test_what_binds_is_let_through(pwsh: str) -> None:
    """An act with its feed and its guard must be reached and bound, though no lab has such a VM."""
    guard = Call(cmdlet="Get-ClusterResource", args={"Name": "x"}, only={"State": ("Offline",)})
    recorded(Call(cmdlet="Stop-VM", args={"TurnOff": True}, from_=FEED, guard=guard)).check()


@pytest.mark.parametrize(
    "call",
    [
        Call(cmdlet="Get-VM", args={"Id": "no id"}),
        Call(cmdlet="Get-VM", args={"Id": "11111111-aaaa-4aaa-8aaa-111111111111", "Name": "x"}),
        Call(cmdlet="Move-ClusterVirtualMachineRole", args={"Name": "x", "Node": "y", "MigrationType": "Fast"}),
        Call(cmdlet="Get-IscsiConnection", args={}, from_=FEED),
        Call(cmdlet="Remove-VM", args={"Name": "x"}),
    ],
    ids=lambda call: f"{call.cmdlet} {sorted(call.args)}",
)
def test_what_does_not_bind_is_told(pwsh: str, call: Call) -> None:
    """A value of the wrong kind, two sets at once, a feed that no parameter takes: each must fail whoever sent it."""
    with pytest.raises(AssertionError):
        recorded(call).check()


def test_one_form_is_asked_once(pwsh: str) -> None:
    """Requests that differ in nothing but names must be one."""
    recorder = recorded(*(Call(cmdlet="Get-ClusterResource", args={"Name": name}) for name in ("a", "b", "c")))
    assert 1 == len(recorder.requests)
