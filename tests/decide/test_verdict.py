"""The verdict of a status: what is seen decides how bad it is, what is said, and what is to be done."""

from dataclasses import replace

import pytest

from ecx_hyperv.check.catalogue import CATALOGUE
from ecx_hyperv.decide.mirror import MirrorHealth
from ecx_hyperv.decide.overview import ConfigurationStatus, PairFacts, Reach, ServerStatus, VolumeStatus
from ecx_hyperv.decide.states import VmKind
from ecx_hyperv.decide.verdict import Severity, exit_of_status, judge_pair
from ecx_hyperv.decide.vm_shown import show_vm
from ecx_hyperv.exits import Exit
from tests.decide.pair import RUNNING, ecx, flag, group, host, items, mirror, off, pair, shown, vm

OK, WARNING, BLIND, CRITICAL = Severity.OK, Severity.WARNING, Severity.CANNOT_TELL, Severity.CRITICAL
CONFIG = "/etc/ecx-hyperv/config.toml"
BOTH_SILENT = [host(reach=Reach.SILENT, node=None), host("peer", reach=Reach.SILENT, node=None)]


def _volume(state: str | None) -> list[VolumeStatus]:
    return [VolumeStatus(name="Cluster Disk 1", state=state)]


def _servers(status: str) -> list[ServerStatus]:
    return [
        ServerStatus(name="ec1", status="Online", is_local=True),
        ServerStatus(name="ec2", status=status, is_local=False),
    ]


def _copying() -> PairFacts:
    text = "the mirror disk md1 is being copied (63 %, 00:04:00 left)"
    return pair(mirrors=[mirror(MirrorHealth.COPYING, "GREEN", "YELLOW", text=text, remedy="wait")])


