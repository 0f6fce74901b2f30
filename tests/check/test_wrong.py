"""Each thing that is made wrong in the lab turns the check concerned and no other, and its remedy mends it."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from ecx_hyperv.check.catalogue import CATALOGUE
from ecx_hyperv.check.outcome import Outcome, Where
from ecx_hyperv.config import Config
from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.decide.states import OfflineAction
from ecx_hyperv.desired.clpconf import ClpConf
from ecx_hyperv.lab.linux.commands import put, target_config
from ecx_hyperv.lab.model.facts import initiator
from ecx_hyperv.lab.model.things import Plane, Sshd, Volume
from ecx_hyperv.lab.windows.rows import network_id
from tests.check.support import QUICK, SetUp, bad, set_up, unknown
from tests.e2e.support import ONE, TWO

FIRST, SECOND = ONE.upper(), TWO.upper()
CONF = "opt/nec/clusterpro/etc/clp.conf"
SAVED = "etc/target/saveconfig.json"
IQNS = [initiator(ONE), initiator(TWO)]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing made wrong: how, which check turns where, and whether its remedy can be run in the lab.

    `blinds` are cases in which other checks cannot tell any more.
    """

    check: str
    place: str
    spoil: Callable[[SetUp], object]
    mends: bool = False
    blinds: bool = False
    outcome: Outcome = Outcome.WRONG
    label: str = ""

    def __str__(self) -> str:
        return f"{self.check}-{self.label or self.place}".replace(" ", "_")


def fact(where: str, name: str, value: Any) -> Callable[[SetUp], object]:
    """Set one of the lab's facts."""
    return lambda lab: lab.set(where, name, value)


def mirror(*colors: str) -> Callable[[SetUp], object]:
    """Have clpmdstat show colors of the mirror disk."""
    return lambda lab: lab.scenario.lab.ecx.mirror.spoil_or_show(*map(MirrorColor, colors))


def resource(name: str, path: str, value: str) -> Callable[[SetUp], object]:
    """Set a parameter of a resource of ECX."""
    return lambda lab: lab.edit_conf(lambda conf: conf.set_resource(name, path, value))


def monitor(name: str, path: str, value: str) -> Callable[[SetUp], object]:
    """Set a parameter of a monitor of ECX."""
    return lambda lab: lab.edit_conf(lambda conf: conf.set_monitor(name, path, value))


def host(name: str, attribute: str, value: Any) -> Callable[[SetUp], object]:
    """Set something of a host's state."""
    return lambda lab: lab.do(lambda world: setattr(world.hosts[name], attribute, value))


def sshd(line: str) -> Callable[[SetUp], object]:
    """Put a line before all others of a host's sshd_config."""

    def spoil(lab: SetUp) -> None:
        lab.do(
            lambda world: setattr(
                world.hosts[TWO].facts, "sshd_config", f"{line}\n{world.hosts[TWO].facts.sshd_config}"
            )
        )

    return spoil


def saved(**changes: Any) -> Callable[[SetUp], object]:
    """Have targetcli save something else."""

    def spoil(lab: SetUp) -> None:
        content: Any = target_config(changes.get("initiators", IQNS), changes.get("device", "/dev/NMP1"))
        if "luns" in changes:
            content["targets"][0]["tpgs"][0]["luns"] = changes["luns"]
        lab.file(SAVED).write_text(json.dumps(content), encoding="utf-8")

    return spoil


def forget_host(lab: SetUp) -> None:
    """Forget the pinned key of the second host."""
    path = lab.mine / "known_hosts"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:1]) + "\n", encoding="utf-8")


def forget_ids(lab: SetUp) -> None:
    """Forget the ids that a run has kept."""
    shutil.rmtree(lab.mine / "state" / "ids")


def namesake_here(lab: SetUp) -> None:
    """Have a copy of the VM lie off beside it, which is not clustered."""
    lab.do(lambda world: world.roles.namesake("vm1", ONE, "Off"))


def namesake_there(lab: SetUp) -> None:
    """Have a copy of the VM run on the other host, which is not clustered."""
    lab.do(lambda world: world.roles.namesake("VM1", TWO, "Running"))


