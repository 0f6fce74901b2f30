"""config.toml with mistakes: each is named by file and key, with what was expected, and all of them at once."""

import json
import math
from pathlib import Path

import pytest

from ecx_hyperv.config_file import load, parse
from ecx_hyperv.errors import ConfigError, Mistake
from ecx_hyperv.exits import Exit
from tests.unit.samples import MINIMAL, replaced

FILE = "/etc/ecx-hyperv/config.toml"
_NAME = "a name without"


def mistakes_in(text: str) -> tuple[Mistake, ...]:
    """Return the mistakes that a text is refused for."""
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE)
    assert Exit.CONFIG is caught.value.exit
    assert all(mistake.file == FILE for mistake in caught.value.mistakes)
    return caught.value.mistakes


def with_vm(name: str) -> str:
    """Return a file with a VM of that name."""
    return f"{MINIMAL}[[vm]]\nname = {json.dumps(name)}\n"


def in_timing(line: str) -> str:
    """Return a file with that line under [timing]."""
    return f"{MINIMAL}[timing]\n{line}\n"


def in_ssh(line: str) -> str:
    """Return a file with that line under [ssh]."""
    return replaced("[ssh]", f"[ssh]\n{line}")


@pytest.mark.parametrize(
    ("text", "key", "expected", "seen"),
    [
        # The wrong type.
        (replaced('csv = "Cluster Disk 1"', "csv = 1"), "cluster.csv", "a text in quotes", "1"),
        (in_ssh('port = "22"'), "ssh.port", "a whole number from 1 to 65535", "'22'"),
        (in_ssh("port = 22.5"), "ssh.port", "a whole number", "22.5"),
        (in_timing("start = true"), "timing.start", "a number of seconds above 0, at most 86400", "True"),
        (in_timing("settle = '3'"), "timing.settle", "a number of seconds from 0 to 86400", "'3'"),
        (f"{MINIMAL}[monitor]\nheartbeat = 1\n", "monitor.heartbeat", "true or false", "1"),
        (replaced('vm = "EC-VM2"', "vm = []"), "node[2].vm", "a text", "[]"),
        (f"{MINIMAL}[[vm]]\nname = 1979-05-27\n", "vm[1].name", "a text", "date"),
        (f"{MINIMAL}[[vm]]\nname = 'a'\nresource = 1\n", "vm[1].resource", "a text", "1"),
        (f"timing = 1\n{MINIMAL}", "timing", "a table: [timing]", "1"),
        (f"vm = {{name = 'web1'}}\n{MINIMAL}", "vm", "a list of tables, each under [[...]]", "web1"),
        (f"vm = ['web1']\n{MINIMAL}", "vm[1]", "a table: [[vm]]", "'web1'"),
        # Out of range.
        (in_ssh("port = 0"), "ssh.port", "1", "0"),
        (in_ssh("port = 65536"), "ssh.port", "65535", "65536"),
        (in_timing("interval = 0"), "timing.interval", "above 0", "0"),
        (in_timing("connect = 0"), "timing.connect", "above 0", "0"),
        (in_timing("monitor = -90"), "timing.monitor", "above 0", "-90"),
        (in_timing("settle = -0.5"), "timing.settle", "from 0", "-0.5"),
        (in_timing("settle = nan"), "timing.settle", "a number of seconds", "nan"),
        (replaced('user = "Administrator@example.local"', 'user = ""'), "ssh.user", "not empty", "''"),
        (with_vm(""), "vm[1].name", "not empty", "''"),
        # A key that nobody knows.
        (f"[cluter]\n{MINIMAL}", "cluter", "cluster, ssh, paths, timing, monitor, node, vm", "unknown"),
        (in_ssh("know_hosts = '/k'"), "ssh.know_hosts", "known_hosts", "unknown"),
        (in_timing("intervall = 1"), "timing.intervall", "interval", "unknown"),
        (f"{MINIMAL}hots = 'h'\n", "node[2].hots", "host", "unknown"),
        (f"{with_vm('web1')}id = 'web1'\n", "vm[1].id", "the id of a VM", "'web1'"),
        (f"{with_vm('web1')}id = '{{01234567-89ab-cdef-0123-456789abcdef'\n", "vm[1].id", "the id of a VM", "'{0"),
        (f"{with_vm('web1')}id = ''\n", "vm[1].id", "", "''"),
        (f"{with_vm('web1')}role = 'a*'\n", "vm[1].role", _NAME, "'a*'"),
        (f"{with_vm('web1')}disk = 'd'\n", "vm[1].disk", "csv", "unknown"),
        # A key that is missing.
        (replaced("[ssh]", "[other]"), "ssh", "a value", "missing"),
        (replaced('csv = "Cluster Disk 1"\n', ""), "cluster.csv", "a value", "missing"),
        (replaced('address = "192.168.137.20"\n', ""), "node[1].address", "a value", "missing"),
        (f"{MINIMAL}[[vm]]\n", "vm[1].name", "a value", "missing"),
        # One word of several.
        (in_ssh('stdin = "pipe"'), "ssh.stdin", "handle", "'pipe'"),
        (in_ssh('stdin = "pipe"'), "ssh.stdin", "input", "'pipe'"),
        (f'{MINIMAL}[monitor]\nunknown = "Failed"\n', "monitor.unknown", "healthy", "'Failed'"),
        # An address.
        (replaced("192.168.139.201", "192.168.139.256"), "cluster.iscsi_target", "an IP address", "192.168.139.256"),
        (replaced("192.168.139.201", "target"), "cluster.iscsi_target", "an IP address", "'target'"),
        (replaced('"192.168.137.20"', '"192.168.137.20/24"'), "node[1].address", "an IP address", "/24"),
        (replaced('"192.168.137.200"', '" 192.168.137.200"'), "node[2].address", "an IP address", "' 192"),
        # Something twice.
        (with_vm("Web1") + '[[vm]]\nname = "wEB1"\n', "vm[2].name", "a value of its own", "'wEB1' again"),
        (with_vm("straße") + '[[vm]]\nname = "STRASSE"\n', "vm[2].name", "a value of its own", "again"),
        (with_vm("a") + '[[vm]]\nname = "b"\nresource = "exec-A"\n', "vm[2].resource", "its own", "again"),
        (replaced('"ec2"', '"EC1"'), "node[2].name", "a value of its own", "'EC1' again"),
        (replaced('"192.168.137.200"', '"192.168.137.20"'), "node[2].address", "its own", "again"),
        (replaced('"192.168.137.197"', '"192.168.137.196"'), "node[2].host", "its own", "again"),
        # Not two nodes.
        (MINIMAL[: MINIMAL.rindex("[[node]]")], "node", "exactly two", "1"),
        (f"node = []\n{MINIMAL[: MINIMAL.index('[[node]]')]}", "node", "exactly two", "0"),
        (f"{MINIMAL}[[node]]\nname='c'\naddress='10.0.0.9'\nvm='c'\nhost='c'\n", "node", "exactly two", "3"),
        # A path that depends on where one stands.
        (replaced('"/root/.ssh/id_rsa"', '"~/.ssh/id_rsa"'), "ssh.key", "an absolute path", "'~/.ssh/id_rsa'"),
        (in_ssh('known_hosts = "known_hosts"'), "ssh.known_hosts", "an absolute path", "'known_hosts'"),
        (f'{MINIMAL}[paths]\nstate = "var"\n', "paths.state", "an absolute path", "'var'"),
        (f'{MINIMAL}[paths]\nrun = "./run"\n', "paths.run", "an absolute path", "'./run'"),
        (in_ssh("powershell = 'C:\\Program Files\\pwsh.exe'"), "ssh.powershell", "letters", "Program Files"),
        (in_ssh('powershell = "pwsh;calc"'), "ssh.powershell", "letters", "pwsh;calc"),
        (in_ssh('powershell = "\\u3000"'), "ssh.powershell", "letters", ""),
    ],
)
def test_a_mistake_is_named_by_its_place(text: str, key: str, expected: str, seen: str) -> None:
    """A mistake must be named by its key, with what was expected there and what was found."""
    found = [mistake for mistake in mistakes_in(text) if mistake.key == key]
    assert 1 == len(found)
    assert expected in found[0].expected
    assert seen in found[0].seen


