"""How the body of a command becomes the end of a process; each case is a process of its own, as it is for ECX."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import pytest

from ecx_hyperv.exits import Exit

_COMMAND = """
import click, os, sys, threading, time
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.errors import ConfigError, HostError, Mistake, Unreachable, UsageError
from ecx_hyperv.exits import Exit
from ecx_hyperv.output import Delivery

@click.command()
@click.argument("word")
@click.option("--times", type=int, default=1)
@run_to_exit({how})
def command(invocation: Invocation, word: str, times: int) -> Exit:
    \"\"\"Say a word.\"\"\"
    {body}

command()
"""


_BEST_EFFORT = "delivery=Delivery.BEST_EFFORT"


def run(body: str, *words: str, how: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command with this body in a process of its own."""
    return subprocess.run(_command(body, *words, how=how), capture_output=True, text=True, timeout=30, check=False)


def _command(body: str, *words: str, how: str = "") -> list[str]:
    return [sys.executable, "-c", _COMMAND.format(body=body, how=how), *(words or ("hello",))]


def _start(
    body: str, how: str = "", *, stdout: int | IO[Any], stderr: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(_command(body, how=how), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)


def _blocked() -> tuple[int, int]:
    """Return the two ends of a pipe that is full."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, bytes(4096))
    return reader, writer


@pytest.mark.parametrize("code", list(Exit))
def test_what_the_body_returns_is_the_exit_code(code: Exit) -> None:
    """The body's return value must end the process, and what it has printed must be there."""
    done = run(f"click.echo(word * times); return Exit.{code.name}", "ab", "--times", "2")
    assert (int(code), "abab\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        ("UsageError('wrong', seen='this', remedy='that')", Exit.USAGE),
        ("ConfigError([Mistake('f', 'k', 'v')])", Exit.CONFIG),
        ("Unreachable('h', 'gone')", Exit.UNREACHABLE),
        ("ValueError('odd')", Exit.CANNOT_TELL),
    ],
)
def test_an_error_is_one_line_with_its_code(raised: str, code: Exit) -> None:
    """An error must be told in one line with its exit code; nobody is shown a traceback."""
    done = run(f"raise {raised}")
    assert code == done.returncode
    (line,) = done.stderr.splitlines()
    assert f"exit: {int(code)}" in line


@pytest.mark.parametrize("raised", ["Unreachable('h', 'gone')", "ValueError('odd')"])
def test_a_blind_command_never_passes_its_trouble_off_as_its_answer(raised: str) -> None:
    """A monitor that cannot look must end with the code that it was given for that, and say why."""
    done = run(f"raise {raised}", how="blind=Exit.DONE")
    assert 0 == done.returncode
    assert "exit: 0" in done.stderr


def test_an_interrupt_is_told_and_ends_as_a_shell_counts_it() -> None:
    """Ctrl-C must end a command with 130 and say that it can be run again, also a blind one."""
    done = run("raise KeyboardInterrupt", how="blind=Exit.DONE")
    assert 130 == done.returncode
    assert "interrupted" in done.stderr


@pytest.mark.parametrize("how", ["", _BEST_EFFORT])
@pytest.mark.parametrize("code", [Exit.DONE, Exit.NOT_AS_ASKED])
def test_d01_a_reader_that_has_left_decides_nothing(code: Exit, how: str) -> None:
    """A command whose output nobody reads any longer must go on, and end with the code of its work."""
    reader, writer = os.pipe()
    os.close(reader)
    body = f"click.echo('a'); click.echo('b'); click.echo('on', err=True); return Exit.{code.name}"
    with _start(body, how, stdout=writer) as process:
        os.close(writer)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert code == process.wait(20)
    assert said.startswith("on\n")
    assert ("could not be written" in said) == bool(how)


def test_d01_a_pipe_of_the_work_that_breaks_is_no_reader_that_has_left() -> None:
    """An error of the work must not be taken for a reader that is gone: a stop would end with 0, its guest running."""
    done = run("raise BrokenPipeError")
    assert Exit.CANNOT_TELL == done.returncode
    assert "BrokenPipeError" in done.stderr


@pytest.mark.parametrize("how", ["", _BEST_EFFORT])
def test_d01_what_could_not_be_written_is_told(how: str) -> None:
    """Where the disk behind stdout is full, the code must be that of the work, and stderr must say what is missing."""
    with (
        open("/dev/full", "wb") as full,
        _start("click.echo('a\\nb'); return Exit.REFUSED", how, stdout=full) as process,
    ):
        assert process.stderr is not None
        assert "2 lines of stdout could not be written: No space left on device\n" == process.stderr.read().decode()
        assert Exit.REFUSED == process.wait(20)


@pytest.mark.parametrize("how", ["", _BEST_EFFORT])
@pytest.mark.parametrize("work", ["time.sleep(60)", "[invocation.log.error('x' * 1000) for _ in range(9000)]"])
def test_d09_the_guard_leaves_at_once(how: str, work: str) -> None:
    """At its limit a command must end with the guard's code although its outputs are blocked and its work hangs."""
    reader, writer = _blocked()
    began = time.monotonic()
    with _start(
        f"invocation.ending.guard(1, 6, 'late'); {work}; time.sleep(60)", how, stdout=writer, stderr=writer
    ) as one:
        assert Exit.OUT_OF_TIME == one.wait(20)
    assert time.monotonic() - began < 10
    os.close(reader)
    os.close(writer)


