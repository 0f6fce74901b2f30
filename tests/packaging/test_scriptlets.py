"""The RPM's scriptlets: whatever is missing or closed on the machine, none of them fails a transaction.

A %preun that fails leaves both releases on the machine after an upgrade, and refuses a removal. Each scriptlet is taken
out of the spec file and run by the shells there are, below a root of its own.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SPEC = (Path(__file__).parents[2] / "packaging/ecx-hyperv.spec").read_text(encoding="utf-8")
_SECTIONS = re.compile(r"(?m)^%(\w+)( lab)?\n(.*?)(?=^%(?!if|else|endif)\w|\Z)", re.DOTALL)
_SCRIPTLETS = {match[1]: match[3] for match in _SECTIONS.finditer(_SPEC) if match[1] in {"post", "preun", "postun"}}
_SHELLS = [shell for shell in ("sh", "bash", "dash") if shutil.which(shell)]
# What the packages that a scriptlet requires bring of what it may call.
_TOOLS = {
    "coreutils": ("mkdir", "mv", "sleep", "sort", "cat", "chmod", "rm", "cp", "ls"),
    "grep": ("grep",),
    "sed": ("sed",),
}
_CASES = [
    (name, count, shell)
    for name, counts in {"post": (1, 2), "preun": (0, 1), "postun": (0, 1)}.items()
    for count in counts
    for shell in _SHELLS
]


def _root(folder: Path) -> Path:
    """Return a machine on which ECX calls the program, and whose edited configuration rpm has put aside."""
    root = folder / "root"
    script = root / "opt/nec/clusterpro/scripts/failover1/exec-vm1/start.sh"
    script.parent.mkdir(parents=True)
    script.write_text("vm-start vm1\n", encoding="ascii")
    for name in ("run", "etc/ecx-hyperv", "bin"):
        (root / name).mkdir(parents=True)
    (root / "etc/ecx-hyperv/config.toml.rpmsave").write_text("mine\n", encoding="ascii")
    return root


def _tools(root: Path, scriptlet: str) -> None:
    """Put on the machine's PATH what the packages have that the scriptlet requires, and nothing else."""
    required = re.findall(rf"(?m)^Requires\({scriptlet}\):\s*(\S+)", _SPEC)
    for tool in (tool for package in required for tool in _TOOLS[package]):
        found = shutil.which("true" if tool == "sleep" else tool)
        assert found is not None
        (root / "bin" / tool).symlink_to(found)


def _begin(root: Path, scriptlet: str, count: int, shell: str, output: int) -> "subprocess.Popen[str]":
    text = re.sub(r"(?<![\w.])/(?=(opt|run|etc)/)", f"{root}/", _SCRIPTLETS[scriptlet])
    file = root / scriptlet
    file.write_text(text, encoding="ascii")
    path = shutil.which(shell)
    assert path is not None
    environment = {"PATH": str(root / "bin")}
    return subprocess.Popen([path, file, str(count)], env=environment, text=True, stdout=output, stderr=output)


@pytest.mark.proven("U19")
@pytest.mark.parametrize(("scriptlet", "count", "shell"), _CASES)
def test_u19_it_needs_what_it_requires(tmp_path: Path, scriptlet: str, count: int, shell: str) -> None:
    """With the tools of the packages that it requires, and no others, a scriptlet has nothing to complain of."""
    root = _root(tmp_path)
    _tools(root, scriptlet)
    running = _begin(root, scriptlet, count, shell, subprocess.PIPE)
    said, complaints = running.communicate(timeout=20)

    assert (0, "") == (running.returncode, complaints)
    if (scriptlet, count) == ("preun", 0):
        assert f"    {root}/opt/nec/clusterpro/scripts/failover1/exec-vm1/start.sh\n" in said
        assert "left as they are: " in said
    if (scriptlet, count) == ("postun", 0):
        assert "mine\n" == (root / "etc/ecx-hyperv/config.toml").read_text(encoding="ascii")
    if scriptlet == "post":
        assert 0o700 == (root / "run/ecx-hyperv").stat().st_mode & 0o777


@contextmanager
def _closed_pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextmanager
def _full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.proven("U19")
@pytest.mark.parametrize("streams", [_closed_pipe, _full], ids=["no reader", "full"])
@pytest.mark.parametrize(("scriptlet", "count", "shell"), _CASES)
def test_u19_no_output_fails_it(tmp_path: Path, scriptlet: str, count: int, shell: str, streams: object) -> None:
    """Where nothing can be written, since the reader is gone or the disk is full, a scriptlet ends with 0."""
    root = _root(tmp_path)
    _tools(root, scriptlet)
    assert callable(streams)
    with streams() as descriptor:
        running = _begin(root, scriptlet, count, shell, descriptor)
        assert 0 == running.wait(timeout=20)


@pytest.mark.proven("U19")
@pytest.mark.parametrize(("scriptlet", "count", "shell"), _CASES)
def test_u19_no_missing_tool_fails_it(tmp_path: Path, scriptlet: str, count: int, shell: str) -> None:
    """Without a single tool, and without the folders that it writes to, a scriptlet ends with 0."""
    root = _root(tmp_path)
    shutil.rmtree(root / "run")
    running = _begin(root, scriptlet, count, shell, subprocess.DEVNULL)

    assert 0 == running.wait(timeout=20)


@pytest.mark.proven("U19")
def test_u19_all_scriptlets_are_here() -> None:
    """No scriptlet of the spec file is left out above, nor has the lab's package one."""
    words = set(re.findall(r"(?m)^%(pre|post|preun|postun|pretrans|posttrans|trigger\w*|filetrigger\w*)\b(.*)$", _SPEC))

    assert {(name, "") for name in _SCRIPTLETS} == words
    assert {"post", "preun", "postun"} == set(_SCRIPTLETS)
