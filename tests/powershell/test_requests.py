"""The agent's answers to requests that read."""

from pathlib import Path
from typing import Any

import pytest

from tests.powershell.agent import Agent, call
from tests.powershell.conftest import Launch
from tests.powershell.world import HOSTS, VM_A, VM_B, Fails, World

NOWHERE = "99999999-9999-4999-8999-999999999999"
JAPANESE = "\u4eee\u60f3\u30de\u30b7\u30f3 \u2460\U0001f600"
HOSTILE = "a'b\"c`d$(exit)$x;|&{}[]*?\\/\r\n\t\x00\x1b\u2028 %PATH% --"
IDS = call("Agent-VmIds", ("Resource", "Type", "Group", "VmId", "Volumes", "OfflineAction"))


def error_of(result: dict[str, Any]) -> tuple[str, str, int | None]:
    """Return what tells an error apart: its id, its category, its code."""
    assert not result["ok"], result
    error = result["error"]
    assert {"message", "id", "category", "exception", "code"} == set(error)
    return error["id"], error["category"], error["code"]


def refusal_of(result: dict[str, Any]) -> tuple[str, str]:
    """Return the id and the words of an error of the agent's own."""
    kind, _, code = error_of(result)
    assert code is None
    return kind, result["error"]["message"]


def test_vm_is_read_by_its_id(agent: Agent) -> None:
    """A VM must be found by its id, its state told by name and its times as numbers."""
    rows = agent.rows(call("Get-VM", ("Name", "State", "Uptime.TotalSeconds"), args={"Id": VM_A.upper()}))
    assert [{"Name": "A", "State": "Running", "Uptime.TotalSeconds": 12.5}] == rows


def test_each_host_is_asked_about_itself(agent: Agent, launch: Launch) -> None:
    """Two hosts of one cluster must show their own VMs and the same groups."""
    other = launch(host=HOSTS[1])
    other.frame()
    names = [one.rows(call("Get-VM", ("Name",))) for one in (agent, other)]
    assert [[{"Name": "A"}], [{"Name": "B"}]] == names
    groups = call("Get-ClusterGroup", ("Name", "OwnerNode.Name"))
    assert agent.rows(groups) == other.rows(groups)


def test_absent_id_is_told_by_its_category_and_the_id(agent: Agent) -> None:
    """An id that Hyper-V does not know must be an ObjectNotFound whose message has the id."""
    result = agent.result(call("Get-VM", args={"Id": NOWHERE}))
    words = "ObjectNotFound,Microsoft.HyperV.PowerShell.Commands.GetVM"
    assert (words, "ObjectNotFound", None) == error_of(result)
    assert NOWHERE in result["error"]["message"].casefold()


def test_absent_name_is_told_by_its_id(agent: Agent) -> None:
    """A name that Hyper-V does not know must keep the cmdlet's own error."""
    words = "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM"
    assert (words, "InvalidArgument", None) == error_of(agent.result(call("Get-VM", args={"Name": "Z"})))


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fails("no", "X", code=5023), 5023),
        (Fails("first 0x80070020, last (0x8007139F)", "X"), 5023),
        (Fails("no number", "X"), None),
    ],
    ids=["inner exception", "message", "none"],
)
def test_error_has_its_win32_code(agent: Agent, world: World, fault: Fails, code: int | None) -> None:
    """A Win32 code must come from the innermost exception, else from the message's last number."""
    world.faults["Get-ClusterNode"] = fault
    assert code == error_of(agent.result(call("Get-ClusterNode")))[2]


def test_terminating_error_is_told_like_any_other(agent: Agent, world: World) -> None:
    """An error that ends a cmdlet must be a result, and the agent must go on."""
    world.faults["Get-ClusterNode"] = Fails(JAPANESE, "X", "ResourceBusy", 5944, terminating=True)
    result = agent.result(call("Get-ClusterNode"))
    assert ("ResourceBusy", 5944) == error_of(result)[1:]
    assert JAPANESE == result["error"]["message"]
    assert [] == agent.ask()["results"]


def test_stand_in_without_behaviour_binds_and_fails_by_name(agent: Agent) -> None:
    """What no stand-in does must bind its parameters and fail by its name, so that no test passes by chance."""
    result = agent.result(call("Get-ClusterSharedVolumeState"))
    assert "NotImplemented" == error_of(result)[1]
    assert "Get-ClusterSharedVolumeState" in result["error"]["message"]


def test_failure_ends_the_list_unless_told_otherwise(agent: Agent) -> None:
    """No call may be made after one that failed, unless stop_on_error is false."""
    calls = call("Get-VM", args={"Id": NOWHERE}), call("Get-VM", ("Name",), args={"Id": VM_A})
    assert [False] == [one["ok"] for one in agent.ask(*calls)["results"]]
    assert [False, True] == [one["ok"] for one in agent.ask(*calls, stop_on_error=False)["results"]]


