"""Prints the arrows between the rooms: python -m tests.layers."""

import sys

from tests.layers.rooms import arrows, refused
from tests.layers.source import PROGRAM, Import, circles, imports, modules


def main() -> int:
    """Print each arrow, its number of imports and where they stand; return 1 for a refused arrow or a circle."""
    found = imports(modules(PROGRAM))
    between = arrows(found)
    rooms = {room for pair in between for room in pair}
    rounds = circles({(one.importer, one.imported) for one in found})
    wrong = [*refused(found), *(f"a circle: {', '.join(names)}" for names in rounds)]
    lines = [f"{start:12} -> {end:12} {len(ones):3}  {_importers(ones)}" for (start, end), ones in between.items()]
    lines += [f"{len(rooms)} rooms, {len(between)} arrows, {len(rounds)} circles of modules", *wrong]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if wrong else 0


def _importers(ones: list[Import]) -> str:
    names = sorted({one.importer.removeprefix(f"{PROGRAM}.") for one in ones})
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


if __name__ == "__main__":
    raise SystemExit(main())
