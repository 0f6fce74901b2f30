"""ecx-hyperv trust: what it shows, what it pins, and what it never pins."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from ecx_hyperv.cli import trust
from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.errors import HostError, Unreachable, UsageError
from ecx_hyperv.exits import Exit
from ecx_hyperv.host.known_hosts import KnownHosts
from ecx_hyperv.host.known_hosts_file import PinnedKey
from ecx_hyperv.host.ssh import SshTarget
from tests.unit.always import always
from tests.unit.samples import config_of
from tests.unit.test_known_hosts import ANOTHER_KIND, ONE, TWO, line, made

FIRST, SECOND = "192.0.2.1", "192.0.2.2"
NEW = made("after the reinstallation")
Answers = dict[str, Sequence[PinnedKey] | HostError]


class Trust:
    """The command on a file, with hosts that show what a test says."""

    def __init__(self, folder: Path, mocker: MockerFixture) -> None:
        self.path = folder / "known_hosts"
        self.answers: Answers = {FIRST: [ONE], SECOND: [TWO]}
        mocker.patch.object(trust, "fetch_host_keys", self._fetch)
        self.config = config_with(self.path)

    def _fetch(self, target: SshTarget, _deadline: Deadline) -> tuple[PinnedKey, ...]:
        answer = self.answers[target.address]
        if isinstance(answer, HostError):
            raise answer
        return tuple(answer)

    def pin(self, *replace: str, yes: bool = True, dry: bool = False) -> Exit:
        """Run the command."""
        return trust.pin(self.config, Deadline.after(SystemClock(), 10), yes=yes, dry=dry, replace=replace)

    def pinned(self, host: str) -> tuple[PinnedKey, ...]:
        """Return what is pinned for a host."""
        return KnownHosts.read(str(self.path)).pinned(host, 22)

    def write(self, *lines: str) -> bytes:
        """Make this the file, and return its bytes."""
        self.path.write_text("".join(lines), encoding="ascii")
        return self.path.read_bytes()


def config_with(known_hosts: Path) -> Config:
    """Return a configuration with two hosts and this file of pinned keys."""
    config = config_of()
    first, second = config.node
    return msgspec.structs.replace(
        config,
        ssh=msgspec.structs.replace(config.ssh, known_hosts=str(known_hosts)),
        node=(msgspec.structs.replace(first, host=FIRST), msgspec.structs.replace(second, host=SECOND)),
    )


@pytest.fixture
def hosts(tmp_path: Path, mocker: MockerFixture) -> Trust:
    """Return the command, with two hosts and no file yet."""
    return Trust(tmp_path, mocker)


def test_what_is_new_is_pinned(hosts: Trust, capsys: pytest.CaptureFixture[str]) -> None:
    """The keys of hosts that have no pins must be pinned, and a second run must have nothing to do."""
    assert Exit.DONE is hosts.pin()
    assert [(ONE,), (TWO,)] == [hosts.pinned(FIRST), hosts.pinned(SECOND)]
    before = hosts.path.read_bytes()
    assert Exit.DONE is hosts.pin(yes=False)
    assert before == hosts.path.read_bytes()
    assert f"all pinned already in {hosts.path}" in capsys.readouterr().out


@pytest.mark.parametrize("shown", [[NEW], [ANOTHER_KIND], [ONE, ANOTHER_KIND]], ids=["key", "kind", "one more kind"])
def test_f03_yes_never_pins_a_change(
    hosts: Trust, capsys: pytest.CaptureFixture[str], shown: Sequence[PinnedKey]
) -> None:
    """A changed key, or one of another kind, must not be pinned by --yes; the other host's new key must be."""
    hosts.write(line(FIRST, ONE))
    hosts.answers[FIRST] = shown
    assert Exit.LOGIN is hosts.pin()
    assert [(ONE,), (TWO,)] == [hosts.pinned(FIRST), hosts.pinned(SECOND)]
    said = capsys.readouterr()
    assert f"ecx-hyperv trust --replace {FIRST}" in said.err
    assert "CHANGED" in said.out
    # Both are shown: what answers, and what was pinned.
    assert all(key.fingerprint in said.out for key in [*shown, ONE])


def test_f03_a_change_is_pinned_for_the_host_that_is_named(hosts: Trust) -> None:
    """--replace must put what a host shows in place of all that its name pins, and touch no other host."""
    hosts.write(line(FIRST, ONE), "# a note\n", line(FIRST, ANOTHER_KIND), line(SECOND, ONE))
    hosts.answers = {FIRST: [NEW], SECOND: [NEW]}
    assert Exit.LOGIN is hosts.pin(FIRST)
    assert [(NEW,), (ONE,)] == [hosts.pinned(FIRST), hosts.pinned(SECOND)]
    assert "# a note\n" + line(SECOND, ONE) + line(FIRST, NEW) == hosts.path.read_text(encoding="ascii")


def test_f03_a_host_that_shows_nothing_keeps_its_pins(hosts: Trust) -> None:
    """A host that does not answer must keep its pins, with --replace too."""
    before = hosts.write(line(FIRST, ONE), line(SECOND, TWO))
    hosts.answers[FIRST] = Unreachable(FIRST, "no")
    assert Exit.UNREACHABLE is hosts.pin(FIRST)
    assert before == hosts.path.read_bytes()


