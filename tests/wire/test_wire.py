"""What comes from a host: frames and noise, byte for byte, without any I/O."""

import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecx_hyperv.host.wire import (
    LONGEST,
    Answer,
    Frame,
    Frames,
    GoodBye,
    Greeting,
    Hello,
    RemoteError,
    Reply,
    Result,
    WireError,
)
from tests.wire.support import HELLO, JAPANESE, NONCE, framed

steady = settings(derandomize=True, deadline=None)
PIECE = 65536
EMPTY = Reply(results=())
KIB = 1024


def read(*pieces: bytes) -> list[Frame]:
    """Return the frames of a whole conversation."""
    frames = Frames(NONCE)
    return [frame for piece in pieces for frame in frames.feed(piece)]


def in_pieces(data: bytes, size: int = PIECE) -> Iterable[bytes]:
    """Return the data as a network would hand it over."""
    return (data[start : start + size] for start in range(0, len(data), size))


def test_hello_is_read() -> None:
    """A hello frame must come out as the agent's first words."""
    assert [Greeting(HELLO)] == read(framed("hello", HELLO))


def test_hello_needs_no_more_than_its_number_and_host() -> None:
    """A hello of a later or lesser agent must be read as long as it says its number and its host."""
    assert [Greeting(Hello(agent=2, host="h"))] == read(framed("hello", {"agent": 2, "host": "h", "new": [1]}))


@pytest.mark.defect(17, 48)
def test_reply_is_read() -> None:
    """A reply frame must come out with its ID, its results, its errors and its times."""
    error = {"message": "no", "id": "A,B", "category": "C", "exception": "D", "code": 5023}
    results = [{"ok": True, "value": [{"Name": JAPANESE, "Uptime.TotalSeconds": 1.5}]}, {"ok": False, "error": error}]
    expected = Reply(
        results=(
            Result(ok=True, value=({"Name": JAPANESE, "Uptime.TotalSeconds": 1.5},)),
            Result(ok=False, error=RemoteError(message="no", id="A,B", category="C", exception="D", code=5023)),
        ),
        ms=137,
        modules={"Hyper-V": 812},
    )
    assert [Answer(12, expected)] == read(framed("12", {"results": results, "ms": 137, "modules": {"Hyper-V": 812}}))


@pytest.mark.parametrize(
    ("content", "message"),
    [({"message": "a line of 2 words"}, "a line of 2 words"), ({"message": None}, "no reason given")],
)
def test_fatal_is_read(content: object, message: str) -> None:
    """A fatal frame must come out as the agent's last words, even when it gives no reason."""
    assert [GoodBye(message)] == read(framed("fatal", content))


NOISE = {
    "nothing": b"",
    "banner": b"Microsoft Windows [Version 10.0.17763.1]\r\n(c) 2018\r\n",
    "clixml": b'#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"></Objs>\r\n',
    "blank lines": b"\r\n\r\n\n \n",
    "words without an end": b"WARNING: the names of some imported commands",
    "bytes of another code page": JAPANESE.encode("cp932", "replace") + b"\r\n\xff\xfe\x00",
    "the nonce, but not at the start": b"> " + NONCE.encode() + b" hello e30=\n",
    "another session's frame": b"a" * 32 + b" 1 e30=\n",
    "half a nonce": NONCE[:31].encode(),
}


@pytest.mark.defect(5, 17)
@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_noise_around_frames_is_no_data(noise: bytes) -> None:
    """Whatever is said before, between and after frames must not change what the frames say."""
    frames = noise.join([b"", framed("hello", HELLO), framed("1", EMPTY), framed("2", EMPTY), b""])
    assert [Greeting(HELLO), Answer(1, EMPTY), Answer(2, EMPTY)] == read(frames)


@pytest.mark.defect(17, 48)
def test_frame_that_ends_in_crlf_is_read() -> None:
    """A frame must be read although something on its way made its line ends CRLF."""
    assert [Answer(1, EMPTY)] == read(framed("1", EMPTY).replace(b"\n", b"\r\n"))