def two_of_the_name(lab: SetUp) -> None:
    """Have the VM's name lead to another clustered VM than its role does."""

    def spoil(world: Any) -> None:
        world.roles.add(world.roles.namesake("vm1", TWO, "Off", volume="Cluster Disk 1"), "vm1 (2)", TWO)

    lab.do(spoil)


def no_storage(lab: SetUp) -> None:
    """Part the second host from the target."""
    lab.do(lambda world: world.cut(TWO, "ec1", Plane.STORAGE))


def another_volume(lab: SetUp) -> None:
    """Have the VM's configuration name another volume than its file does."""

    def spoil(world: Any) -> None:
        world.volumes.setdefault("Other Disk", Volume("Other Disk", "{0-other}", ONE))
        world.vms["vm1"].facts.volume = "Other Disk"

    lab.do(spoil)


def role(name: str, value: str) -> Callable[[SetUp], object]:
    """Give a network of the cluster another role."""
    return lambda lab: lab.do(lambda world: world.facts.roles.update({name: value}))


def volume_state(lab: SetUp) -> None:
    """Have the Shared Volume fail."""
    lab.do(lambda world: setattr(world.volumes["Cluster Disk 1"], "state", "Failed"))


def in_maintenance(lab: SetUp) -> None:
    """Forget a VM in maintenance."""
    assert 0 == lab.scenario.run("ec1", "ecx-hyperv", "maintenance", "on", "vm1").returncode


def strange_monitor(lab: SetUp) -> None:
    """Have ECX call a monitor otherwise."""
    lab.edit(CONF, 'name="genw-remote-node"', 'name="genw-other"')


def no_watch(lab: SetUp) -> None:
    """Have nothing watch the mirror."""
    lab.edit(CONF, 'name="mdw-md1"', 'name="mdw-other"')
    lab.edit_conf(lambda conf: conf.set_monitor("mdw-other", "parameters/object", "another"))


def not_after_iscsi(conf: ClpConf) -> bool:
    """Have the VM start without its disk."""
    return conf.set_depends("exec-vm1", ())


