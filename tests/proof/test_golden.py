"""Golden stories: the log that an operator reads of each case, held against the reviewed text in `stories/`.

A story that changed shows as a diff. `ECX_HYPERV_UPDATE_STORIES=1 pytest tests/proof/test_golden.py` writes them anew:
read each, as somebody would who was woken by it, before it is committed.
"""

import os
from pathlib import Path

import pytest

from tests.proof import more_scenarios, partitions  # noqa: F401 - they enter their stories among SCENES
from tests.proof.counts import Record, Tally
from tests.proof.scenarios import SCENARIOS, perform

STORIES = Path(__file__).with_name("stories")
UPDATE = bool(os.environ.get("ECX_HYPERV_UPDATE_STORIES"))


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_story_is_as_it_was_told(name: str, record_property: Record) -> None:
    """What the programs say and do in this case must be what was reviewed, line by line."""
    path = STORIES / f"{name}.txt"
    seen = perform(name)
    if UPDATE:
        STORIES.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.exists() else ""
    Tally(record_property).add("golden stories", stories=1, lines=len(seen.splitlines()))
    assert expected.splitlines() == seen.splitlines()


def test_no_story_is_left_over() -> None:
    """Every text must be the story of a case that is played, and every case have its text."""
    names = {path.stem for path in STORIES.iterdir()}
    if UPDATE:
        for name in names - set(SCENARIOS):
            (STORIES / f"{name}.txt").unlink()
        return
    assert set(SCENARIOS) == names


@pytest.mark.parametrize("name", ["host-1-loses-power", "move-there-and-back"])
def test_a_story_goes_the_same_way_twice(name: str) -> None:
    """The same story played twice in one process must be the same to the tenth of a second."""
    assert perform(name) == perform(name)
