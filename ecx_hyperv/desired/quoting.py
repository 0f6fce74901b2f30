"""Names and values as words of PowerShell, of a shell and of targetcli: whatever they hold, they stay words."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from ecx_hyperv.errors import UsageError

# PowerShell takes each of these for the quote that ends a literal.
_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# targetcli parses its line once more by itself and knows no quoting there, so these are held to what needs none.
_IQN = re.compile(
    r"(?:iqn\.[0-9]{4}-(?:0[1-9]|1[0-2])(?:\.[a-z0-9-]+)+(?::[a-z0-9.:_-]+)?|eui\.[0-9a-f]{16})", re.ASCII
)
_DEVICE = re.compile(r"/dev(?:/[A-Za-z0-9_+:.-]+)+", re.ASCII)
_OBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

Value = str | int | bool | Sequence[str] | Sequence[int] | Sequence[Mapping[str, "Value"]] | Mapping[str, "Value"]


def check_text(text: str, what: str) -> str:
    """Return a text without control characters; raises UsageError for one that has any."""
    if _CONTROL.search(text):
        raise UsageError(f"{what} has a control character", seen=repr(text), remedy="write it without")
    return text


def literal(text: str) -> str:
    """Return a text as PowerShell takes it literally, whatever quotes it holds."""
    return "'" + _QUOTES.sub(lambda match: match[0] * 2, text) + "'"


def powershell(value: Value) -> str:
    """Return a value as a literal of PowerShell; a text always as one that nothing in it can end or expand."""
    if isinstance(value, bool):
        return "$true" if value else "$false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return literal(check_text(value, "a value"))
    if isinstance(value, Mapping):
        return "@{ " + "; ".join(f"{key} = {powershell(one)}" for key, one in value.items()) + " }"
    return "@(" + ", ".join(powershell(one) for one in value) + ")"


def shell(word: str) -> str:
    """Return a word as one of a POSIX shell."""
    return shlex.quote(check_text(word, "a value"))


def shell_line(*words: str) -> str:
    """Return a command for a POSIX shell."""
    return " ".join(shell(word) for word in words)


def check_iqn(text: str) -> str:
    """Return an iSCSI name; raises UsageError for what is none in the spelling that targetcli keeps."""
    # An initiator's name may be shown in capitals; iSCSI compares them without case, and LIO keeps lower case.
    folded = text.strip().lower()
    if not _IQN.fullmatch(folded) or len(folded) > 223:
        raise UsageError(
            f"{text!r} is no iSCSI name",
            remedy="write it like iqn.1991-05.com.microsoft:host1.example.com, as iSCSI Initiator shows it",
        )
    return folded


def is_iqn(text: str) -> bool:
    """Tell whether a text is an iSCSI name, whatever its case."""
    return _is_taken(check_iqn, text)


def is_device(text: str) -> bool:
    """Tell whether a text is the path of a device."""
    return _is_taken(check_device, text)


def _is_taken(check: Callable[[str], str], text: str) -> bool:
    try:
        check(text)
    except UsageError:
        return False
    return True


def check_device(text: str) -> str:
    """Return the path of a device; raises UsageError for what targetcli, udev or a shell could misread."""
    if not _DEVICE.fullmatch(text) or "/." in text:
        raise UsageError(
            f"{text!r} is no device", remedy="write it like /dev/NMP1, with letters, digits and _+:.- only"
        )
    return text


def check_object(text: str, what: str) -> str:
    """Return a name that targetcli takes for one of its objects; raises UsageError."""
    if not _OBJECT.fullmatch(text):
        raise UsageError(f"{text!r} is no name for {what}", remedy="use letters, digits and _.- only")
    return text
