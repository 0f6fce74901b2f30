"""The tree of errors, and the exit codes they end in."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.errors import (
    ConfigError,
    EcxHypervError,
    HostError,
    HostKeyRefused,
    LocalError,
    LoginRefused,
    Mistake,
    NoAgent,
    NoCommonAlgorithm,
    SessionLost,
    Silent,
    Unreachable,
    UsageError,
    sentence,
)
from ecx_hyperv.exits import Exit, worst
from tests.unit.always import always

HOST_ERRORS = (HostError, Unreachable, Silent, LoginRefused, HostKeyRefused, NoCommonAlgorithm, NoAgent, SessionLost)


def test_the_exit_codes_are_as_documented() -> None:
    """ECX and scripts rely on the numbers, so none must ever change."""
    expected = {
        "DONE": 0,
        "NOT_AS_ASKED": 1,
        "USAGE": 2,
        "CONFIG": 3,
        "UNREACHABLE": 4,
        "LOGIN": 5,
        "OUT_OF_TIME": 6,
        "CANNOT_TELL": 7,
        "REFUSED": 8,
    }
    assert expected == {one.name: one.value for one in Exit}


def test_the_worst_of_several_follows_the_documented_order() -> None:
    """For several VMs the first that occurs of 1, 8, 6, 7, 5, 4, 3 must speak, in whatever order they ended."""
    order = [Exit(code) for code in (1, 8, 6, 7, 5, 4, 3, 0)]
    for place, code in enumerate(order):
        for two_more in permutations(order[place:], 2):
            assert code == worst([*two_more, code]) == worst([code, *two_more])


@pytest.mark.parametrize("code", list(Exit))
def test_the_worst_of_one_is_that_one(code: Exit) -> None:
    """A single VM's exit code must be passed on, beside any number of VMs that are done."""
    assert code == worst([code])
    assert code == worst([Exit.DONE, code, Exit.DONE])


def test_the_worst_of_none_is_done() -> None:
    """Where nothing was asked, nothing has gone wrong."""
    assert Exit.DONE == worst([])


@pytest.mark.defect(12)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), Exit.USAGE),
        (ConfigError([Mistake("f", "k", "v")]), Exit.CONFIG),
        (LocalError("x"), Exit.CANNOT_TELL),
        (Unreachable("h", "x"), Exit.UNREACHABLE),
        (Silent("h", "x"), Exit.UNREACHABLE),
        (LoginRefused("h", "x"), Exit.LOGIN),
        (HostKeyRefused("h", "x"), Exit.LOGIN),
        (NoCommonAlgorithm("h", "x"), Exit.LOGIN),
        (NoAgent("h", "x"), Exit.UNREACHABLE),
        (SessionLost("h", "x"), Exit.UNREACHABLE),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, EcxHypervError) else "",
)
def test_each_error_has_its_exit_code(error: EcxHypervError, code: Exit) -> None:
    """Each error must end a command with the code that its kind is documented with."""
    assert code is error.exit


@pytest.mark.parametrize("kind", HOST_ERRORS)
def test_trouble_with_a_host_names_the_host(kind: type[HostError]) -> None:
    """Every trouble with a host must be caught as one, and name the host in what it says and as a value."""
    error = kind("192.168.137.196", "does not answer", seen="timed out", remedy="see sshd")
    assert isinstance(error, HostError)
    assert "192.168.137.196" == error.host
    assert "192.168.137.196: does not answer; seen: timed out; do: see sshd" == str(error)
    assert "192.168.137.196: does not answer" == error.summary


@pytest.mark.parametrize("kind", HOST_ERRORS)
def test_a_line_that_names_the_host_itself_names_it_once(kind: type[HostError]) -> None:
    """What is wrong must be had without the host, so that a table or a list of hosts does not name it twice."""
    error = kind("192.168.137.196", "does not answer", seen="timed out", remedy="see sshd")
    assert "does not answer" == error.what
    assert "does not answer; seen: timed out; do: see sshd" == error.details


def test_what_is_about_no_host_is_told_as_it_is() -> None:
    """An error that is about no host must say the same in all three ways."""
    error = LocalError("it broke", seen="smoke")
    assert ("it broke", "it broke; seen: smoke", "it broke; seen: smoke") == (error.summary, error.details, str(error))


@pytest.mark.parametrize("kind", HOST_ERRORS)
def test_only_a_lost_session_leaves_it_open_what_was_done(kind: type[HostError]) -> None:
    """Only what breaks in the middle may have been carried out all the same."""
    assert (kind is SessionLost) == kind("h", "x").may_have_been_done


@pytest.mark.parametrize("other", [UsageError, ConfigError, LocalError])
def test_nothing_of_our_own_passes_for_trouble_with_a_host(other: type[EcxHypervError]) -> None:
    """What is wrong on this side must never be taken for a host's silence."""
    assert not issubclass(other, HostError)


@pytest.mark.parametrize(
    ("what", "seen", "remedy", "expected"),
    [
        ("it broke", "", "", "it broke"),
        ("it broke", "smoke", "", "it broke; seen: smoke"),
        ("it broke", "", "mend it", "it broke; do: mend it"),
        ("it broke", "smoke", "mend it", "it broke; seen: smoke; do: mend it"),
        ("it\nbroke", " black\r\n  smoke ", "mend\tit", "it broke; seen: black smoke; do: mend it"),
    ],
)
def test_a_sentence_has_its_parts_in_order(what: str, seen: str, remedy: str, expected: str) -> None:
    """A sentence must say what is wrong, what was seen and what to do, each only if there is something to say."""
    assert expected == sentence(what, seen, remedy)
    assert expected == str(EcxHypervError(what, seen=seen, remedy=remedy))


@always
@given(what=st.text(), seen=st.text(), remedy=st.text())
def test_an_error_is_one_line(what: str, seen: str, remedy: str) -> None:
    """Whatever a host has said, an error must be told in one line."""
    assert len(str(LocalError(what, seen=seen, remedy=remedy)).splitlines()) <= 1


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (Mistake("c.toml", "ssh.port", "an integer", "'x'"), "c.toml: ssh.port: expected an integer, not 'x'"),
        (Mistake("c.toml", "ssh.port", "an integer"), "c.toml: ssh.port: expected an integer"),
        (Mistake("c.toml", "", "valid TOML", "nonsense"), "c.toml: expected valid TOML, not nonsense"),
    ],
)
def test_a_mistake_names_its_place(mistake: Mistake, expected: str) -> None:
    """A mistake must name the file, the key if there is one, what was expected and what is there."""
    assert expected == str(mistake)


def test_a_configuration_with_one_mistake_tells_it() -> None:
    """A single mistake must be told whole, with what to do."""
    error = ConfigError([Mistake("c.toml", "a", "b", "c")])
    assert "c.toml: a: expected b, not c; do: correct c.toml, then: ecx-hyperv config check" == str(error)


def test_a_configuration_with_more_mistakes_counts_them() -> None:
    """Of several mistakes the first must be told and the others counted, and all of them kept."""
    mistakes = [Mistake("c.toml", key, "a value", "missing") for key in ("a", "b", "c")]
    error = ConfigError(mistakes)
    assert tuple(mistakes) == error.mistakes
    assert str(mistakes[0]) in str(error)
    assert "and 2 more" in str(error)


def test_a_configuration_error_may_have_a_remedy_of_its_own() -> None:
    """A remedy that was given must be told instead of the usual one."""
    assert "; do: call someone" in str(ConfigError([Mistake("c.toml", "a", "b")], remedy="call someone"))
