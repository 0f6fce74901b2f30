"""Which VM is meant by a configured name: each rule by itself, and what holds for any rows whatever."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.config import ProtectedVm
from ecx_hyperv.decide.facts import Identity
from ecx_hyperv.host.identity import CONFIGURATION, MACHINE, Database, VmIdentity, by_key, for_a_stop, identify
from ecx_hyperv.host.rows import VmIdRow, VmRow, vm_key

A, B, C = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abc")
WEB = ProtectedVm(name="web")


def in_role(identifier: str, group: str = "web", *volumes: str) -> tuple[VmIdRow, VmIdRow]:
    """Return the two rows of a VM in a role."""
    return (
        VmIdRow(f"Virtual Machine {group} {identifier[0]}", MACHINE, group, identifier, ()),
        VmIdRow(f"Virtual Machine Configuration {group} {identifier[0]}", CONFIGURATION, group, identifier, volumes),
    )


def current(*roles: tuple[VmIdRow, ...]) -> Database:
    """Return the database of a host whose node calls itself Up."""
    return Database(tuple(row for role in roles for row in role), is_current=True)


def stale(*roles: tuple[VmIdRow, ...]) -> Database:
    """Return the database of a host whose node does not call itself Up."""
    return Database(tuple(row for role in roles for row in role), is_current=False)


def shown(identifier: str, *, clustered: bool | None = True) -> VmRow:
    """Return a VM that Get-VM shows under the configured name."""
    return VmRow("web", "Running", frozenset(), None, 1.0, id=identifier, is_clustered=clustered)


def known(found: VmIdentity) -> str:
    """Return the id that was found, of a VM that is known."""
    assert Identity.KNOWN is found.identity, found
    return found.id


def test_the_vm_of_the_role_is_meant() -> None:
    """The one VM of the group that bears the configured name is known, with its resources and volumes."""
    found = identify(WEB, "", [current(in_role(A, "WEB", "v1", "v2", "v1"), in_role(B, "db"))], [])

    assert A == known(found)
    assert ("WEB", "Virtual Machine WEB a", "Virtual Machine Configuration WEB a") == (
        found.role,
        found.machine,
        found.configuration,
    )
    assert ("v1", "v2") == found.volumes
    assert "" == found.told == found.lacks


def test_ids_are_compared_without_case_and_braces() -> None:
    """An id is the same in any case, with braces or without."""
    rows = current(in_role("{" + A.upper() + "}"))

    assert A == known(identify(WEB, "", [rows], [shown(A)])) == vm_key("{" + A.upper() + "}")
    assert A == known(identify(ProtectedVm(name="web", id="{" + A.upper() + "}"), "", [rows], []))
    assert A == known(identify(ProtectedVm(name="x"), A.upper(), [rows], []))


@pytest.mark.parametrize("clustered", [True, False, None])
def test_f7_a_restored_copy_is_never_meant(clustered: bool | None) -> None:
    """A VM that bears the name but is not in the database is no candidate, whatever Get-VM says of it (F7)."""
    copy = shown(B, clustered=clustered)

    assert A == known(identify(WEB, "", [current(in_role(A))], [copy, shown(A)]))
    assert Identity.NO_ROLE is identify(WEB, "", [current(in_role(C, "db"))], [copy]).identity


def test_f13_a_role_with_another_name_is_found_by_what_hyperv_shows() -> None:
    """A clustered VM that Get-VM shows under the name is meant, whatever its role is called (F13)."""
    found = identify(WEB, "", [current(in_role(A, "SCVMM web Resources"))], [shown(A, clustered=None)])

    assert (A, "SCVMM web Resources") == (known(found), found.role)


def test_f14_a_renamed_vm_and_a_new_one_of_its_name_are_two() -> None:
    """The VM of the role and another clustered VM of the name are two candidates, both named (F14)."""
    found = identify(WEB, A, [current(in_role(A, "web"), in_role(B, "web 1"))], [shown(B)])

    assert Identity.AMBIGUOUS is found.identity
    assert "" == found.id
    assert all(one in found.lacks for one in (A, B, "role web", "role web 1", "2 VMs"))
    assert (B,) == for_a_stop(found)


def test_d15_two_vms_in_a_group_are_ambiguous() -> None:
    """A group with two VMs is ambiguous; a stop brings down each of them where Hyper-V calls none by the name (D15)."""
    database = current(in_role(A), in_role(B))

    assert (A, B) == for_a_stop(identify(WEB, "", [database], []))
    assert (B,) == for_a_stop(identify(WEB, "", [database], [shown(B)]))


def test_e25_of_two_vms_in_a_group_a_stop_means_the_one_that_was_kept() -> None:
    """Where Hyper-V calls neither by the name, a stop means the VM that an earlier run knew by it, if it is there."""
    database = current(in_role(A), in_role(B))

    assert (B,) == for_a_stop(identify(WEB, B, [database], []))
    assert (A,) == for_a_stop(identify(WEB, B, [database], [shown(A)]))
    assert (A, B) == for_a_stop(identify(WEB, C, [database], []))
    assert Identity.AMBIGUOUS is identify(WEB, B, [database], []).identity


def test_d15_two_vms_in_the_group_of_a_replaced_id_are_ambiguous() -> None:
    """A configured id that is nowhere gives way to the VM of the role; two VMs there are an ambiguity, not no role."""
    found = identify(ProtectedVm(name="web", id=C), "", [current(in_role(A), in_role(B))], [])

    assert Identity.AMBIGUOUS is found.identity
    assert (A, B) == for_a_stop(found)


@pytest.mark.parametrize("kept", ["", B])
def test_a_configured_id_decides_alone(kept: str) -> None:
    """A configured id is meant, whatever role, name and kept id say."""
    vm = ProtectedVm(name="web", id=A, role="web")

    assert A == known(identify(vm, kept, [current(in_role(A, "db"), in_role(B))], [shown(B)]))
    assert A == known(identify(vm, kept, [], [shown(B)]))
    assert A == known(identify(vm, kept, [stale(in_role(B))], []))


def test_a_configured_id_that_is_nowhere_gives_way_and_that_is_told() -> None:
    """A VM that was created anew under its role is meant instead of a configured id that the cluster has nowhere."""
    found = identify(ProtectedVm(name="web", id=A), "", [current(in_role(B))], [])

    assert B == known(found)
    assert A in found.told
    assert B in found.told


def test_a_configured_id_that_is_nowhere_without_a_role_is_in_no_role() -> None:
    """A configured id that the cluster has nowhere, and no role of the name, is in no role; a stop may still ask it."""
    found = identify(ProtectedVm(name="web", id=A), "", [current(in_role(B, "db"))], [shown(B)])

    assert (Identity.NO_ROLE, A) == (found.identity, found.id)
    assert "roles that hold VMs: db" in found.lacks
    assert (A,) == for_a_stop(found)


def test_a_configured_role_decides_alone() -> None:
    """Where a role is configured, what Get-VM shows under the name and the kept id do not count."""
    vm = ProtectedVm(name="web", role="web 1")

    assert B == known(identify(vm, A, [current(in_role(A), in_role(B, "Web 1"))], [shown(A)]))


def test_a_configured_role_that_is_not_there_is_no_role() -> None:
    """A role that the cluster does not have is told; the id that was kept, which is in another role, is left alone."""
    found = identify(ProtectedVm(name="web", role="wbe"), A, [current(in_role(A))], [shown(A)])

    assert (Identity.NO_ROLE, ()) == (found.identity, for_a_stop(found))
    assert "role wbe" in found.lacks


def test_a_kept_id_counts_while_there_is_no_other_candidate() -> None:
    """A kept id is meant after VM and role were renamed, and while no database can be read."""
    assert A == known(identify(WEB, A, [current(in_role(A, "web old"))], []))
    assert A == known(identify(WEB, A, [], []))
    assert B == known(identify(WEB, A, [current(in_role(B))], []))


def test_a_kept_id_that_is_nowhere_gives_way_and_that_is_told() -> None:
    """A VM that was created anew is meant instead of the kept id, and that is told."""
    found = identify(WEB, A, [current(in_role(B))], [])

    assert B == known(found)
    assert A in found.told
    assert B in found.told


def test_a_kept_id_that_is_nowhere_is_in_no_role() -> None:
    """A kept id that a current database has nowhere, without another candidate, is in no role."""
    found = identify(WEB, A, [current()], [shown(A, clustered=False)])

    assert (Identity.NO_ROLE, A) == (found.identity, found.id)
    assert "none" in found.lacks


@pytest.mark.parametrize("databases", [[], [stale()], [stale(in_role(B, "db"))], [stale(), stale()]])
def test_nowhere_comes_only_from_a_node_that_is_up(databases: list[Database]) -> None:
    """Without the database of a node that calls itself Up, no VM is in no role."""
    assert Identity.UNREAD is identify(WEB, "", databases, []).identity
    assert A == known(identify(WEB, A, databases, []))


def test_an_old_database_supplies_only_what_nothing_else_gives() -> None:
    """The database of a host that was away counts only while neither a kept id nor a current one tells more."""
    assert B == known(identify(WEB, "", [stale(in_role(B))], []))
    assert A == known(identify(WEB, "", [stale(in_role(B)), current(in_role(A))], []))
    assert A == known(identify(WEB, A, [stale(in_role(B))], []))


def test_an_old_database_does_not_put_back_a_role_that_was_removed() -> None:
    """A role that the current database has not is not taken from an old one, though the current one holds no VM."""
    for rest in ((), (in_role(C, "db"),)):
        assert Identity.NO_ROLE is identify(WEB, "", [stale(in_role(A)), current(*rest)], []).identity


def test_two_vms_of_a_role_in_an_old_database_are_ambiguous() -> None:
    """Two VMs in the role are two candidates in an old database too."""
    assert Identity.AMBIGUOUS is identify(WEB, "", [stale(in_role(A), in_role(B))], []).identity


@pytest.mark.parametrize(("clustered", "expected"), [(True, Identity.KNOWN), (False, Identity.UNREAD), (None, None)])
def test_only_while_blind_get_vm_says_what_is_clustered(clustered: bool | None, expected: Identity | None) -> None:
    """Get-VM's own word for being clustered counts only while no database can be read anywhere."""
    assert (expected or Identity.UNREAD) is identify(WEB, "", [], [shown(A, clustered=clustered)], blind=True).identity
    assert Identity.UNREAD is identify(WEB, "", [], [shown(A)]).identity


