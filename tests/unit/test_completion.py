"""What a shell completes: names out of the configuration, and never an error."""

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from ecx_hyperv.cli.main import main

SAMPLE = Path(__file__).parents[2] / "config" / "config.toml"


def completed(*words: str, begun: str = "") -> list[str]:
    """Return what the shell offers for the next word."""
    found = ShellComplete(main, {}, "ecx-hyperv", "_ECX_HYPERV_COMPLETE").get_completions(list(words), begun)
    return [item.value for item in found]


def test_a_move_completes_the_ec_vms(monkeypatch: pytest.MonkeyPatch) -> None:
    """`move` must offer the EC-VMs, `maintenance on` the VMs too, each that begins with what was typed."""
    monkeypatch.setenv("ECX_HYPERV_CONFIG", str(SAMPLE))
    assert ["ec1", "ec2"] == completed("move")
    assert ["ec2"] == completed("move", begun="ec2")
    assert {"ec1", "ec2", "Cent8.2-1"} <= {*completed("maintenance", "on"), *completed("maintenance", "off")}
    assert "move" in completed(begun="mo")


def test_a_configuration_that_cannot_be_read_completes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a configuration a shell must be offered nothing, and be shown nothing."""
    monkeypatch.setenv("ECX_HYPERV_CONFIG", str(tmp_path / "none.toml"))
    assert [] == completed("move")
    assert [] == completed("maintenance", "on")
    assert ("", "") == capsys.readouterr()
