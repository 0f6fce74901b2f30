"""Names as words of PowerShell, of a shell and of targetcli: whatever they hold, they stay one word each."""

import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from warnings import catch_warnings

import pytest
from configshell_fb import ConfigShell  # type: ignore[import-untyped]
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ecx_hyperv.desired.quoting import check_device, check_iqn, check_object, powershell, shell_line
from ecx_hyperv.errors import UsageError
from ecx_hyperv.setup import iscsi
from tests.wire.grammar import broken, nodes, text_of

NASTY = "仮想マシン '1' \u2018a\u2019 \u201ab\u201b $(x) %PATH% ; & | `n \"q\" #{} @() <x> \\"
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029"))
QUOTES = "'\u2018\u2019\u201a\u201b"


def read_literal(literal: str) -> str:
    """Read a literal as PowerShell does: any of its single quotes ends it, unless another follows."""
    assert literal[0] == literal[-1] == "'"
    inner = literal[1:-1]
    left = re.sub(f"[{QUOTES}]{{2}}", "", inner)
    assert not set(left) & set(QUOTES), "a single quote would end the literal"
    return re.sub(f"([{QUOTES}])[{QUOTES}]", r"\1", inner)


@given(TEXTS)
@example(NASTY)
def test_powershell_literal(text: str) -> None:
    """A text is one literal in which nothing ends, expands or escapes, and it is read back as it was."""
    literal = powershell(text)
    script = f"$x = {literal}\n"
    assert [] == broken(script)
    assert text == read_literal(literal)
    assert [] == [text_of(one) for one in nodes(script, "command", "sub_expression", "expandable_string_literal")]


def test_powershell_values() -> None:
    """Lists, tables, numbers and truths are PowerShell's own."""
    assert "@('a', 'b''c')" == powershell(["a", "b'c"])
    assert "@(@{ Name = 'a'; Number = 3 })" == powershell([{"Name": "a", "Number": 3}])
    assert ["$true", "$false", "7", "@()"] == [powershell(one) for one in (True, False, 7, ())]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\x00", "a\u2028b", "\x85", "\ud800"])
def test_control_characters_are_refused(text: str) -> None:
    """What would end a line is refused: a comment or a command ends there."""
    with pytest.raises(UsageError, match="control character"):
        powershell(text)
    with pytest.raises(UsageError, match="control character"):
        shell_line("echo", text)


@settings(max_examples=40, deadline=None)
@given(st.lists(TEXTS, max_size=30))
@example([NASTY, "-n", "", "~", "*"])
def test_shell_words(words: list[str]) -> None:
    """Words are what a real shell hands to a command."""
    line = shell_line("printf", "%s\\0", "", *words)
    seen = subprocess.run(["sh", "-c", line], capture_output=True, check=True).stdout
    assert ["", *words] == seen.decode().split("\0")[:-1]


Parsed = tuple[str, str, list[str], dict[str, str]]


@pytest.fixture(scope="module")
def targetcli(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Parsed]:
    """Return the parser of the shell that targetcli is: it joins its arguments and takes the line apart by itself."""
    with catch_warnings(action="ignore"):
        shell = ConfigShell(str(tmp_path_factory.mktemp("targetcli")))

    def parse(line: str) -> Parsed:
        with catch_warnings(action="ignore"):
            _, path, name, plain, pairs = shell._parse_cmdline(line)
        return path, name, plain, pairs

    return parse


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=40) | st.sampled_from([NASTY, "a b", "a=b", "a'b", "../x", "/iscsi", "", "-a", "a+b:1"]))
def test_targetcli_takes_each_word_whole(targetcli: Callable[[str], Parsed], text: str) -> None:
    """A device, a name or an iSCSI name is refused, or is one word, whole, for targetcli's own parser."""
    for check in (check_device, check_iqn, lambda one: check_object(one, "a backstore")):
        for given_text in (text, f"/dev/{text}", f"iqn.1996-10.com.{text}"):
            with suppress(UsageError):
                word = check(given_text)
                line = f"/backstores/block create {word} name={word}"
                assert ("/backstores/block", "create", [word], {"name": word}) == targetcli(line)


def test_targetcli_reads_every_step(targetcli: Callable[[str], Parsed]) -> None:
    """Each line of setup iscsi is for targetcli's parser the path, command and words that are meant."""
    what = iscsi.served(["iqn.1991-05.com.microsoft:Host-1.example"], "/dev/NMP1", "iqn.1996-10.com.ecx", "idisk1")
    for step in iscsi.steps(what):
        for command in (step.ask, step.do):
            if command[0] == "targetcli":
                path, name, plain, pairs = targetcli(" ".join(command[1:]))
                assert command[1:] == (path, name, *plain, *(f"{key}={value}" for key, value in pairs.items()))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "iqn.1991-05.com.microsoft:WS2019-Host-1.2016dom.local",
            "iqn.1991-05.com.microsoft:ws2019-host-1.2016dom.local",
        ),
        (" iqn.1996-10.com.ecx\n", "iqn.1996-10.com.ecx"),
        ("eui.02004567a425678d", "eui.02004567a425678d"),
    ],
)
def test_iscsi_names(text: str, name: str) -> None:
    """An iSCSI name, as Windows shows it, is taken in lower case."""
    assert name == check_iqn(text)


@pytest.mark.parametrize("text", ["iqn.1996-13.com.ecx", "iqn.com.ecx", "host1", "iqn.1996-10.com.ecx:" + "a" * 230])
def test_what_is_no_iscsi_name(text: str) -> None:
    """What is none is refused, not handed to targetcli, which would make a target of it."""
    with pytest.raises(UsageError, match="is no iSCSI name"):
        check_iqn(text)


@pytest.mark.parametrize("text", ["NMP1", "/dev/../etc/passwd", "/dev/", "/dev/a b", "/dev/.x"])
def test_what_is_no_device(text: str) -> None:
    """What is no device under /dev is refused."""
    with pytest.raises(UsageError, match="is no device"):
        check_device(text)
