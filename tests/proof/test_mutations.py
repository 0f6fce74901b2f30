"""The mistakes that `scripts/mutate` plants can still be planted."""

import shutil
from pathlib import Path

import pytest

from tests.proof.mutations import MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_place_of_a_mistake_is_still_there(mutation: Mutation, tmp_path: Path) -> None:
    """Each mistake must change the program as it is now, or planting it would prove nothing."""
    target = tmp_path / "ecx_hyperv" / mutation.file
    target.parent.mkdir(parents=True)
    shutil.copy2(ROOT / "ecx_hyperv" / mutation.file, target)
    before = target.read_text(encoding="utf-8")
    mutation.plant(tmp_path)
    assert before != target.read_text(encoding="utf-8")
