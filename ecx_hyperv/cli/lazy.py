"""A group of commands of which some are imported only when they are called, or are in a package of their own."""

from importlib import import_module
from typing import Any

import click

from ecx_hyperv import __version__
from ecx_hyperv.cli.command import written_out
from ecx_hyperv.exits import Exit
from ecx_hyperv.output import Delivery


class LazyGroup(click.Group):
    """A group whose `lazy` commands are named as module:attribute.

    `packages` names, for a command whose module the RPM may not have installed, the package that brings the module.
    """

    def __init__(
        self, *args: Any, lazy: dict[str, str] | None = None, packages: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}
        self._packages = packages or {}

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command that is named, and end the process; a mistake at the prompt waits for its reader too."""
        with written_out(Delivery.COMPLETE):
            return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *self._lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now if it is a lazy one; where its package is missing, one that says so."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute = self._lazy[cmd_name].split(":")
        try:
            found = getattr(import_module(module), attribute)
        except ModuleNotFoundError as missing:
            # Any other module that is missing is damage, which must not be taken for a package that nobody installed.
            if cmd_name not in self._packages or missing.name != module:
                raise
            return _not_installed(cmd_name, self._packages[cmd_name])
        return found if isinstance(found, click.Command) else None


def _not_installed(name: str, package: str) -> click.Command:
    """Return a command that takes whatever it is given, names the package to install, and ends with 2."""

    def say(_arguments: tuple[str, ...]) -> None:
        context = click.get_current_context()
        click.echo(
            f"{context.command_path} is not installed; do: install the package {package}, version {__version__}",
            err=True,
        )
        context.exit(Exit.USAGE)

    return click.Command(
        name,
        callback=say,
        params=[click.Argument(["_arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
        short_help=f"Not installed: the package {package} brings it.",
    )
