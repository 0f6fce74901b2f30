"""Whatever stands where an input of each kind is expected: it is read, or refused by the one error of its reader."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecx_hyperv.errors import ConfigError
from tests.fuzz.kinds import KINDS
from tests.fuzz.spoiled import spoiled

_EXAMPLES = os.environ.get("ECX_HYPERV_EXAMPLES")


@pytest.mark.fuzz
@pytest.mark.parametrize("name", KINDS)
@settings(
    # In a nightly run the examples are others each time, and the seed is told.
    derandomize=_EXAMPLES is None,
    max_examples=int(_EXAMPLES or 500),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_input(name: str, data: st.DataObject) -> None:
    """A spoiled input must be read, or be refused by its reader's own error, and come out the same once more."""
    content = data.draw(spoiled(KINDS[name].samples))
    outcome = _outcome(name, content)
    assert outcome == _outcome(name, content)
    assert "not each" not in outcome


def _outcome(name: str, content: bytes) -> str:
    kind = KINDS[name]
    try:
        return repr(kind.read(content))
    except ConfigError as error:
        # Bad input has a place; the file of the test has another name each time.
        placed = all(one.line or one.key or one.seen for one in error.mistakes)
        return f"{len(error.mistakes)} mistakes, {'each' if placed else 'not each'} with its place"
    except kind.errors as error:
        return type(error).__name__
