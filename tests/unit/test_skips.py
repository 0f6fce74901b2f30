"""What a run of the tests says where there is no PowerShell engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import NO_ENGINE, last_line

ROOT = Path(__file__).parents[2]
ONE_TEST = "tests/powershell/test_frames.py::test_request_without_calls_is_a_ping"


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one test that needs the engine, where ECX_PWSH says that there is none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ECX_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, ONE_TEST]
    return subprocess.run(
        command, cwd=ROOT, env={**kept, "ECX_PWSH": "", **variables}, capture_output=True, text=True, check=False
    )


def test_nothing_is_said_where_the_engine_ran() -> None:
    """Other skips, and none, must leave the last line alone."""
    assert not last_line(["no sshd on this machine: install openssh-server"])
    assert not last_line([])


@pytest.mark.parametrize("options", [(), ("-q", "-n", "1")], ids=["plain", "in processes"])
def test_last_line_says_in_plain_words_what_was_not_run(options: tuple[str, ...]) -> None:
    """Without the engine a run must pass, and its very last line must say what it did not run."""
    done = run(*options)
    assert 0 == done.returncode, done.stdout + done.stderr
    assert last_line([NO_ENGINE]) == done.stdout.splitlines()[-1]


def test_run_that_may_skip_nothing_fails() -> None:
    """Where CI forbids skips, a run without the engine must fail, and say what was not run all the same."""
    done = run(ECX_HYPERV_NO_SKIPS="1")
    assert 1 == done.returncode, done.stdout + done.stderr
    assert "1 tests were skipped, and none may be here" in done.stdout
    assert last_line([NO_ENGINE]) == done.stdout.splitlines()[-1]
