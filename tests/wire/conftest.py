"""A host of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.support import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a host that answers."""
    one = Site(tmp_path)
    one.open()
    yield one
    one.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """Return two hosts that answer."""
    both = Site(tmp_path, 2), Site(tmp_path, 3)
    for one in both:
        one.open()
    yield both
    for one in both:
        one.close()
