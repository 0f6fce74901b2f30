"""The report for a support case: it tells what a case needs, gives nothing away, and is made in a moment."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.check.outcome import Finding, Outcome, words
from ecx_hyperv.check.redaction import REMOVED, redact
from ecx_hyperv.check.report import Heading, compose
from ecx_hyperv.config import Config, ProtectedVm
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from tests.unit.always import always
from tests.virtual.contexts import make_config

HEADING = Heading(node="ec1", written="2026-01-02T03:04:05+09:00", os_name="AlmaLinux 9", ecx="5.2.0-1", libraries=())
SECRET = "hunter2-%&/()"
MIB = 1024 * 1024
OWN = "2026-01-02T03:04:05.678+09:00 warning [ab12] vm1: "

LINES = (
    "<password>{}</password>",
    "<Password>{}</Password><user>x</user>",
    '<adminPassword enc="no">{}</adminPassword>',
    "<password><![CDATA[{}]]></password>",
    '<user name="x" password="{}"/>',
    "<password>\n{}\n</password>",
    "pwd={}",
    "PWD = {}",
    "Server=sql;User Id=sa;Password={};Encrypt=yes",
    "AdminPassword: {}",
    '"adminPassword": "{}", "user": "x"',
    "'password': '{}'",
    '{{"password":"a\\"{}"}}',
    "password => {}",
    "password := {}",
    "password:{}",
    "password is {}",
    "password {}",
    "set password {}",
    "--password {}",
    "--password={}",
    "--password '{} x'",
    "-Password {}",
    "-Password (ConvertTo-SecureString '{}' -AsPlainText -Force)",
    "ConvertTo-SecureString -String {} -AsPlainText",
    "/password:{}",
    "--admin-password {}",
    "https://u:{}@h/path",
    "https://{}@h/path",
    "smb://dom;u:{}@host/share",
    "Authorization: Bearer {}",
    "Authorization: Basic {}",
    "Bearer {}",
    "Cookie: session={}",
    "X-Api-Key: {}",
    "api_key={}",
    "apikey: {}",
    "AccessKey={}",
    "AccountKey={};EndpointSuffix=x",
    "client_secret={}",
    "token: {}",
    "auth_token={}",
    "node.session.auth.password = {}",
    "discovery.sendtargets.auth.password_in = {}",
    "set auth userid=x password={} mutual_password={}",
    "chap_secret: {}",
    "passphrase: {}",
    "Passwort: {}",
    "パスワード: {}",
    "パスワード\uff1a{}",
    "パスワードは{}です",
    "暗証番号\uff1d{}",
    "sshpass -p {} ssh root@h",
    "curl -u user:{} https://h",
    "ipmitool -H h -U u -P {} power off",
    "net use \\\\h\\share {} /user:u",
    "mysql -p{}",
    "snmp community: {}",
    "psk={}",
)


@pytest.mark.parametrize("line", LINES)
def test_u05_what_gives_access_is_taken_out(line: str) -> None:
    """Whatever a secret stands behind, it must not stand in a report, nor any part of it."""
    text = redact(f"before\n{line.replace('{{', '{').replace('}}', '}').replace('{}', SECRET)}\nafter")
    assert "hunter" not in text
    assert "%&" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter")


FORMS = (
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "root:$6$rounds=5000$saltsalt$0123456789abcdef0123456789abcdef:19000",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdef0123456789abcdef0123",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0123456789abcdefghijklmnopqrstuvwxyzABCDE root@ec1",
)


@pytest.mark.parametrize("form", FORMS)
def test_u05_what_looks_like_a_secret_is_taken_out(form: str) -> None:
    """What gives access by itself must not stand in a report, whatever it is called."""
    assert REMOVED in redact(f"seen: {form}")


STAY = (
    "vm1 is running on host1",
    'key = "/root/.ssh/id_ed25519"',
    "exit 5: login refused; do: see that /root/.ssh/id_rsa.pub is in administrators_authorized_keys there",
    "sshd-passwords        HOST1: keys only",
    "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDe9YbXTBz0dQ5nTzk",
    "C:\\ClusterStorage\\Volume1\\vm1\\Virtual Hard Disks\\vm1.vhdx",
    "error: 0x80070005 [AccessDenied, code 5]",
    "仮想マシンは動いています",
)  # fmt: skip


@pytest.mark.parametrize("text", STAY)
def test_what_a_support_case_needs_stays(text: str) -> None:
    """What tells something and gives no access must stay as it is."""
    assert text == redact(text)


@always
@given(
    line=st.sampled_from(LINES),
    secret=st.text(st.characters(categories=["L", "N"]), min_size=6, max_size=20),
    upper=st.booleans(),
)
def test_u05_whatever_the_secret_is(line: str, secret: str, *, upper: bool) -> None:
    """A secret of whatever letters must be taken out, in whatever case its name is written."""
    marked = f"Qz{secret}zQ"
    shown = line.replace("{{", "{").replace("}}", "}")
    text = redact((shown.upper() if upper and "\\" not in shown else shown).replace("{}", marked))
    assert marked not in text


KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAA\n" * 20 + "-----END OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        KEY.replace("\n", "\r\n"),
        KEY.replace("OPENSSH ", ""),
        KEY.replace("BEGIN OPENSSH PRIVATE KEY-----\n", "BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n"),
        json.dumps({"key": KEY}),
        f"seen: {KEY}",
    ],
)
def test_u05_a_private_key_is_taken_out_and_nothing_else(key: str) -> None:
    """Of a key nothing must stay, and what stands around it must."""
    text = redact(f"before\n{key}\nafter")
    assert "b3Blbn" not in text
    assert "PRIVATE KEY" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter")


def test_u06_a_key_that_never_ends_takes_only_what_looks_like_one() -> None:
    """A line that says that a key begins, and no key, must take nothing else with it."""
    text = redact("-----BEGIN PRIVATE KEY-----: node: Up\nresiliency  cluster: 9999\nabcdefgh\nlast: line")
    assert text.endswith("resiliency  cluster: 9999\nabcdefgh\nlast: line")


LONG = {
    "one letter": "a" * MIB,
    "names": "password" * (MIB // 8),
    "names that end in nothing": "a-password_" * (MIB // 11),
    "options": "--password " * (MIB // 11),
    "elements": "<password" * (MIB // 9),
    "blanks": "password" + " " * MIB,
    "quotes": 'password="' + '\\"' * (MIB // 2),
    "addresses": "a://" * (MIB // 4),
    "words": "-----BEGIN " * (MIB // 11),
    "dots": "." * MIB,
    "hashes": "$6$" * (MIB // 3),
    "tokens": "eyJ" * (MIB // 3),
    "separators": "=:" * (MIB // 2),
}


@pytest.mark.parametrize("line", LONG.values(), ids=LONG.keys())
def test_u06_a_line_of_a_megabyte_takes_a_moment(line: str) -> None:
    """A line of 1 MB, whatever it holds, must be done in a moment, and not stand in the report whole."""
    began = time.monotonic()
    text = redact(f"{line}\nafter")
    assert time.monotonic() - began < 3.0
    assert len(text) < 20_000
    assert text.endswith("\nafter")


@always
@given(st.text())
def test_whatever_a_text_is(text: str) -> None:
    """Any text must become one that is flat, line by line, and can be redacted once more without a change."""
    once = redact(text)
    assert all(line.isprintable() for line in once.split("\n"))
    assert once.count("\n") <= text.count("\n")
    assert REMOVED in once or redact(once) == once


@dataclass
class Case:
    """A folder with a configuration and ECX's logs."""

    folder: Path

    @property
    def config(self) -> Config:
        """The configuration that the command has loaded."""
        made = make_config(World(Timings()))
        vms = (ProtectedVm(name="vm1"), ProtectedVm(name="web 1", resource="exec-web"))
        return Config(cluster=made.cluster, ssh=made.ssh, node=made.node, vm=vms)

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def report(self, *findings: Finding) -> str:
        """Compose the report."""
        return compose(HEADING, findings, self.config, self.folder / "config.toml", self.folder)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Return a case."""
    made = Case(tmp_path)
    made.write("config.toml", '[cluster]\ncsv = "Cluster Disk 1"\n')
    return made


def test_u06_only_this_programs_logs_are_taken(case: Case, tmp_path: Path) -> None:
    """Logs of other resources, and files that only look like a log, must not be in the report."""
    for name in ("exec-vm1", "genw-vm1", "exec-web", "genw-web", "genw-remote-node"):
        case.write(f"{name}.log", f"{OWN}{name} says\n")
    for name in ("exec-oracle", "genw-oracle", "exec-vm10", "exec-vm1.x"):
        case.write(f"{name}.log", f"{OWN}not ours {name}\n")
    secret = case.write("shadow", f"{OWN}not ours\n")
    (tmp_path / "genw-vm1.log").unlink()
    (tmp_path / "genw-vm1.log").symlink_to(secret)
    text = case.report()
    assert "not ours" not in text
    for name in ("exec-vm1", "exec-web", "genw-web", "genw-remote-node"):
        assert f"{name} says" in text


def test_u06_of_a_log_only_this_programs_lines_are_shown(case: Case) -> None:
    """What a script prints besides must be left out and counted: nobody knows what it is."""
    log = json.dumps({"time": "t", "run": "ab12", "level": "info", "event": "waits", "vm": "vm1"})
    case.write("exec-vm1.log", f"hunter2\n{OWN}starts\n{log}\n+ mount -o user=x,pass=hunter2 //h/s\n[]\n{{\n")
    text = case.report()
    assert "starts" in text
    assert '"event": "waits"' in text
    assert "hunter2" not in text
    assert "(4 lines that are none of this program's log are left out)" in text


CONFIG = """
# hunter2 in a comment
[cluster]
csv = "Cluster Disk 1" # hunter2
iscsi_taget = "hunter2"
password = "hunter2"
"hunter2 as a key" = 1