def test_a_pin_that_is_no_longer_shown(hosts: Trust, capsys: pytest.CaptureFixture[str]) -> None:
    """A pinned key that the host has no more must be told, stay by itself, and go when the host is named."""
    before = hosts.write(line(FIRST, ONE), line(FIRST, ANOTHER_KIND), line(SECOND, TWO))
    assert Exit.DONE is hosts.pin()
    assert before == hosts.path.read_bytes()
    assert f"{ANOTHER_KIND.fingerprint}  pinned, but not shown by the host" in capsys.readouterr().out
    assert Exit.DONE is hosts.pin(FIRST)
    assert (ONE,) == hosts.pinned(FIRST)


def test_a_revoked_key_is_never_pinned(hosts: Trust) -> None:
    """A key that is revoked must not be pinned, whoever names the host; another key of the host may be."""
    revoked = "@revoked " + line("*", ONE)
    before = hosts.write(revoked, line(SECOND, TWO))
    assert Exit.LOGIN is hosts.pin(FIRST)
    assert before == hosts.path.read_bytes()
    hosts.answers[FIRST] = [ONE, ANOTHER_KIND]
    assert Exit.DONE is hosts.pin()
    assert (ANOTHER_KIND,) == hosts.pinned(FIRST)
    assert revoked in hosts.path.read_text(encoding="ascii")


def test_a_pattern_that_still_pins_another_key_is_told(hosts: Trust, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a line with a pattern goes on to pin an old key, a person must hear of it."""
    hosts.write(line("192.0.2.*", ONE))
    hosts.answers[FIRST] = [NEW]
    hosts.answers[SECOND] = [ONE]
    assert Exit.DONE is hosts.pin(FIRST)
    assert "still pins ssh-ed25519 " + ONE.fingerprint in capsys.readouterr().err


def test_a_host_that_nobody_has(hosts: Trust) -> None:
    """A name after --replace that is no host's address must be an error before anybody is asked."""
    hosts.answers.clear()
    with pytest.raises(UsageError, match=r"192\.0\.2\.9"):
        hosts.pin("192.0.2.9")


def test_no_is_an_answer(hosts: Trust, mocker: MockerFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """A person who says no must be told that nothing was pinned, and the command must not end as done."""
    mocker.patch("click.confirm", return_value=False)
    assert Exit.NOT_AS_ASKED is hosts.pin(yes=False)
    assert not hosts.path.exists()
    assert "nothing was pinned" in capsys.readouterr().out


def test_a_person_is_told_what_is_replaced(hosts: Trust, mocker: MockerFixture) -> None:
    """The question must name the hosts whose pins go."""
    hosts.write(line(FIRST, TWO))
    asked = mocker.patch("click.confirm", return_value=True)
    assert Exit.DONE is hosts.pin(FIRST, yes=False)
    assert f"Those of {FIRST} are to replace the pinned ones." in asked.call_args.args[0]


def test_a_dry_run_writes_nothing(hosts: Trust, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run must show, say in the future tense what will be pinned, and write nothing."""
    assert Exit.DONE is hosts.pin(dry=True, yes=False)
    said = capsys.readouterr().out
    assert f"will be pinned once a person agrees, in {hosts.path}; " in said
    assert not hosts.path.exists()


def test_u02_what_a_host_says_does_not_reach_the_terminal_raw(hosts: Trust, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever an unauthenticated server says must be shown without control characters, C1 and bidi marks."""
    hosts.answers = {
        FIRST: Unreachable(FIRST, "no", seen="SSH-1.0-\x1b[2A\x9b2K\u202eSHA256:fake"),
        SECOND: [PinnedKey("ssh-\x1b[2A", b"x")],
    }
    hosts.pin(dry=True)
    said = capsys.readouterr()
    assert all(one.isprintable() for one in (said.out + said.err).split("\n"))


KEYS = [ONE, TWO, NEW, ANOTHER_KIND]
OWN = st.lists(st.sampled_from(KEYS), unique=True, max_size=3)
SHOWN = st.lists(st.sampled_from(KEYS), unique=True, min_size=1, max_size=3) | st.none()


@settings(parent=always, max_examples=300)
@given(own=st.tuples(OWN, OWN), shown=st.tuples(SHOWN, SHOWN), replace=st.sets(st.sampled_from([FIRST, SECOND])))
def test_f03_what_holds_whatever_is_pinned_and_shown(
    tmp_path_factory: pytest.TempPathFactory,
    own: tuple[list[PinnedKey], ...],
    shown: tuple[list[PinnedKey] | None, ...],
    replace: set[str],
) -> None:
    """Pins must never become none, and change only for a host that had none or is named; a change must be told."""
    with pytest.MonkeyPatch.context() as patch:
        answers = dict(zip((FIRST, SECOND), shown, strict=True))

        def fetch(target: SshTarget, _: Deadline) -> tuple[PinnedKey, ...]:
            answer = answers[target.address]
            if answer is None:
                raise Unreachable(target.address, "no")
            return tuple(answer)

        patch.setattr(trust, "fetch_host_keys", fetch)
        path = tmp_path_factory.mktemp("trust") / "known_hosts"
        lines = [line(host, key) for host, keys in zip((FIRST, SECOND), own, strict=True) for key in keys]
        path.write_text("".join(lines), encoding="ascii")
        end = trust.pin(
            config_with(path), Deadline.after(SystemClock(), 10), yes=True, dry=False, replace=sorted(replace)
        )
    after = KnownHosts.read(str(path))
    for host, before, now in zip((FIRST, SECOND), own, shown, strict=True):
        pins = set(after.pinned(host, 22))
        may_change = now is not None and (not before or host in replace)
        assert pins == (set(now or []) if may_change else set(before))
        if not may_change:
            assert end is not Exit.DONE or set(now or []) <= set(before)
