"""The iSCSI target (F11): a host's write is followed along the whole path, and each broken link is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.check.outcome import Finding, Outcome, here
from ecx_hyperv.check.target import Saved, parse
from ecx_hyperv.check.target_path import judge_target
from tests.unit.always import always

SAMPLES = Path(__file__).parents[1] / "samples" / "saveconfig"
HOSTS = ("iqn.1991-05.com.microsoft:ws2019-host-1", "iqn.1991-05.com.microsoft:ws2019-host-2")
DEVICE, ADDRESS = "/dev/NMP1", "10.3.0.9"
OK, WARNING, WRONG, UNKNOWN = Outcome


def judge(content: bytes, initiators: tuple[str, ...] = HOSTS) -> dict[str, Finding]:
    """Return what is found about a saved configuration."""
    remedy = here("ecx-hyperv setup iscsi")
    found = judge_target("ec1", parse(content, "saveconfig.json"), DEVICE, ADDRESS, initiators, remedy)
    return {one.name.removeprefix("target-"): one for one in found}


@pytest.mark.parametrize("initiators", [HOSTS, (), HOSTS[:1], tuple(one.upper() for one in HOSTS)])
@pytest.mark.parametrize(
    ("name", "link", "outcome", "seen"),
    [
        ("right", "", OK, ""),
        ("numbers-as-text", "", OK, ""),
        ("write-protected", "acl", WRONG, "the mapped LUN 0 is write-protected"),
        ("demo-read-only", "acl", WRONG, "demo mode: whoever has no ACL may only read"),
        ("demo-open", "acl", WARNING, "whoever asks may write"),
        ("chap-without-a-name", "acl", WRONG, "authentication is on"),
        ("another-lun-mapped", "acl", WRONG, "no mapped LUN is the mirror disk"),
        ("portal-elsewhere", "lun", WRONG, "no portal at 10.3.0.9:3260: 10.1.0.1:3260, [::1]:3260, 10.3.0.9:3261"),
        ("fileio", "backstore", WRONG, "keeps writes in this EC-VM's memory"),
        ("not-enabled", "lun", WRONG, "no portal group is enabled"),
    ],
)
def test_f11_samples(name: str, link: str, outcome: Outcome, seen: str, initiators: tuple[str, ...]) -> None:
    """The link that is broken must be the one that is told, whether the hosts' names are known or not."""
    found = judge((SAMPLES / f"{name}.json").read_bytes(), initiators)
    if name == "not-enabled":
        del found["acl"]
    assert {key: outcome if key == link else OK for key in found} == {key: one.outcome for key, one in found.items()}
    assert seen in (found[link].seen if link else "")


@pytest.mark.proven("E23")
def test_portal_elsewhere_goes_before_the_right_one_is_made() -> None:
    """The kernel refuses 0.0.0.0 while a portal has the port at one address: the remedy must say so."""
    remedy = judge((SAMPLES / "portal-elsewhere.json").read_bytes(), HOSTS)["lun"].remedy
    assert remedy is not None
    first, _, then = remedy.run.partition("; ")
    assert "targetcli: delete the portals at port 3260 that are named here" == first
    assert "create the portal 0.0.0.0 3260 in their place; then targetcli saveconfig" == then


def test_f11_the_case() -> None:
    """One host that may only read and one without a LUN must both be named; each fact by itself was right."""
    case = {
        "storage_objects": [{"plugin": "block", "name": "idisk1", "dev": "/dev/NMP1", "wwn": "a1"}],
        "targets": [
            {
                "fabric": "iscsi",
                "wwn": "iqn.2026-01.lab:pair",
                "tpgs": [
                    {
                        "tag": 1,
                        "enable": True,
                        "attributes": {"authentication": 0, "generate_node_acls": 0},
                        "luns": [{"index": 0, "storage_object": "/backstores/block/idisk1"}],
                        "node_acls": [
                            {"node_wwn": "a:hv1", "mapped_luns": [{"index": 0, "tpg_lun": 0, "write_protect": True}]},
                            {"node_wwn": "a:hv2", "mapped_luns": []},
                        ],
                        "portals": [{"ip_address": "0.0.0.0", "port": 3260}],
                    }
                ],
            }
        ],
    }
    found = judge(json.dumps(case).encode(), ())["acl"]
    assert (WRONG, "a:hv1: the mapped LUN 0 is write-protected; a:hv2: no LUN is mapped") == (found.outcome, found.seen)
    assert found.remedy is not None
    assert "delete the ACLs" in found.remedy.run


def test_f11_an_acl_of_earlier_days_breaks_nothing() -> None:
    """A third initiator, which is neither host's, may have a broken path."""
    content = json.loads((SAMPLES / "right.json").read_bytes())
    content["targets"][0]["tpgs"][0]["node_acls"].append({"node_wwn": "iqn.2001-01.lab:old", "mapped_luns": []})
    assert OK is judge(json.dumps(content).encode())["acl"].outcome


@pytest.mark.parametrize("address", ["0.0.0.0", "[::0]", "::", "10.3.0.9"])
def test_f11_portals_that_serve(address: str) -> None:
    """A portal at every address, in either form, or at the floating one must serve."""
    content = json.loads((SAMPLES / "right.json").read_bytes())
    content["targets"][0]["tpgs"][0]["portals"] = [{"ip_address": address, "port": 3260}]
    assert OK is judge(json.dumps(content).encode())["lun"].outcome