VERDICTS = [
    (pair(), OK, "vm1 runs on HOST-1, and can fail over to HOST-2"),
    (pair(vms=[vm(), vm("web1")]), OK, "2 VMs run on HOST-1, and can fail over to HOST-2"),
    (
        pair(vms=[vm(), vm("web1", owner="HOST-2", local=None, peer=RUNNING)], ecx=ecx(groups=[])),
        OK,
        "2 VMs run, and can fail over",
    ),
    (pair(vms=[]), OK, "all that was asked is well"),
    # VMs.
    (
        pair(vms=[vm(peer=RUNNING)]),
        CRITICAL,
        "vm1 is shown live on both hosts",
    ),
    (pair(vms=[vm(local=shown("Running", "MigratingVirtualMachine"))]), WARNING, "vm1 is being moved"),
    (pair(vms=[vm(group_flags=["Queued"])]), WARNING, "vm1 is being moved"),
    (
        pair(vms=[vm(local=shown("Running", heartbeat="LostCommunication"))]),
        WARNING,
        "vm1 runs on HOST-1, but its heartbeat is lost",
    ),
    (
        pair(vms=[vm(owner="HOST-2", local=None, peer=RUNNING)]),
        WARNING,
        "vm1 runs on HOST-2, while ECX serves its storage from ec1",
    ),
    (pair(vms=[vm(local=shown("PausedCritical"))]), CRITICAL, "vm1 has no storage on HOST-1 (Paused, no storage)"),
    (pair(vms=[vm(local=shown("OffCritical"))]), CRITICAL, "vm1 has no storage on HOST-1 (Off, no storage)"),
    (pair(vms=[vm(local=shown("SavingCritical"))]), CRITICAL, "vm1 has no storage on HOST-1 (Saving, no storage)"),
    (pair(vms=[vm(local=shown("Paused"))]), CRITICAL, "vm1 does not run (Paused)"),
    (pair(vms=[vm(local=shown("Starting"))]), WARNING, "vm1 is changing its state: Starting on HOST-1"),
    (
        pair(vms=[vm(local=shown("Off", "BackingUpVirtualMachine"))]),
        CRITICAL,
        "vm1 does not run (Off, checkpoint or backup)",
    ),
    (pair(vms=[off()]), CRITICAL, "vm1 does not run (not registered)"),
    (pair(vms=[off(group="Pending")]), WARNING, "vm1 is changing its state: on its way on HOST-1"),
    (pair(vms=[off(configuration="Online", local_told=False)]), BLIND, "how vm1 is cannot be told"),
    (
        pair(vms=[off(maintenance=True)], maintenance=[]),
        WARNING,
        "vm1 is in maintenance and does not run (not registered)",
    ),
    # Hosts.
    (
        pair(hosts=[host(), host("peer", reach=Reach.SILENT, node="Isolated")]),
        WARNING,
        "vm1 runs, but cannot fail over: HOST-2 does not answer (WSFC: Isolated)",
    ),
    (
        pair(hosts=[host(), host("peer", node="Up", node_flags=["Isolated"])]),
        WARNING,
        "vm1 runs, but cannot fail over: HOST-2 is Isolated in WSFC",
    ),
    (
        pair(hosts=[host(), host("peer", reach=Reach.LOGIN_REFUSED, name=None, node=None)]),
        WARNING,
        "vm1 runs, but cannot fail over: 192.168.137.2 refuses the login",
    ),
    (pair(hosts=[host(node="Paused"), host("peer")]), WARNING, "HOST-1 is Paused in WSFC"),
    (pair(hosts=[host(node=None), host("peer")]), BLIND, "WSFC does not say how HOST-1 is"),
    (
        pair(hosts=[host(), host("peer", iscsi=False)]),
        WARNING,
        "vm1 runs, but cannot fail over: HOST-2 has no iSCSI connection to the target",
    ),
    (
        pair(hosts=[host(iscsi=False), host("peer")], vms=[off()], ecx=ecx(groups=[])),
        CRITICAL,
        "vm1 does not run (not registered)",
    ),
    # Volumes.
    (pair(volumes=_volume(None)), BLIND, 'how the Shared Volume "Cluster Disk 1" is cannot be told'),
    (pair(volumes=_volume("Pending")), WARNING, 'the Shared Volume "Cluster Disk 1" is on its way (Pending)'),
    (pair(volumes=_volume("Failed")), CRITICAL, 'the Shared Volume "Cluster Disk 1" is Failed'),
    (
        pair(volumes=_volume("Failed"), ecx=ecx(groups=[])),
        CRITICAL,
        'the Shared Volume "Cluster Disk 1" is Failed',
    ),
    # ECX.
    (
        pair(ecx=ecx(trouble="clpstat does not say how the cluster is", servers=[], groups=[], monitors=[])),
        BLIND,
        "clpstat does not say how ECX is",
    ),
    (
        pair(ecx=ecx(servers=_servers("Offline"))),
        WARNING,
        "vm1 runs, but cannot fail over: ECX on ec2 is Offline",
    ),
    (pair(ecx=ecx(groups=[group("Online Pending", None)])), WARNING, "group failover1 is Online Pending"),
    (pair(ecx=ecx(groups=[group("Error", "ec1")])), CRITICAL, "group failover1 is Error"),
    (
        pair(ecx=ecx(groups=[group("Online", "ec1", ("md1", "Online"), ("exec-vm1", "Offline"))])),
        WARNING,
        "in group failover1: exec-vm1 Offline",
    ),
    (pair(ecx=ecx(monitors=items(("mdw1", "Caution")))), WARNING, "monitor mdw1 is Caution"),
    (pair(ecx=ecx(monitors=items(("genw-vm1", "Suspend")))), WARNING, "monitor genw-vm1 is Suspend"),
    (pair(ecx=ecx(monitors=items(("genw-vm1", "Error")))), CRITICAL, "monitor genw-vm1 is Error"),
    # What a person has done, and what cannot be read.
    (pair(maintenance=[flag()]), WARNING, "vm1 is in maintenance"),
    (pair(maintenance=[flag("ec2", "peer", None)]), WARNING, "ec2 is in maintenance"),
    (pair(maintenance=[flag("another")]), OK, "vm1 runs on HOST-1, and can fail over to HOST-2"),
    (pair(maintenance_trouble="denied"), BLIND, "the maintenance flags cannot be read"),
    (
        pair(configuration=ConfigurationStatus(path=CONFIG, is_last_good_copy=True)),
        WARNING,
        "the last good copy of the configuration is used",
    ),
]


@pytest.mark.parametrize(("facts", "severity", "text"), VERDICTS, ids=[row[2] for row in VERDICTS])
def test_the_verdict_says_how_it_is_and_why(facts: PairFacts, severity: Severity, text: str) -> None:
    """Each thing that is not as it should be must show in the verdict, with its weight."""
    verdict = judge_pair(facts)
    assert (severity, text) == (verdict.severity, verdict.text)


