"""Every kind of input from outside: its samples, what reads it, and what must hold of whatever was read.

A reader returns, or raises the one error that its callers expect. It never takes a spoiled answer for a good one where
an answer of nothing but odd bytes could become one: that is what a kind asserts of what was read.
"""

import json
import tempfile
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ecx_hyperv import config_file, plain, toml_lines
from ecx_hyperv.check import answers, firewalld, redaction, sshd_config, target, udev_rules
from ecx_hyperv.check.linux_facts import System
from ecx_hyperv.check.outcome import Unavailable
from ecx_hyperv.check.run import ask_peer
from ecx_hyperv.config import ClusterSettings, Config, Node, ProtectedVm, Ssh
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.mirror import MirrorAnswer, MirrorHealth, combine
from ecx_hyperv.decide.mirror_judgement import judge_mirror
from ecx_hyperv.decide.peer import PeerEcx
from ecx_hyperv.desired import clpconf
from ecx_hyperv.ecx import clpmdstat, clpstat, ip_addresses
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import Pair, choose_vms, read_call
from ecx_hyperv.ecx.kept_ids import FileKeptIds, KeptId
from ecx_hyperv.ecx.maintenance import Kind as FlagKind
from ecx_hyperv.ecx.maintenance import Maintenance
from ecx_hyperv.ecx.monitor_state import FileMonitorStates, MonitorState
from ecx_hyperv.ecx.state_folder import StateFolder
from ecx_hyperv.errors import ConfigError, LocalError, UsageError
from ecx_hyperv.host import known_hosts_file, observe
from ecx_hyperv.host.observe import SnapshotRequest
from ecx_hyperv.host.wire import Frames, Hello, Reply, WireError
from tests.unit.clock import FakeClock

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "samples"
_NONCE = "0123456789abcdef"
_ID = "6f1c0d3e-0000-4000-8000-000000000001"


@dataclass(frozen=True, slots=True)
class InputKind:
    """A kind of input; `read` raises AssertionError for what may never be read out of it, `errors` are expected."""

    samples: list[bytes]
    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...] = ()


def _files(pattern: str) -> list[bytes]:
    found = [path.read_bytes() for path in sorted(SAMPLES.glob(pattern)) if path.name != "README.md" and path.is_file()]
    assert found, pattern
    return found


def _text(content: bytes) -> str:
    # As the program has it from a command.
    return Completed(0, content, b"").text


def _clpstat(content: bytes) -> object:
    said = clpstat.parse(_text(content))
    peer = clpstat.judge(said, "server1", "server2")
    assert peer is not PeerEcx.OFFLINE or b"Offline" in content
    assert peer is not PeerEcx.ONLINE or b"Online" in content or b"Caution" in content
    return said


def _clpmdstat(content: bytes) -> object:
    read = clpmdstat.parse(_text(content), "md1", ("ec1", "ec2"))
    is_well = read.health is MirrorHealth.GREEN
    assert not is_well or content.upper().count(b"GREEN") >= 2
    assert not is_well or b"RED" not in content.upper()
    judged = judge_mirror(combine("md1", "md1", MirrorAnswer("ec1", read)))
    # A side is named for a forced recovery only by a header.
    assert not judged.node or judged.node.encode() in content
    return read, judged, clpmdstat.parse_names(_text(content))


def _clp_conf(content: bytes) -> object:
    conf = clpconf.parse(content, "clp.conf")
    facts = (conf.cluster, conf.version, conf.servers, conf.groups, conf.resources, conf.monitors)
    again = clpconf.parse(conf.to_bytes(), "clp.conf")
    assert facts[2:] == (again.servers, again.groups, again.resources, again.monitors)
    return facts


def _sshd_config(content: bytes) -> object:
    read = sshd_config.parse(_text(content).splitlines())
    return read, [read.values(word, lambda _one: None) for word in ("PasswordAuthentication", "Port", "AllowUsers")]


def _known_hosts(content: bytes) -> object:
    read = known_hosts_file.parse(content)
    assert content == read.to_bytes()
    return read, read.keys_for("10.0.0.1", 22), read.revoked_for("10.0.0.1", 22)


def _udev(content: bytes) -> object:
    rules = udev_rules.parse(_text(content), "99.rules")
    return rules, udev_rules.made_by(rules, "/dev/cp-diska1")


def _target(content: bytes) -> object:
    read = target.parse(content, "saveconfig.json")
    # What serves the disk has the address of the portal in it, or serves at any.
    if not isinstance(read, Unavailable) and not read.broken_for("iqn.x", "/dev/NMP1", "10.3.0.9"):
        assert b"NMP1" in content
    return read


