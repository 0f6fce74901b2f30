"""The lab is a package of its own beside the EC-VM's: what `ecx-hyperv` says where nobody has installed that."""

import sys

import pytest
from click.testing import CliRunner

from ecx_hyperv import __version__
from ecx_hyperv.cli.main import main
from ecx_hyperv.exits import Exit


@pytest.fixture
def _without_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the import of the lab's commands fail, as it does where their file is missing."""
    monkeypatch.setitem(sys.modules, "ecx_hyperv.cli.lab", None)


@pytest.mark.usefixtures("_without_lab")
@pytest.mark.parametrize("arguments", [(), ("--help",), ("start", "--fast", "--vm", "vm1"), ("run", "ec1", "--", "ls")])
def test_without_the_lab_its_package_is_named(arguments: tuple[str, ...]) -> None:
    """Whatever is asked of the lab, one line names the package to install, and the exit code is that of usage."""
    done = CliRunner().invoke(main, ["lab", *arguments], prog_name="ecx-hyperv")

    assert Exit.USAGE == done.exit_code
    assert (
        f"ecx-hyperv lab is not installed; do: install the package ecx-hyperv-lab, version {__version__}\n"
        == done.output
    )


@pytest.mark.usefixtures("_without_lab")
def test_without_the_lab_help_says_so() -> None:
    """The list of commands still has the lab, with the package that brings it, and all others."""
    done = CliRunner().invoke(main, ["--help"])

    assert 0 == done.exit_code
    assert "Not installed: the package ecx-hyperv-lab" in done.output
    assert {"check", "setup", "status"} <= set(done.output.split())


def test_damage_is_not_taken_for_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lab's commands are there and what they need is not, the error is not hidden."""
    monkeypatch.delitem(sys.modules, "ecx_hyperv.cli.lab", raising=False)
    monkeypatch.setitem(sys.modules, "ecx_hyperv.lab.linux.files", None)
    done = CliRunner().invoke(main, ["lab", "show"])

    assert isinstance(done.exception, ModuleNotFoundError)
