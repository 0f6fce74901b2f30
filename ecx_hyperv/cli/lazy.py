"""A group of commands of which some are imported only when they are called."""

from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose `lazy` commands are named as module:attribute."""

    def __init__(self, *args: Any, lazy: dict[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *self._lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now if it is a lazy one."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, attribute = self._lazy[cmd_name].split(":")
        found = getattr(import_module(module), attribute)
        return found if isinstance(found, click.Command) else None
