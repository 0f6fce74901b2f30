"""What a user who is not root is told: to be root, and not that the program or a file is wrong (A8)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ecx_hyperv.config_file import read
from ecx_hyperv.ecx.maintenance import Flag, Kind, Maintenance
from ecx_hyperv.errors import ConfigError, LocalError
from tests.unit.clock import MIDNIGHT


def _deny(*_: object, **__: object) -> bytes:
    raise PermissionError(13, "Permission denied", "/etc/ecx-hyperv/config.toml")


def test_a8_a_configuration_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that only root may read must be told as that, with sudo as the remedy."""
    path = tmp_path / "config.toml"
    path.write_text("", encoding="utf-8")
    monkeypatch.setattr(Path, "read_bytes", _deny)
    monkeypatch.setattr("os.open", _deny)
    with pytest.raises(ConfigError) as caught:
        read(path)
    assert "run this as root (sudo)" == caught.value.remedy
    assert "a file that may be read" in str(caught.value)


_ACTS: dict[str, Callable[[Maintenance], object]] = {
    "find": lambda flags: flags.find(Kind.VM, "vm1", MIDNIGHT),
    "set": lambda flags: flags.set(Flag(Kind.VM, "vm1", MIDNIGHT)),
    "clear": lambda flags: flags.clear(Kind.VM, "vm1"),
}


@pytest.mark.parametrize("act", _ACTS)
def test_a8_a_state_folder_that_may_not_be_used(tmp_path: Path, act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags that only root may read or write must be told as that, with sudo as the remedy."""
    monkeypatch.setattr("ecx_hyperv.ecx.files._read", _deny)
    monkeypatch.setattr("ecx_hyperv.ecx.files._write", _deny)
    monkeypatch.setattr(Path, "unlink", _deny)
    with pytest.raises(LocalError) as caught:
        _ACTS[act](Maintenance(tmp_path))
    assert ("Permission denied", "run this as root (sudo)") == (caught.value.seen, caught.value.remedy)
