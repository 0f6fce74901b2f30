"""Man pages and README say of the commands what the commands say of themselves."""

import runpy
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from ecx_hyperv.exits import Exit

_CHECKOUT = Path(__file__).parents[2]
_ENTRIES: dict[str, str] = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "scripts"
]


def _paths(command: click.Command, name: str) -> list[str]:
    below = command.commands.items() if isinstance(command, click.Group) else ()
    return [name, *(path for word, one in below for path in _paths(one, f"{name}-{word}"))]


def test_every_command_has_a_page_and_a_completion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a page for each command and each below it, naming its options, and a completion for each program."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    runpy.run_path(str(_CHECKOUT / "packaging" / "pages.py"))["write"](tmp_path, _ENTRIES)
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "usr/share/man/man8").iterdir()}
    commands = [
        path
        for name, entry in _ENTRIES.items()
        for path in _paths(getattr(import_module(entry.split(":")[0]), entry.split(":")[1]), name)
    ]

    assert set() == {*commands, "ecx-hyperv-lab-start"} - set(pages)
    assert "\\-\\-dry\\-run" in pages["vm-start"]
    assert "2023-11-14" in pages["vm-start"]
    assert set(_ENTRIES) == {path.name for path in (tmp_path / "usr/share/bash-completion/completions").iterdir()}


def test_the_readme_tells_each_exit_code() -> None:
    """The README's table of exit codes is the one that the commands and their pages have."""
    readme = (_CHECKOUT / "README.md").read_text(encoding="utf-8")

    assert [] == [code for code in Exit if f"| {int(code)} | {code.means} |" not in readme]