NUMBERS = st.sampled_from([0, 0, 0, 1])
PATHS = st.sampled_from(["/backstores/block/idisk1", "/backstores/block/idisk1", "/backstores/block/files"])
TPGS = st.fixed_dictionaries(
    {
        "enable": st.sampled_from([True, True, False]),
        "attributes": st.fixed_dictionaries(
            {},
            optional={
                "authentication": NUMBERS,
                "generate_node_acls": NUMBERS,
                "demo_mode_write_protect": st.sampled_from([0, 1]),
                "prod_mode_write_protect": NUMBERS,
            },
        ),
        "luns": st.lists(st.fixed_dictionaries({"index": NUMBERS, "storage_object": PATHS}), max_size=2),
        "node_acls": st.lists(
            st.fixed_dictionaries(
                {
                    "node_wwn": st.sampled_from([*HOSTS, HOSTS[0].upper()]),
                    "mapped_luns": st.lists(
                        st.fixed_dictionaries(
                            {"index": NUMBERS, "tpg_lun": NUMBERS},
                            optional={"write_protect": st.sampled_from([False, False, True])},
                        ),
                        max_size=2,
                    ),
                },
                optional={"chap_userid": st.sampled_from(["", "host"])},
            ),
            max_size=3,
            unique_by=lambda acl: str(acl["node_wwn"]).casefold(),
        ),
        "portals": st.lists(
            st.fixed_dictionaries(
                {
                    "ip_address": st.sampled_from(["0.0.0.0", ADDRESS, "10.1.0.1"]),
                    "port": st.sampled_from([3260, 3260, 3261]),
                }
            ),
            max_size=2,
        ),
    }
)
SAVED = st.fixed_dictionaries(
    {
        "storage_objects": st.lists(
            st.fixed_dictionaries(
                {
                    "plugin": st.sampled_from(["block", "block", "fileio"]),
                    "name": st.sampled_from(["idisk1", "files"]),
                    "dev": st.sampled_from([DEVICE, DEVICE, "/dev/NMP2"]),
                },
                optional={"readonly": st.booleans()},
            ),
            max_size=2,
            unique_by=lambda one: str(one["name"]),
        ),
        "targets": st.lists(
            st.fixed_dictionaries(
                {"fabric": st.sampled_from(["iscsi", "iscsi", "loopback"]), "tpgs": st.lists(TPGS, max_size=2)}
            ),
            max_size=2,
        ),
    }
)


def can_write(saved: Any, initiator: str) -> bool:
    """Follow an initiator's write by the kernel's rules, from the portal down; slow and plain."""
    for tpg in [tpg for target in saved["targets"] if target["fabric"] == "iscsi" for tpg in target["tpgs"]]:
        attributes = tpg["attributes"]
        if not tpg["enable"] or not any(
            one["port"] == 3260 and one["ip_address"] in ("0.0.0.0", ADDRESS) for one in tpg["portals"]
        ):
            continue
        acl = next((one for one in tpg["node_acls"] if one["node_wwn"].casefold() == initiator.casefold()), None)
        if attributes.get("authentication") == 1 and not (acl or {}).get("chap_userid"):
            continue
        if acl is not None:
            default = attributes.get("prod_mode_write_protect", 0) == 1
            writable = {one["tpg_lun"] for one in acl["mapped_luns"] if not one.get("write_protect", default)}
        elif attributes.get("generate_node_acls") == 1 and attributes.get("demo_mode_write_protect", 1) == 0:
            writable = {0, 1}
        else:
            continue
        for lun in tpg["luns"]:
            for store in saved["storage_objects"]:
                is_it = lun["storage_object"] == f"/backstores/{store['plugin']}/{store['name']}"
                is_safe = store["plugin"] == "block" and not store.get("readonly")
                if lun["index"] in writable and is_it and is_safe and store["dev"] == DEVICE:
                    return True
    return False


@pytest.mark.proven("E12")
@pytest.mark.parametrize("targets", ["[]", '[{"fabric": "iscsi", "tpgs": []}]', '[{"fabric": "iscsi", "tpgs": [{}]}]'])
def test_e12_no_enabled_portal_group_breaks_the_path(targets: str) -> None:
    """Where no portal group is enabled, the path of an initiator must end there, whoever asks for it."""
    saved = parse(f'{{"storage_objects": [], "targets": {targets}}}'.encode(), "saveconfig.json")
    assert isinstance(saved, Saved)
    assert saved.broken_for(HOSTS[0], DEVICE, ADDRESS)


@always
@given(saved=SAVED, initiators=st.sampled_from([(), HOSTS]))
def test_f11_ok_means_that_a_write_arrives(saved: Any, initiators: tuple[str, ...]) -> None:
    """Wherever all three links are told as good, both hosts must be able to write to the disk."""
    found = judge(json.dumps(saved).encode(), initiators)
    acls = {acl["node_wwn"].casefold() for t in saved["targets"] for tpg in t["tpgs"] for acl in tpg["node_acls"]}
    if all(one.outcome is OK for one in found.values()) and acls >= {one.casefold() for one in HOSTS}:
        assert [True, True] == [can_write(saved, one) for one in HOSTS]


@always
@given(
    content=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*Saved.__struct_fields__, "tpgs", "luns"]), inner, max_size=3)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_f11_garbage_is_never_good(content: bytes) -> None:
    """Any other file must be read without an exception, and never as a target that serves the disk."""
    assert OK is not judge(content)["backstore"].outcome