def test_rows_without_an_id_name_nobody() -> None:
    """A resource whose id could not be read, and a VM without an id, are no candidates."""
    nameless = VmIdRow("Virtual Machine web", MACHINE, "web", "", ())

    assert Identity.NO_ROLE is identify(WEB, "", [current((nameless,))], [shown("")], blind=True).identity


def test_kept_ids_are_found_by_name_without_case() -> None:
    """A kept id is found whatever the case of the configured name; an unknown name has none."""
    assert (A, "") == (by_key({"web": A}, "WEB"), by_key({"web": A}, "db"))


ids = st.sampled_from(["", A, A.upper(), "{" + B + "}", B, C, "x", "{}"])
names = st.sampled_from(["web", "WEB", "web 1", "db", "", "straße"])
rows = st.builds(
    VmIdRow,
    resource=names,
    type=st.sampled_from([MACHINE, CONFIGURATION, "Physical Disk"]),
    group=names,
    id=ids,
    volumes=st.lists(names, max_size=2).map(tuple),
)
databases = st.lists(
    st.builds(Database, rows=st.lists(rows, max_size=5).map(tuple), is_current=st.booleans()), max_size=3
)
vms = st.builds(
    ProtectedVm,
    name=st.sampled_from(["web", "db", "straße"]),
    role=st.sampled_from([None, "web", "web 1"]),
    id=st.sampled_from([None, A, "{" + C.upper() + "}"]),
)