def test_d09_blocked_output_does_not_delay_the_work() -> None:
    """ECX's commands must do their work, and end soon after it, although nobody takes what they say."""
    reader, writer = _blocked()
    began = time.monotonic()
    body = "[invocation.log.error('x' * 1000) for _ in range(9000)]; click.echo('done'); return Exit.REFUSED"
    with _start(body, _BEST_EFFORT, stdout=writer, stderr=writer) as process:
        assert Exit.REFUSED == process.wait(20)
    assert time.monotonic() - began < 10
    os.close(reader)
    os.close(writer)


def test_d09_the_guard_does_not_change_the_code_of_work_that_is_over() -> None:
    """A limit that is reached while the end is being told must leave the code as the work earned it."""
    reader, writer = _blocked()
    body = "invocation.ending.guard(0.5, 6, 'late'); click.echo('done'); return Exit.REFUSED"
    with _start(body, _BEST_EFFORT, stdout=writer, stderr=writer) as process:
        assert Exit.REFUSED == process.wait(20)
    os.close(reader)
    os.close(writer)


def test_what_a_person_asked_to_see_waits_for_its_reader() -> None:
    """A command that is there to be read must be read whole, past its limit too, however slow its reader is."""
    body = "invocation.ending.guard(1, 6, 'late'); click.echo('x' * 3000000); click.echo('end'); return Exit.DONE"
    with _start(body, stdout=subprocess.PIPE) as process:
        time.sleep(2)
        assert process.stdout is not None
        assert b"x" * 3000000 + b"\nend\n" == process.stdout.read()
        assert Exit.DONE == process.wait(20)


def test_d01_descriptors_that_are_closed_go_to_nobody_else() -> None:
    """Where stdout and stderr are closed, a file that the work opens must not get what is said."""
    body = "f = open('/dev/zero'); click.echo('a'); invocation.log.error('b'); return Exit(f.fileno() > 2)"
    command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *_command(body)]
    assert 1 == subprocess.run(command, timeout=20, check=False).returncode


def test_a_thread_that_hangs_keeps_nobody() -> None:
    """A command must end with its body although a thread of it does not: ECX waits for the process."""
    done = run("threading.Thread(target=time.sleep, args=(60,)).start(); return Exit.NOT_AS_ASKED")
    assert 1 == done.returncode


def test_every_command_has_the_common_options() -> None:
    """The decorator must give a command its common options, and leave it its own and its help."""
    done = run("return Exit.DONE", "--help")
    for part in ("Say a word.", "--times", "--config", "--node", "--log-format", "--verbose", "--version"):
        assert part in done.stdout


def test_the_invocation_says_what_was_asked(tmp_path: Path) -> None:
    """The body must be handed the common options as facts."""
    body = "o = invocation.options; click.echo(f'{o.config} {o.node} {o.form.value} {o.verbose}'); return Exit.DONE"
    words = ("--config", str(tmp_path / "c"), "--node", "ec2", "--log-format", "json", "-v", "hello")
    assert f"{tmp_path / 'c'} ec2 json True\n" == run(body, *words).stdout


@pytest.mark.parametrize(
    ("raised", "said", "remedy"),
    [
        (
            "PermissionError(13, 'Permission denied', '/etc/x')",
            "/etc/x: Permission denied",
            "root",
        ),
        ("OSError(28, 'No space left on device', '/var/x')", "/var/x: No space left on device", "disk"),
        ("OSError(5, 'Input/output error')", "the system refused it: Input/output error", "disk"),
        ("OSError('odd')", "the system refused it: odd", "disk"),
    ],
)
def test_u12_what_the_system_refuses_is_no_error_in_the_program(raised: str, said: str, remedy: str) -> None:
    """A file that may not be read, or a disk that is full, must be told as that, with what to do."""
    done = run(f"raise {raised}")
    assert int(Exit.CANNOT_TELL) == done.returncode
    assert said in done.stderr
    assert remedy in done.stderr
    assert "error in the program" not in done.stderr
    assert 0 == run(f"raise {raised}", how="blind=Exit.DONE").returncode


_MISTAKE = """
import sys
import click
from ecx_hyperv.cli.main import main

click.UsageError.show = lambda error: sys.stderr.write(f"{type(sys.stderr).__name__}: {error.message}\\n")
main(sys.argv[1:])
"""


@pytest.mark.parametrize("words", [["nosuch"], ["maintenance", "nosuch"], ["status", "--nosuch"]])
def test_a_mistake_at_the_prompt_goes_through_the_writer(words: list[str]) -> None:
    """What is wrong with a command line of the group must go through the queue, and end with 2."""
    done = subprocess.run(
        [sys.executable, "-c", _MISTAKE, *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert 2 == done.returncode
    assert done.stderr.startswith("QueuedStream: No such ")
    closed = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable, "-c", _MISTAKE, *words], timeout=30, check=False
    )
    assert 2 == closed.returncode
