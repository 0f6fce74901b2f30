"""The rooms of the program, and the table of the arrows that are allowed between them."""

from collections.abc import Iterable, Mapping

from tests.layers.source import PROGRAM, Import

_SPLIT = frozenset({"lab"})
# What everybody may use: they know nothing of hosts, ECX or VMs.
_BASE = ("atomic", "deadline", "errors", "exits", "log", "plain")

# Room: the rooms that it may import. Each arrow points down; what does not stand here is refused.
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "version": (),
    "exits": (),
    "atomic": (),
    "deadline": (),
    "output": (),
    "plain": (),
    "errors": ("exits", "plain"),
    "log": ("deadline", "plain"),
    "config": ("errors",),
    "toml_lines": (),
    "config_file": ("atomic", "config", "errors", "toml_lines"),
    "usable": ("config", "desired", "errors", "toml_lines"),
    "decide": ("exits",),
    "desired": ("config", "errors"),
    "ecx": (*_BASE, "config", "decide"),
    "host": (*_BASE, "config", "decide"),
    "run": (*_BASE, "config", "decide", "ecx", "host"),
    "setup": (*_BASE, "config", "decide", "desired", "ecx", "host", "version"),
    "check": (*_BASE, "config", "decide", "desired", "ecx", "host", "usable", "version"),
    "lab/model": ("deadline", "decide", "errors", "exits"),
    "lab/windows": (*_BASE, "config", "decide", "desired", "host", "lab/model"),
    "lab/linux": (*_BASE, "config", "config_file", "decide", "desired", "lab/model", "lab/windows"),
    # The hosts' side in a real PowerShell: stand-ins that ask the world, and what launches it.
    "lab/engine": ("errors", "lab/model", "lab/windows"),
    "lab/service": (
        *(*_BASE, "config", "decide", "desired", "host"),
        *("lab/engine", "lab/linux", "lab/model", "lab/windows"),
    ),
    # python -m ecx_hyperv.lab
    "lab": ("errors", "lab/linux", "lab/model", "lab/service", "lab/windows"),
    "cli": (
        *_BASE,
        *("check", "config", "config_file", "decide", "desired", "ecx", "host"),
        *("output", "run", "setup", "usable", "version"),
        *("lab", "lab/linux", "lab/model", "lab/service"),
    ),
}
# Of the commands only this one knows the lab, which is a package of its own on an EC-VM.
KNOWS_THE_LAB = f"{PROGRAM}.cli.lab"


def room_of(module: str) -> str:
    """Return the room that a module of the program is in."""
    parts = module.split(".")[1:]
    if not parts:
        return "version"
    inside = parts[0] in _SPLIT and len(parts) > 1 and not parts[1].startswith("__")
    return "/".join(parts[:2]) if inside else parts[0]


def arrows(found: Iterable[Import]) -> dict[tuple[str, str], list[Import]]:
    """Return the imports between rooms, by importing and imported room, in alphabetical order."""
    between: dict[tuple[str, str], list[Import]] = {}
    for one in found:
        pair = (room_of(one.importer), room_of(one.imported))
        if pair[0] != pair[1]:
            between.setdefault(pair, []).append(one)
    return dict(sorted(between.items()))


def refused(found: Iterable[Import]) -> list[str]:
    """Return the imports that the table does not allow, each in words."""
    return [
        f"{one.importer} imports {one.imported}: {start} may not know {end}"
        for (start, end), ones in arrows(found).items()
        if end not in ALLOWED.get(start, ())
        for one in ones
    ]
