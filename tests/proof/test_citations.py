"""Each of the forerunner's 57 defects is either named by a test that would show it, or said not to apply."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.proof.counts import Record, Tally

ALL = range(1, 58)
# What cannot happen to this program by the way it is made, with the reason.
CANNOT_APPLY = {
    28: "a slip between two variables of a pattern match that happens to reset a stale value: no state is taken from "
    "text by a pattern here, and each look builds its facts anew as one frozen value",
}
_TESTS = Path(__file__).parents[1]


def cited() -> dict[int, list[str]]:
    """Return the tests that name each number, as `@pytest.mark.defect(...)` says it."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(_TESTS.rglob("test_*.py")):
        for test in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                for number in _numbers(test):
                    found[number].append(f"{path.relative_to(_TESTS)}::{test.name}")
    return found


def _numbers(test: ast.FunctionDef) -> Iterator[int]:
    for mark in test.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.defect":
            yield from (ast.literal_eval(number) for number in mark.args)


def test_every_defect_is_cited_or_cannot_apply(record_property: Record) -> None:
    """Each number from 1 to 57 must be named by a test or be in the table of those that cannot apply, never in both."""
    found = cited()
    tests = {test for tests in found.values() for test in tests}
    Tally(record_property).add(
        "the forerunner's defects", shown_by_tests=len(found), tests=len(tests), that_cannot_apply=len(CANNOT_APPLY)
    )
    numbers = set(found)
    assert set() == numbers & set(CANNOT_APPLY)
    assert set(ALL) == numbers | set(CANNOT_APPLY)


def test_every_exception_has_its_reason() -> None:
    """Whatever is said not to apply must have a reason that a reader can weigh."""
    assert [] == [number for number, reason in CANNOT_APPLY.items() if len(reason.split()) < 10]


def test_the_exceptions_are_few() -> None:
    """What is said not to apply must stay the exception, or the table would be a way out."""
    assert len(CANNOT_APPLY) <= 3