W, X = Outcome.WARNING, Outcome.WRONG
ROWS = [
    # The way to the hosts.
    Row("reachable", "127.77.1.2", host(TWO, "sshd", Sshd.STOPPED), blinds=True),
    Row("host-key", "127.77.1.2", forget_host, blinds=True, mends=True),
    Row("login", "127.77.1.2", host(TWO, "sshd", Sshd.REFUSING), blinds=True),
    Row("powershell", SECOND, fact("host2", "language_mode", "ConstrainedLanguage")),
    Row("powershell", SECOND, fact("host2", "powershell", "5.0.10586.117"), label="old"),
    Row("clock", SECOND, fact("host2", "clock_offset", 30.0), outcome=W, label="fast"),
    Row("clock", SECOND, fact("host2", "clock_offset", -400.0), label="slow"),
    Row("sshd-passwords", SECOND, sshd("PasswordAuthentication yes")),
    Row("sshd-passwords", SECOND, sshd("PermitEmptyPasswords yes"), label="empty"),
    Row("sshd-keepalive", SECOND, sshd("ClientAliveInterval 0"), outcome=W),
    Row("sshd-sessions", SECOND, sshd("MaxSessions 1")),
    Row(
        "authorized-keys",
        FIRST,
        fact("host1", "keys_sddl", "O:BAG:SYD:PAI(A;;FA;;;SY)(A;;FA;;;BA)(A;;FR;;;AU)"),
        mends=True,
    ),
    Row(
        "authorized-keys",
        FIRST,
        fact("host1", "keys_sddl", "O:S-1-5-21-1-2-3-1001G:SYD:(A;;FA;;;SY)"),
        mends=True,
        label="owner",
    ),
    Row("services", FIRST, fact("host1", "sshd_start", "Manual"), mends=True, label="sshd"),
    Row("services", SECOND, fact("host2", "iscsi_start", "Disabled"), mends=True, label="MSiSCSI"),
    # The hosts.
    Row("modules", SECOND, fact("host2", "missing", "Hyper-V"), blinds=True),
    Row("node", SECOND, host(TWO, "paused", True), mends=True),
    Row("node", SECOND, host(TWO, "quarantined", True), mends=True, blinds=True, label="quarantined"),
    Row("migration-enabled", FIRST, fact("host1", "migration", False), mends=True),
    Row("migration-parallel", FIRST, fact("host1", "parallel", 0), mends=True),
    Row("memory", SECOND, host(TWO, "memory", 2)),
    Row("iscsi-portal", SECOND, fact("host2", "portal", False), mends=True),
    Row("iscsi-connected", SECOND, no_storage, blinds=True),
    Row("iscsi-persistent", SECOND, fact("host2", "persistent", False), mends=True),
    Row("iscsi-initiator", SECOND, fact("host2", "initiator", "iqn.1991-05.com.microsoft:renamed")),
    # The cluster.
    # P10: the cluster's own number counts, whatever the hosts say.
    Row("migration-parallel", "cluster", fact("cluster", "parallel", 0), mends=True),
    Row("resiliency", "cluster", fact("cluster", "resiliency", 240), mends=True),
    Row("quarantine", "cluster", fact("cluster", "quarantine", 3), mends=True),
    Row("cluster-networks", "cluster", role("iSCSI_network", "Cluster"), mends=True),
    Row("cluster-networks", "cluster", role("Mirror_network", "None"), outcome=W, label="one"),
    Row("networks-up", "cluster", fact("cluster", "networks_down", "Mirror_network")),
    Row("migration-networks", "cluster", fact("cluster", "no_migration", "Mirror_network"), mends=True),
    Row(
        "migration-networks",
        "cluster",
        fact("cluster", "no_migration", "Management_network;Mirror_network;iSCSI_network;VM_network"),
        mends=True,
        label="none",
    ),
    Row("csv", "Cluster Disk 1", volume_state, mends=True),
    Row("csv-access", "Cluster Disk 1", fact("cluster", "csv_access", "FileSystemRedirected"), outcome=W),
    Row("quorum", "cluster", fact("cluster", "witness", ""), label="none"),
    Row("quorum", "cluster", fact("cluster", "witness_state", "Offline"), mends=True),
    Row("quorum", "cluster", fact("cluster", "witness", "Cluster Disk 1"), label="mirrored"),
    # The EC-VMs on their hosts.
    Row("ec-vm-start-action", "EC-VM2", fact("EC-VM2", "start_action", "Nothing"), mends=True),
    Row("ec-vm-start-delay", "EC-VM1", fact("EC-VM1", "start_delay", 0), mends=True, outcome=W),
    Row("ec-vm-stop-action", "EC-VM1", fact("EC-VM1", "stop_action", "Save"), mends=True, outcome=W),
    Row("ec-vm-clustered", "EC-VM2", fact("EC-VM2", "clustered", True)),
    Row("ec-vm-heartbeat", "EC-VM2", fact("EC-VM2", "heartbeat", False), mends=True),
    # The protected VM.
    Row("vm-clustered", "vm1", fact("vm1", "clustered", False), mends=True, blinds=True),
    Row("vm-failover", "vm1", fact("vm1", "threshold", 1), mends=True, label="threshold"),
    Row("vm-failover", "vm1", fact("vm1", "period", 6), mends=True, label="period"),
    Row("vm-failback", "vm1", fact("vm1", "failback", 1), mends=True),
    Row("vm-restart-action", "vm1", fact("vm1", "restart_action", 2), mends=True),
    Row("vm-restart-action", "vm1", fact("vm1", "restart_action", 1), mends=True, label="one"),
    Row("vm-check-heartbeat", "vm1", fact("vm1", "check_heartbeat", 1), mends=True),
    Row("vm-offline-action", "vm1", fact("vm1", "offline_action", OfflineAction.TURN_OFF), mends=True),
    Row("vm-identity", "vm1", namesake_here, outcome=W, label="a-copy-here"),
    Row("vm-identity", "vm1", namesake_there, outcome=W, label="a-copy-there"),
    Row("vm-identity", "vm1", forget_ids, outcome=W, label="not-kept"),
    Row("vm-identity", "vm1", two_of_the_name, blinds=True, label="two-candidates"),
    Row("vm-on-csv", "vm1", fact("vm1", "disk", r"D:\VMs\{name}.vhdx"), label="disk"),
    Row("vm-on-csv", "vm1", another_volume),
    Row("vm-start-action", "vm1", fact("vm1", "start_action", "StartIfRunning"), mends=True),
    Row("vm-stop-action", "vm1", fact("vm1", "stop_action", "Save"), mends=True),
    Row("vm-critical-action", "vm1", fact("vm1", "critical_action", "None"), mends=True),
    Row("vm-critical-action", "vm1", fact("vm1", "critical_minutes", 0), mends=True, label="minutes"),
    Row("vm-heartbeat", "vm1", fact("vm1", "heartbeat", False), mends=True),
    Row("vm-shutdown", "vm1", fact("vm1", "shutdown", False), mends=True),
    Row("wire-cmdlets", SECOND, fact("host2", "denied", "Get-VMHost"), blinds=True),
    # This EC-VM.
    Row("node-address", "ec1", fact("ec1", "addresses", "10.0.0.1")),
    Row("programs", "ec1", lambda lab: (lab.folder.bin / "clpcl").unlink()),
    Row("maintenance", "ec1", in_maintenance, mends=True, outcome=W),
    Row("config-file", "ec1", lambda lab: (lab.mine / "config.toml").chmod(0o666), mends=True, outcome=W),
    Row("key-file", "ec1", lambda lab: (lab.mine / "id_ed25519").chmod(0o644), mends=True),
    Row("known-hosts-file", "ec1", lambda lab: (lab.mine / "known_hosts").chmod(0o666), mends=True),
    Row("firewalld", "ec1", fact("ec1", "firewalld", "enabled"), mends=True),
    Row("selinux", "ec1", fact("ec1", "selinux", "Enforcing"), mends=True, outcome=W),
    Row("dnf-makecache", "ec1", fact("ec1", "dnf_makecache", "enabled"), mends=True, outcome=W),
    Row("target-service", "ec1", fact("ec1", "target", "enabled"), mends=True),
    Row("udev-rule", "ec1", lambda lab: lab.file("etc/udev/rules.d/99-clusterpro-devices.rules").unlink()),
    Row("udev-links", "ec1", lambda lab: lab.file("dev/cp-diska2").unlink()),
    Row("mirror-device", "ec1", lambda lab: lab.file("dev/NMP1").unlink()),
    Row("mirror-sync", "md1", mirror("YELLOW"), outcome=W, label="copied"),
    Row("mirror-sync", "md1", mirror("GREEN", "GRAY"), outcome=W, label="one-unseen"),
    Row("mirror-sync", "md1", mirror("BLUE"), label="both-active"),
    Row("target-backstore", "ec1", saved(device="/dev/sdb")),
    Row("target-backstore", "ec1", lambda lab: lab.file(SAVED).unlink(), blinds=True, label="none"),
    Row("target-backstore", "ec1", lambda lab: put(lab.root, SAVED, "{"), blinds=True, label="broken"),
    Row("target-lun", "ec1", saved(luns=[])),
    Row("target-acl", "ec1", saved(initiators=IQNS[:1]), blinds=True),
    # ECX's settings.
    Row("ecx-conf", "ec1", lambda lab: put(lab.root, CONF, "<root>"), blinds=True),
    Row("ecx-server", "ec1", lambda lab: lab.edit(CONF, "<info>127.77.0.2</info>", "<info>127.77.0.9</info>")),
    Row("ecx-address", "fip1", resource("fip1", "parameters/ip", "10.0.0.9"), mends=True),
    Row("ecx-mirror", "md1", resource("md1", "parameters/fs", "ext4"), mends=True),
    Row("ecx-object", "genw-remote-node", strange_monitor, mends=True, blinds=True),
    Row("ecx-depends", "exec-vm1", lambda lab: lab.edit_conf(not_after_iscsi), mends=True),
    Row(
        "ecx-depends",
        "exec-iscsi",
        lambda lab: lab.edit_conf(lambda conf: conf.set_depends("exec-iscsi", ["fip1"])),
        mends=True,
    ),
    Row(
        "ecx-script",
        "exec-vm1",
        lambda lab: put(lab.mine, "scripts/failover1/exec-vm1/stop.sh", "exit 0\n"),
        mends=True,
    ),
    Row("ecx-script-timeout", "exec-vm1", resource("exec-vm1", "parameters/timeout/stop", "10"), mends=True),
    Row("ecx-script-timeout", "exec-iscsi", resource("exec-iscsi", "parameters/timeout/start", "10"), mends=True),
    Row("ecx-script-mode", "exec-vm1", resource("exec-vm1", "parameters/act/sync", "0"), mends=True),
    Row("ecx-monitor-timeout", "genw-vm1", monitor("genw-vm1", "polling/timeout", "10"), mends=True),
    Row("ecx-interval", "genw-vm1", monitor("genw-vm1", "polling/interval", "600"), mends=True),
    Row("ecx-normal-value", "genw-vm1", monitor("genw-vm1", "parameters/normalval", "1"), mends=True),
    Row("ecx-retry", "genw-vm1", monitor("genw-vm1", "polling/reconfirmation", "0"), mends=True),
    Row("ecx-timing", "genw-vm1", monitor("genw-vm1", "polling/timing", "0"), mends=True),
    Row(
        "ecx-on-timeout",
        "genw-remote-node",
        monitor("genw-remote-node", "emergency/timeout/notrecovery/use", "0"),
        mends=True,
    ),
    Row("ecx-recovery", "genw-vm1", monitor("genw-vm1", "relation/type", "cls"), mends=True),
    Row("ecx-recovery", "genw-remote-node", monitor("genw-remote-node", "emergency/action", "5"), mends=True),
    Row("ecx-log", "exec-vm1", resource("exec-vm1", "parameters/userlog", ""), mends=True),
    Row("ecx-log-rotation", "genw-vm1", monitor("genw-vm1", "parameters/logrotate/use", "0"), mends=True),
    Row(
        "ecx-script-timeout",
        "exec-vm1",
        resource("exec-vm1", "server@ec2/parameters/timeout/start", "10"),
        label="one-server",
        mends=True,
    ),
    Row("ecx-watch", "mdw-md1", no_watch, mends=True),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetUp]:
    """Return a lab for all rows: each puts back what it has changed."""
    with pytest.MonkeyPatch.context() as monkeypatch, set_up(tmp_path_factory.mktemp("lab"), monkeypatch) as lab:
        yield lab


