"""The commands of the EC-VM: found, limited, and never read by a shell."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.ecx import commands
from ecx_hyperv.ecx.commands import Completed, find, ping, run
from ecx_hyperv.errors import LocalError
from ecx_hyperv.exits import Exit
from tests.unit.always import always
from tests.unit.runner import FakeRunner, printed

# Long enough for any command here on any machine.
AMPLE = 60


def put_command(folder: Path, name: str, content: str) -> Path:
    """Put an executable file into a folder."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(content, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_command_is_found_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What PATH names must come before the system's own commands."""
    path = put_command(tmp_path, "ping", "#!/bin/sh\necho mine\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert str(path) == find("ping")
    assert "mine\n" == run(["ping"], AMPLE).text


@pytest.mark.parametrize("path", [None, "", "/nowhere"])
def test_a_command_is_found_without_path(path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """ECX may call a script without PATH, so the usual places must be looked at in any case."""
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path)
    assert os.path.isabs(find("sh"))
    assert "x\n" == run(["sh", "-c", "echo x"], AMPLE).text


@pytest.mark.parametrize("path", [None, ""])
def test_no_command_is_taken_from_where_one_stands(
    path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without PATH, a file in the folder that a script runs in must not pass for a command, nor hide the real one."""
    put_command(tmp_path, "clpstat-of-nobody", "#!/bin/sh\necho mine\n")
    put_command(tmp_path, "sh", "#!/bin/sh\necho mine\n")
    monkeypatch.chdir(tmp_path)
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path)
    with pytest.raises(LocalError):
        find("clpstat-of-nobody")
    assert os.path.isabs(find("sh"))


def test_a_command_that_is_not_there_is_named() -> None:
    """A missing command must be an error of this machine that names it and says what to install."""
    with pytest.raises(LocalError) as caught:
        run(["clpstat-of-nobody"], AMPLE)
    assert Exit.CANNOT_TELL is caught.value.exit
    assert "clpstat-of-nobody" in caught.value.what
    assert "not on PATH, nor in /usr/sbin, /opt/nec/clusterpro/bin, /usr/bin, /sbin, /bin" == caught.value.seen
    assert "install" in caught.value.remedy


def test_a_file_that_may_not_be_run_is_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without the right to be executed must be passed over."""
    put_command(tmp_path, "clpstat-of-nobody", "#!/bin/sh\n").chmod(0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError):
        find("clpstat-of-nobody")


def test_a_file_that_cannot_be_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that the system can't execute must be an error of this machine, with its path."""
    path = put_command(tmp_path, "clpstat-of-nobody", "\x7fELF no program")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError) as caught:
        run(["clpstat-of-nobody"], AMPLE)
    assert str(path) in caught.value.what


def test_an_argument_that_cannot_be_handed_over_is_an_error_of_ours() -> None:
    """An argument that no command can be given must be an error of this machine, not of the program."""
    with pytest.raises(LocalError):
        run(["printf", "%s", "a\x00b"], AMPLE)


@pytest.mark.defect(5)
def test_a_command_ends_with_what_it_said() -> None:
    """The exit code and both outputs must come back apart from each other."""
    assert Completed(3, b"out\n", b"err\n") == run(["sh", "-c", "echo out; echo err >&2; exit 3"], AMPLE)


def test_a_command_that_was_killed_has_failed() -> None:
    """The end by a signal must not look like success."""
    assert -9 == run(["sh", "-c", "kill -9 $$"], AMPLE).code


@pytest.mark.parametrize("seconds", [0.1, 0, -5])
def test_a_command_is_killed_after_its_limit(seconds: float) -> None:
    """A command that hangs must be killed at its limit, at once if no time is left, and say so by having no code."""
    began = time.monotonic()
    assert run(["sleep", "300"], seconds).code is None
    assert time.monotonic() - began < AMPLE


@pytest.mark.parametrize("seconds", [0.5, 0, -5])
def test_what_a_command_printed_before_its_limit_is_kept(seconds: float) -> None:
    """What was printed until the limit must be kept, if the command came to it."""
    done = run(["sh", "-c", "printf 'so far'; exec sleep 300"], seconds)
    assert done.code is None
    assert done.stdout in (b"so far", b"")
    assert seconds < 0.5 or done.stdout


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_u08_a_command_that_prints_for_ever_takes_little(stream: str) -> None:
    """A command that never stops printing must be ended, and no more of it be kept than a command ever prints."""
    began = time.monotonic()
    done = run(["sh", "-c", f"exec yes 'a line that is printed again and again' {stream}"], 2)
    assert done.code is None
    assert len(done.stdout) <= commands.MOST_PRINTED
    assert len(done.stderr) <= commands.MOST_PRINTED
    assert time.monotonic() - began < AMPLE


def test_u08_a_command_that_prints_too_much_is_ended_before_its_limit() -> None:
    """Too much output must end a command at once: it would fill the memory until the limit is reached."""
    began = time.monotonic()
    done = run(["yes"], AMPLE)
    assert done.code is None
    assert done.is_cut
    assert time.monotonic() - began < AMPLE / 2


def test_u08_much_output_is_kept_whole() -> None:
    """An output of a megabyte must come back as it was, on both streams side by side."""
    script = "head -c 1000000 /dev/zero | tr '\\0' x; head -c 60000 /dev/zero | tr '\\0' y >&2"
    assert Completed(0, b"x" * 1_000_000, b"y" * 60_000) == run(["sh", "-c", script], AMPLE)


def test_a_service_that_a_command_starts_holds_nobody() -> None:
    """What a command leaves behind may keep its output open: the command is over when its own process is."""
    began = time.monotonic()
    assert Completed(0, b"started\n", b"") == run(["sh", "-c", "sleep 300 & echo started; exit 0"], AMPLE)
    assert time.monotonic() - began < AMPLE / 4


def test_a_command_that_closes_its_output_is_waited_for() -> None:
    """A command that goes on without any output must be waited for, up to its limit."""
    assert Completed(3, b"", b"") == run(["sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 3"], AMPLE)
    assert run(["sh", "-c", "exec >&- 2>&-; exec sleep 300"], 0.3).code is None


@pytest.mark.defect(9)
def test_no_shell_reads_an_argument() -> None:
    """Whatever a name holds, it must reach the command as it is."""
    arguments = ["$(id)", "`id`", "; exit 1", "a  b", "*", "'\"", "~", "日本語", ""]
    assert "".join(f"<{one}>" for one in arguments) == run(["printf", "<%s>", *arguments], AMPLE).text


def test_a_command_that_asks_gets_no_answer() -> None:
    """A command that reads its input must find it empty rather than wait for a person."""
    assert Completed(0, b"", b"") == run(["cat"], AMPLE)


def test_a_command_speaks_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever language this machine speaks, a command must be asked to answer in the one that is understood."""
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    monkeypatch.setenv("ECX_HYPERV_TEST", "kept")
    assert "C\n" == run(["printenv", "LC_ALL"], AMPLE).text
    assert "kept\n" == run(["printenv", "ECX_HYPERV_TEST"], AMPLE).text


@pytest.mark.parametrize(("home", "expected"), [(None, "/root\n"), ("/home/operator", "/home/operator\n")])
def test_a_command_has_a_home(home: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME, which ECX may leave unset, must be root's unless it is said."""
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", home)
    assert expected == run(["printenv", "HOME"], AMPLE).text


@always
@given(printed_bytes=st.binary())
def test_any_output_is_text(printed_bytes: bytes) -> None:
    """Whatever a command prints, in whatever encoding, reading it must be no error."""
    text = Completed(0, printed_bytes, b"").text
    assert text == text.encode().decode()


@pytest.mark.parametrize(("code", "answers"), [(0, True), (1, False), (2, False), (None, False)])
def test_an_address_answers_a_ping_or_not(*, code: int | None, answers: bool) -> None:
    """Only a ping that succeeds must count as an answer, and it must end by itself before it is killed."""
    runner = FakeRunner(printed("", code))
    assert answers is ping(runner, "192.168.137.200", 2)
    assert [(["ping", "-n", "-c", "1", "-W", "2", "192.168.137.200"], 4)] == runner.calls
