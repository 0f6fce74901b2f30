"""What a shared object of a wheel may need: what the oldest target has, and nothing that is not known to be there."""

import re
import runpy
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

_WHEELS: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "packaging" / "wheels.py"))
_REFUSED: type[Exception] = _WHEELS["Refused"]

_SHOWN = """
one.so:     file format {form}

Program Header:
    LOAD off    0x0000000000000000 vaddr 0x0000000000000000 paddr 0x0000000000000000 align 2**12

Dynamic Section:
  NEEDED               {needed}
  NEEDED               ld-linux-x86-64.so.2
  {tag:20} 0x00000000000002b0
  RELACOUNT            0x0000000000000002

Version References:
  required from ld-linux-x86-64.so.2:
    0x0d696913 0x00 04 GLIBC_2.3
  required from {needed}:
    0x00fd0e42 0x00 03 {version}
    0x09691a75 0x00 02 GLIBC_2.2.5
"""


def _shown(
    version: str = "GLIBC_2.28", tag: str = "RELA", form: str = "elf64-x86-64", needed: str = "libc.so.6"
) -> list[str]:
    """Return what is said against an object that objdump shows so."""
    said: list[str] = _WHEELS["misfits"](_SHOWN.format(version=version, tag=tag, form=form, needed=needed))
    return said


@pytest.mark.parametrize("version", ["GLIBC_2.28", "GLIBC_2.4", "GCC_7.0.0", "GCC_3.3.1"])
def test_what_the_oldest_target_has_is_let_in(version: str) -> None:
    """An object that needs glibc 2.28 or older is let in."""
    assert [] == _shown(version)


@pytest.mark.proven("U20")
@pytest.mark.parametrize(
    "version",
    [
        *("GLIBC_2.29", "GLIBC_2.34", "GLIBC_3.0", "GCC_8.0.0"),
        # No number says how new these are: GLIBC_ABI_DT_RELR is of 2.36.
        *("GLIBC_ABI_DT_RELR", "GLIBC_ABI_DT_X86_64_PLT", "GLIBC_ABI_GNU_TLS", "GLIBC_PRIVATE"),
        *("GLIBCXX_3.4", "CXXABI_1.3", "OPENSSL_3.0.0", "SOMETHING_NEW"),
    ],
)
def test_u20_what_is_not_known_to_be_there_is_refused(version: str) -> None:
    """A version that is newer, or of which nothing says that the oldest target has it, is refused by its name."""
    assert [f"needs {version}"] == _shown(version)


@pytest.mark.proven("U20")
@pytest.mark.parametrize("tag", ["RELR", "RELRSZ", "RELRENT", "0x0000000000000024", "0x24"])
def test_u20_relative_relocations_are_refused(tag: str) -> None:
    """An old loader passes packed relocations over without a word: they are refused, as old objdumps show them too."""
    assert ["needs a loader that knows DT_RELR"] == _shown(tag=tag)


@pytest.mark.parametrize("library", ["libssl.so.3", "libstdc++.so.6", "libffi.so.8"])
def test_another_library_is_refused(library: str) -> None:
    """A library that the program does not require of the system is refused."""
    assert f"needs {library}" in _shown(needed=library)


@pytest.mark.parametrize("form", ["elf32-i386", "elf64-littleaarch64", "elf32-x86-64"])
def test_another_machine_is_refused(form: str) -> None:
    """An object for another machine is refused."""
    assert [f"is for {form}"] == _shown(form=form)


needs_binutils = pytest.mark.skipif(shutil.which("ld") is None, reason="no ld on this machine: install binutils")
_SOURCE = """
.data
.globl table
table: .quad one, one
one: .quad 1
.text
.globl function
function: call getpid@PLT
"""


def _link(folder: Path, name: str, *options: str) -> Path:
    """Link a shared object that needs glibc."""
    source, made = folder / "one.s", folder / "one.o"
    source.write_text(_SOURCE, encoding="ascii")
    libc = next(Path(one) for one in ("/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6") if Path(one).exists())
    subprocess.run(["as", "-o", made, source], check=True)
    subprocess.run(["ld", "-shared", *options, "-o", folder / name, made, libc], check=True)
    return folder / name


@needs_binutils
@pytest.mark.proven("U20")
@pytest.mark.parametrize("name", ["one.so", "one.abi3.so", "one.so.1.2", "program"])
def test_u20_a_real_object(tmp_path: Path, name: str) -> None:
    """A real object is let in; with packed relocations it is refused, whatever its name, and in a wheel too."""
    packed = tmp_path / "packed"
    packed.mkdir()
    (tmp_path / "plain").mkdir()
    _link(tmp_path / "plain", name)
    made = _link(packed, name, "-z", "pack-relative-relocs")

    for folder in (tmp_path / "plain", packed):
        (folder / "one.o").unlink()
    assert 1 == _WHEELS["check_objects"](tmp_path / "plain")
    with pytest.raises(_REFUSED, match=re.escape(f"{made}: needs GLIBC_ABI_DT_RELR")):
        _WHEELS["check_objects"](packed)
    with zipfile.ZipFile(packed / "one-1.0-py3-none-any.whl", "w") as archive:
        archive.write(made, f"one/{name}")
    made.unlink()
    with pytest.raises(_REFUSED, match="needs GLIBC_ABI_DT_RELR"):
        _WHEELS["check_objects"](packed)


def test_what_is_no_object_is_no_matter(tmp_path: Path) -> None:
    """A file that only bears the name of a shared object, or is empty, is not one."""
    (tmp_path / "one.so").write_text("a text", encoding="ascii")
    (tmp_path / "empty.so").touch()

    assert 0 == _WHEELS["check_objects"](tmp_path)
