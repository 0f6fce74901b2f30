"""Plants each mistake of `mutations.py` in a copy of the project, and shows which checks catch it: `scripts/mutate`."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import click

from tests.proof.mutations import MUTATIONS, ROOT, Mutation

_EXAMPLES = {"tables": ("tests/decide", "tests/unit"), "runs": ("tests/run",)}
# From the quickest to the slowest.
_PROOF = {
    "found cases": (
        *("tests/proof/test_found_who.py", "tests/proof/test_found_volume.py", "tests/proof/test_found_time.py"),
        "tests/proof/test_found_retry.py",
    ),
    "golden stories": ("tests/proof/test_golden.py",),
    "pairs": ("tests/proof/test_pairs.py", "tests/proof/test_peer_pairs.py"),
    "random stories": ("tests/proof/test_stories.py",),
    "every observation": ("tests/proof/test_every_observation.py",),
    "faults": ("tests/proof/test_faults.py",),
}
_PARTS = ("ecx_hyperv", "tests", "config", "scripts", "pyproject.toml", "README.md")


def catchers(mutation: Mutation, *, every: bool) -> Iterator[str]:
    """Return the checks that catch a mistake; of the proof only the first that does, unless all are wanted."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for part in _PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, root / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, root / part)
        mutation.plant(root)
        yield from (check for check, tests in _EXAMPLES.items() if not _passes(root, tests))
        caught = (check for check, tests in _PROOF.items() if not _passes(root, tests))
        yield from caught if every else islice(caught, 1)


def _passes(root: Path, tests: tuple[str, ...]) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    # The copy comes before the installed project.
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise click.ClickException(f"pytest ended with {done.returncode}: {' '.join(tests)}")
    return done.returncode == 0


@click.command(name="scripts/mutate")
@click.option("--only", default="", help="Only the mistakes whose name holds this.")
@click.option("--jobs", default=2, show_default=True, help="How many at a time.")
@click.option("--every", is_flag=True, help="Run every check, whether or not one before has caught it.")
def main(only: str, jobs: int, every: bool) -> None:
    """Plant one mistake after another, and show which checks catch it; fails if one is not caught."""
    chosen = [mutation for mutation in MUTATIONS if only in mutation.name]
    missed = 0
    with ThreadPoolExecutor(jobs) as pool:
        found = pool.map(lambda mutation: list(catchers(mutation, every=every)), chosen)
        for mutation, caught in zip(chosen, found, strict=True):
            missed += not caught
            click.echo(f"{mutation.name}: {', '.join(caught) or 'NOT CAUGHT'}")
    click.echo(f"{len(chosen)} mistakes, {missed} not caught")
    raise SystemExit(int(missed > 0))


if __name__ == "__main__":
    main()
