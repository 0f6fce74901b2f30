"""Names as words of PowerShell, of a shell and of targetcli: whatever they hold, they stay one word each."""

import re
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecx_hyperv.errors import UsageError
from ecx_hyperv.setup.quoting import check_device, check_iqn, check_object, powershell, shell_line
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


@given(st.text(max_size=40) | st.sampled_from([NASTY, "a b", "a=b", "a'b", "../x", "/iscsi", "", "-a"]))
def test_targetcli_takes_no_more_than_it_needs(text: str) -> None:
    """A device, a name and an iSCSI name are refused, or such that targetcli's own parser sees one plain word."""
    for check in (check_device, check_iqn, lambda one: check_object(one, "a backstore")):
        try:
            word = check(text)
        except UsageError:
            continue
        assert re.fullmatch(r"[A-Za-z0-9/_+:.-]+", word)
        assert ".." not in word.split("/")


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
