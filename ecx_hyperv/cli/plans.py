"""What a dry run shows of a start or stop: what the run will do, in its order, and how it will end."""

import click

from ecx_hyperv.config import Config
from ecx_hyperv.decide.steps import Act, Done, Fail, Wait
from ecx_hyperv.plain import flat
from ecx_hyperv.run.tasks import Task


def show_plan(task: Task, config: Config) -> None:
    """Print what will be done for a VM; how that ends is printed by whoever prints it for a real run."""
    steps = () if task.foreseen is None else task.foreseen.steps
    will = [_in_words(step) for step in steps if isinstance(step, Act | Wait)]
    goes = not task.is_start and isinstance(task.end, Done) and not task.end.stays
    csv = config.csv_of(task.name) or config.cluster.csv
    if goes and (task.foreseen is None or task.foreseen.end is not None):
        will.append(f"take the Shared Volume {csv} offline, if no other VM is on it")
    if will:
        click.echo(flat(f"{task.name}: the run will, as far as what is seen now allows:"))
    else:
        click.echo(flat(f"{task.name}: the run will change nothing"))
    for number, words in enumerate(will, 1):
        click.echo(flat(f"  {number}. {words}"))
    if isinstance(task.end, Fail):
        click.echo(flat(f"{task.name}: the run will fail with {int(task.end.exit)}: {task.end.what}"))


def _in_words(step: Act | Wait) -> str:
    return f"{step.words}: {step.why}" if isinstance(step, Act) else f"wait: {step.why}"
