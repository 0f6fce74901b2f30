"""clp.conf: its encodings, what is read of it, and that an edit changes nothing else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.desired.clpconf import ClpConf, ConfiguredGroup, Member, parse, read
from ecx_hyperv.errors import LocalError, UsageError

SAMPLES = Path(__file__).parent.parent / "samples" / "clpconf"
NAMES = ("complete-ascii.conf", "fresh-eucjp.conf", "fresh-utf8.conf")


def sample(name: str) -> ClpConf:
    """Return one of the samples."""
    return read(SAMPLES / name)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost(name: str) -> None:
    """A file that is read and written unchanged must be the same to the byte, whatever its encoding."""
    assert (SAMPLES / name).read_bytes() == sample(name).to_bytes()


@pytest.mark.parametrize(
    ("name", "encoding", "version"),
    [
        ("complete-ascii.conf", "ASCII", "4.1.1-1"),
        ("fresh-eucjp.conf", "EUC-JP", "4.3.0-1"),
        ("fresh-utf8.conf", "UTF-8", "5.3.1-1"),
    ],
)
def test_encoding_and_version(name: str, encoding: str, version: str) -> None:
    """The encoding is the declared one, the version that of the ECX that wrote the file."""
    assert ("hyperv", encoding, version) == (sample(name).cluster, sample(name).encoding, sample(name).version)


@pytest.mark.parametrize("name", NAMES)
def test_servers(name: str) -> None:
    """Servers come by priority, with the addresses of their LAN devices, not those of the mirror connection."""
    expected = [
        ("ec1", 0, ("192.168.137.199", "192.168.138.199")),
        ("ec2", 1, ("192.168.137.200", "192.168.138.200")),
    ]
    assert expected == [(one.name, one.priority, one.addresses) for one in sample(name).servers]


def test_groups_resources_monitors() -> None:
    """Groups, resources and monitors are read with their parameters by the paths that clpcfset takes."""
    conf = sample("complete-ascii.conf")
    members = (("fip", "fip-iscsi"), ("md", "md-iscsi"), ("exec", "exec-iscsi"), ("exec", "exec-Cent8.2-1"))
    assert (ConfiguredGroup("failover-vm", tuple(Member(*one) for one in members)),) == conf.groups
    disk, vm = conf.find_resource("md-iscsi"), conf.find_resource("exec-Cent8.2-1")
    assert disk is not None
    assert vm is not None
    assert ("md", "failover-vm", ()) == (disk.type, disk.group, disk.depends)
    assert "400" == disk.parameters["parameters/netdev@0/device"]
    assert ("1800", ("exec-iscsi",)) == (vm.parameters["parameters/timeout/start"], vm.depends)
    fip = conf.find_resource("fip-iscsi")
    assert fip is not None
    assert fip.depends is None
    monitor = conf.find_monitor("genw-remote-node")
    assert monitor is not None
    assert ("genw", "md-iscsi", "1") == (
        monitor.type,
        monitor.parameters["target"],
        monitor.parameters["polling/timing"],
    )
    assert ["userw", "genw", "genw", "fipw", "mdw", "mdnw"] == [one.type for one in conf.monitors]


@pytest.mark.parametrize("name", ["fresh-eucjp.conf", "fresh-utf8.conf"])
def test_edit_keeps_the_rest(name: str) -> None:
    """What an edit does not touch stays, the encoding and texts beyond ASCII among it."""
    conf = sample(name)
    assert conf.add_group("failover-vm")
    assert conf.add_resource("failover-vm", "exec", "exec-web1")
    assert conf.set_resource("exec-web1", "parameters/timeout/start", "1800")
    assert conf.set_depends("exec-web1", ["exec-iscsi"])
    assert conf.add_monitor("genw", "genw-web1")
    assert conf.set_monitor("genw-web1", "polling/servers@0/name", "ec1")

    before = (SAMPLES / name).read_bytes().decode(conf.encoding).splitlines()
    after = conf.to_bytes().decode(conf.encoding).splitlines()
    gone = [line for line in before if line not in after]
    assert ["      <objectnumber>9</objectnumber>"] == gone
    again = parse(conf.to_bytes(), name)
    vm, monitor = again.find_resource("exec-web1"), again.find_monitor("genw-web1")
    assert vm is not None
    assert monitor is not None
    assert ("failover-vm", ("exec-iscsi",), {"comment": "", "parameters/timeout/start": "1800"}) == (
        vm.group,
        vm.depends,
        vm.parameters,
    )
    assert "ec1" == monitor.parameters["polling/servers@0/name"]
    assert "12" in conf.to_bytes().decode(errors="replace").split("<objectnumber>")[1][:4]


def test_editing_twice_changes_nothing() -> None:
    """The second of two equal edits changes nothing, and says so."""
    conf = sample("complete-ascii.conf")
    assert [] == [
        what
        for what, changed in {
            "group": conf.add_group("failover-vm"),
            "resource": conf.add_resource("failover-vm", "md", "md-iscsi"),
            "monitor": conf.add_monitor("genw", "genw-remote-node"),
            "parameter": conf.set_resource("md-iscsi", "parameters/fs", "none"),
            "of an id": conf.set_resource("md-iscsi", "parameters/netdev@0/mdcname", "mdc1"),
            "dependencies": conf.set_depends("exec-iscsi", ["md-iscsi", "fip-iscsi"]),
            "no dependency": conf.set_depends("md-iscsi", []),
        }.items()
        if changed
    ]
    assert (SAMPLES / "complete-ascii.conf").read_bytes() == conf.to_bytes()


def test_what_surrounds_the_root_stays() -> None:
    """Comments, blank elements, CRLF, a mark and text after the root survive an edit."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<!-- by hand: <a /> -->\r\n<root>\r\n  <!-- <b /> -->\r\n'
        '  <group name="g">\r\n    <comment/>\r\n  </group>\r\n</root>\r\n<!-- end -->\r\n'
    )
    content = b"\xef\xbb\xbf" + text.encode()
    conf = parse(content, "clp.conf")
    assert content == conf.to_bytes()
    conf.add_resource("g", "exec", "exec-iscsi")
    edited = conf.to_bytes().decode("utf-8")
    assert edited.startswith('\ufeff<?xml version="1.0" encoding="UTF-8"?>\r\n<!-- by hand: <a /> -->\r\n<root>\r\n')
    assert "<!-- <b /> -->" in edited
    assert edited.endswith("</root>\r\n<!-- end -->\r\n")
    assert edited.count("\n") == edited.count("\r\n")


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "line 1: no element found"),
        (b"<root>\n<a>\n</root>", "line 3: mismatched tag"),
        (b"<cluster/>", "<cluster>, not <root>"),
        (b'<?xml version="1.0" encoding="KLINGON"?>\n<root/>', "KLINGON, which nobody knows"),
        (b'<?xml version="1.0" encoding="base64"?>\n<root/>', "base64 is no encoding of text"),
        (b'<?xml version="1.0" encoding="ASCII"?>\n<root>\n\xe4\xbb\xae</root>', "line 3 is not ASCII"),
        (b'<!DOCTYPE root [<!ENTITY a "b">]>\n<root>&a;</root>', "line 1 declares a document type"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE root SYSTEM "http://x/">\n<root/>', "line 2 declares a document type"),
    ],
)
def test_what_is_no_clp_conf(content: bytes, seen: str) -> None:
    """What is no clp.conf is refused with file and line, entities above all."""
    with pytest.raises(LocalError) as caught:
        parse(content, "/a/clp.conf")
    assert "/a/clp.conf" in caught.value.what
    assert seen in caught.value.seen