def test_unfinished_frame_is_no_frame() -> None:
    """A frame must not be taken for whole before the line feed at its end."""
    assert [] == read(framed("1", EMPTY)[:-1])


@steady
@given(
    parts=st.lists(st.sampled_from([*NOISE.values(), framed("1", EMPTY), framed("hello", HELLO)]), max_size=8),
    cuts=st.lists(st.integers(min_value=0, max_value=1500), max_size=12),
)
def test_cuts_change_nothing(parts: list[bytes], cuts: list[int]) -> None:
    """The same frames and the same noise must come out wherever the stream is cut."""
    stream = b"".join(parts)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    cut, whole = Frames(NONCE), Frames(NONCE)
    found = [frame for a, b in pairwise(edges) for frame in cut.feed(stream[a:b])]
    assert whole.feed(stream) == found
    assert whole.noise == cut.noise


def test_frame_cut_at_every_byte_is_read() -> None:
    """A frame that arrives byte by byte must be read as one."""
    assert [Greeting(HELLO)] == read(*in_pieces(framed("hello", HELLO), 1))


@steady
@given(
    start=st.sampled_from([b"", b"\n", NONCE.encode(), NONCE.encode() + b" 1 ", NONCE.encode() + b" hello "]),
    data=st.binary(max_size=300),
)
def test_no_bytes_break_the_reader(start: bytes, data: bytes) -> None:
    """Any bytes at all must come out as frames, as noise or as a WireError, never as another error."""
    try:
        found = read(start + data, b"\n")
    except WireError:
        return
    assert all(isinstance(frame, (Greeting, Answer, GoodBye)) for frame in found)


@steady
@given(kind=st.sampled_from(["hello", "fatal", "1"]), data=st.binary(max_size=100))
@example(kind="1", data=b'{"results":[{"ok":true,"value":[{"Name":"\xff"}]}]}')
@example(kind="fatal", data=b'{"message":"\x83\x65"}')
@example(kind="hello", data=b'{"agent":1,"host":"\xc3"}')
def test_no_content_breaks_the_reader(kind: str, data: bytes) -> None:
    """Any content of a frame, text that is no UTF-8 too, must be read or be a WireError."""
    try:
        found = read(framed(kind, data))
    except WireError:
        return
    assert 1 == len(found)


