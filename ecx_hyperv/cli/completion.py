"""What a shell completes beside options: the names of EC-VMs and VMs in the configuration that is used."""

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from ecx_hyperv.config import Config
from ecx_hyperv.config_file import DEFAULT, load_or_last
from ecx_hyperv.errors import EcxHypervError


def complete_node(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of an EC-VM."""
    config = _config(context)
    return [] if config is None else _items([node.name for node in config.node], begun)


def complete_name(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of a VM or an EC-VM."""
    config = _config(context)
    return [] if config is None else _items([*(vm.name for vm in config.vm), *(one.name for one in config.node)], begun)


def _items(names: list[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(begun)]


def _config(context: click.Context) -> Config | None:
    """Return the configuration, None where it cannot be read: a shell that completes must show no error."""
    given = context.params.get("config") or os.environ.get("ECX_HYPERV_CONFIG") or DEFAULT
    try:
        return load_or_last(Path(str(given)), lambda _config: None).config
    except (EcxHypervError, OSError):
        return None
