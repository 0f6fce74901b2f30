"""The program as a reader of its source sees it: modules, imports, classes, functions and their docstrings.

Nothing is imported here, so a guard also judges a module that does not load.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = "ecx_hyperv"

Function = ast.FunctionDef | ast.AsyncFunctionDef


class When(Enum):
    """When an import is carried out: with the module, at the call of a function, or for the type checker only."""

    AT_IMPORT = "at import"
    AT_CALL = "at a call"
    TYPES_ONLY = "for types only"


@dataclass(frozen=True, slots=True)
class Import:
    """One module of the program imports another one."""

    importer: str
    imported: str
    when: When


@dataclass(frozen=True, slots=True)
class SourceModule:
    """One file, by its dotted name, with its path below the root and its text."""

    name: str
    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """Return the parsed text."""
        return ast.parse(self.text, self.path)

    @property
    def lines(self) -> int:
        """Return the number of lines."""
        return len(self.text.splitlines())


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function, by its module's path and its qualified name; `lines` without its decorators."""

    path: str
    name: str
    lines: int
    has_docstring: bool
    is_public: bool
    is_class: bool

    @property
    def place(self) -> str:
        """Return path and name, as a failing guard shows them."""
        return f"{self.path}: {self.name}"


@cache
def modules(*folders: str) -> Mapping[str, SourceModule]:
    """Return the modules below folders of the root, by their dotted names; a package by its own name."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    found = (_read(path.relative_to(ROOT)) for path in paths)
    return {module.name: module for module in found}


def _read(path: Path) -> SourceModule:
    parts = path.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return SourceModule(name, str(path), (ROOT / path).read_text(encoding="utf-8"))


def imports(known: Mapping[str, SourceModule]) -> list[Import]:
    """Return every import among known modules, those named as text for a lazy command included."""
    found = (one for module in known.values() for one in _imports_of(module, known))
    return [one for one in found if one.importer != one.imported]


def _imports_of(module: SourceModule, known: Mapping[str, SourceModule]) -> Iterator[Import]:
    for name, when in _named(module.tree, When.AT_IMPORT):
        # "from package import module" names a module, "from module import thing" a thing in one.
        imported = name if name in known else name.rpartition(".")[0]
        if imported in known:
            yield Import(module.name, imported, when)


def _named(node: ast.AST, when: When) -> Iterator[tuple[str, When]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, when) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            if child.level:
                raise ValueError(f"a relative import of {child.module}: it hides which room is meant")
            yield from ((f"{child.module}.{alias.name}", when) for alias in child.names)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            # "module:attribute", as a group of commands names one that is imported when it is called.
            module, colon, attribute = child.value.partition(":")
            if colon and attribute.isidentifier() and module.startswith(f"{PROGRAM}."):
                yield module, When.AT_CALL
        else:
            yield from _named(child, _inside(child, when))


def _inside(node: ast.AST, when: When) -> When:
    if when is When.TYPES_ONLY or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
        return When.TYPES_ONLY
    return When.AT_CALL if isinstance(node, Function | ast.Lambda) else when


def top_names(module: SourceModule) -> frozenset[str]:
    """Return the top-level names of all that a module imports, of libraries too."""
    return frozenset(name.partition(".")[0] for name, _ in _named(module.tree, When.AT_IMPORT))


def circles(arrows: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Return the groups of names that reach one another along arrows, each sorted; none where all arrows go down."""
    after: dict[str, set[str]] = {}
    for start, end in arrows:
        after.setdefault(start, set()).add(end)
        after.setdefault(end, set())
    reached = {name: _reached(name, after) for name in after}
    found = {
        tuple(sorted({name} | {other for other in reached[name] if name in reached[other]}))
        for name in after
        if name in reached[name]
    }
    return [list(group) for group in sorted(found)]


def _reached(name: str, after: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    left = list(after[name])
    while left:
        one = left.pop()
        if one not in reached:
            reached.add(one)
            left.extend(after[one])
    return reached


def definitions(module: SourceModule) -> list[Definition]:
    """Return every class, method and function of a module, those inside functions included."""
    return list(_definitions(module.path, module.tree, "", is_public=True))


def _definitions(path: str, node: ast.AST, prefix: str, *, is_public: bool) -> Iterator[Definition]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.ClassDef):
            yield from _definitions(path, child, prefix, is_public=is_public)
            continue
        name = f"{prefix}{child.name}"
        public = is_public and not child.name.startswith("_")
        yield Definition(
            path=path,
            name=name,
            lines=(child.end_lineno or child.lineno) - child.lineno + 1,
            has_docstring=bool(ast.get_docstring(child)),
            is_public=public,
            is_class=isinstance(child, ast.ClassDef),
        )
        # What stands inside a function is nobody else's to call.
        inside = public and isinstance(child, ast.ClassDef)
        yield from _definitions(path, child, f"{name}.", is_public=inside)