BROKEN = {
    "nothing after the nonce": f"{NONCE}\n".encode(),
    "no content": f"{NONCE} 1\n".encode(),
    "empty content": f"{NONCE} 1 \n".encode(),
    "too many words": f"{NONCE} 1 e30= e30=\n".encode(),
    "no blank after the nonce": f"{NONCE}hello e30=\n".encode(),
    "an ID that is no number": framed("one", EMPTY),
    "a negative ID": framed("-1", EMPTY),
    "a signed ID": framed("+1", EMPTY),
    "a fraction as ID": framed("1.0", EMPTY),
    "digits of another script": framed("\u0661", EMPTY),
    "an endless ID": framed("1" * 19, EMPTY),
    "a hello in capitals": framed("HELLO", HELLO),
    "no base64": f"{NONCE} 1 !!!!\n".encode(),
    "base64 cut short": f"{NONCE} 1 e30\n".encode(),
    "no JSON": framed("1", b"{'results': []}"),
    "two JSON values": framed("1", b'{"results":[]}{"results":[]}'),
    "no UTF-8": framed("1", b'{"results":[{"ok":false,"error":{"message":"\x83\x65"}}]}'),
    "half a surrogate pair": framed("1", rb'{"results":[{"ok":true,"value":[{"a":"\ud800"}]}]}'),
    "a list for an object": framed("1", []),
    "null": framed("1", None),
    "results that are none": framed("1", {"results": None}),
    "no results": framed("1", {"ms": 1}),
    "a value that is no list": framed("1", {"results": [{"ok": True, "value": {"Name": "a"}}]}),
    "a hello without a host": framed("hello", {"agent": 1}),
    "not a number": framed("1", b'{"results":[],"ms":NaN}'),
    "a number beyond all": framed("1", b'{"results":[],"ms":1e999}'),
    "nested too deep": framed("1", b'{"results":[{"ok":true,"value":[{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}]}]}"),
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN.keys())
def test_broken_frame_is_an_error(stream: bytes) -> None:
    """A line that begins with the nonce and is no frame must be a WireError, since nothing after it can be trusted."""
    with pytest.raises(WireError):
        read(stream)


def test_line_of_just_under_8_mib_is_fine() -> None:
    """An answer whose line is a little shorter than 8 MiB must be read, however it arrives."""
    head = len(f"{NONCE} 1 ")
    overhead = len(json.dumps({"results": [{"ok": True, "value": [{"Text": ""}]}]}, separators=(",", ":")))
    text = "x" * ((LONGEST - head) // 4 * 3 - overhead - 8)
    stream = framed("1", {"results": [{"ok": True, "value": [{"Text": text}]}]})
    assert LONGEST - 64 < len(stream.strip()) < LONGEST
    assert [Answer(1, Reply(results=(Result(ok=True, value=({"Text": text},)),)))] == read(*in_pieces(stream))


@pytest.mark.parametrize("piece", [b"x" * PIECE, b"y" * (PIECE - 1) + b"\n"], ids=["one line", "many lines"])
def test_more_than_8_mib_without_an_answer_is_an_error(piece: bytes) -> None:
    """An output that never becomes an answer must be a WireError once it is more than 8 MiB, and be kept small."""
    frames = Frames(NONCE)
    for _ in range(LONGEST // len(piece)):
        frames.feed(piece)
    with pytest.raises(WireError, match="without an answer"):
        frames.feed(piece * 2)
    assert len(frames.noise) <= 33 * KIB


@pytest.mark.parametrize("size", [LONGEST, PIECE, 1000])
def test_less_than_8_mib_of_noise_is_fine_however_it_arrives(size: int) -> None:
    """Noise of less than 8 MiB before an answer must do no harm, in whatever pieces it is handed over."""
    noise = (b"z" * 99_999 + b"\n") * 60
    assert [Answer(1, EMPTY)] == read(*in_pieces(noise + framed("1", EMPTY), size))


def test_an_answer_starts_the_count_of_noise_anew() -> None:
    """Noise must be counted from the last answer on, or a long session would end by its banners."""
    noise = b"z" * (LONGEST - KIB) + b"\n"
    assert [Answer(1, EMPTY), Answer(2, EMPTY)] == read(noise, framed("1", EMPTY), noise, framed("2", EMPTY))


def test_noise_is_kept_in_bounded_measure() -> None:
    """Of what is said beside the frames only the end must be kept."""
    frames = Frames(NONCE)
    for number in range(20_000):
        frames.feed(f"line {number}\r\n".encode())
    assert len(frames.noise) <= 33 * KIB
    assert "line 19999" == frames.noise.splitlines()[-1]


def test_the_end_of_a_long_line_is_kept() -> None:
    """Of a long line of noise the end must be kept, where programs say what went wrong."""
    frames = Frames(NONCE)
    frames.feed(b"w" * 100_000 + b" access denied\n")
    assert len(frames.noise) <= 16 * KIB
    assert frames.noise.endswith(" access denied")


def test_blank_lines_are_not_kept() -> None:
    """Blank lines, which surround every frame, must not push what matters out of the noise."""
    frames = Frames(NONCE)
    frames.feed(b"first\n" + b"\r\n" * 20_000 + b"last\n")
    assert "first\nlast" == frames.noise


def test_last_words_without_a_line_feed_are_kept() -> None:
    """What a program said last must show in the noise although no line feed followed."""
    frames = Frames(NONCE)
    frames.feed(b"first\nThe system cannot execute the specified program.")
    assert "first\nThe system cannot execute the specified program." == frames.noise


@pytest.mark.parametrize("beginning", [NONCE[:5], NONCE, f"{NONCE} 1 e30"])
def test_beginning_of_a_frame_is_no_noise(beginning: str) -> None:
    """A frame on its way must not be shown to a person as what the host said."""
    frames = Frames(NONCE)
    frames.feed(f"first\n{beginning}".encode())
    assert "first" == frames.noise
