"""How the body of a command becomes the end of a process; each case is a process of its own, as it is for ECX."""

import subprocess
import sys
from pathlib import Path

import pytest

from ecx_hyperv.exits import Exit

_COMMAND = """
import click, os, sys, threading, time
from ecx_hyperv.cli.command import Invocation, run_to_exit
from ecx_hyperv.errors import ConfigError, HostError, Mistake, Unreachable, UsageError
from ecx_hyperv.exits import Exit

@click.command()
@click.argument("word")
@click.option("--times", type=int, default=1)
@run_to_exit({blind})
def command(invocation: Invocation, word: str, times: int) -> Exit:
    \"\"\"Say a word.\"\"\"
    {body}

command()
"""


def run(body: str, *words: str, blind: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command with this body in a process of its own."""
    text = _COMMAND.format(body=body, blind=blind and f"blind=Exit.{blind}")
    return subprocess.run(
        [sys.executable, "-c", text, *(words or ("hello",))], capture_output=True, text=True, timeout=30, check=False
    )


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
    done = run(f"raise {raised}", blind="DONE")
    assert 0 == done.returncode
    assert "exit: 0" in done.stderr


def test_an_interrupt_is_told_and_ends_as_a_shell_counts_it() -> None:
    """Ctrl-C must end a command with 130 and say that it can be run again, also a blind one."""
    done = run("raise KeyboardInterrupt", blind="DONE")
    assert 130 == done.returncode
    assert "interrupted" in done.stderr


def test_a_reader_that_has_left_is_no_error() -> None:
    """A command whose output nobody reads any longer must end quietly."""
    done = run("raise BrokenPipeError")
    assert (0, "") == (done.returncode, done.stderr)


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
    assert 0 == run(f"raise {raised}", blind="DONE").returncode