[ssh]
user = "administrator"
key = "/root/.ssh/id"
port = ["hunter2"]
known_hosts = { x = "hunter2" }

[other]
name = "hunter2"

[[vm]]
name = "仮想マシン"

[[vm]]
name = "\\u001b[2Jx"
"""


def test_u05_a_configuration_is_shown_by_what_may_be_shown(case: Case) -> None:
    """Of the configuration the program's own keys must be shown with their values, and nothing else of it."""
    case.write("config.toml", CONFIG)
    text = case.report()
    assert "hunter2" not in text
    assert "\x1b" not in text
    for line in (
        'csv = "Cluster Disk 1"',
        f"iscsi_taget = {REMOVED}",
        'user = "administrator"',
        'key = "/root/.ssh/id"',
        f"port = {REMOVED}",
        "[[vm]]",
        'name = "仮想マシン"',
        f"other {REMOVED}",
        f"a key = {REMOVED}",
    ):
        assert f"\n{line}\n" in text


def test_u05_a_configuration_that_is_none_is_shown_without_values(case: Case) -> None:
    """Of a file that is no TOML the keys must be shown and what is wrong, without a value."""
    case.write("config.toml", '[cluster]\ncsv = "hunter2\nhunter2\n  key = hunter2\n')
    text = case.report()
    assert "hunter2" not in text
    assert "it is no TOML" in text
    assert f"[cluster]\ncsv = {REMOVED}\nkey = {REMOVED}\n" in text


def test_u06_a_host_that_is_called_like_a_key_hides_nothing(case: Case) -> None:
    """A name that looks like the beginning of a key must not take the rest of the report with it."""
    evil = "-----BEGIN PRIVATE KEY-----"
    case.write("exec-vm1.log", f"{OWN}starts\n")
    bad = Finding(
        name="node", place=evil, outcome=Outcome.WRONG, seen=evil, expected="Up", remedy=words(f"see {evil}\n\x1b[2J")
    )
    good = Finding(name="resiliency", place="cluster", outcome=Outcome.OK, seen="9999")
    text = case.report(bad, good)
    assert "resiliency" in text
    assert "Cluster Disk 1" in text
    assert "starts" in text
    assert all(line.isprintable() for line in text.split("\n"))
