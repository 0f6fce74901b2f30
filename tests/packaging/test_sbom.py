"""The bill of materials names what the wheels carry inside, and the build refuses a wheel of which nobody says that."""

import io
import json
import runpy
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

_PACKAGING = Path(__file__).parents[2] / "packaging"
_CODE = (
    b"\x7fELF...\0OpenSSL 4.0.3 29 Sep 2026\0/root/.cargo/registry/src/index.crates.io-1949/once_cell-1.21.4/src/lib.rs"
)
_TABLE = """
[one]
version = "1.0"
parts = [
    { purl = "pkg:cargo/once_cell@1.21.4", licence = "MIT OR Apache-2.0" },
    { purl = "pkg:generic/openssl@4.0.3", licence = "Apache-2.0" },
    { purl = "pkg:generic/libffi", licence = "MIT" },
]
"""
_OF_TABLE = [
    ("once_cell", "1.21.4", "MIT OR Apache-2.0"),
    ("libffi", None, "MIT"),
    ("openssl", "4.0.3", "Apache-2.0"),
]


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Return the names of packaging/carried.py, whose modules lie beside one another."""
    monkeypatch.syspath_prepend(str(_PACKAGING))
    before = set(sys.modules)
    yield runpy.run_path(str(_PACKAGING / "carried.py"))
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == _PACKAGING:
            del sys.modules[name]


def _bill(*components: dict[str, Any]) -> str:
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components})


def _wheel(folder: Path, *bills: str, code: bytes = _CODE, version: str = "1.0") -> Path:
    """Write a wheel with this code and these bills of materials."""
    folder.mkdir(exist_ok=True)
    path = folder / f"one-{version}-cp311-abi3-manylinux_2_28_x86_64.whl"
    info = f"one-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Name: one\nVersion: {version}\nLicense-Expression: MIT\n\n")
        archive.writestr("one/_code.abi3.so", code)
        for number, bill in enumerate(bills):
            archive.writestr(f"{info}/sboms/{number}.json", bill)
    return path


_OPENSSL = {
    "name": "openssl",
    "version": "4.0.3",
    "purl": "pkg:generic/openssl@4.0.3",
    "hashes": [{"alg": "MD5", "content": "0"}, {"alg": "SHA-256", "content": "1" * 64}],
}
_CELL = {
    "name": "once_cell",
    "version": "1.21.4",
    "purl": "pkg:cargo/once_cell@1.21.4?download_url=file:///home/somebody",
    "licenses": [{"expression": "MIT OR Apache-2.0"}],
}


@pytest.mark.proven("U21")
def test_u21_a_wheel_says_itself(carried: dict[str, Any], tmp_path: Path) -> None:
    """What the wheel's own bills name is carried, parts of parts too, but for what only built it."""
    below = {"name": "below", "version": "2", "licenses": [{"license": {"id": "MIT"}}]}
    builder = {"name": "cc", "version": "1.4.0", "purl": "pkg:cargo/cc@1.4.0", "scope": "excluded"}
    wheel = _wheel(tmp_path, _bill(_OPENSSL), _bill(builder, {**_CELL, "components": [below]}))

    assert [
        ("pkg:cargo/once_cell@1.21.4", "1.21.4", "MIT OR Apache-2.0", None),
        ("pkg:generic/below", "2", "MIT", None),
        ("pkg:generic/openssl@4.0.3", "4.0.3", None, "1" * 64),
    ] == [(one.purl, one.version, one.licence, one.digest) for one in carried["carried"](wheel)]


@pytest.mark.proven("U21")
def test_u21_the_table_says_what_a_wheel_does_not(carried: dict[str, Any], tmp_path: Path) -> None:
    """For a wheel without a bill of its own the table is asked; a part may have no version that anybody knows."""
    table = tmp_path / "carried.toml"
    table.write_text(_TABLE, encoding="ascii")
    found = carried["carried"](_wheel(tmp_path / "wheels"), table)

    assert _OF_TABLE == [(one.name, one.version, one.licence) for one in found]