@pytest.mark.parametrize("text", [JAPANESE, HOSTILE], ids=["japanese", "hostile"])
def test_text_crosses_as_it_is(agent: Agent, world: World, text: str) -> None:
    """A text must come back as it went, and reach a cmdlet as it is, whatever stands in it."""
    assert [{"Text": text}] == agent.rows(call("Agent-Echo", ("Text",), args={"Text": text}))
    world.vm(VM_A).name = text
    assert [{"Name": text}] == agent.rows(call("Get-VM", ("Name",), args={"Name": text}))
    assert [text] == world.made("Get-VM")[-1]["Name"]


def test_answer_of_4_mb(agent: Agent) -> None:
    """An answer of 4 MB must arrive whole."""
    text = "0123456789abcdef" * 4096
    (row,) = agent.rows(call("Agent-Echo", ("Text",), args={"Text": text, "Repeat": 64}))
    assert text * 64 == row["Text"]


def test_values_become_plain(agent: Agent, world: World) -> None:
    """Numbers and booleans must stay, enums become names, times ISO 8601 in UTC, what throws or is missing null."""
    plain = {"MemoryDemand": 2**40, "IsClustered": True, "Version": 1.5, "AutomaticStopAction": "ShutDown"}
    plain["OperationalStatus"] = ["Ok", "ServicesNotRunning"]
    odd = {"Notes": {"$throw": "no access"}, "CPUUsage": {"$nan": True}, "CreationTime": {"$time": 1700000000123}}
    world.vm(VM_A).more = {**plain, **odd}
    (row,) = agent.rows(call("Get-VM", (*plain, *odd, "Nothing", "Nothing.More"), args={"Id": VM_A}))
    nothing = dict.fromkeys(("Notes", "CPUUsage", "Nothing", "Nothing.More"))
    assert {**plain, **nothing, "CreationTime": "2023-11-14T22:13:20.123Z"} == row


@pytest.mark.proven("P15")
@pytest.mark.parametrize(
    ("disks", "paths"),
    [([], None), (["C:\\a.vhdx"], "C:\\a.vhdx"), (["C:\\a.vhdx", "D:\\b.vhdx"], ["C:\\a.vhdx", "D:\\b.vhdx"])],
    ids=["none", "one", "two"],
)
def test_p15_disks_of_a_vm_are_counted_beside_their_paths(
    agent: Agent, world: World, disks: list[str], paths: object
) -> None:
    """No disk must be told from disks that are not shown: the paths of none are null, but their number is 0."""
    kind = "Microsoft.HyperV.PowerShell.HardDiskDrive"
    world.vm(VM_A).more = {"HardDrives": [{"$type": kind, "Path": disk} for disk in disks]}
    (row,) = agent.rows(call("Get-VM", ("HardDrives.Path", "HardDrives.Count"), args={"Id": VM_A}))
    assert {"HardDrives.Path": paths, "HardDrives.Count": len(disks)} == row


def test_call_without_select_has_no_rows(agent: Agent) -> None:
    """A call that selects nothing must succeed with no rows."""
    assert [] == agent.rows(call("Get-VM", args={"Id": VM_A}))


def test_calls_feed_one_another(agent: Agent) -> None:
    """What feeds a call must be piped in: the second source of a VM's id, with its group."""
    feed = call("Get-ClusterResource", args={"Name": "Virtual Machine A"})
    chosen = ("ClusterObject.Name", "ClusterObject.OwnerGroup.Name", "Value")
    rows = agent.rows(call("Get-ClusterParameter", chosen, args={"Name": "VmId"}, from_=feed))
    assert ["Virtual Machine A", "A", VM_A] == [rows[0][name] for name in chosen]


def test_feed_that_fails_is_the_answer(agent: Agent, world: World) -> None:
    """The error of what feeds a call must be the result, and the call must not be made."""
    feed = call("Get-ClusterResource", args={"Name": "No such"})
    assert 5007 == error_of(agent.result(call("Get-ClusterParameter", args={"Name": "VmId"}, from_=feed)))[2]
    assert [] == world.made("Get-ClusterParameter")


@pytest.mark.parametrize(
    ("cmdlet", "args"),
    [
        ("Get-Date", {}),
        ("Remove-VM", {"Name": "A"}),
        ("Invoke-Expression", {"Command": "exit"}),
        ("Get-CimInstance", {"ClassName": "Win32_Service"}),
        ("Get-VM", {"Nonsense": "x"}),
        ("Get-VM", {"N": "x"}),
        ("Get-VM", {"ComputerName": "other"}),
        ("Get-VM", {"CimSession": "other"}),
        ("Get-VM", {"ErrorAction": "Ignore"}),
        ("Get-VM", {"ea": "Ignore"}),
        ("Get-VM", {"Name": {"a": 1}}),
        ("Get-VM", {"Name": [1, 2]}),
        ("Get-ClusterNode", {"Cluster": "other"}),
        ("Get-ClusterResource", {"OutVariable": "Allowed"}),
        ("Get-IscsiSession", {"AsJob": True}),
        ("Agent-Echo", {"Other": "x"}),
        ("Agent-VmIds", {"Name": "A"}),
        ("Agent-Nothing", {}),
    ],
)
def test_what_is_not_listed_is_refused(agent: Agent, world: World, cmdlet: str, args: dict[str, Any]) -> None:
    """A cmdlet, parameter or value that is not foreseen must be refused before any cmdlet runs."""
    assert "BadRequest" == refusal_of(agent.result(call(cmdlet, args=args)))[0]
    assert [] == world.calls


