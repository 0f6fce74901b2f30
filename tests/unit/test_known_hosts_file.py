"""known_hosts (F4, F6, D21): what OpenSSH finds in it is found, and what is not about a host is not touched."""

import base64
import hashlib
import hmac
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecx_hyperv.host.known_hosts_file import KnownHostsFile, Marker, PinnedKey, is_whole, names_of, parse
from tests.unit.always import always

MIXED = (Path(__file__).parents[1] / "samples" / "known_hosts" / "mixed").read_bytes()


def blob(kind: str, *fields: bytes) -> bytes:
    """Return a key's bytes."""
    return b"".join(struct.pack(">I", len(one)) + one for one in (kind.encode(), *fields))


def key(word: str) -> PinnedKey:
    """Return a key that is made of a word."""
    return PinnedKey("ssh-ed25519", blob("ssh-ed25519", hashlib.sha256(word.encode()).digest()))


def line(names: str, one: PinnedKey, marker: str = "", comment: str = "") -> bytes:
    """Return a line."""
    return (
        " ".join(filter(None, (marker, names, one.kind, base64.b64encode(one.blob).decode(), comment))).encode() + b"\n"
    )


def hashed(name: str, salt: bytes = b"s" * 20) -> str:
    """Return a name as ssh-keygen -H writes it."""
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


CUT = b"backup9 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx\n"


@pytest.mark.parametrize(
    "strange",
    [
        CUT,
        line("*.lab", key("ca"), "@cert-authority"),
        line("*", key("bad"), "@revoked"),
        b"@what\n",
        b"\xff\x00\n",
        b"x\n",
    ],
    ids=["cut", "authority", "revoked", "marker", "bytes", "word"],
)
def test_f04_a_line_about_others_stops_nothing(strange: bytes) -> None:
    """A line that is cut, marked or garbage must hide no other line, and stay as it is when a key is pinned."""
    content = line("[10.9.0.1]:22", key("one")) + strange + line("[10.9.0.2]:2222", key("two"))
    file = parse(content)
    assert (key("one"),) == file.keys_for("10.9.0.1", 22)
    assert (key("two"),) == file.keys_for("10.9.0.2", 2222)
    assert () == file.keys_for("backup9", 22)
    assert strange in file.replaced("10.9.0.1", 22, [key("new")]).to_bytes()


def test_f06_a_hashed_line_is_replaced() -> None:
    """A host's old key under a hashed name must be found, and go when another is pinned."""
    file = parse(line(hashed("10.9.0.1"), key("old")) + line(hashed("10.9.0.2"), key("two")))
    assert (key("old"),) == file.keys_for("10.9.0.1", 22)
    after = file.replaced("10.9.0.1", 22, [key("new")])
    assert (key("new"),) == after.keys_for("10.9.0.1", 22)
    assert line(hashed("10.9.0.2"), key("two")) + line("10.9.0.1", key("new")) == after.to_bytes()


def test_d21_all_keys_of_a_kind_are_tried() -> None:
    """Two keys of one kind must both be a host's keys, as for OpenSSH."""
    file = parse(line("h", key("one")) + line("h", key("two"), comment="while it is changed"))
    assert (key("one"), key("two")) == file.keys_for("h", 22)


def test_d21_nothing_is_dropped_on_writing() -> None:
    """Comments, unknown lines, blanks and the end of the file must stay byte for byte; only our lines change."""
    assert MIXED == parse(MIXED).to_bytes()
    after = parse(MIXED).replaced("10.9.0.1", 22, [key("new")]).to_bytes()
    ours = [one for one in MIXED.splitlines(keepends=True) if re.match(rb"10\.9\.0\.1 |hv1", one)]
    assert 3 == len(ours)
    left = MIXED
    for one in ours[:2]:
        left = left.replace(one, b"")
    left = left.replace(b"hv1.example,10.9.0.1\t", b"hv1.example\t")
    assert left + b"\n" + line("10.9.0.1", key("new")) == after


