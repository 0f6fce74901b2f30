"""The scripts for the hosts: this configuration's own values as settings, the steps as they are in the package."""

from collections.abc import Mapping
from importlib.resources import files

from ecx_hyperv.desired.quoting import Value, check_text, powershell

_BOM = b"\xef\xbb\xbf"
# Only a character beyond ASCII tells how the file was read: misread, it is more than one.
_PROBE = "if ('\u00e9'.Length -ne 1) { throw 'read in a wrong encoding: copy this file whole, as UTF-8 with its mark' }"


def build(body: str, title: str, settings: Mapping[str, Value], switches: tuple[str, ...] = ()) -> str:
    """Return a script: what it is, its settings, the steps of the named file of this package."""
    parameters = ", ".join(f"[switch]${name}" for name in ("Apply", *switches))
    lines = [
        f"# {check_text(title, '[[node]] host or name')}",
        "# Read it first. Without -Apply it changes nothing and tells what it would do; with -Apply it does so, and a",
        "# second run finds nothing left to do. In an administrator's Windows PowerShell 5.1, on the host itself:",
        "#     powershell -ExecutionPolicy Bypass -File THIS_FILE "
        + " ".join(f"[-{name}]" for name in ("Apply", *switches)),
        "#Requires -Version 5.1",
        "#Requires -RunAsAdministrator",
        f"param({parameters})",
        "",
        "# This configuration's own values.",
        *(f"${name} = {powershell(value)}" for name, value in settings.items()),
        *([_PROBE] if any(not powershell(value).isascii() for value in settings.values()) else []),
        "",
    ]
    return "\n".join(lines) + _text("common.ps1") + "\n" + _text(body)


def to_file(script: str) -> bytes:
    """Return a script's bytes: without a mark, Windows PowerShell 5.1 reads a file in the host's code page."""
    return _BOM + script.replace("\n", "\r\n").encode()


def _text(name: str) -> str:
    return files("ecx_hyperv.setup").joinpath(name).read_text(encoding="ascii")