READS = [
    *("Get-Cluster", "Get-ClusterNetwork", "Get-ClusterQuorum", "Get-ClusterResourceType", "Get-ClusterSharedVolume"),
    *("Get-ClusterSharedVolumeState", "Get-VMHost", "Get-VMIntegrationService", "Get-IscsiConnection"),
    *("Get-IscsiSession", "Get-IscsiTargetPortal", "Get-Service", "Get-WinEvent", "Get-Acl"),
]


@pytest.mark.parametrize("cmdlet", READS)
def test_reading_cmdlet_is_let_through(agent: Agent, world: World, cmdlet: str) -> None:
    """Each cmdlet that checks and history read by must reach its module, with its own parameters."""
    world.shows[cmdlet] = [{"Name": "x"}]
    named = {"Get-VMIntegrationService": "VMName", "Get-Service": "Name", "Get-WinEvent": "LogName", "Get-Acl": "Path"}
    args = {named[cmdlet]: "x"} if cmdlet in named else {}
    assert [{"Name": "x"}] == agent.rows(call(cmdlet, ("Name",), args=args))
    assert [cmdlet] == [name for _, name, _ in world.calls]


def test_file_is_read(agent: Agent, tmp_path: Path) -> None:
    """Get-Content must read a file by lines, each a plain text."""
    path = tmp_path / "a"
    path.write_text("one\ntwo\n", encoding="utf-8")
    rows = agent.rows(call("Get-Content", ("PSObject.BaseObject",), args={"LiteralPath": str(path)}))
    assert [{"PSObject.BaseObject": "one"}, {"PSObject.BaseObject": "two"}] == rows


def test_missing_modules_are_told_one_by_one(launch: Launch, tmp_path: Path) -> None:
    """A host without Hyper-V or the cluster's module must answer so for each call, and go on."""
    agent = launch(modules=tmp_path)
    agent.frame()
    calls = [call("Get-VM"), call("Get-ClusterNode"), call("Agent-Echo", ("Text",), args={"Text": "x"})]
    results = agent.ask(*calls, stop_on_error=False)["results"]
    assert [False, False, True] == [one["ok"] for one in results]
    assert {"ResourceUnavailable"} == {one["error"]["category"] for one in results[:2]}


def test_ids_come_from_the_cluster_database(agent: Agent) -> None:
    """Each resource of a VM must be a row with its role, its id and its volumes; other resources must be none."""
    rows = {row["Resource"]: row for row in agent.rows(IDS)}
    names = [f"{kind} {one}" for kind in ("Virtual Machine", "Virtual Machine Configuration") for one in "AB"]
    assert sorted(names) == sorted(rows)
    a = rows["Virtual Machine Configuration A"]
    assert ("Virtual Machine Configuration", "A", VM_A) == (a["Type"], a["Group"], a["VmId"])
    assert ["vol-A", "vol-shared"] == a["Volumes"]
    b = rows["Virtual Machine B"]
    assert ("Virtual Machine", "B", VM_B, None) == (b["Type"], b["Group"], b["VmId"], b["Volumes"])


def test_d23_database_tells_what_becomes_of_a_guest_whose_resource_stops(agent: Agent, world: World) -> None:
    """OfflineAction must come with the ids as a number, and as null where the database does not hold it."""
    world.resource("Virtual Machine A").parameters = {"VmID": VM_A, "OfflineAction": 0}
    rows = {row["Resource"]: row["OfflineAction"] for row in agent.rows(IDS)}
    assert (0, None) == (rows["Virtual Machine A"], rows["Virtual Machine B"])


def test_ids_need_no_cluster_cmdlet(agent: Agent, world: World) -> None:
    """The database must be read without asking the cluster, whose owner node may be gone."""
    agent.rows(IDS)
    assert [] == world.calls


def test_resource_without_private_properties_is_a_row_without_an_id(agent: Agent, world: World) -> None:
    """A resource that is only half made must be a row, for its missing id says something."""
    world.resource("Virtual Machine A").parameters = None
    rows = {row["Resource"]: row["VmId"] for row in agent.rows(IDS)}
    assert rows["Virtual Machine A"] is None
    assert VM_B == rows["Virtual Machine B"]


def test_host_without_database_says_so(agent: Agent, world: World) -> None:
    """A host without the cluster's database must answer with an error of its own, not with no rows."""
    world.hosts[HOSTS[0]].has_database = False
    assert "NoClusterDatabase" == refusal_of(agent.result(IDS))[0]