def test_what_a_mixed_file_says() -> None:
    """Each line must say what OpenSSH takes it for."""
    file = parse(MIXED)
    assert ["ssh-ed25519", "ssh-ed25519", "ssh-rsa"] == [one.kind for one in file.keys_for("10.9.0.1", 22)]
    assert (key("pattern"), key("authority"))[:1] == file.keys_for("hv2.EXAMPLE", 22)
    assert () == file.keys_for("hv9.example", 22)
    assert (key("stolen"),) == file.revoked_for("anything", 22)
    assert (key("two"),) == file.keys_for("10.9.0.2", 2222)
    assert (key("before the reinstall"),) == file.keys_for("10.9.0.2", 22)
    assert () == file.keys_for("later", 22)
    assert (key("three"),) == file.keys_for("10.9.0.3", 22)
    assert [Marker.CERT_AUTHORITY, Marker.REVOKED] == [one.marker for one in file.about("x.lab", 22)]


def test_a_revoked_key_is_nobodys() -> None:
    """A key that is revoked for a host must not be its key, wherever else it is pinned, and not become it."""
    file = parse(line("h", key("one")) + line("h,g", key("two")) + line("h", key("one"), "@revoked"))
    assert (key("two"),) == file.keys_for("h", 22)
    assert (key("two"),) == file.keys_for("g", 22)
    assert () == file.replaced("h", 22, [key("one")]).keys_for("h", 22)


def test_pins_are_never_replaced_by_nothing() -> None:
    """A host whose keys could not be fetched must keep those that it had."""
    with pytest.raises(ValueError, match="never replaced by nothing"):
        parse(line("h", key("one"))).replaced("h", 22, [])


def test_what_is_pinned_already_stays_in_its_place() -> None:
    """Pinning what is pinned must change no byte, by whichever name it is pinned."""
    for names in ("h", "g,h", hashed("h"), "[h]:22", "H"):
        content = line(names, key("one"), comment="since 2020") + CUT
        assert content == parse(content).replaced("h", 22, [key("one")]).to_bytes()


def test_a_wildcard_stays() -> None:
    """A line whose wildcard is about other hosts too must stay, and its key still be told."""
    after = parse(line("*.lab", key("all"))).replaced("h.lab", 22, [key("one")])
    assert (key("all"), key("one")) == after.keys_for("h.lab", 22)


@pytest.mark.parametrize(
    ("kind", "fields", "whole"),
    [
        ("ssh-ed25519", [b"x" * 32], True),
        ("ssh-ed25519", [b"x" * 31], False),
        ("ssh-ed25519", [b"x" * 32, b""], False),
        ("ssh-rsa", [b"\1\0\1", b"\0" + b"n" * 256], True),
        ("ssh-rsa", [b"\1\0\1"], False),
        ("ecdsa-sha2-nistp256", [b"nistp256", b"\4" * 65], True),
        ("ecdsa-sha2-nistp256", [b"nistp384", b"\4" * 65], False),
        ("ssh-new", [b"x"], False),
    ],
)
def test_a_key_is_whole(kind: str, fields: list[bytes], whole: bool) -> None:
    """A key that is cut, or of another kind than its line says, must be none."""
    assert whole is is_whole(kind, blob(kind, *fields))
    assert not is_whole(kind, blob(kind, *fields)[:-1])
    assert not is_whole("ssh-ed25519" if kind != "ssh-ed25519" else "ssh-rsa", blob(kind, *fields))


def test_a_pattern_takes_no_time() -> None:
    """A pattern of many stars must be answered at once."""
    content = line("a*" * 500 + "b", key("x"))
    assert () == parse(content).keys_for("a" * 5000, 22)


HOSTS = ["h", "hv1.lab", "10.9.0.1", "[10.9.0.1]:2222", "HV1.lab"]
KEYS = [key("one"), key("two")]
NAMES = st.lists(
    st.sampled_from([*HOSTS, "*", "hv?.lab", "*.lab", "!h", "!*.lab", "10.9.*", "[10.9.0.1]:*", ""]),
    min_size=1,
    max_size=3,
)
LINES = st.one_of(
    st.builds(
        line,
        NAMES.map(",".join) | st.sampled_from(HOSTS).map(hashed) | st.just("|1|x|y"),
        st.sampled_from(KEYS),
        st.sampled_from(["", "", "", "@cert-authority", "@revoked", "@other", "@revoked @revoked"]),
        st.sampled_from(["", "a comment", "# x"]),
    ),
    st.sampled_from(
        [
            CUT,
            b"\n",
            b"# h ssh-ed25519\n",
            b"h\n",
            b"h ssh-ed25519\n",
            b"  " + line("h", key("one")),
            line("h", key("one")).replace(b" ", b"\t"),
        ]
    ),
    st.sampled_from(
        [line("h", key("one")).replace(b"\n", b"\r\n"), line("h", key("one")).replace(b"ssh-ed25519", b"ssh-rsa")]
    ),
)


