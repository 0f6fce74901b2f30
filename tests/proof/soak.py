"""Random stories and spoiled inputs by the thousand: `scripts/soak --seed N --stories N --examples N`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import click
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.machine import Stories, told


@click.command(name="scripts/soak")
@click.option("--seed", "number", default=1, show_default=True, help="Which stories.")
@click.option("--stories", default=100, show_default=True, help="How many.")
@click.option("--events", default=12, show_default=True, help="The most in one story.")
@click.option("--examples", default=10_000, show_default=True, help="How many spoiled inputs of each kind.")
def main(number: int, stories: int, events: int, examples: int) -> None:
    """Play random stories over the whole lab, and read spoiled inputs; what breaks a rule is told as short as it gets.

    0 stories, or 0 examples, leave that part out.
    """
    broken = [stories > 0 and not _play(number, stories, events), examples > 0 and not _read_spoiled(number, examples)]
    raise SystemExit(int(any(broken)))


def _play(number: int, stories: int, events: int) -> bool:
    """Play the stories, and say whether every rule held."""
    began = time.monotonic()
    chosen = settings(
        max_examples=stories,
        stateful_step_count=events,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    failed = False
    try:
        run_state_machine_as_test(seed(number)(Stories), settings=chosen)
    except AssertionError as failure:
        failed = True
        click.echo("\n".join([str(failure), *getattr(failure, "__notes__", ())]))
    counts = ", ".join(f"{count:,} {what}" for what, count in told.items())
    click.echo(f"seed {number}: {'a rule is broken' if failed else 'every rule held'}: {counts}", nl=False)
    click.echo(f", {time.monotonic() - began:.0f} s")
    return not failed


def _read_spoiled(number: int, examples: int) -> bool:
    """Run the tests of the mark fuzz with other and more examples, and say whether all passed."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "fuzz", "--numprocesses", "2", "tests/fuzz"]
    environ = {**os.environ, "ECX_HYPERV_EXAMPLES": str(examples)}
    root = Path(__file__).parents[2]
    done = subprocess.run([*command, f"--hypothesis-seed={number}"], cwd=root, env=environ, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    main()
