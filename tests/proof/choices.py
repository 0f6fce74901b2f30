"""Every observation there is, without making them all.

Two rules prune, and no other:
1. A decision is run on facts that are chosen only when it reads them. A fact that it has not read cannot have
   mattered, so one run stands for all observations that differ in unread facts alone.
2. Decisions tell the members of a closed set apart by naming them. Members that neither the decision nor the check
   of it names are one to them, and are tried as one.

The runs form a tree, which is walked whole; how many observations each run stands for is counted, and the counts
must add up to all that there are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from inspect import getsource
from math import prod
from re import findall
from types import ModuleType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option:
    """A value that a fact can have, and for how many values of the real world it stands."""

    value: Any
    weight: int = 1


Domain = Mapping[str, Sequence[Option]]


def without(module: ModuleType, function: Callable[..., Any]) -> str:
    """Return a module's text without a function that no other function of the module calls."""
    text, own = getsource(module), getsource(function)
    assert text.count(f"{function.__name__}(") == own.count(f"{function.__name__}(") == 1
    return text.replace(own, "")


def every(kind: type[Enum], *sources: Callable[..., Any] | ModuleType | str) -> Sequence[Option]:
    """Return every member of a closed set, those that none of the sources, or texts, names as one."""
    text = "".join(source if isinstance(source, str) else getsource(source) for source in sources)
    named = set(findall(rf"\b{kind.__name__}\.([A-Z_]+)", text)) if sources else set(kind.__members__)
    apart = [Option(member) for name, member in kind.__members__.items() if name in named]
    alike = [member for name, member in kind.__members__.items() if name not in named]
    return (*apart, Option(alike[0], len(alike))) if alike else tuple(apart)


@dataclass(slots=True)
class Chooser:
    """Answers what a run reads, along one path through the tree."""

    domain: Domain
    path: list[int] = field(default_factory=list)
    read: dict[str, Option] = field(default_factory=dict)

    def ask(self, name: str) -> Any:
        """Return a fact, chosen now if it was not read before."""
        option = self.read.get(name)
        if option is None:
            depth = len(self.read)
            if depth == len(self.path):
                self.path.append(0)
            option = self.read[name] = self.domain[name][self.path[depth]]
        return option.value

    def next_path(self) -> list[int] | None:
        """Return the path after this one; None after the last."""
        names = list(self.read)
        path = self.path[: len(names)]
        while path:
            if path[-1] + 1 < len(self.domain[names[len(path) - 1]]):
                return [*path[:-1], path[-1] + 1]
            path.pop()
        return None


@dataclass(frozen=True, slots=True)
class Walk(Generic[T]):
    """One run: what it read, what came of it, how many observations it stands for."""

    read: Mapping[str, Any]
    result: T
    weight: int


def walk(domain: Domain, run: Callable[[Chooser], T]) -> Iterator[Walk[T]]:
    """Run something on every combination of facts that it can tell apart."""
    sizes = {name: sum(option.weight for option in options) for name, options in domain.items()}
    total = prod(sizes.values())
    path: list[int] | None = []
    while path is not None:
        chooser = Chooser(domain, path)
        result = run(chooser)
        read = chooser.read
        unread = total // prod([sizes[name] for name in read])
        weight = unread * prod([option.weight for option in read.values()])
        yield Walk({name: option.value for name, option in read.items()}, result, weight)
        path = chooser.next_path()


def size(domain: Domain) -> int:
    """Return how many observations a domain holds."""
    return prod(sum(option.weight for option in options) for options in domain.values())


class Lazy:
    """An object whose attributes are facts that the chooser chooses; methods and properties are a real class's.

    A stand-in is made by `of`: the first read of a field goes to the chooser, or to what is given for it, and the value
    stays in its slot. So does the value of a property, which is made of facts alone.
    """

    @staticmethod
    def of(kind: type[T], chooser: Chooser, prefix: str, given: Mapping[str, Any]) -> T:
        """Return a stand-in for an instance of a frozen dataclass with slots."""
        real: Any = kind
        made: T = object.__new__(_stand_in(real, prefix, tuple(given)))
        object.__setattr__(made, "_chooser", chooser)
        object.__setattr__(made, "_given", given)
        return made


@cache
def _stand_in(kind: Any, prefix: str, given: tuple[str, ...]) -> Any:
    asked = {name: prefix + name for name in kind.__dataclass_fields__ if name not in given}
    derived: dict[str, Any] = {
        name: what.fget for name, what in vars(kind).items() if isinstance(what, property) and name not in given
    }
    keep = object.__setattr__

    def first_read(self: Any, name: str) -> Any:
        # A slot that is still empty; one that nobody knows is looked up in what is given, and fails there.
        if name in asked:
            value = self._chooser.ask(asked[name])
        elif name in derived:
            value = derived[name](self)
        else:
            value = self._given[name]
        keep(self, name, value)
        return value

    more = (name for name in (*derived, *given) if name not in kind.__dataclass_fields__)
    slots = ("_chooser", "_given", *more)
    return type(f"Lazy{kind.__name__}", (kind,), {"__getattr__": first_read, "__slots__": slots})


class LazySet:
    """A frozenset of which membership is a fact that the chooser chooses."""

    def __init__(self, chooser: Chooser, prefix: str) -> None:
        self._chooser = chooser
        self._prefix = prefix

    def __contains__(self, item: Any) -> bool:
        """Choose whether the item is in the set."""
        return bool(self._chooser.ask(f"{self._prefix}{item.name}"))