_BAD = ["a*", "?", "[ab]", "a]", "web`1", "a\nb", "a\tb", "a\x00b", "a\x7fb", "a\x1b[31m", " web1", "web1 ", "\u3000a"]
_C1_CONTROLS = ["a\x85b", "a\x9b31mb"]


@pytest.mark.parametrize("name", _BAD + _C1_CONTROLS)
def test_a_name_that_could_mean_another_is_refused(name: str) -> None:
    """Wildcards, the backtick, control characters of either range and outer blanks must be refused in every name."""
    quoted = json.dumps(name)
    for text, key in (
        (with_vm(name), "vm[1].name"),
        (f"{with_vm('web1')}csv = {quoted}\n", "vm[1].csv"),
        (replaced('"Cluster Disk 1"', quoted), "cluster.csv"),
        (replaced('"EC-VM2"', quoted), "node[2].vm"),
    ):
        found = mistakes_in(text)
        assert [key] == [mistake.key for mistake in found]
        assert _NAME in found[0].expected


@pytest.mark.parametrize("key", ["interval", "connect", "start", "unregister", "monitor"])
def test_no_time_is_without_an_end(key: str) -> None:
    """An infinite time must be refused, since every command ends before its deadline."""
    assert [f"timing.{key}"] == [mistake.key for mistake in mistakes_in(in_timing(f"{key} = {math.inf}"))]