@pytest.mark.proven("U21")
@pytest.mark.parametrize(
    ("version", "bills", "code", "why"),
    [
        ("1.1", (), _CODE, r"told of 1\.0"),
        ("1.0", (), _CODE.replace(b"1.21.4", b"1.21.5"), r"carried\.toml: once_cell 1\.21\.5"),
        ("1.0", (), _CODE.replace(b"once_cell", b"other-crate2"), r"carried\.toml: other-crate2 1\.21\.4"),
        ("1.0", (), _CODE.replace(b"4.0.3", b"4.0.4"), r"carried\.toml: openssl 4\.0\.4"),
        ("1.0", (_bill(_CELL),), _CODE, r"its own bill of materials: openssl 4\.0\.3"),
        ("1.0", (_bill(_OPENSSL, {**_CELL, "scope": "excluded"}),), _CODE, "its own bill of materials: once_cell"),
        ("1.0", ("<xml/>",), _CODE, "no JSON"),
        ("1.0", ("[]",), _CODE, "no CycloneDX"),
        ("1.0", (json.dumps({"spdxVersion": "SPDX-2.3"}),), _CODE, "no CycloneDX"),
    ],
)
def test_u21_what_nobody_says_is_refused(
    carried: dict[str, Any], tmp_path: Path, version: str, bills: tuple[str, ...], code: bytes, why: str
) -> None:
    """A wheel whose code holds what nobody names, or of a version that nobody looked at, is refused."""
    table = tmp_path / "carried.toml"
    table.write_text(_TABLE, encoding="ascii")
    wheel = _wheel(tmp_path / "wheels", *bills, code=code, version=version)

    with pytest.raises(carried["Refused"], match=why):
        carried["carried"](wheel, table)
    table.write_text("", encoding="ascii")
    with pytest.raises(carried["Refused"]):
        carried["carried"](wheel, table)


def test_plain_python_carries_nothing(carried: dict[str, Any], tmp_path: Path) -> None:
    """A wheel without compiled code, and without a bill of its own, need not be told of."""
    assert [] == carried["carried"](_wheel(tmp_path, code=b"a text"))


@pytest.mark.proven("U21")
def test_u21_the_table_is_of_what_is_locked(carried: dict[str, Any]) -> None:
    """Each row of the table is of a wheel that is locked, at the locked version."""
    table = tomllib.loads((_PACKAGING / "carried.toml").read_text(encoding="utf-8"))
    wheels = runpy.run_path(str(_PACKAGING / "wheels.py"))
    locked = {one.name: one.version for one in wheels["read_lock"](_PACKAGING / "requirements.lock")}

    assert {name: row["version"] for name, row in table.items()}.items() <= locked.items()
    assert {"bcrypt", "cffi", "pynacl"} <= set(table)


@pytest.mark.proven("U21")
def test_u21_the_bill_names_them(carried: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the bill each wheel holds the parts that it carries, with package URL, licence and hash."""
    _wheel(tmp_path, _bill(_OPENSSL, _CELL))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    bill = runpy.run_path(str(_PACKAGING / "sbom.py"))
    monkeypatch.setitem(bill["main"].__globals__, "JsonStrictValidator", _NoValidator)
    monkeypatch.setattr(sys, "argv", ["sbom.py", str(tmp_path), "ecx-hyperv", "1"])
    with redirect_stdout(io.StringIO()) as printed:
        bill["main"]()

    (wheel,) = json.loads(printed.getvalue())["components"]
    assert "pkg:pypi/one@1.0" == wheel["purl"]
    assert [
        ("openssl", "pkg:generic/openssl@4.0.3", [{"alg": "SHA-256", "content": "1" * 64}], None),
        ("once_cell", "pkg:cargo/once_cell@1.21.4", None, [{"expression": "MIT OR Apache-2.0"}]),
    ] == sorted(
        ((one["name"], one["purl"], one.get("hashes"), one.get("licenses")) for one in wheel["components"]),
        reverse=True,
    )


class _NoValidator:
    """In place of the validator, whose libraries the build has and the tests have not."""

    def __init__(self, _version: object) -> None:
        pass

    def validate_str(self, _text: str) -> None:
        """Find nothing wrong."""
