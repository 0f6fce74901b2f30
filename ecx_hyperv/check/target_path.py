"""Whether both hosts can write to the mirror disk through this EC-VM's iSCSI target: each broken link is named."""

import shlex
from collections.abc import Iterator, Sequence

from ecx_hyperv.check.linux_facts import SAVED
from ecx_hyperv.check.outcome import Finding, Remedy, Unavailable, cannot_tell, is_so, ok, warning, words, wrong
from ecx_hyperv.check.target import PORT, Saved


def judge_target(
    place: str, saved: Saved | Unavailable, served: str, address: str, initiators: Sequence[str], remedy: Remedy
) -> Iterator[Finding]:
    """Judge the path from `address` to the device `served`; `initiators` are the hosts' own, as far as known."""
    if isinstance(saved, Unavailable):
        yield wrong("target-backstore", place, saved.why, served, remedy)
        for name in ("target-lun", "target-acl"):
            yield cannot_tell(name, place, Unavailable(why="see target-backstore"))
        return
    yield _backstore(place, saved, served, remedy)
    yield _lun(place, saved, served, address, remedy)
    yield _acl(place, saved, served, address, initiators, remedy)


def _backstore(place: str, saved: Saved, served: str, remedy: Remedy) -> Finding:
    found = saved.backstore(served)
    devices = [one.dev or one.name for one in saved.storage_objects]
    if found is not None and found.fault:
        place_of = f"/backstores/{found.plugin}"
        line = f"targetcli {shlex.quote(place_of)} delete {shlex.quote(found.name)}; then: {remedy.run}"
        again = words(line, [found.name, *remedy.said])
        return wrong("target-backstore", place, found.fault, f"a block backstore of {served}", again)
    return is_so(
        "target-backstore",
        place,
        ", ".join(devices) or f"none in /{SAVED}",
        so=found is not None,
        expected=served,
        remedy=remedy,
    )


def _lun(place: str, saved: Saved, served: str, address: str, remedy: Remedy) -> Finding:
    broken = saved.broken_before_acls(served, address)
    if not broken:
        luns = [lun.storage_object for tpg in saved.ways(served, address) for lun in tpg.luns]
        return ok("target-lun", place, ", ".join(luns))
    # What `setup iscsi` finds there it leaves alone, be it enabled or not.
    by_hand = {
        "no portal group": words("targetcli: enable the target's portal group; then targetcli saveconfig"),
        # The kernel does not listen everywhere at a port that a portal has at one address.
        "no portal at": words(
            f"targetcli: delete the portals at port {PORT} that are named here;"
            f" create the portal 0.0.0.0 {PORT} in their place; then targetcli saveconfig"
        ),
    }
    how = next((one for beginning, one in by_hand.items() if broken.startswith(beginning)), remedy)
    return wrong("target-lun", place, broken, f"a LUN of the backstore, served at {address}", how)


def _acl(place: str, saved: Saved, served: str, address: str, initiators: Sequence[str], remedy: Remedy) -> Finding:
    expected = "the initiators of both hosts, each with the disk mapped and writable"
    broken = {one.casefold(): saved.broken_for(one, served, address) for one in saved.acls()}
    let_in = [one for one, fault in broken.items() if not fault]
    ours = {one.casefold() for one in initiators}
    # A forgotten ACL of a host of earlier days breaks nothing.
    faults = [f"{one}: {fault}" for one, fault in broken.items() if fault and (one in ours or not ours)]
    demo = [tpg for tpg in saved.ways(served, address) or saved.tpgs() if tpg.is_demo]
    if any(tpg.is_open for tpg in demo) and not faults:
        how = words("targetcli: set attribute generate_node_acls=0 in its portal group, then give each host an ACL")
        return warning("target-acl", place, "demo mode: whoever asks may write to the disk", expected, how)
    again = (
        words(f"targetcli: delete the ACLs that are named here; then: {remedy.run}", remedy.said) if faults else remedy
    )
    faults += ["demo mode: whoever has no ACL may only read"] if demo and len(let_in) < 2 else []
    so = len(let_in) >= 2 and not (ours and faults)
    seen = ", ".join(let_in) if so else "; ".join([*faults, *let_in]) or "nobody is let in"
    return is_so("target-acl", place, seen, so=so, expected=expected, remedy=again)