@pytest.mark.parametrize("value", ["{}", "[]", "1", "true"])
def test_a_word_that_is_no_word_is_named(value: str) -> None:
    """A word of several that is not even a text must be named by its key, too."""
    assert ["ssh.stdin"] == [mistake.key for mistake in mistakes_in(in_ssh(f"stdin = {value}"))]


def test_all_mistakes_in_one_kind_of_table_are_named() -> None:
    """Every mistake in the types and keys of a file must be reported at once, not one after the other."""
    text = f"spam = 1\n{in_ssh('port = 0')}hots = 'h'\n[timing]\nstart = 'x'\nend = 1\n[[vm]]\n[[vm]]\nname = 1\n"
    expected = {"spam", "ssh.port", "node[2].hots", "timing.start", "timing.end", "vm[1].name", "vm[2].name"}
    assert expected == {mistake.key for mistake in mistakes_in(text)}


@pytest.mark.defect(13)
def test_all_mistakes_in_meaning_are_named() -> None:
    """Every value that is of the right type but can't be meant must be reported at once."""
    text = (
        MINIMAL.replace("192.168.139.201", "target")
        .replace('"/root', '"root')
        .replace('"ec2"', '"EC1"')
        .replace("EC-VM1", "EC*")
    )
    expected = {"cluster.iscsi_target", "ssh.key", "node[2].name", "node[1].vm"}
    assert expected == {mistake.key for mistake in mistakes_in(text)}


def test_mistakes_of_both_kinds_are_named_together() -> None:
    """A wrong type somewhere must not hide an address, a path or a name that can't be meant elsewhere."""
    text = replaced("192.168.139.201", "target").replace('"/root', '"root') + "[timing]\nstart = 'x'\nend = 1\n"
    expected = {"cluster.iscsi_target", "ssh.key", "timing.start", "timing.end"}
    assert expected == {mistake.key for mistake in mistakes_in(text)}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        *(("[cluster\n", 1), ("a = 1\nb = \n", 2), ("a = 1\na = 2\n", 2), ("\n\nx\n", 3), ("a = 1\nb =", 2)),
        *(("a = 1\nb = 'c\n", 2), ('a = "b\n', 1)),
    ],
)
def test_what_is_no_toml_is_named_by_its_line(text: str, line: int) -> None:
    """A file that is no TOML must be refused as a whole, with the line where it ceases to be."""
    assert [""] == [mistake.key for mistake in mistakes_in(text)]
    assert "valid TOML" == mistakes_in(text)[0].expected
    assert line == mistakes_in(text)[0].line


