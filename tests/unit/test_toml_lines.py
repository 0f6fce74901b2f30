"""The line of each key of a TOML text, whatever else stands in it."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.toml_lines import line_of, lines_of
from tests.unit.always import always

_HARD = """\
# [not] = a key
a = 1 # b = 2
"b c".d = '''
x = 1
'''
list = [ # [comment]
  "]", '"', [1, 2],
  {inner = 'a', "other"=2},
]

[table] # [[x]]
  key\t=\t"a # b"
[[many]]
name = "1"
[many.sub]
x = {y = {z = 1}}
[[many]]
name = "two \\" ] }"
[[many.deep]]
v = 1979-05-27T07:32:00Z
[[many.deep]]
v = [
]
"""


def test_every_kind_of_key_has_its_line() -> None:
    """Comments, texts of several lines, lists, tables in tables and quoted keys must not shift a line."""
    assert tomllib.loads(_HARD)
    lines = lines_of(_HARD)
    expected = {
        "a": 2,
        "b c.d": 3,
        "list": 6,
        "list[4].inner": 8,
        "list[4].other": 8,
        "table": 11,
        "table.key": 12,
        "many[1]": 13,
        "many[1].name": 14,
        "many[1].sub": 15,
        "many[1].sub.x.y.z": 16,
        "many[2].name": 18,
        "many[2].deep[1].v": 20,
        "many[2].deep[2].v": 22,
    }
    assert expected == {key: lines.get(key) for key in expected}


@pytest.mark.parametrize(
    ("key", "line"), [("timing.start", 2), ("timing.stop", 1), ("node", 3), ("node[2].host", 5), ("vm", 0), ("", 0)]
)
def test_a_key_that_is_missing_has_the_line_of_its_table(key: str, line: int) -> None:
    """A key that is not there must be looked for at its table; where that is not there either, nowhere."""
    lines = lines_of("[timing]\nstart = 1\n[[node]]\nname = 1\n[[node]]\n")
    assert line == line_of(lines, key)


_KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_VALUES = st.sampled_from(
    [
        *("1", "-0.5", "inf", "true", "''", '""', "[1, [2]]", "{a = 1}", "'''\n\n'''", '"""\n"""', "[\n# ]\n]"),
        *('"\\""', "'#'", '"""a"b\\"""""', "''''a''''", "1979-05-27 07:32:00"),
    ]
)
_PAIRS = st.tuples(_KEYS, _VALUES, st.sampled_from(["", " # x = '", "\n\n", "\t"]))


@always
@given(pairs=st.lists(_PAIRS, unique_by=lambda one: one[0]))
def test_any_keys_have_their_lines(pairs: list[tuple[str, str, str]]) -> None:
    """Whatever keys and values a text has, each key must have the line in which it was written."""
    text, expected = "", {}
    for key, value, after in pairs:
        expected[key] = text.count("\n") + 1
        written = json.dumps(key).replace("\x7f", "\\u007f")
        text += f"{written} = {value}{after}\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        # JSON writes a sign beyond the first plane as two, which TOML refuses.
        return
    lines = lines_of(text)
    assert {key: line for key, line in expected.items() if key} == {key: lines.get(key) for key in expected if key}


@always
@given(text=st.text(st.sampled_from("[]{}=.,#'\"\\ab \n"), max_size=60))
def test_any_text_is_over_at_once(text: str) -> None:
    """A text that is no TOML must neither raise nor go on for ever."""
    assert all(1 <= line <= text.count("\n") + 1 for line in lines_of(text).values())