def _firewalld(content: bytes) -> object:
    return firewalld.parse_zones(_text(content)), firewalld.parse_service(_text(content))


def _answers(content: bytes) -> object:
    done = Completed(0, content, content)
    readers = (answers.active_state, answers.enabled_state, answers.selinux_mode)
    return [reader(done) for reader in (*readers, answers.rpm_version, answers.dpkg_version)]


def _configuration(content: bytes) -> object:
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(content)
        file.flush()
        return config_file.load(Path(file.name))


def _frames(content: bytes) -> object:
    frames = Frames(_NONCE)
    return frames.feed(content), frames.noise


def _rows(content: bytes) -> object:
    wanted = SnapshotRequest(vms={"vm1": _ID}, named=("vm1",), ids_of=("vm1",), iscsi=True)
    reply = msgspec.json.decode(content, type=Reply)
    read = observe.read(Hello(agent=2, host="HOST-1"), reply.results, wanted)
    assert all(len(str(row)) < 1_000_000 for row in (read.nodes, read.groups, read.resources))
    return read, read.errors(), read.vm(_ID)


class _States:
    """What the program keeps for itself, in one folder."""

    def __init__(self) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="ecx-kept-")
        root = Path(self._kept.name)
        self._folder = StateFolder(root / "state", root / "run")
        self._states = FileMonitorStates(self._folder, FakeClock())
        self._ids, self._flags = FileKeptIds(self._folder), Maintenance(root / "state")
        self._now = FakeClock().wall()

    def samples(self) -> list[bytes]:
        """Return what is in the files as the program writes them."""
        clock = FakeClock()
        ids = msgspec.json.encode({"name": "vm1", "id": _ID})
        flag = {"kind": "vm", "name": "vm1", "since": self._now, "until": None, "reason": "patch"}
        state = MonitorState(boot=clock.boot(), looked=clock.boottime()).acted(clock.boottime())
        return [ids, msgspec.json.encode(flag), msgspec.json.encode(state)]

    def read(self, content: bytes) -> object:
        """Have it stand in each file, read each, and write each again."""
        root = Path(self._kept.name) / "state"
        for where in ("monitors", "ids", "maintenance"):
            (root / where).mkdir(parents=True, exist_ok=True)
        self._states.save("vm", "vm1", MonitorState())
        self._ids.save(KeptId(name="vm1", id=_ID))
        written = [next((root / where).iterdir()) for where in ("monitors", "ids")]
        for path in (*written, root / "maintenance" / "vm-x.json"):
            path.write_bytes(content)
        found = self._states.load("vm", "vm1"), self._ids.load_id("vm1"), self._flags.all(self._now)
        assert found[1] == "" or isinstance(found[1], str)
        self._states.save("vm", "vm1", found[0])
        self._flags.find(FlagKind.VM, "vm1", self._now)
        return found


def _shown(content: bytes) -> object:
    text = content.decode("utf-8", "replace")
    flat = plain.flat(text)
    assert not any(ord(one) < 32 or 0x7F <= ord(one) < 0xA0 or one in "\u202e\u2066" for one in flat)
    json.loads(plain.as_json(text))
    return flat


def _peers_check(content: bytes) -> object:
    deadline = Deadline.after(FakeClock(), 60)
    system = System(lambda _command, _seconds: Completed(0, content, content), Path("/nowhere"), deadline)
    found = ask_peer(system, _PAIR, _CONFIG, frozenset({"config", "sshd-here", "peer"}))
    shown = [one.remedy.run for one in found if one.remedy is not None] + [one.seen + one.place for one in found]
    assert all(one == plain.flat(one, 5000) for one in shown)
    # The peer's word is never an instruction for this EC-VM.
    assert all(one.name == "peer" or one.remedy is None or one.remedy.by == "ec2" for one in found)
    return found


def _call_of_ecx(content: bytes) -> object:
    words = content.decode("utf-8", "replace").replace("\0", "").split("\n")
    environ = dict(word.partition("=")[::2] for word in words)
    call = read_call(environ, Path("/") / words[0].replace("/", ""))
    chosen = choose_vms(_CONFIG, [], call)
    assert set(chosen) <= {vm.name for vm in _CONFIG.vm}
    return call, chosen


def _framed(kind: bytes, content: bytes) -> bytes:
    return _NONCE.encode() + b" " + kind + b" " + b64encode(content) + b"\n"


