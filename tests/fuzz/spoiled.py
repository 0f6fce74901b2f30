"""What becomes of a file that a person edits, an editor breaks, a disk cuts or an attacker writes."""

from hypothesis import strategies as st

# Names, escapes and signs that have broken some reader of some format once.
_ODD = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[31m", "\u202e".encode(), "\u3000".encode(), b"\r", b"\n", b"\t",
    "仮想".encode("shift_jis"), b" ", b"  ", b'"', b"'", b"\\", b"=", b":", b"#", b"*", b"[", b"]", b"{", b"}", b"<",
    b">", b"0", b"-1", b"9" * 400, b"1e999", b"NaN", b"null", b"true", b"%n", b"$(id)", b"../../etc", b"A" * 5000,
]  # fmt: skip
_MOST_STEPS = 6


@st.composite
def spoiled(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """Return a sample as it is, or after some edits: lines lost, doubled, exchanged; bytes cut, changed, put in."""
    content = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(0, _MOST_STEPS))):
        content = _edited(draw, content, samples)
    return content


def _edited(draw: st.DrawFn, content: bytes, samples: list[bytes]) -> bytes:
    kind = draw(st.sampled_from(["line", "line", "cut", "bytes", "odd", "odd", "other", "value"]))
    at = draw(st.integers(0, len(content)))
    until = draw(st.integers(at, min(len(content), at + 40)))
    if kind == "line":
        return _other_lines(draw, content.splitlines(keepends=True))
    if kind == "cut":
        return content[:at]
    if kind == "bytes":
        return content[:at] + draw(st.binary(max_size=20)) + content[until:]
    if kind == "other":
        other = draw(st.sampled_from(samples))
        return content[:at] + other[draw(st.integers(0, len(other))) :]
    odd = draw(st.sampled_from(_ODD))
    # An odd thing in place of a whole word, or between two.
    return content[:at] + odd + content[until if kind == "value" else at :]


def _other_lines(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    if lines:
        one, two = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        kind = draw(st.sampled_from(["lost", "doubled", "exchanged", "many"]))
        if kind == "lost":
            del lines[one]
        elif kind == "doubled":
            lines.insert(two, lines[one])
        elif kind == "exchanged":
            lines[one], lines[two] = lines[two], lines[one]
        else:
            lines[one:one] = [lines[one]] * 50
    return b"".join(lines)
