"""Random stories by the thousand: `scripts/soak --seed N --stories N`."""

import time

import click
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.machine import Stories, told


@click.command(name="scripts/soak")
@click.option("--seed", "number", default=1, show_default=True, help="Which stories.")
@click.option("--stories", default=100, show_default=True, help="How many.")
@click.option("--events", default=12, show_default=True, help="The most in one story.")
def main(number: int, stories: int, events: int) -> None:
    """Play random stories over the whole lab; one that breaks a rule is told again, as short as it gets."""
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
    raise SystemExit(int(failed))


if __name__ == "__main__":
    main()
