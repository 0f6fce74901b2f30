"""What may go into the RPM: exactly what is locked, and only what runs on the oldest target."""

import hashlib
import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

_CHECKOUT = Path(__file__).parents[2]
_LOCK = _CHECKOUT / "packaging" / "requirements.lock"
_WHEELS: dict[str, Any] = runpy.run_path(str(_CHECKOUT / "packaging" / "wheels.py"))
_REFUSED: type[Exception] = _WHEELS["Refused"]


@pytest.mark.parametrize(
    "tags",
    [
        "py3-none-any",
        "py2.py3-none-any",
        "cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64",
        "cp39-abi3-manylinux_2_28_x86_64",
        "cp311-abi3-manylinux_2_34_x86_64.manylinux_2_28_x86_64",
    ],
)
def test_a_wheel_for_the_oldest_target_is_let_in(tags: str) -> None:
    """A wheel for Python 3.12 on x86_64 with glibc 2.28, or an older one, is let in."""
    _WHEELS["check_tags"](f"some_name-1.0-{tags}.whl")


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ("cp312-cp312-manylinux_2_34_x86_64", "glibc 2.28"),
        ("cp312-cp312-musllinux_1_2_x86_64", "glibc 2.28"),
        ("cp312-cp312-manylinux_2_28_aarch64", "x86_64"),
        ("cp312-cp312-linux_x86_64", "glibc 2.28"),
        ("cp313-cp313-manylinux_2_28_x86_64", "Python 3.12"),
        ("cp313-abi3-manylinux_2_28_x86_64", "Python 3.12"),
        ("py2-none-any", "Python 3.12"),
    ],
)
def test_a_wheel_for_something_newer_is_refused(tags: str, why: str) -> None:
    """A wheel for a newer glibc or Python, or for another machine, is refused, and it is said for which."""
    with pytest.raises(_REFUSED, match=re.escape(why)):
        _WHEELS["check_tags"](f"some_name-1.0-{tags}.whl")


def test_exactly_the_locked_wheels(tmp_path: Path) -> None:
    """A wheel whose content is not the locked one, one that is not locked, and one that is missing are refused."""
    lock, folder = tmp_path / "lock", tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "one-1.0-py3-none-any.whl"
    wheel.write_bytes(b"as it was locked")
    lock.write_text(f"# a comment\none==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")

    assert [wheel] == _WHEELS["check"](lock, folder)
    (folder / "two-1.0-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(_REFUSED, match=r"two-1\.0"):
        _WHEELS["check"](lock, folder)
    (folder / "two-1.0-py3-none-any.whl").unlink()
    wheel.write_bytes(b"changed")
    with pytest.raises(_REFUSED, match="not with this content"):
        _WHEELS["check"](lock, folder)
    wheel.unlink()
    with pytest.raises(_REFUSED, match="not there: one"):
        _WHEELS["check"](lock, folder)


@pytest.mark.parametrize("line", ["one>=1.0", "one==1.0", "one==1.0 --hash=md5:00", "https://example.org/one.whl"])
def test_a_lock_without_a_hash_is_refused(tmp_path: Path, line: str) -> None:
    """A line of the lock file that is not a name, a version and a SHA-256 is refused."""
    lock = tmp_path / "lock"
    lock.write_text(line + "\n", encoding="ascii")
    with pytest.raises(_REFUSED, match="not NAME==VERSION"):
        _WHEELS["read_lock"](lock)


def test_the_lock_is_of_this_pyproject() -> None:
    """Each dependency of pyproject.toml is locked, at a version that pyproject.toml allows."""
    project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = {one.name: one.version for one in _WHEELS["read_lock"](_LOCK)}
    wanted = [Requirement(text) for text in project["dependencies"]]

    assert [] == [str(one) for one in wanted if not one.specifier.contains(locked.get(one.name, "0"))]
