"""The wheel, installed with no checkout near, does what the README shows.

The package comes from the wheel alone. Its dependencies come from the environment that runs the tests, by a .pth file:
so the test needs no network and takes seconds. A .pth line names a folder whose own .pth files are not read, so the
checkout, which that environment has as an editable installation, is not found through it; a test makes sure.
"""

import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).parents[2]
_LIMIT_S = 150


@dataclass(frozen=True, slots=True)
class _Installation:
    """A wheel, the environment that it is installed in, and an empty folder to work in."""

    wheel: Path
    environment: Path
    folder: Path

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, in the folder, with no variable that could lead elsewhere."""
        scripts = self.environment / "bin"
        return subprocess.run(
            [scripts / program, *arguments],
            cwd=self.folder,
            env={"PATH": f"{scripts}:/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> _Installation:
    """Build the wheel of this checkout, and install it into an environment that has nothing else of its own."""
    top = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    _must(*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", f"--wheel-dir={top}", str(_CHECKOUT))
    (wheel,) = top.glob("*.whl")
    environment = top / "environment"
    _must(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin/python"
    _must(*pip, f"--python={python}", "install", "--no-index", "--no-deps", str(wheel))
    site = Path(_must(python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    dependencies = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "dependencies.pth").write_text("".join(f"{one}\n" for one in dependencies), encoding="utf-8")
    folder = top / "elsewhere"
    folder.mkdir()
    return _Installation(wheel, environment, folder)


def _must(*command: str | Path) -> str:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_it_runs_from_the_wheel_alone(installation: _Installation) -> None:
    """The package that is imported lies in the environment, not in the checkout."""
    where = installation.run("python", "-c", "import ecx_hyperv; print(ecx_hyperv.__file__)").stdout

    assert Path(where.strip()).is_relative_to(installation.environment)


def test_the_wheel_brings_all_that_the_program_reads(installation: _Installation) -> None:
    """Every file of the package is in the wheel, and the scripts for ECX are executable in it."""
    package = _CHECKOUT / "ecx_hyperv"
    wanted = {
        str(path.relative_to(_CHECKOUT))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(installation.wheel) as archive:
        seen = {
            one.filename: one.external_attr >> 16 for one in archive.infolist() if ".dist-info/" not in one.filename
        }

    assert wanted == set(seen)
    assert {0o755} == {mode & 0o777 for name, mode in seen.items() if name.endswith(".sh")}


def test_the_demo_ends_well(installation: _Installation) -> None:
    """The lab starts, and the main job is played on it, by the wheel's own commands."""
    done = installation.run("ecx-hyperv", "lab", "demo", "--fast")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "\nDone in " in done.stdout


def test_setup_ecx_writes_its_scripts(installation: _Installation) -> None:
    """Setup writes the scripts of resources and monitors as the checkout has them, executable, and ECX's commands."""
    config = str(_CHECKOUT / "config/config.toml")
    done = installation.run("ecx-hyperv", "setup", "ecx", "--config", config, "--output", "placed")

    assert 0 == done.returncode, done.stdout + done.stderr
    placed = installation.folder / "placed"
    made = list((placed / "scripts").rglob("*.sh"))
    assert {path.read_bytes() for path in (_CHECKOUT / "ecx_hyperv/desired/ecx_scripts").rglob("*.sh")} == {
        one.read_bytes() for one in made
    }
    assert {0o755} == {path.stat().st_mode & 0o777 for path in (*made, placed / "setup-ecx.sh")}


def test_setup_host_finds_its_templates(installation: _Installation) -> None:
    """The scripts for the hosts are made from what the wheel brings."""
    config = str(_CHECKOUT / "config/config.toml")
    done = installation.run("ecx-hyperv", "setup", "host", "--config", config, "--print", "--host", "ec1")

    assert 0 == done.returncode, done.stderr
    assert "#Requires -Version 5.1" in done.stdout