@pytest.mark.parametrize(
    ("health", "severity"),
    [
        (MirrorHealth.COPYING, WARNING),
        (MirrorHealth.ONE_RED, WARNING),
        (MirrorHealth.ONE_UNKNOWN, WARNING),
        (MirrorHealth.NOT_CONSTRUCTED, WARNING),
        (MirrorHealth.BOTH_RED, CRITICAL),
        (MirrorHealth.BOTH_ACTIVE, CRITICAL),
        (MirrorHealth.BOTH_UNKNOWN, BLIND),
        (MirrorHealth.CANNOT_TELL, BLIND),
    ],
)
def test_a1_a_mirror_that_is_not_in_sync_is_never_called_well(health: MirrorHealth, severity: Severity) -> None:
    """A mirror disk that is not GREEN on both sides must make the verdict worse than OK, and forbid a failover."""
    verdict = judge_pair(pair(mirrors=[mirror(health, text=f"md1 is {health.value}", remedy="do this")]))
    assert (severity, ["do this"]) == (verdict.severity, verdict.do)
    but = "nobody can tell whether a failover is possible" if severity is BLIND else "cannot fail over"
    assert f"vm1 runs, but {but}: md1 is {health.value}" == verdict.text


def test_every_health_of_a_mirror_has_its_weight() -> None:
    """No health of a mirror disk may be without a place in the verdict."""
    for health in MirrorHealth:
        expected = health is MirrorHealth.GREEN
        assert (judge_pair(pair(mirrors=[mirror(health)])).severity is OK) is expected


def test_mirrors_that_nobody_can_list_are_told_in_short() -> None:
    """Why nobody can tell which mirror disks there are must stand in their own line, not in the verdict."""
    nobody = mirror(
        MirrorHealth.CANNOT_TELL, name=None, text="nobody can tell which mirror disks there are: exit code 1"
    )
    verdict = judge_pair(pair(mirrors=[nobody]))
    assert verdict.text.endswith("nobody can tell which mirror disks there are")


def test_no_group_is_started_over_a_mirror_that_is_not_in_sync() -> None:
    """After both nodes crashed the remedy of the mirror must stand first, and a start of the group wait for it."""
    both = mirror(MirrorHealth.BOTH_RED, "RED", "RED", text="no copy is good", remedy="find the newer one")
    verdict = judge_pair(pair(mirrors=[both], vms=[off()], ecx=ecx(groups=[group("Offline", None)])))
    start = "once the mirror disk is GREEN on both: start the failover group in Cluster WebUI, or by clpgrp -s"
    assert (CRITICAL, ["find the newer one", start]) == (verdict.severity, verdict.do)


def test_the_worst_reason_stands_first_and_the_rest_is_counted() -> None:
    """The line must begin with the worst reason and stay a line, however much is wrong."""
    monitors = items(*((f"genw-{number}", "Caution") for number in range(5)))
    verdict = judge_pair(pair(volumes=_volume("Failed"), ecx=ecx(monitors=monitors)))
    assert CRITICAL is verdict.severity
    assert verdict.text.startswith('the Shared Volume "Cluster Disk 1" is Failed; monitor genw-0 is Caution;')
    assert verdict.text.endswith("; and 3 more")


def test_what_else_is_wrong_stands_behind_what_keeps_from_failing_over() -> None:
    """A reason that keeps no VM from failing over must not be told as one that does."""
    verdict = judge_pair(replace(_copying(), maintenance=[flag()]))
    assert verdict.text.endswith("(63 %, 00:04:00 left); vm1 is in maintenance")


def test_each_remedy_stands_once_and_names_checks_that_exist() -> None:
    """What to do must be said once each, and a check that it names must be in the catalogue."""
    every = [judge_pair(facts) for facts, _, _ in VERDICTS]
    for verdict in every:
        assert len(verdict.do) == len(set(verdict.do))
        words = [word.rstrip(";") for do in verdict.do for word in do.partition("ecx-hyperv check ")[2].split()[:1]]
        assert [] == [word for word in words if word not in CATALOGUE]