@pytest.fixture
def lab(shared: SetUp) -> Iterator[SetUp]:
    """Return a lab that is set up as it should be."""
    yield shared
    shared.restore()


def test_a_right_lab(lab: SetUp) -> None:
    """Where everything is right every check says so."""
    findings = lab.check()
    assert (set(), set()) == (bad(findings), unknown(findings))
    assert {one.name for one in findings} == set(QUICK)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_is_made_wrong(lab: SetUp, row: Row) -> None:
    """Exactly the check concerned turns, with what it means, and its remedy mends it."""
    row.spoil(lab)
    findings = lab.check()

    assert {(row.check, row.place)} == bad(findings)
    assert row.blinds or not unknown(findings), unknown(findings)
    found = next(one for one in findings if (one.name, one.place) == (row.check, row.place))
    assert row.outcome is found.outcome
    assert found.seen
    assert found.means
    assert found.remedy is not None
    if row.mends:
        lab.mend(found.remedy)
        after = lab.check()
        assert (set(), set()) == (bad(after), unknown(after))


def test_enough_is_made_wrong() -> None:
    """At least 45 things are made wrong, and at least 45 are mended by the remedy that is printed."""
    assert len(ROWS) >= 45
    assert sum(row.mends for row in ROWS) >= 45


def with_node(config: Config, number: int, **changes: str) -> Config:
    """Return a configuration with something else about one EC-VM."""
    nodes = list(config.node)
    nodes[number] = msgspec.structs.replace(nodes[number], **changes)
    return msgspec.structs.replace(config, node=tuple(nodes))


