"""PowerShell read by a real grammar, and a check for what Windows PowerShell 5.1 does not know yet."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_powershell.language()))

# What came after 5.1: parameters that no older cmdlet has, or that only some got; cmdlets; variables.
_NEW_PARAMETERS = frozenset(
    {
        *("-asarray", "-asbytestream", "-ashashtable", "-enumsasstrings", "-escapehandling", "-parallel"),
        *("-skiphttperrorcheck", "-skipcertificatecheck", "-leafbase"),
    }
)
_NEW_ON = {"convertfrom-json": frozenset({"-depth", "-noenumerate", "-datekind"})}
_NEW_COMMANDS = frozenset(
    {
        *("convertfrom-clixml", "convertfrom-markdown", "convertto-clixml", "enable-experimentalfeature", "get-error"),
        *("get-securerandom", "get-uptime", "join-string", "remove-alias", "remove-service", "show-markdown"),
        *("switch-process", "test-json"),
    }
)
_NEW_VARIABLES = frozenset({"$psstyle", "$iswindows", "$islinux", "$ismacos", "$iscoreclr"})
_NEW_TYPES = re.compile(r"\[\s*(system\.)?(text\.json\b|management\.automation\.psstyle\b|semver\b)", re.IGNORECASE)
# Members that .NET Framework does not have.
_NEW_MEMBERS = re.compile(
    r"::(clamp|tohexstring|fromhexstring|processid|shared)\b|\.replacelineendings\b", re.IGNORECASE
)
# Escapes that 5.1 takes for the plain letter.
_NEW_ESCAPES = re.compile(r"(?<!`)`(?:u\{|e)")
_CODE_IN_STRINGS = ("variable", "sub_expression")


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a script: how and by what name it is called, its parameters, and its text."""

    operator: str
    name: str
    parameters: tuple[str, ...]
    text: str


def nodes(script: str, *kinds: str) -> Iterator[Node]:
    """Return a script's nodes, all or those of some kinds, in the order of the text."""
    for node in _walk(_PARSER.parse(script.encode("utf-8")).root_node):
        if not kinds or node.type in kinds:
            yield node


def text_of(node: Node) -> str:
    """Return a node's text."""
    return (node.text or b"").decode("utf-8")


def broken(script: str) -> list[str]:
    """Return what the grammar cannot make sense of, or misses."""
    return [f"{node.start_point}: {text_of(node)[:40]}" for node in nodes(script) if node.is_error or node.is_missing]


def commands(script: str) -> list[Command]:
    """Return every command that a script calls."""
    return [_command(node) for node in nodes(script, "command")]


def functions(script: str) -> set[str]:
    """Return the names of the functions that a script defines."""
    return {text_of(node) for node in nodes(script, "function_name")}


def words(script: str, variable: str) -> list[str]:
    """Return the texts in what is assigned to a variable, in their order."""
    for node in nodes(script, "assignment_expression"):
        if text_of(node).startswith(f"{variable} = "):
            return [text_of(one).strip("'") for one in _walk(node) if one.type == "string_literal"]
    raise LookupError(variable)


def newer_than_5_1(script: str) -> set[str]:
    """Return the tell-tales of a script that Windows PowerShell 5.1 would refuse, or take for something else."""
    code = _code(script)
    found = _operators(code)
    if any(nodes(script, "pipeline_chain_tail")):
        found.add("&& or ||")
    if re.search(r"(?<![\w$-])clean\s*\{", code, re.IGNORECASE):
        found.add("clean {}")
    for command in commands(script):
        name = command.name.casefold()
        parameters = {parameter.casefold() for parameter in command.parameters}
        found |= parameters & (_NEW_PARAMETERS | _NEW_ON.get(name, frozenset()))
        found |= {name} & _NEW_COMMANDS
    found |= {text_of(node).casefold() for node in nodes(script, "variable")} & _NEW_VARIABLES
    found |= {match[0].casefold() for pattern in (_NEW_TYPES, _NEW_MEMBERS) for match in pattern.finditer(code)}
    expandable = [text_of(node) for node in nodes(script, "expandable_string_literal")]
    return found | {match[0] for text in expandable for match in _NEW_ESCAPES.finditer(text)}


def _operators(code: str) -> set[str]:
    found = {token for token in ("??=", "?.", "?[") if token in code}
    if "??" in code.replace("??=", ""):
        found.add("??")
    # A question mark by itself, but for the variable $?.
    if re.search(r"(?<![?$])\?(?![?.\[=])", code):
        found.add("ternary")
    return found


def _code(script: str) -> str:
    """Return a script with its comments, the plain text of its strings and Where-Object's short name blanked out."""
    text = bytearray(script.encode("utf-8"))
    for node in nodes(script, "comment", "string_literal", "command_name"):
        if node.type == "command_name" and text_of(node) != "?":
            continue
        kept = [(one.start_byte, one.end_byte) for one in _walk(node) if one.type in _CODE_IN_STRINGS]
        for at in range(node.start_byte, node.end_byte):
            if not any(start <= at < end for start, end in kept):
                text[at] = ord(" ")
    return text.decode("utf-8")


def _command(node: Node) -> Command:
    name = node.child_by_field_name("command_name")
    elements = node.child_by_field_name("command_elements")
    return Command(
        operator="".join(text_of(one) for one in node.children if one.type == "command_invokation_operator"),
        name="" if name is None else text_of(name),
        parameters=tuple(
            text_of(one) for one in (elements.children if elements else ()) if one.type == "command_parameter"
        ),
        text=text_of(node),
    )


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)