@pytest.mark.parametrize(
    ("facts", "plain", "strict"),
    [
        (pair(), Exit.DONE, Exit.DONE),
        (pair(volumes=_volume("Failed")), Exit.DONE, Exit.NOT_AS_ASKED),
        (pair(hosts=[host(), host("peer", reach=Reach.SILENT)]), Exit.DONE, Exit.NOT_AS_ASKED),
        (pair(hosts=BOTH_SILENT), Exit.UNREACHABLE, Exit.UNREACHABLE),
        (pair(hosts=[host(reach=Reach.NO_CONNECTION)]), Exit.UNREACHABLE, Exit.UNREACHABLE),
        (pair(hosts=[host(reach=Reach.LOGIN_REFUSED), BOTH_SILENT[1]]), Exit.LOGIN, Exit.LOGIN),
        (pair(hosts=[host(reach=Reach.KEY_NOT_PINNED)]), Exit.LOGIN, Exit.LOGIN),
        (pair(hosts=[host(reach=Reach.NO_ALGORITHM)]), Exit.LOGIN, Exit.LOGIN),
        (pair(hosts=[host(reach=Reach.UNREADABLE), BOTH_SILENT[1]]), Exit.CANNOT_TELL, Exit.CANNOT_TELL),
    ],
)
def test_a6_the_exit_code_tells_what_was_seen(facts: PairFacts, plain: Exit, strict: Exit) -> None:
    """A status must end with 0 if any host answered, with --exit-code with 1 where anything is degraded, else by A5."""
    found = [*facts.hosts, *pair().hosts][:2]
    verdict = judge_pair(replace(facts, hosts=found))
    assert plain is exit_of_status(facts, verdict, degraded_is_1=False)
    assert strict is exit_of_status(facts, verdict, degraded_is_1=True)


def test_a_host_that_could_not_be_asked_is_no_reason_for_more_where_none_answered() -> None:
    """Where no host answers nobody can tell how things are, and that must be the verdict."""
    verdict = judge_pair(pair(hosts=BOTH_SILENT, vms=[off(group=None, owner=None, local_told=False, peer_told=False)]))
    assert BLIND is verdict.severity


@pytest.mark.parametrize(
    ("one", "where", "state", "kind"),
    [
        (vm(), "HOST-1", "Running", VmKind.RUNNING),
        # A host that shows the guest live outweighs the owner that the cluster names.
        (vm(owner="HOST-2", peer=shown("Off")), "HOST-1", "Running", VmKind.RUNNING),
        (vm(owner="HOST-2", local=shown("Off"), peer=shown("Saved")), "HOST-2", "Saved", VmKind.DOWN),
        (vm(owner=None, local=shown("Off")), "HOST-1", "Off", VmKind.DOWN),
        (
            vm(local=shown("Running", "MigratingVirtualMachine"), peer=shown("Running")),
            "HOST-1",
            "Running, live migration",
            VmKind.RUNNING,
        ),
        (vm(local=shown("Running", heartbeat="LostCommunication")), "HOST-1", "Running, no heartbeat", VmKind.RUNNING),
        (vm(local=shown("Strange")), "HOST-1", "Strange", VmKind.ODD),
        (off(), "-", "not registered", VmKind.ABSENT),
        (off(owner="HOST-2"), "-", "not registered", VmKind.ABSENT),
        (off(owner="HOST-3"), "-", "not registered", VmKind.ABSENT),
        # WSFC's word of a guest on a host that is away is told, and proves nothing.
        (off(owner="HOST-2", peer_told=False), "HOST-2", "unknown (WSFC: Offline)", VmKind.UNREADABLE),
        (off(group="Online", configuration="Online"), "HOST-1", "unknown (WSFC: Online)", VmKind.UNREADABLE),
        (off(group=None, owner=None), "-", "in no role", VmKind.UNREADABLE),
        (off(group=None, owner=None, peer_told=False), "-", "unknown", VmKind.UNREADABLE),
        (off(configuration=None), "HOST-1", "unknown (WSFC: Offline)", VmKind.UNREADABLE),
    ],
)
def test_a_vm_is_shown_where_it_is_and_as_it_is(one: object, where: str, state: str, kind: VmKind) -> None:
    """Where a VM is and how it is must follow from what the hosts show, and only then from what WSFC says."""
    found = show_vm(one, pair())  # type: ignore[arg-type]
    assert (where, state, kind) == (found.where, found.state, found.kind)


def test_a_server_is_found_by_its_name() -> None:
    """A server that clpstat shows must be found by its name, and no other."""
    assert ["ec2", None] == [one and one.name for one in (ecx().server("ec2"), ecx().server("ec3"))]


def test_the_peer_ecx_that_is_away_blocks_nothing_while_no_group_is_active() -> None:
    """Without an active group there is no failover that could be kept back."""
    verdict = judge_pair(pair(ecx=ecx(groups=[group("Offline", None)], servers=_servers("Suspend"))))
    assert CRITICAL is verdict.severity
    assert [False] == [reason.blocks for reason in verdict.reasons if "Suspend" in reason.text]