CONFIGS: dict[str, tuple[set[tuple[str, str]], Callable[[Config], Config]]] = {
    "EC-VM's name in Hyper-V": ({("ec-vm-known", "EC-VM9")}, lambda config: with_node(config, 1, vm="EC-VM9")),
    "node's name": ({("node-name", "ec1"), ("ecx-server", "ec1")}, lambda config: with_node(config, 1, name="ec9")),
    "a folder that cannot be": (
        {("folders", "ec1")},
        lambda config: msgspec.structs.replace(
            config, paths=msgspec.structs.replace(config.paths, run="/dev/null/run")
        ),
    ),
    "a value that is not meant": (
        {("configuration", "ec1")},
        lambda config: msgspec.structs.replace(config, timing=msgspec.structs.replace(config.timing, reserve=30)),
    ),
    "a key that is not there": (
        {("key-file", "ec1"), ("login", "127.77.1.1"), ("login", "127.77.1.2")},
        lambda config: msgspec.structs.replace(config, ssh=msgspec.structs.replace(config.ssh, key="/nowhere/key")),
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_wrong_configuration(lab: SetUp, name: str) -> None:
    """What is wrong in the configuration is told by the checks that it concerns."""
    expected, change = CONFIGS[name]
    assert expected == bad(lab.check(config=change(lab.config)))


def test_d20_one_host_for_both_nodes(lab: SetUp) -> None:
    """Where one host answers for both nodes, the check of the EC-VM that it does not have says so."""
    config = with_node(lab.config, 1, host=lab.config.node[0].host)
    (found,) = [one for one in lab.check(config=config) if one.name == "ec-vm-known" and one.outcome is Outcome.WRONG]
    assert "EC-VM2" == found.place
    assert "it is the host of both nodes" in found.seen


def test_d20_hosts_that_are_swapped(lab: SetUp) -> None:
    """Where each node has the other one's host, neither host has its EC-VM, and the way out is told."""
    first, second = (node.host for node in lab.config.node)
    config = with_node(with_node(lab.config, 0, host=second), 1, host=first)
    found = [one for one in lab.check(config=config) if one.name == "ec-vm-known"]
    assert [Outcome.WRONG] * 2 == [one.outcome for one in found]
    assert all("or host" in str(one.remedy) for one in found)


def test_ecx_that_is_not_there(lab: SetUp) -> None:
    """Without its package and its commands ECX is not installed."""
    lab.set("ec1", "ecx_version", "")
    (lab.folder.bin / "clpstat").unlink()
    assert {("ecx-installed", "ec1"), ("programs", "ec1")} == bad(lab.check())


def test_every_check_is_seen_wrong() -> None:
    """No check is left that nobody has seen turn: here, or in the tests that are named."""
    here = {row.check for row in ROWS} | {name for expected, _ in CONFIGS.values() for name, _ in expected}
    elsewhere = {
        *("ecx-installed", "ecx-script"),
        # Of the wire, and of the command.
        *("wire-idle", "wire-end", "wire-deadman", "wire-names", "wire-reply", "wire-refusal"),
        *("wire-stdin", "wire-times", "peer", "group"),
    }
    assert set(CATALOGUE) == here | elsewhere


def test_every_remedy_names_its_place(lab: SetUp) -> None:
    """A remedy for a host names it, so that nobody runs it on the other one."""
    lab.set("host2", "migration", False)
    found = next(one for one in lab.check() if one.name == "migration-enabled" and one.outcome is X)
    assert found.remedy is not None
    assert (Where.HOST, SECOND) == (found.remedy.where, found.remedy.on)


def test_networks_that_are_barred_stay_barred(lab: SetUp) -> None:
    """The remedy for live migration adds the storage network to those that are barred, and takes none away."""
    lab.set("cluster", "no_migration", "Management_network")
    found = next(one for one in lab.check() if one.name == "migration-networks")
    assert found.remedy is not None
    assert network_id("Management_network") in found.remedy.run
    assert network_id("iSCSI_network") in found.remedy.run
    assert network_id("VM_network") not in found.remedy.run
