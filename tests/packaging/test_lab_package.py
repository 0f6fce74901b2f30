"""The lab is a package of its own beside the EC-VM's: what `ecx-hyperv` says where nobody has installed that."""

import sys

import pytest

from ecx_hyperv import __version__
from ecx_hyperv.cli.main import main
from ecx_hyperv.exits import Exit


@pytest.fixture
def _without_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the import of the lab's commands fail, as it does where their file is missing."""
    monkeypatch.setitem(sys.modules, "ecx_hyperv.cli.lab", None)


def called(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """Return the exit code of ecx-hyperv and what it writes to the descriptors, which its queues write to."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    with pytest.raises(SystemExit) as ended:
        main.main(list(arguments), prog_name="ecx-hyperv")
    return ended.value.code, "".join(capfd.readouterr())


@pytest.mark.usefixtures("_without_lab")
@pytest.mark.parametrize("arguments", [(), ("--help",), ("start", "--fast", "--vm", "vm1"), ("run", "ec1", "--", "ls")])
def test_without_the_lab_its_package_is_named(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever is asked of the lab, one line names the package to install, and the exit code is that of usage."""
    code, said = called(monkeypatch, capfd, "lab", *arguments)

    assert Exit.USAGE == code
    assert f"ecx-hyperv lab is not installed; do: install the package ecx-hyperv-lab, version {__version__}\n" == said


@pytest.mark.usefixtures("_without_lab")
def test_without_the_lab_help_says_so(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The list of commands still has the lab, with the package that brings it, and all others."""
    code, said = called(monkeypatch, capfd, "--help")

    assert 0 == code
    assert "Not installed: the package ecx-hyperv-lab" in said
    assert {"check", "setup", "status"} <= set(said.split())


def test_damage_is_not_taken_for_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lab's commands are there and what they need is not, the error is not hidden."""
    monkeypatch.delitem(sys.modules, "ecx_hyperv.cli.lab", raising=False)
    monkeypatch.setitem(sys.modules, "ecx_hyperv.lab.linux.files", None)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    with pytest.raises(ModuleNotFoundError):
        main.main(["lab", "show"], prog_name="ecx-hyperv")
