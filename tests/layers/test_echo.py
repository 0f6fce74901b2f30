"""Nothing from outside reaches a terminal raw: what a command prints has gone through `plain`."""

import ast
from pathlib import Path

import pytest

from tests.layers.source import ROOT

# The lab prints what it made itself.
COMMANDS = sorted(path for path in (ROOT / "ecx_hyperv" / "cli").glob("*.py") if path.name != "lab.py")
MADE_PLAIN = {"flat", "flat_lines", "as_json"}


def raw(text: ast.expr) -> bool:
    """Tell whether a printed text is neither a constant nor made plain."""
    if isinstance(text, ast.Constant):
        return False
    if isinstance(text, ast.IfExp):
        return raw(text.body) or raw(text.orelse)
    if not isinstance(text, ast.Call):
        return True
    maker = text.func
    name = maker.id if isinstance(maker, ast.Name) else maker.attr if isinstance(maker, ast.Attribute) else ""
    return name not in MADE_PLAIN


def printed(path: Path) -> list[tuple[int, ast.expr]]:
    """Return each text that a module prints by click, with its line."""
    calls = [one for one in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(one, ast.Call)]
    return [
        (one.lineno, one.args[0])
        for one in calls
        if isinstance(one.func, ast.Attribute) and one.func.attr in ("echo", "secho", "confirm", "prompt") and one.args
    ]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_u03_what_is_printed_was_made_plain(path: Path) -> None:
    """Each text that a command prints must be a constant, or have gone through `plain`."""
    # A script that is not for a terminal; the checks' own names; what is missing of the program itself.
    allowed = {"setup.py": 1, "check.py": 2, "lazy.py": 1}.get(path.name, 0)
    found = [line for line, text in printed(path) if raw(text)]
    assert len(found) <= allowed, f"{path.name}: lines {found}"


def test_a_raw_text_is_told() -> None:
    """The guard must see a text that is printed as it came."""
    assert raw(ast.parse("x", mode="eval").body)
    assert raw(ast.parse("f'{x}'", mode="eval").body)
    assert not raw(ast.parse("flat(x)", mode="eval").body)
