"""sshd_config (F9): read as sshd itself reads it, which `sshd -T` shows where there is one."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ecx_hyperv.check.logins import _keepalive, _passwords, _sessions
from ecx_hyperv.check.outcome import Outcome
from ecx_hyperv.check.sshd_config import MatchedConnection, is_yes, number, parse, seconds
from tests.e2e.openssh import SSHD
from tests.unit.always import always

SAMPLES = Path(__file__).parents[1] / "samples" / "sshd_config"
OK, WARNING, WRONG, UNKNOWN = Outcome
CALLER = MatchedConnection("root", "ec1.example", "10.9.0.7", "10.9.0.1", 22, frozenset({"root"}))


def outcomes(text: str) -> tuple[Outcome, Outcome, Outcome]:
    """Return what is made of passwords, keep-alive and sessions."""
    lines = tuple(text.splitlines())
    return tuple(judge("H1", lines).outcome for judge in (_passwords, _keepalive, _sessions))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("windows-default", (WRONG, WARNING, OK)),
        ("tabs", (OK, OK, WRONG)),
        ("hardened", (OK, OK, OK)),
        ("reopened", (WRONG, WARNING, UNKNOWN)),
        ("includes", (UNKNOWN, UNKNOWN, UNKNOWN)),
    ],
)
def test_f09_samples(name: str, expected: tuple[Outcome, ...]) -> None:
    """What is right must be told as right, what is wrong as wrong, and what depends on more as not known."""
    assert expected == outcomes((SAMPLES / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PasswordAuthentication\tno\nClientAliveInterval\t30\nMaxSessions\t1", (OK, OK, WRONG)),
        ('PasswordAuthentication "no"\nClientAliveInterval "30"\nMaxSessions "4"', (OK, OK, OK)),
        ("PasswordAuthentication=no\nClientAliveInterval = 30\nMaxSessions\t=\t4", (OK, OK, OK)),
        ("PasswordAuthentication no # keys\nClientAliveInterval 30 #x\nMaxSessions 4\t# y", (OK, OK, OK)),
        ("PasswordAuthentication no\nClientAliveInterval 0m", (OK, WARNING, OK)),
        ("PasswordAuthentication no\nClientAliveInterval 1h", (OK, OK, OK)),
        ("PasswordAuthentication no\nClientAliveInterval 1h30m", (OK, OK, OK)),
        ("PasswordAuthentication no\nClientAliveInterval 0s0m", (OK, WARNING, OK)),
        ("PasswordAuthentication no\nClientAliveInterval 15\nClientAliveCountMax 0", (OK, WARNING, OK)),
        ("PasswordAuthentication no\nPasswordAuthentication yes\nClientAliveInterval 1", (OK, OK, OK)),
        ("PasswordAuthentication yes\nPasswordAuthentication no\nClientAliveInterval 1", (WRONG, OK, OK)),
        ("PASSWORDAUTHENTICATION NO\nclientaliveinterval 1", (OK, OK, OK)),
        ("\ufeffPasswordAuthentication no\nClientAliveInterval 1", (OK, OK, OK)),
        ("PasswordAuthentication no yes\nClientAliveInterval 1 2\nMaxSessions 4 5", (WRONG, WARNING, WRONG)),
        ('PasswordAuthentication "no\nClientAliveInterval 1', (WRONG, OK, OK)),
        ("PasswordAuthentication no#\nClientAliveInterval 1", (WRONG, OK, OK)),
        ("PasswordAuthentication\nClientAliveInterval\nMaxSessions", (WRONG, WARNING, WRONG)),
        ("PasswordAuthentication no\nClientAliveInterval 1\nMaxSessions many", (OK, OK, WRONG)),
        ("Match User bob\nPasswordAuthentication no\nClientAliveInterval 1", (WRONG, UNKNOWN, OK)),
        ("Match all\nPasswordAuthentication no\nClientAliveInterval 1", (OK, OK, OK)),
        (
            "Match Group administrators\nPasswordAuthentication no\nClientAliveInterval 1\nMaxSessions 1",
            (WRONG, OK, WRONG),
        ),
        ("PasswordAuthentication no\nClientAliveInterval 1\nMatch User bob\nMaxSessions 1", (OK, OK, UNKNOWN)),
        ("PasswordAuthentication no\nClientAliveInterval 1\nMatch User bob\nPermitEmptyPasswords yes", (WRONG, OK, OK)),
        (
            "PasswordAuthentication no\nMatch User x\nPasswordAuthentication no\nPasswordAuthentication yes",
            (OK, WARNING, OK),
        ),
        ("PasswordAuthentication yes\nInclude more", (WRONG, UNKNOWN, UNKNOWN)),
    ],
)
def test_f09_each_shape(text: str, expected: tuple[Outcome, ...]) -> None:
    """Tabs, quotes, `=`, comments, units, Match blocks and Include must be taken as sshd takes them."""
    assert expected == outcomes(text)


def test_f09_a_way_in_is_named_with_its_place() -> None:
    """Where a Match block lets passwords in again, its line and its condition must be told."""
    seen = _passwords("H1", tuple((SAMPLES / "reopened").read_text(encoding="utf-8").splitlines())).seen
    assert "PasswordAuthentication yes (line 4, Match address 10.0.0.0/8,!10.9.0.0/16)" == seen


@always
@given(lines=st.lists(st.text(max_size=40) | st.text("MatchUser yesno=\"'\\#\t 019smh*!,", max_size=40), max_size=6))
def test_f09_any_text_is_read_without_an_error(lines: list[str]) -> None:
    """Whatever stands in the file, reading it must raise nothing, and garbage never be keys only."""
    assert {judge("H1", tuple(lines)).name for judge in (_passwords, _keepalive, _sessions)}
    if not any("passwordauthentication" in line.casefold() for line in lines):
        assert _passwords("H1", tuple(lines)).outcome is not OK


BLANK = st.text(" \t", min_size=1, max_size=2)
VALUES = {
    "PasswordAuthentication": ["yes", "no", "NO", "true", "n\\o", ""],
    "PermitEmptyPasswords": ["yes", "no"],
    "ClientAliveInterval": ["0", "30", "1h30m", "0m", "2W", "5x", "-1", "99999999999", "1d0s", "07"],
    "ClientAliveCountMax": ["0", "3", "+2", "0x3"],
    "MaxSessions": ["0", "1", "10", "03", "many", "2147483647", "2147483648"],
}
CONDITIONS = [
    *("all", "User root", "User nobody", "user=root", "User r*,!root", "User !nobody,*", "Address 10.9.0.0/16"),
    *("Address 10.9.0.7", "Address !10.9.0.7,10.0.0.0/8", "Host *.example", "Host EC1.example", "LocalPort 22"),
    *(
        "LocalAddress 10.9.0.1 User root",
        "User root Address 10.8.0.0/16",
        'User "root"',
        "User ro?t # this",
        "Group root",
    ),
]


@st.composite
def setting(draw: st.DrawFn) -> str:
    """Return a line that sets something, laid out somehow."""
    keyword = draw(st.sampled_from(list(VALUES)))
    value = draw(st.sampled_from(VALUES[keyword]))
    quote = draw(st.sampled_from(["", "", "", '"', "'"]))
    gap = draw(BLANK | st.sampled_from(["=", " = ", "\t=", "= ", "=="]))
    tail = draw(st.sampled_from(["", "", " ", "\t# why", " #", "#x", " more", ' "#x"']))
    name = draw(st.sampled_from([keyword, keyword.lower(), keyword.upper(), f'"{keyword}"']))
    return f"{draw(st.sampled_from(['', '', ' ', chr(9)]))}{name}{gap}{quote}{value}{quote}{tail}"


LINES = st.lists(
    setting() | st.sampled_from(["", "# PasswordAuthentication yes", "  \t", *(f"Match {one}" for one in CONDITIONS)]),
    max_size=7,
)


def read_by_sshd(text: str, folder: Path) -> dict[str, str] | None:
    """Return what the real sshd makes of a file for CALLER; None where it refuses the file."""
    path = folder / "sshd_config"
    path.write_text(text, encoding="utf-8")
    spec = f"user={CALLER.user},host={CALLER.host},addr={CALLER.address},laddr={CALLER.local_address},lport=22"
    command = [str(SSHD), "-T", "-f", str(path), "-h", str(folder / "key"), "-C", spec]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode else dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a host key, which sshd wants even for a test."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("needs OpenSSH's sshd and ssh-keygen")
    made = tmp_path_factory.mktemp("sshd")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(made / "key")], check=True)
    return made


def is_refused(lines: list[str]) -> bool:
    """Tell whether this reader finds a fault that sshd would not start with."""
    right = {
        "passwordauthentication": is_yes,
        "permitemptypasswords": is_yes,
        "clientaliveinterval": seconds,
        "clientalivecountmax": number,
        "maxsessions": number,
    }
    config = parse(lines)
    values = [one for keyword in right for one in config.values(keyword, lambda _one: None)]
    return (
        any(line.fault for line in config.lines)
        or any(one.fault for one in values)
        or any(len(line.arguments) != 1 or right[line.keyword](line.arguments[0]) is None for line in config.lines)
    )


@settings(parent=always, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES)
def test_f09_as_sshd_reads_it(folder: Path, lines: list[str]) -> None:
    """Each value must be the one that `sshd -T -C` shows, and a file that it refuses be refused here."""
    truth = read_by_sshd("\n".join(lines) + "\n", folder)
    assert (truth is None) is is_refused(lines)
    assume(truth is not None)
    assert truth is not None
    config = parse(lines)

    def of(keyword: str, default: str) -> str:
        return config.value_for(keyword, CALLER) or default

    for keyword, default in (("PasswordAuthentication", "yes"), ("PermitEmptyPasswords", "no")):
        assert truth[keyword.lower()] == of(keyword, default).casefold()
    assert int(truth["clientaliveinterval"]) == seconds(of("ClientAliveInterval", "0"))
    assert int(truth["clientalivecountmax"]) == number(of("ClientAliveCountMax", "3"))
    assert int(truth["maxsessions"]) == number(of("MaxSessions", "10"))


def test_f09_what_is_not_known_of_a_connection() -> None:
    """A condition on what is not known must leave both values possible."""
    config = parse(["MaxSessions 9", "Match User bob", "MaxSessions 1", "Match LocalPort 22", "MaxSessions 2"])
    assert "9" == config.value_for("MaxSessions", replace(CALLER, local_port=23))
    assert "2" == config.value_for("MaxSessions", CALLER)
    assert ["1", "2", "9"] == [one.value for one in config.values("MaxSessions", lambda _one: None)]
