"""What may go into the RPM: exactly what is locked, and only what runs on the oldest target."""

import hashlib
import re
import runpy
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

_CHECKOUT = Path(__file__).parents[2]
_LOCK = _CHECKOUT / "packaging" / "requirements.lock"
_WHEELS: dict[str, Any] = runpy.run_path(str(_CHECKOUT / "packaging" / "wheels.py"))
_REFUSED: type[Exception] = _WHEELS["Refused"]
_COMPLETE: dict[str, Any] = runpy.run_path(str(_CHECKOUT / "packaging" / "complete.py"))


@pytest.mark.parametrize(
    ("python", "tags"),
    [
        ("3.12", "py3-none-any"),
        ("3.12", "py2.py3-none-any"),
        ("3.12", "cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64"),
        ("3.11", "cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"),
        ("3.12", "cp39-abi3-manylinux_2_28_x86_64"),
        ("3.12", "cp311-abi3-manylinux_2_34_x86_64.manylinux_2_28_x86_64"),
        ("3.11", "cp311-abi3-manylinux_2_28_x86_64"),
    ],
)
def test_a_wheel_for_the_oldest_target_is_let_in(python: str, tags: str) -> None:
    """A wheel for this Python on x86_64 with glibc 2.28, or an older one, is let in."""
    _WHEELS["check_tags"](f"some_name-1.0-{tags}.whl", python)


@pytest.mark.parametrize(
    ("python", "tags", "why"),
    [
        ("3.12", "cp312-cp312-manylinux_2_34_x86_64", "glibc 2.28"),
        ("3.12", "cp312-cp312-musllinux_1_2_x86_64", "glibc 2.28"),
        ("3.12", "cp312-cp312-manylinux_2_28_aarch64", "x86_64"),
        ("3.12", "cp312-cp312-linux_x86_64", "glibc 2.28"),
        ("3.12", "cp313-cp313-manylinux_2_28_x86_64", "Python 3.12"),
        ("3.12", "cp313-abi3-manylinux_2_28_x86_64", "Python 3.12"),
        ("3.12", "py2-none-any", "Python 3.12"),
        ("3.12", "cp311-cp311-manylinux_2_28_x86_64", "Python 3.12"),
        ("3.11", "cp312-cp312-manylinux_2_28_x86_64", "Python 3.11"),
        ("3.11", "cp312-abi3-manylinux_2_28_x86_64", "Python 3.11"),
    ],
)
def test_a_wheel_for_something_else_is_refused(python: str, tags: str, why: str) -> None:
    """A wheel for a newer glibc, another Python or another machine is refused, and it is said for which."""
    with pytest.raises(_REFUSED, match=re.escape(why)):
        _WHEELS["check_tags"](f"some_name-1.0-{tags}.whl", python)


def test_exactly_the_locked_wheels(tmp_path: Path) -> None:
    """A wheel whose content is not the locked one, one that is not locked, and one that is missing are refused."""
    lock, folder = tmp_path / "lock", tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "one-1.0-py3-none-any.whl"
    wheel.write_bytes(b"as it was locked")
    lock.write_text(f"# a comment\none==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")

    assert [wheel] == _WHEELS["check"]("3.12", lock, folder)
    (folder / "two-1.0-py3-none-any.whl").write_bytes(b"another")
    with pytest.raises(_REFUSED, match=r"two-1\.0"):
        _WHEELS["check"]("3.12", lock, folder)
    (folder / "two-1.0-py3-none-any.whl").unlink()
    wheel.write_bytes(b"changed")
    with pytest.raises(_REFUSED, match="not with this content"):
        _WHEELS["check"]("3.12", lock, folder)
    wheel.unlink()
    with pytest.raises(_REFUSED, match="not there: one"):
        _WHEELS["check"]("3.12", lock, folder)


def _wheel(folder: Path, tags: str, *files: str, name: str = "one", says: str = "") -> Path:
    """Write a wheel with these files, whose content is their name, and with these lines about itself."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-{tags}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Name: {name}\nVersion: 1.0\n{says}\n")
        for one in files:
            archive.writestr(one, one)
    return path


_TAGS = {python: f"cp{tag}-cp{tag}-manylinux_2_28_x86_64" for python, tag in {"3.12": "312", "3.11": "311"}.items()}


def test_each_python_has_its_own_wheel_of_a_locked_version(tmp_path: Path) -> None:
    """One lock holds the wheels of both Pythons: each gets its own and refuses the other's, beside it too."""
    wheels = {python: _wheel(tmp_path / python, tags, f"one{tags[:5]}.so") for python, tags in _TAGS.items()}
    lock = tmp_path / "lock"
    lock.write_text(_WHEELS["lock"](*(path.parent for path in wheels.values())), encoding="ascii")

    assert 2 == len(_WHEELS["read_lock"](lock)[0].digests)
    for python, wheel in wheels.items():
        assert [wheel] == _WHEELS["check"](python, lock, wheel.parent)
    with pytest.raises(_REFUSED, match=r"not for Python 3\.12"):
        _WHEELS["check"]("3.12", lock, tmp_path / "3.11")
    _wheel(tmp_path / "3.12", _TAGS["3.11"], "onecp311.so")
    with pytest.raises(_REFUSED, match=r"not for Python 3\.12"):
        _WHEELS["check"]("3.12", lock, tmp_path / "3.12")


def test_what_one_python_lacks_is_not_locked(tmp_path: Path) -> None:
    """A wheel that there is for one Python only cannot be locked for both."""
    for python, tags in _TAGS.items():
        _wheel(tmp_path / python, tags)
    _wheel(tmp_path / "3.11", "py3-none-any", name="two")

    with pytest.raises(_REFUSED, match=r"not for every Python: two 1\.0"):
        _WHEELS["lock"](tmp_path / "3.12", tmp_path / "3.11")


