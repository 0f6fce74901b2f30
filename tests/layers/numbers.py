"""The tables of numbers in docs/: defects of the forerunner, and what was found in the built program."""

import ast
import re
from dataclasses import dataclass
from enum import Enum

from tests.layers.source import ROOT


class RowState(Enum):
    """What a row says of its number."""

    OPEN = "open"
    REPAIRED = "repaired"
    CANNOT_APPLY = "cannot apply"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number, its state, and the tests that the row names, each as path::function."""

    number: str
    state: RowState
    tests: tuple[str, ...]


def rows(text: str) -> list[Row]:
    """Return the rows of every table in a page whose first column is a number and whose last two are state and test.

    Raises ValueError for a state that does not exist.
    """
    found = []
    for line in text.splitlines():
        # A bar inside a cell is written with a backslash.
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) > 2 and re.fullmatch(r"[A-Z]?\d+", cells[0]):
            found.append(Row(cells[0], RowState(cells[-2]), tuple(re.findall(r"`([^`]+::[^`]+)`", cells[-1]))))
    return found


def wrong(row: Row) -> list[str]:
    """Return what is wrong with a row's tests, one sentence each."""
    if row.state is not RowState.REPAIRED:
        return [f"{row.number} is {row.state.value} and names a test"] if row.tests else []
    if not row.tests:
        return [f"{row.number} is repaired and names no test"]
    return [f"{row.number} names {test}, which does not exist" for test in row.tests if not is_test(test)]


def proven() -> dict[str, list[str]]:
    """Return the tests that name a number of docs/found.md, as `@pytest.mark.proven("P4")` says it."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for test in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for mark in test.decorator_list if isinstance(test, ast.FunctionDef) else ():
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.proven":
                    for number in mark.args:
                        found.setdefault(ast.literal_eval(number), []).append(str(path.relative_to(ROOT)))
    return found


def is_test(place: str) -> bool:
    """Tell whether path::function is a test function that exists; the path is one below the root."""
    path, _, name = place.partition("::")
    file = ROOT / path
    if not file.is_file() or not name.startswith("test_"):
        return False
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in ast.walk(tree))
