"""A configuration of an earlier version goes on to work after an upgrade, or is refused with the new key's name."""

from pathlib import Path

import pytest

from ecx_hyperv.config_file import load, parse
from ecx_hyperv.errors import ConfigError
from tests.unit.samples import MINIMAL

_OLDER = sorted((Path(__file__).parent / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", _OLDER, ids=lambda path: path.name)
def test_a_file_of_an_earlier_version_loads(path: Path) -> None:
    """A file with every key that a version knew loads; a key that has gone must be in RENAMED."""
    assert load(path).vm


def test_an_old_name_counts_as_the_new_one() -> None:
    """A key by its old name sets the key that it is called now, in a table and in a list of tables."""
    text = f'{MINIMAL}\n[timing]\ngrace = 77\n[[vm]]\nname = "vm9"\nexec = "web9"\n'
    config = parse(text, "config.toml", {"timing.grace": "shutdown", "vm.exec": "resource"})

    assert (77, "web9") == (config.timing.shutdown, config.vm[-1].resource)


def test_both_names_at_once_are_refused() -> None:
    """A file that has a key by both names is refused with the new name, since nobody can tell which is meant."""
    text = f"{MINIMAL}\n[timing]\ngrace = 77\nshutdown = 78\n"
    with pytest.raises(ConfigError) as refused:
        parse(text, "config.toml", {"timing.grace": "shutdown"})

    assert [("timing.grace", "shutdown alone, which is its new name", "grace and shutdown")] == [
        (one.key, one.expected, one.seen) for one in refused.value.mistakes
    ]
