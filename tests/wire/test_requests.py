"""What goes to a host: the requests, the agent and the command line, byte for byte, without any I/O."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecx_hyperv.host.wire import (
    LONGEST_REQUEST,
    Call,
    RemoteError,
    Request,
    WireError,
    encode_command,
    encode_request,
    encode_script,
    texts,
)
from tests.wire.support import JAPANESE, NONCE

steady = settings(derandomize=True, deadline=None)


def sent(request: Request, number: int = 1) -> dict[str, object]:
    """Return a request as an agent would read it."""
    line = encode_request(number, 5000, request)
    content: dict[str, object] = json.loads(base64.b64decode(line.split()[2], validate=True))
    return content


def of_name(name: str) -> Request:
    """Return a request about one VM."""
    return Request(calls=(Call(cmdlet="Get-VM", args={"Name": name}, select=("State",)),))


def test_request_is_one_line_of_three_words() -> None:
    """A request must be its ID, its deadline and base64 of its JSON, in one line that ends with LF."""
    line = encode_request(7, 1500, Request())
    assert b"7 1500 " + base64.b64encode(b'{"calls":[],"stop_on_error":true}') + b"\n" == line


def test_call_says_no_more_than_it_was_given() -> None:
    """A call must always have its args, and select and from only where they are given."""
    inner = Call(cmdlet="Get-ClusterResource", args={"Name": "r"})
    request = Request(
        calls=(
            Call(cmdlet="Get-ClusterNode", args={}),
            Call(cmdlet="Get-ClusterParameter", args={"Name": "p"}, select=("Name", "Value"), from_=inner),
        ),
        stop_on_error=False,
    )
    expected = {
        "calls": [
            {"cmdlet": "Get-ClusterNode", "args": {}},
            {
                "cmdlet": "Get-ClusterParameter",
                "args": {"Name": "p"},
                "select": ["Name", "Value"],
                "from": {"cmdlet": "Get-ClusterResource", "args": {"Name": "r"}},
            },
        ],
        "stop_on_error": False,
    }
    assert expected == sent(request)


def test_values_keep_their_kind() -> None:
    """Text, numbers, booleans and lists of texts must cross as what they are."""
    args: dict[str, str | int | float | bool | list[str]] = {"a": "0", "b": 0, "c": 0.5, "d": False, "e": ["x", "y"]}
    calls = [{"cmdlet": "C", "args": {"a": "0", "b": 0, "c": 0.5, "d": False, "e": ["x", "y"]}}]
    assert calls == sent(Request(calls=(Call(cmdlet="C", args=args),)))["calls"]


def name_in(request: dict[str, object]) -> object:
    """Return the name that a request is about."""
    calls = request["calls"]
    assert isinstance(calls, list)
    return calls[0]["args"]["Name"]


@steady
@given(name=st.text(max_size=200))
def test_any_name_crosses_unharmed(name: str) -> None:
    """Every name must come out on the other side as it went in, in one line of plain ASCII."""
    line = encode_request(1, 1000, of_name(name))
    assert line.isascii()
    assert 1 == line.count(b"\n")
    assert 3 == len(line.split(b" "))
    assert name == name_in(sent(of_name(name)))


@pytest.mark.defect(9)
@pytest.mark.parametrize(
    "name",
    [
        JAPANESE,
        "'; Stop-VM *",
        '"',
        "$(x)",
        "%PATH%",
        "a & b | c > d",
        "a\nb\r\nc",
        "`n",
        "\U0001f5a5",
        "n" * 200,
        "\0",
    ],
)
def test_odd_name_crosses_unharmed(name: str) -> None:
    """A name that would mean something to a shell must be no more than a name."""
    assert name == name_in(sent(of_name(name)))


@pytest.mark.parametrize("name", ["\ud800", "vm\udcff", "\udc83\udc65"])
def test_name_that_is_no_text_is_refused(name: str) -> None:
    """Half a surrogate pair, as a broken locale hands it over, must be refused by an error of the wire's own."""
    with pytest.raises(WireError):
        encode_request(1, 1000, of_name(name))


def test_request_of_more_than_1_mib_is_refused() -> None:
    """A request whose line is longer than 1 MiB must be refused, and one of just that length must not."""
    line = encode_request(1, 1000, of_name("n" * ((LONGEST_REQUEST - 200) // 4 * 3)))
    context = (LONGEST_REQUEST - len(line)) // 4 * 3
    longest = "n" * ((LONGEST_REQUEST - 200) // 4 * 3 + context)
    assert LONGEST_REQUEST - 4 < len(encode_request(1, 1000, of_name(longest))) <= LONGEST_REQUEST
    with pytest.raises(WireError, match="longer than"):
        encode_request(1, 1000, of_name(longest + "nnn"))


def test_script_is_one_line() -> None:
    """The agent must travel as one line of base64, whatever is in it."""
    line = encode_script(NONCE, f"# {JAPANESE}\nparam($a)\n")
    text = f"# ecx-hyperv nonce={NONCE} agent=2\n# {JAPANESE}\nparam($a)\n"
    assert text == base64.b64decode(line[:-1], validate=True).decode("utf-8")
    assert line.endswith(b"\n")
    assert 1 == line.count(b"\n")


@pytest.mark.defect(10)
def test_command_starts_the_bootstrap_without_profile_or_prompt() -> None:
    """The command line must be the PowerShell, its switches and the bootstrap in UTF-16."""
    powershell, *switches, encoded = encode_command("C:\\p.exe", "$a = 1").split(" ")
    expected = ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-EncodedCommand"]
    assert ("C:\\p.exe", expected) == (powershell, switches)
    assert "$a = 1" == base64.b64decode(encoded, validate=True).decode("utf-16-le")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Running", ["Running"]),
        ("A, B", ["A", "B"]),
        (["A, B", "C"], ["A", "B", "C"]),
        ([["A"], None, 3], ["A", "3"]),
        (None, []),
        (5, ["5"]),
        (True, []),
    ],
)
def test_flags_and_lists_become_words(value: object, words: list[str]) -> None:
    """One word, several, or none must come out as a list of words."""
    assert words == texts(value)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (RemoteError(message="not\r\n found", id="A,B", code=5023), "A", "not found [A,B, code 5023]"),
        (RemoteError(category="InvalidArgument"), "", " [InvalidArgument, code None]"),
        (RemoteError(), "", " [no id, code None]"),
    ],
)
def test_error_shows_what_tells_it_apart(error: RemoteError, kind: str, text: str) -> None:
    """An error must show in one line, in the host's words, with what tells it apart in every language."""
    assert (kind, text) == (error.kind, str(error))
