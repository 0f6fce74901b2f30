"""Whatever configuration an earlier release took goes on to load: a stop that ends with 3 takes the node down."""

from pathlib import Path

import pytest

from ecx_hyperv.config_file import load

_ACCEPTED = sorted((Path(__file__).parent / "configs" / "accepted").glob("*.toml"))


@pytest.mark.parametrize("path", _ACCEPTED, ids=lambda path: path.stem)
def test_a_file_that_was_accepted_loads(path: Path) -> None:
    """A file whose values cannot hold together, but which release 0.1.0 took, is read without a mistake."""
    config = load(path)

    assert 2 == len(config.node)
    assert "Administrator@2016dom.local" == config.ssh.user


def test_the_samples_are_there() -> None:
    """There are samples of every kind of value that makes no sense together: timing, addresses, names, places."""
    names = {path.stem for path in _ACCEPTED}
    wanted = {"reserve-above-unregister", "no-settle", "interval-1e-300", "ec-vm-as-vm", "hosts-swapped"}
    assert wanted <= names
    assert len(names) >= 30
