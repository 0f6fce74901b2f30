"""Man pages and bash completion, from the commands themselves, so that neither can drift from them."""

import importlib
import inspect
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

SECTION = "8"
_FILES = {
    "/etc/ecx-hyperv/config.toml": "the configuration, the same on both EC-VMs",
    "/etc/ecx-hyperv/config.last.toml": "the last copy of it that could be used",
    "/etc/ecx-hyperv/known_hosts": "the hosts' pinned SSH keys",
    "/var/lib/ecx-hyperv": "maintenance flags, what the monitors remember",
    "/run/ecx-hyperv": "locks",
    "/usr/share/ecx-hyperv/ecx": "the scripts for ECX's resources and monitors",
}


def write(root: Path, entries: dict[str, str]) -> None:
    """Write the pages and completions of all commands, and of theirs, below a build root."""
    from click.shell_completion import BashComplete

    manual = root / f"usr/share/man/man{SECTION}"
    completions = root / "usr/share/bash-completion/completions"
    for folder in (manual, completions):
        folder.mkdir(parents=True, exist_ok=True)
    for name, entry in entries.items():
        module, function = entry.split(":")
        command = getattr(importlib.import_module(module), function)
        for context in walk(command, name):
            title = context.command_path.replace(" ", "-")
            (manual / f"{title}.{SECTION}").write_text(page(context, sorted(entries)), encoding="utf-8")
        variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
        (completions / name).write_text(BashComplete(command, {}, name, variable).source() + "\n", encoding="utf-8")


def walk(command: "click.Command", name: str, parent: "click.Context | None" = None) -> "Iterator[click.Context]":
    """Yield a context for a command, and for each command below it that is not hidden."""
    import click

    context = click.Context(command, parent, info_name=name)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None and not found.hidden:
                yield from walk(found, below, context)


def page(context: "click.Context", others: list[str]) -> str:
    """Return a command's page."""
    from ecx_hyperv import __version__

    command, path = context.command, context.command_path
    day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    about = _paragraphs(command)
    lines = [
        f'.TH "{path.replace(" ", "-").upper()}" "{SECTION}" "{day}" "ecx-hyperv {__version__}" "ecx-hyperv"',
        *_section("NAME", f"{_text(path.replace(' ', '-'))} \\- {_text(about[0].rstrip('.'))}"),
        *_section("SYNOPSIS", f"\\fB{_text(path)}\\fR {_text(' '.join(command.collect_usage_pieces(context)))}"),
        *_section("DESCRIPTION", "\n.PP\n".join(_text(part) for part in about)),
        *_section("OPTIONS", *_items(_options(context))),
        *_section("COMMANDS", *_items(_commands(context))),
        *_section("EXIT STATUS", *_items(_exits(path))),
        *_section("ENVIRONMENT", *_items(_variables(context))),
        *_section("FILES", *_items(_FILES.items())),
        *_section("EXAMPLE", _text((command.epilog or "").removeprefix("Example: "))),
        *_section("SEE ALSO", ",\n".join(f"\\fB{_text(one)}\\fR({SECTION})" for one in others if one != path)),
    ]
    return "\n".join(lines) + "\n"


def _section(title: str, *lines: str) -> list[str]:
    return [f'.SH "{title}"', *lines] if any(lines) else []


def _items(items: Iterable[tuple[str, str]]) -> list[str]:
    return [f".TP\n\\fB{_text(word)}\\fR\n{_text(text)}" for word, text in items]


def _paragraphs(command: "click.Command") -> list[str]:
    return [" ".join(part.split()) for part in inspect.cleandoc(command.help or "").split("\n\n")]


def _options(context: "click.Context") -> Iterator[tuple[str, str]]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        # An argument is told of in the description.
        if record is not None and record[1]:
            yield record[0], " ".join(record[1].split())


def _commands(context: "click.Context") -> Iterator[tuple[str, str]]:
    import click

    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            below = context.command.get_command(context, name)
            if below is not None and not below.hidden:
                yield name, _paragraphs(below)[0]


def _variables(context: "click.Context") -> Iterator[tuple[str, str]]:
    for parameter in context.command.get_params(context):
        if isinstance(parameter.envvar, str):
            yield parameter.envvar, f"stands for {parameter.opts[0]} where that is not given"


def _exits(path: str) -> Iterator[tuple[str, str]]:
    from ecx_hyperv.exits import Exit

    for code in Exit:
        yield str(int(code)), code.means
    if path == "genw-vm":
        yield "genw-vm", "answers ECX with 0 or 1 only: what it cannot tell is 0, and an alert"


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"^([.'])", r"\\&\1", escaped)