@always
@given(content=st.binary(max_size=80) | st.lists(LINES, max_size=5).map(b"".join), cut=st.integers(0, 30))
def test_any_file_comes_back_as_it_was(content: bytes, cut: int) -> None:
    """Any bytes must be read without an exception, be written back the same, and pin no stranger."""
    content = content[: len(content) - cut] if cut < len(content) else content
    file = parse(content)
    assert content == file.to_bytes()
    new = key("new")
    for host, port in (("h", 22), ("10.9.0.1", 2222)):
        assert set(file.keys_for(host, port)) <= set(KEYS)
        after = file.replaced(host, port, [new])
        assert new in after.keys_for(host, port)
        assert after == after.replaced(host, port, [new])
        others = [one.raw.rstrip(b"\n") for one in file.lines if not any(one.is_about(n) for n in names_of(host, port))]
        assert (
            others == [one.raw.rstrip(b"\n") for one in after.lines if one.raw.rstrip(b"\n") in others][: len(others)]
        )
        assert isinstance(parse(after.to_bytes()), KnownHostsFile)
        assert parse(after.to_bytes()).keys_for(host, port) == after.keys_for(host, port)


def found_by_ssh_keygen(content: bytes, name: str, folder: Path) -> set[tuple[int, str]]:
    """Return the lines that OpenSSH finds for a name, with the marker as it tells it."""
    path = folder / "known_hosts"
    path.write_bytes(content)
    done = subprocess.run(["ssh-keygen", "-l", "-F", name, "-f", str(path)], capture_output=True, check=False)
    told = re.findall(rb"^# Host .* found: line (\d+) ?(CA|REVOKED)?", done.stdout, re.MULTILINE)
    return {(int(number), marker.decode()) for number, marker in told}


@settings(parent=always, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, min_size=1, max_size=5), name=st.sampled_from(HOSTS))
def test_as_ssh_keygen_finds_it(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], name: str) -> None:
    """For any file the lines about a host must be those that `ssh-keygen -F` finds."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs OpenSSH's ssh-keygen")
    told = {Marker.CERT_AUTHORITY: "CA", Marker.REVOKED: "REVOKED", None: ""}
    content = b"".join(lines)
    here = {(n, told[one.marker]) for n, one in enumerate(parse(content).lines, 1) if one.is_about(name)}
    folder = tmp_path_factory.mktemp("keys")
    # ssh asks for the name in lower case, which counts for a hashed one.
    assert found_by_ssh_keygen(content, name, folder) | found_by_ssh_keygen(content, name.lower(), folder) == here


@settings(parent=always, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, min_size=1, max_size=5))
def test_f06_what_ssh_keygen_hashes_is_read_as_before(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    """A file must say the same of each host once `ssh-keygen -H` has hashed its names, and an old key still go."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs OpenSSH's ssh-keygen")
    # A hashed name has no case.
    content = b"".join(one.replace(b"HV1.lab", b"hv1.lab") for one in lines)
    path = tmp_path_factory.mktemp("keys") / "known_hosts"
    path.write_bytes(content)
    # It leaves a file alone in which it cannot read a line.
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], capture_output=True, check=False)
    plain, after = parse(content), parse(path.read_bytes())
    for host, port in (("h", 22), ("hv1.lab", 22), ("10.9.0.1", 22), ("10.9.0.1", 2222)):
        assert set(plain.keys_for(host, port)) == set(after.keys_for(host, port))
        assert set(plain.revoked_for(host, port)) == set(after.revoked_for(host, port))
        new = key("new")
        ours = [one for one in after.about(host, port) if one.is_plain]
        left = after.replaced(host, port, [new]).about(host, port)
        assert not [one for one in ours if one.names.startswith("|") and one in left]
