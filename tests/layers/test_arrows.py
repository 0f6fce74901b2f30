"""Which room knows which: the import arrows of the program."""

from tests.layers.rooms import ALLOWED, KNOWS_THE_LAB, refused, room_of
from tests.layers.source import PROGRAM, Import, SourceModule, When, circles, imports, modules, top_names

_LAB = f"{PROGRAM}.lab"


def _found() -> list[Import]:
    return imports(modules(PROGRAM))


def _module(name: str, text: str) -> SourceModule:
    return SourceModule(name, f"{name}.py", text)


def test_every_arrow_between_rooms_is_allowed() -> None:
    """A module must import only from rooms that the table allows to its room."""
    assert [] == refused(_found())


def test_every_module_is_in_a_room_of_the_table() -> None:
    """A new room must be put into the table before it is used."""
    assert set() == {room_of(name) for name in modules(PROGRAM)} - set(ALLOWED)


def test_the_table_has_no_circle() -> None:
    """The table itself must allow no two rooms to know each other, by whatever way round."""
    assert [] == circles((start, end) for start, ends in ALLOWED.items() for end in ends)


def test_decide_knows_the_exit_codes_only() -> None:
    """The decisions must stay pure: the table may give them nothing that reads, waits or writes."""
    assert ("exits",) == ALLOWED["decide"]


def test_setup_and_check_do_not_know_each_other() -> None:
    """Who makes a set-up and who judges it must share only what `desired` says, or a mistake would hide itself."""
    assert "check" not in ALLOWED["setup"]
    assert "setup" not in ALLOWED["check"]


def test_no_room_knows_the_commands() -> None:
    """Nothing may import the commands: only the entry points call them."""
    assert [] == [room for room, ends in ALLOWED.items() if "cli" in ends]


def test_only_its_own_command_knows_the_lab() -> None:
    """The lab is a package of its own on an EC-VM, so no other module outside of it may import it."""
    outside = {
        one.importer
        for one in _found()
        if one.imported.startswith(_LAB) and not one.importer.startswith((f"{_LAB}.", KNOWS_THE_LAB))
    }
    assert set() == outside - {_LAB}


def test_no_modules_import_each_other() -> None:
    """No circle of modules may exist: neither at import nor at a call."""
    at_run_time = [one for one in _found() if one.when is not When.TYPES_ONLY]
    assert [] == circles((one.importer, one.imported) for one in at_run_time)


def test_no_modules_need_each_others_types() -> None:
    """No circle of modules may exist through imports for the type checker either: such a pair is one module in two."""
    assert [] == circles((one.importer, one.imported) for one in _found())


def test_an_arrow_that_is_not_in_the_table_is_told() -> None:
    """The guard must name importer, imported module and both rooms."""
    planted = [Import(f"{PROGRAM}.decide.start", f"{PROGRAM}.host.wire", When.AT_CALL)]
    assert [f"{PROGRAM}.decide.start imports {PROGRAM}.host.wire: decide may not know host"] == refused(planted)


def test_imports_are_found_wherever_they_stand() -> None:
    """The guard must see an import at the top, in a function, for types only, and one that is named as text."""
    user = "\n".join(
        (
            "from typing import TYPE_CHECKING",
            "from p import a",
            "if TYPE_CHECKING:",
            "    from p.b import Thing",
            "def call():",
            "    from p.c import thing",
            f"LAZY = '{PROGRAM}.d:thing'",
        )
    )
    known = {name: _module(name, "") for name in ("p", "p.a", "p.b", "p.c", f"{PROGRAM}.d")}
    known["p.user"] = _module("p.user", user)
    found = {(one.imported, one.when) for one in imports(known)}
    assert {
        ("p.a", When.AT_IMPORT),
        ("p.b", When.TYPES_ONLY),
        ("p.c", When.AT_CALL),
        (f"{PROGRAM}.d", When.AT_CALL),
    } == found


def test_circles_are_found_whole() -> None:
    """The guard must name all members of a circle, and nothing that only leads to one."""
    assert [["a", "b", "c"]] == circles([("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "y")])
    assert [] == circles([("a", "b"), ("a", "c"), ("b", "c")])


def test_the_decisions_use_nothing_that_reads_waits_or_writes() -> None:
    """The decisions must need no more of Python than what builds values: no clock, no file, no log, no thread."""
    pure = {"abc", "collections", "dataclasses", "enum", "functools", "itertools", "typing", PROGRAM}
    used = {top for name, module in modules(PROGRAM).items() if room_of(name) == "decide" for top in top_names(module)}
    assert set() == used - pure
