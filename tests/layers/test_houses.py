"""Names, sizes and docstrings of everything outside of the tests."""

import ast
from collections import defaultdict

import pytest

from tests.layers.source import ROOT, Definition, SourceModule, definitions, modules

LONGEST_MODULE = 350
LONGEST_FUNCTION = 45
SHORTEST_ESSAY = 5
# Where a wrong decision costs a guest its memory, its data, or an EC-VM: the head says what is kept, and why so.
DANGEROUS = (
    *("decide/start", "decide/fetch", "decide/unregister", "decide/volume", "decide/monitor", "decide/peer"),
    *("run/tasks", "run/watch", "run/peer"),
)


def _all() -> list[SourceModule]:
    return list(modules("ecx_hyperv", "packaging").values())


def _definitions() -> list[Definition]:
    return [one for module in _all() for one in definitions(module)]


def test_every_class_name_stands_for_one_thing() -> None:
    """A class name must be given once: two things of one name are taken for one another in a message or a search."""
    places: dict[str, list[str]] = defaultdict(list)
    for one in _definitions():
        if one.is_class:
            places[one.name.rpartition(".")[2]].append(one.path)
    assert {} == {name: paths for name, paths in places.items() if len(paths) > 1}


def test_no_module_is_too_long() -> None:
    """A module must fit a reader's head; one that grows past the limit holds two things."""
    assert {} == {module.path: module.lines for module in _all() if module.lines > LONGEST_MODULE}


def test_no_function_is_too_long() -> None:
    """A function must fit a screen."""
    assert {} == {one.place: one.lines for one in _definitions() if not one.is_class and one.lines > LONGEST_FUNCTION}


def test_no_decoder_is_made_at_its_first_use() -> None:
    """What JSON is decoded to must be made at import: made by two threads at once, it ends the process (E24)."""
    made = [
        f"{module.path}:{node.lineno}"
        for module in _all()
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _makes_a_decoder(node)
    ]
    assert [] == made


def _makes_a_decoder(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    typed = len(call.args) > 1 or any(keyword.arg == "type" for keyword in call.keywords)
    return called.endswith("Decoder") or (called.endswith("json.decode") and typed)


def test_everything_public_says_what_it_is_for() -> None:
    """Every public class, method and function must have a docstring."""
    assert [] == [one.place for one in _definitions() if one.is_public and not one.has_docstring]


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_dangerous_module_begins_with_an_essay(name: str) -> None:
    """A module in which a wrong decision costs a guest must say at its head what is kept, and why it is done so."""
    text = (ROOT / "ecx_hyperv" / f"{name}.py").read_text(encoding="utf-8")
    essay = ast.get_docstring(ast.parse(text)) or ""
    assert len([line for line in essay.splitlines() if line.strip()]) >= SHORTEST_ESSAY


def test_definitions_are_found_with_their_sizes() -> None:
    """The guard must count a function's lines, see methods as public, and leave alone what stands inside a function."""
    text = "class A:\n    def b(self):\n        'Doc.'\n        def c():\n            pass\n"
    text += "def _d():\n    class E:\n        pass\n"
    found = {one.name: one for one in definitions(SourceModule("m", "m.py", text))}
    assert {"A", "A.b", "A.b.c", "_d", "_d.E"} == set(found)
    assert ["A", "A.b"] == [name for name, one in found.items() if one.is_public]
    assert (4, True, False) == (found["A.b"].lines, found["A.b"].has_docstring, found["A"].has_docstring)
