"""The numbers in docs/ and the tests that they name."""

import re
from collections import Counter

import pytest

from tests.layers.numbers import Row, RowState, is_test, proven, rows, wrong
from tests.layers.source import ROOT
from tests.proof.test_citations import CANNOT_APPLY, cited

_PAGES = ("docs/defects.md", "docs/found.md")


def _page(name: str) -> list[Row]:
    return rows((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", _PAGES)
def test_each_number_stands_once(page: str) -> None:
    """A number must mean one thing."""
    assert [] == [number for number, count in Counter(row.number for row in _page(page)).items() if count > 1]


@pytest.mark.parametrize("page", _PAGES)
def test_what_is_repaired_names_a_test_that_exists(page: str) -> None:
    """A row may say repaired only with a test that would show the fault again."""
    assert [] == [line for row in _page(page) for line in wrong(row)]


def test_every_cited_defect_is_explained() -> None:
    """A number that a test cites must stand in docs/defects.md as repaired, and no other may."""
    repaired = {int(row.number) for row in _page("docs/defects.md") if row.state is RowState.REPAIRED}
    assert set(cited()) == repaired


def test_every_proven_number_is_explained() -> None:
    """A number that a test cites as proven must stand in docs/found.md."""
    assert set() == set(proven()) - {row.number for row in _page("docs/found.md")}
    assert "P4" in proven()


def test_what_cannot_apply_is_said_alike() -> None:
    """The defects that cannot apply must be the same in docs/defects.md and in the citations."""
    assert set(CANNOT_APPLY) == {
        int(row.number) for row in _page("docs/defects.md") if row.state is RowState.CANNOT_APPLY
    }


def test_the_test_of_a_defect_cites_it() -> None:
    """The test that docs/defects.md names for a number must carry that number."""
    found = cited()
    strangers = [
        (row.number, test)
        for row in _page("docs/defects.md")
        for test in row.tests
        if test.removeprefix("tests/") not in found.get(int(row.number), [])
    ]
    assert [] == strangers


def test_documents_stand_alone() -> None:
    """Every link between the pages must lead to a file of this repository."""
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "README.md"]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert [] == broken


def test_a_repaired_row_without_a_test_is_told() -> None:
    """The guard must refuse a repair without a test, with a test that does not exist, and a test of an open row."""
    text = "| D1 | a \\|\\| b | time | repaired | - |\n| D2 | a | time | repaired | `tests/no.py::test_no` |\n"
    text += "| D3 | a | time | open | `tests/no.py::test_no` |\n| D4 | a | time | open | - |\n| what | state | test |\n"
    found = rows(text)
    assert ["D1", "D2", "D3", "D4"] == [row.number for row in found]
    assert [1, 1, 1, 0] == [len(wrong(row)) for row in found]


def test_a_state_that_does_not_exist_is_refused() -> None:
    """A row with any other word in place of a state must not pass for an open one."""
    with pytest.raises(ValueError, match="mended"):
        rows("| D1 | a | time | mended | - |")


def test_a_test_is_found_by_path_and_name() -> None:
    """The guard must find this function, and neither another name nor another file."""
    here = "tests/layers/test_numbers.py"
    assert is_test(f"{here}::test_a_test_is_found_by_path_and_name")
    assert not is_test(f"{here}::test_that_is_not_there")
    assert not is_test("tests/layers/not_there.py::test_a_test_is_found_by_path_and_name")