def test_both_pythons_get_the_same_files(tmp_path: Path) -> None:
    """Both get the same files but for the version in the names of compiled ones; any other difference is refused."""
    for python, tags in _TAGS.items():
        _wheel(tmp_path / python, tags, "one/a.py", f"one/_c.cpython-{tags[2:5]}-x86_64-linux-gnu.so", "one/_d.abi3.so")

    both = tmp_path / "3.12", tmp_path / "3.11"
    wanted = {"one/a.py", "one/__pycache__/a.pyc", "one/_c-x86_64-linux-gnu.so", "one/_d.abi3.so"}
    assert wanted == {name for name in _WHEELS["installed"](both[0]) if "dist-info" not in name}
    assert len(wanted) + 1 == _WHEELS["check_same"](*both)
    for name in ("two/b.py", "two/_c.cpython-311-aarch64-linux-gnu.so", "two/b.cpython"):
        other = _wheel(tmp_path / "3.11", "py3-none-any", name, name="two")
        with pytest.raises(_REFUSED, match=re.escape(name.split(".")[0])):
            _WHEELS["check_same"](*both)
        other.unlink()


@pytest.mark.parametrize(
    ("python", "says", "wanted", "mistakes"),
    [
        ("3.12", "", ["one", "two>=1"], []),
        ("3.12", "Requires-Dist: two>=1,<2", ["one"], []),
        ("3.12", "", ["one"], ["nothing needs two"]),
        ("3.12", "Requires-Dist: two>=2", ["one"], ["nothing needs two", "one needs two>=2, and there is 1.0"]),
        ("3.12", "Requires-Dist: three", ["one", "two"], ["one needs three, and there is none"]),
        ("3.12", "Requires-Dist: three; python_version < '3.12'", ["one", "two"], []),
        (
            "3.11",
            "Requires-Dist: three; python_version < '3.12'",
            ["one", "two"],
            ['one needs three; python_version < "3.12", and there is none'],
        ),
        ("3.12", "Requires-Dist: two; extra == 'more'", ["one"], ["nothing needs two"]),
        ("3.12", "Requires-Dist: two; extra == 'more'", ["one", "One[more]"], []),
        ("3.11", "Requires-Python: >=3.12", ["one", "two"], ["one is for Python >=3.12"]),
    ],
)
def test_all_that_is_needed_and_no_more(
    tmp_path: Path, python: str, says: str, wanted: list[str], mistakes: list[str]
) -> None:
    """What is missing for this Python, does not fit, or is needed by nothing is named, whichever Python looks."""
    paths = [_wheel(tmp_path, "py3-none-any", says=says), _wheel(tmp_path, "py3-none-any", name="two")]

    wheels = dict(map(_COMPLETE["read"], paths))
    assert mistakes == _COMPLETE["mistakes"](python, [Requirement(one) for one in wanted], wheels)


@pytest.mark.parametrize(
    "line",
    ["one>=1.0", "one==1.0", "one==1.0 --hash=md5:00", "one==1.0 --hash=sha256:00", "https://example.org/one.whl"],
)
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


@pytest.mark.proven("U22")
@pytest.mark.parametrize(("name", "last"), [("paramiko", "4.9999"), ("cryptography", "49.9999")])
def test_u22_no_version_with_an_advisory_is_admitted(name: str, last: str) -> None:
    """What pip may choose begins after the last version about which an advisory was published."""
    project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (need,) = (one for one in map(Requirement, project["dependencies"]) if one.name == name)

    assert not need.specifier.contains(last)
    assert need.specifier.contains(f"{int(last.partition('.')[0]) + 1}.0.0")


@pytest.mark.proven("U23")
def test_u23_the_build_tools_are_locked() -> None:
    """What the build runs is locked with hashes, for each Python, at versions that the tests run with too."""
    project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = {one.name: one for one in _WHEELS["read_lock"](_CHECKOUT / "packaging" / "tools.lock")}
    for need in map(Requirement, project["optional-dependencies"]["test"]):
        if need.name in {"cyclonedx-python-lib", "packaging"}:
            assert need.specifier.contains(locked.pop(need.name).version)
    # It is compiled for each Python, and a line of the lock holds them all.
    assert len({"3.11", "3.12", "3.13", "3.14"}) == len(locked.pop("rpds-py").digests)
    assert {1} == {len(one.digests) for one in locked.values()}


@pytest.mark.proven("U23")
def test_u23_nothing_is_fetched_without_a_hash() -> None:
    """Whatever the packaging fetches or installs, but for the lock that is made anew, pip must find by its hash."""
    calls = [
        (path.name, call)
        for path in (_CHECKOUT / "packaging").iterdir()
        if path.is_file() and path.name not in {"lock", "fetch"}
        for call in re.findall(
            r"(?m)^.*(?:-m pip\b|packaging/fetch )(?:.*\\\n)*.*$", path.read_text(encoding="utf-8", errors="replace")
        )
        if not call.lstrip().startswith("#")
    ]

    assert {"build", "test"} == {name for name, _ in calls}
    assert [] == [call for _, call in calls if "--require-hashes" not in call]


def test_nothing_that_only_tests_need_is_locked() -> None:
    """What the tests need beside the program is not in the RPM."""
    project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for_tests = {Requirement(text).name for text in project["optional-dependencies"]["test"]}

    assert set() == for_tests & {one.name for one in _WHEELS["read_lock"](_LOCK)}
