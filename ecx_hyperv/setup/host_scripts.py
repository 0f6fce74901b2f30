"""A script for each host, as a file or printed: what setup ssh and setup host have in common."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ecx_hyperv.config import Config, Node
from ecx_hyperv.errors import UsageError
from ecx_hyperv.setup.files import Say, Writer, default_folder
from ecx_hyperv.setup.powershell import to_file


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptOptions:
    """Where the scripts go, and for which hosts.

    `only` is the address of one host or the name of its EC-VM's node, None both hosts; `output` is the folder of the
    files, None the default one; `to_stdout` prints the script of one host and writes no file.
    """

    only: str | None = None
    output: Path | None = None
    to_stdout: bool = False
    dry_run: bool = False


def write_each(
    config: Config, options: ScriptOptions, name: str, build: Callable[[Node], str], writer: Writer, say: Say
) -> None:
    """Build each host's script, and write it as setup-NAME-HOST.ps1 or print it with `say`.

    Raises UsageError for a host that is not configured and for two hosts to be printed, LocalError for a file that
    cannot be written.
    """
    nodes = _nodes(config, options.only)
    if options.to_stdout and len(nodes) > 1:
        raise UsageError("--print prints one script", seen=f"{len(nodes)} hosts", remedy="name one of them with --host")
    for node in nodes:
        script = build(node)
        if options.to_stdout:
            say(script.removesuffix("\n"))
            continue
        place = re.sub(r"[^A-Za-z0-9.-]", "_", node.host)
        folder = options.output or default_folder(config)
        writer.write(folder / f"setup-{name}-{place}.ps1", to_file(script), 0o644)


def _nodes(config: Config, only: str | None) -> tuple[Node, ...]:
    found = tuple(node for node in config.node if only is None or only in (node.host, node.name))
    if not found:
        known = ", ".join(f"{node.host} ({node.name})" for node in config.node)
        raise UsageError(f"no host {only!r}", seen=f"configured: {known}", remedy="name one of these")
    return found