@pytest.mark.parametrize(
    "text",
    [
        f"a = {'[' * 5000}",
        f"a = {'{a=' * 5000}",
        in_timing(f"start = {'9' * 5000}"),
        in_timing(f"start = 0x{'f' * 5000}"),
        replaced('"Cluster Disk 1"', f"0x{'f' * 5000}"),
        in_timing(f"start = 1{'0' * 400}"),
    ],
    ids=["lists", "tables", "digits", "hex", "hex for a text", "beyond a float"],
)
def test_what_is_too_much_to_read_is_a_mistake(text: str) -> None:
    """Numbers and nesting beyond what can be read must be refused like any other mistake."""
    assert mistakes_in(text)


@pytest.mark.parametrize("sign", ["\u201c", "\u300c", "\uff1d", "\u3000"])
def test_a_sign_that_only_looks_right_is_named(sign: str) -> None:
    """Quotes of a word processor, and full-width signs and blanks, must be named: nobody sees the difference."""
    (mistake,) = mistakes_in(f"[cluster]\ncsv {sign} = 1\n")
    assert 2 == mistake.line
    assert f"{sign!r} is no sign of TOML" in mistake.seen


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        (in_timing("intervall = 1"), "timing.intervall", "interval"),
        (in_timing("Interval = 1"), "timing.Interval", "interval"),
        (in_timing("host = 1"), "timing.host", "host in [[node]]"),
        (in_ssh("reserve = 1"), "ssh.reserve", "reserve in [timing]"),
        (f"[nodes]\n{MINIMAL}", "nodes", "node"),
        (in_timing("xyz = 1"), "timing.xyz", ""),
    ],
)
def test_the_nearest_key_is_named(text: str, key: str, nearest: str) -> None:
    """A key that nobody knows must be told with the one that may have been meant, here or in another table."""
    (mistake,) = [mistake for mistake in mistakes_in(text) if mistake.key == key]
    assert nearest == mistake.nearest
    assert (f"the nearest key is {nearest}" in str(mistake)) is bool(nearest)


def test_a_mistake_is_named_by_its_line() -> None:
    """Each mistake must name the line of its key; a key that is missing, that of its table."""
    text = in_timing("start = 'x'\nend = 1") + "[[vm]]\ncsv = 1\n"
    lines = text.splitlines()
    expected = {
        "timing.start": lines.index("start = 'x'") + 1,
        "timing.end": lines.index("end = 1") + 1,
        "vm[1].csv": lines.index("csv = 1", 12) + 1,
        "vm[1].name": lines.index("[[vm]]") + 1,
    }
    found = {mistake.key: mistake for mistake in mistakes_in(text)}
    assert expected == {key: mistake.line for key, mistake in found.items()}
    assert str(found["timing.start"]).startswith(f"{FILE}:{expected['timing.start']}: timing.start: expected ")


def test_a_mistake_stays_on_its_line() -> None:
    """A key that holds a line break must not break the line in which it is named."""
    for mistake in mistakes_in(f'"a\\nb" = 1\n{MINIMAL}'):
        assert 1 == len(str(mistake).splitlines())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file must be named, with how to come by one."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "config.toml")
    assert [Mistake(str(tmp_path / "config.toml"), "", "a configuration file", "nothing there")] == list(
        caught.value.mistakes
    )
    assert "sample config.toml" in caught.value.remedy
    assert "--config" in caught.value.remedy


@pytest.mark.parametrize("content", [b'a = "\xff"', MINIMAL.encode("utf-16"), "# 日本語".encode("euc_jp")])
def test_a_file_in_another_encoding_is_named(tmp_path: Path, content: bytes) -> None:
    """A file that is not UTF-8 must be refused as such."""
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.mistakes[0].line
    assert [(str(path), "", "a readable UTF-8 file")] == [(m.file, m.key, m.expected) for m in caught.value.mistakes]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """What can't be read at all must be a configuration error, too."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert "a readable UTF-8 file" == caught.value.mistakes[0].expected