_REPLY = json.dumps(
    {
        "results": [
            {"ok": True, "value": [{"Name": "vm1", "Id": _ID, "State": "Running", "Uptime.TotalSeconds": 61.5}]},
            {"ok": False, "error": {"message": "not found", "id": "ObjectNotFound", "category": "ObjectNotFound"}},
            {"ok": True, "value": [{"Name": "HOST-1", "State": "Up", "OwnerNode.Name": "HOST-1", "Status": 0}]},
            {"ok": True, "value": [{"VMId": _ID, "ResourceId": "r", "GroupName": "vm1", "OwnerNode": "HOST-1"}]},
        ]
    }
).encode()
_HELLO = b'{"agent":2,"host":"HOST-1","up_ms":1000}'
_IP = (
    b'[{"ifname":"eth0","addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":24},'
    b'{"family":"inet6","local":"fe80::1","prefixlen":64}]}]'
)
_WORDS = [b"active\n", b"enabled\n", b"Enforcing\n", b"5.3.1-1 \n", b"installed 2.1.53-7\n", b"not-found\n"]
_LOG = [
    b"2026-11-26 03:00:00 WARN vm1: HOST-1 does not answer; password=hunter2\n",
    b'{"event":"started","vm":"vm1","seen":"Running"}\n',
    b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
]
_REPORT = json.dumps(
    {
        "node": "ec2",
        "program": "0.2.0",
        "config": "0123456789ab",
        "exit": 1,
        "findings": [
            {"name": "config", "place": "ec2", "outcome": "ok", "seen": "as it should be"},
            {
                "name": "sshd",
                "place": "HOST-2",
                "outcome": "wrong",
                "seen": "refused",
                "expected": "a login",
                "remedy": {"run": "ecx-hyperv trust", "where": "ec-vm", "on": "ec2", "said": ["x"]},
            },
        ],
    }
).encode()
_CALL = b"exec-vm1\nCLP_EVENT=START\nCLP_FACTOR=GROUPFAILOVER\nCLP_RESOURCENAME=exec-vm1\nCLP_LOGLEVEL=4"
_PAIR = Pair(
    Node(name="ec1", address="10.0.0.1", vm="EC-VM1", host="h1"),
    Node(name="ec2", address="10.0.0.2", vm="EC-VM2", host="h2"),
)
_CONFIG = Config(
    cluster=ClusterSettings(csv="Cluster Disk 1", iscsi_target="iqn.2024-01.test:1"),
    ssh=Ssh(user="Administrator", key="/root/.ssh/id_ed25519"),
    node=(_PAIR.local, _PAIR.peer),
    vm=(ProtectedVm(name="vm1"), ProtectedVm(name="web 2", resource="exec-web")),
)
_STATES = _States()
_CONFIGS = [(ROOT / "config" / "config.toml").read_bytes(), (ROOT / "tests/unit/configs/0.1.0.toml").read_bytes()]

KINDS: dict[str, InputKind] = {
    "clpstat": InputKind(_files("clpstat/*"), _clpstat),
    "clpmdstat": InputKind(_files("clpmdstat/*"), _clpmdstat),
    "clp.conf": InputKind(_files("clpconf/*"), _clp_conf, (LocalError,)),
    "sshd_config": InputKind(_files("sshd_config/*"), _sshd_config),
    "known_hosts": InputKind(_files("known_hosts/*"), _known_hosts),
    "udev rules": InputKind(_files("udev/*.rules"), _udev),
    "saveconfig.json": InputKind(_files("saveconfig/*.json"), _target),
    "firewalld": InputKind(_files("firewalld/*"), _firewalld),
    "ip": InputKind([_IP], ip_addresses.parse),
    "systemctl, getenforce, rpm, dpkg": InputKind(_WORDS, _answers),
    "config.toml": InputKind(_CONFIGS, _configuration, (ConfigError,)),
    "lines of config.toml": InputKind(_CONFIGS, lambda content: toml_lines.lines_of(_text(content))),
    "CLP_* variables": InputKind([_CALL], _call_of_ecx, (UsageError,)),
    "the peer's check": InputKind([_REPORT], _peers_check),
    "frames": InputKind([_framed(b"hello", _HELLO) + _framed(b"1", _REPLY)], _frames, (WireError,)),
    "answers of a host": InputKind([_REPLY], _rows, (msgspec.DecodeError, UnicodeDecodeError, RecursionError)),
    "kept files": InputKind(_STATES.samples(), _STATES.read),
    "texts that are shown": InputKind([*_LOG, _HELLO], _shown),
    "logs in a report": InputKind(_LOG, lambda content: redaction.redact(content.decode("utf-8", "replace"))),
}