def test_empty_root_is_read() -> None:
    """A root without anything in it has nothing, and can be written back."""
    conf = parse(b"<root/>", "clp.conf")
    assert ((), (), (), (), b"<root/>") == (conf.servers, conf.groups, conf.resources, conf.monitors, conf.to_bytes())


def test_character_that_the_encoding_lacks() -> None:
    """A name that the file's encoding cannot hold is an error that says so, not a question mark in the file."""
    conf = sample("complete-ascii.conf")
    conf.add_resource("failover-vm", "exec", "exec-受付")
    with pytest.raises(LocalError, match="ASCII, which has no '受'"):
        conf.to_bytes()


def test_eucjp_beyond_the_strict_table() -> None:
    """Characters that machines write in EUC-JP, but the strict codec does not know, survive."""
    content = b'<?xml version="1.0" encoding="EUC-JP"?>\n<root><a>\xad\xa1</a></root>'
    assert content == parse(content, "clp.conf").to_bytes()


@pytest.mark.parametrize("name", ["", "a/b", "a@b", "-a", "a ", "a'b", "a\nb", "<a>", ".."])
def test_names_that_break_ecx(name: str) -> None:
    """A name that would mean something else in a path, a folder or the XML is refused."""
    conf = sample("complete-ascii.conf")
    with pytest.raises(UsageError):
        conf.add_monitor("genw", name)
    assert (SAMPLES / "complete-ascii.conf").read_bytes() == conf.to_bytes()


def test_conflicts_are_told() -> None:
    """A name that is there as something else, or a group that is not there, is an error; nothing changes."""
    conf = sample("complete-ascii.conf")
    with pytest.raises(LocalError, match="is there already"):
        conf.add_resource("failover-vm", "exec", "md-iscsi")
    with pytest.raises(LocalError, match="is there already"):
        conf.add_monitor("genw", "mdw1")
    with pytest.raises(LocalError, match="no group nowhere"):
        conf.add_resource("nowhere", "exec", "exec-x")
    assert (SAMPLES / "complete-ascii.conf").read_bytes() == conf.to_bytes()


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")))
def test_any_value_comes_back(value: str) -> None:
    """Any text that XML can hold is a value that is read back as it was set, but for outer blanks."""
    conf = sample("fresh-utf8.conf")
    conf.add_monitor("genw", "genw-x")
    conf.set_monitor("genw-x", "parameters/userlog", value)
    found = parse(conf.to_bytes(), "clp.conf").find_monitor("genw-x")
    assert found is not None
    assert value.strip() == found.parameters["parameters/userlog"]


@pytest.mark.proven("E11")
@pytest.mark.parametrize("odd", ["<ta:rget/>", '<a x:y="1"/>', "<:/>"])
def test_e11_a_name_with_a_colon_is_refused_with_its_line(odd: str) -> None:
    """An element or attribute of a namespace that is not bound must be refused with its place, not with a traceback."""
    with pytest.raises(LocalError, match=r"clp\.conf") as caught:
        parse(f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- a -->\n<root>\n  {odd}\n</root>\n'.encode(), "clp.conf")
    assert caught.value.seen.startswith("line 4: ")


def test_odd_files_are_refused_or_read() -> None:
    """A file of a thousand elements in one another must be refused with its line, and a huge number be no number."""
    deep = "<root>" + "<a>" * 1000 + "</a>" * 1000 + "</root>"
    with pytest.raises(LocalError, match=r"clp\.conf") as caught:
        parse(deep.encode(), "clp.conf")
    assert "more than 100 elements" in caught.value.seen
    digits = "9" * 5000
    server = f'<server name="ec1"><priority>{digits}</priority></server>'
    conf = parse(f'<root>{server}<group name="g"><gid>{digits}</gid></group></root>'.encode(), "clp.conf")
    assert conf.servers[0].priority is None
    assert conf.add_group("h")