@given(
    vms, ids, databases, st.lists(st.builds(shown, ids, clustered=st.sampled_from([True, False, None]))), st.booleans()
)
def test_whatever_is_read_only_a_candidate_is_meant(
    vm: ProtectedVm, kept: str, read: list[Database], listed: list[VmRow], blind: bool
) -> None:
    """Any rows, ids and names give an identity, never an exception, and never an id that is no candidate."""
    found = identify(vm, kept, read, listed, blind=blind)
    in_databases = {vm_key(row.id) for database in read for row in database.rows}
    own = {vm_key(one) for one in (vm.id or "", kept) if one}
    candidates = own | in_databases | ({vm_key(row.id) for row in listed if row.is_clustered} if blind else set())

    for one in (found.id, *found.all_of_role, *for_a_stop(found)):
        assert not one or one in candidates
    if found.identity is Identity.KNOWN:
        assert found.id
        assert not found.all_of_role
        assert not found.lacks
    else:
        assert found.lacks
    if found.identity is Identity.AMBIGUOUS:
        assert not found.id
        assert found.all_of_role
    if found.identity is Identity.NO_ROLE:
        assert any(database.is_current for database in read)
        assert found.id in {"", *own}
    if found.identity is Identity.KNOWN and vm.id and vm_key(vm.id) != found.id:
        assert any(database.is_current for database in read)
        assert found.told


@given(vms, ids, databases, st.permutations([A, B, C]))
def test_no_order_of_what_is_read_changes_who_is_meant(
    vm: ProtectedVm, kept: str, read: list[Database], order: list[str]
) -> None:
    """The hosts' databases and what Get-VM lists may come in any order."""
    listed = [shown(one) for one in order]
    one: Any = identify(vm, kept, read, listed)
    other: Any = identify(vm, kept, read[::-1], listed[::-1])

    assert (one.identity, one.id, set(one.all_of_role)) == (other.identity, other.id, set(other.all_of_role))
