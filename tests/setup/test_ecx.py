"""ECX's configuration: what setup makes of a clp.conf is what the table expects, by every way, and twice is once."""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from ecx_hyperv.config import Config, ProtectedVm, Timing
from ecx_hyperv.desired.clpconf import ClpConf, parse, read
from ecx_hyperv.desired.compare import compare
from ecx_hyperv.desired.ecx import Disk, EcxNames, expected
from ecx_hyperv.desired.names import names_in
from ecx_hyperv.desired.scripts import find_scripts
from ecx_hyperv.errors import LocalError, UsageError
from ecx_hyperv.setup import ecx
from ecx_hyperv.setup.files import Writer
from tests.setup.clpcfset import carry_out
from tests.setup.support import CONFIG
from tests.unit.runner import FakeRunner, printed
from tests.unit.test_clpconf import NAMES, SAMPLES, sample

WEB = ProtectedVm(name="仮想 'Web' $(x); & %PATH%", resource="exec-web1")
TWO = msgspec.structs.replace(CONFIG, vm=(*CONFIG.vm, WEB), timing=Timing(start=3000, monitor=200))
FRESH = [name for name in NAMES if name.startswith("fresh")]


def wrong(conf: ClpConf, config: Config) -> list[tuple[str, str]]:
    """Return what a clp.conf has otherwise than check expects, with the names found in it as check finds them."""
    wanted = expected(config, names_in(conf, config))
    return [(one.name, found.path) for one in wanted for found in compare(conf, one)]


def set_up(conf: ClpConf, config: Config, group: str = "") -> tuple[ecx.Edit, ...]:
    """Set a clp.conf up, and return the edits."""
    names = ecx.choose_names(conf, config, group, "", "")
    made = ecx.edits(conf, config, names, ecx.choose_disk(conf, Disk()))
    ecx.apply(conf, made)
    return made


@pytest.mark.parametrize("config", [CONFIG, TWO], ids=["one VM", "two VMs"])
@pytest.mark.parametrize("name", NAMES)
def test_set_up_is_what_check_expects(name: str, config: Config) -> None:
    """Whatever the encoding and what was there before, what setup makes is right, also once written and read again."""
    conf = sample(name)
    set_up(conf, config)
    assert [] == wrong(conf, config)
    assert [] == wrong(parse(conf.to_bytes(), name), config)


@pytest.mark.parametrize("name", NAMES)
def test_setting_up_twice_is_once(name: str) -> None:
    """The second run finds nothing to do, and the file stays the same to the byte."""
    conf = sample(name)
    set_up(conf, TWO)
    first = conf.to_bytes()
    again = parse(first, name)
    assert () == set_up(again, TWO)
    assert first == again.to_bytes()


def test_what_a_person_made_is_left_alone() -> None:
    """A file that is right already, under names of its own, is not touched."""
    conf = sample("complete-ascii.conf")
    assert () == set_up(conf, CONFIG)
    assert (SAMPLES / "complete-ascii.conf").read_bytes() == conf.to_bytes()


def test_only_what_is_wrong_is_mended() -> None:
    """In a file that has it all, only the wrong parameters and the missing dependency change."""
    conf = sample("complete-ascii.conf")
    conf.set_resource("exec-Cent8.2-1", "parameters/timeout/stop", "300")
    conf.set_monitor("genw-Cent8.2-1", "polling/reconfirmation", "0")
    conf.set_depends("exec-iscsi", ["fip-iscsi"])
    assert [
        "resource exec-iscsi: depends on md-iscsi",
        "resource exec-Cent8.2-1: parameters/timeout/stop = 1800",
        "monitor genw-Cent8.2-1: polling/reconfirmation = 1",
    ] == [one.in_words(done=True) for one in set_up(conf, CONFIG)]
    found = conf.find_resource("exec-iscsi")
    assert found is not None
    assert ("fip-iscsi", "md-iscsi") == found.depends


def test_a_setting_for_one_server_is_seen_and_mended() -> None:
    """A parameter that is set otherwise for a single server is as wrong as one that is set for all."""
    conf = sample("complete-ascii.conf")
    conf.set_resource("exec-Cent8.2-1", "server@ec2/parameters/timeout/start", "100")
    conf.set_monitor("genw-remote-node", "server@ec1/polling/timeout", "300")
    assert [("exec-Cent8.2-1", "parameters/timeout/start")] == wrong(conf, CONFIG)
    made = set_up(conf, CONFIG)
    assert ["resource exec-Cent8.2-1: server@ec2/parameters/timeout/start = 1800"] == [
        one.in_words(done=True) for one in made
    ]
    assert ([], ()) == (wrong(conf, CONFIG), set_up(conf, CONFIG))


@pytest.mark.parametrize("tool", ecx.Tool)
@pytest.mark.parametrize("name", FRESH)
def test_the_script_makes_the_same(name: str, tool: ecx.Tool, tmp_path: Path) -> None:
    """The script of ECX's commands, run by a real shell with stand-ins for them, makes the same clp.conf."""
    direct = sample(name)
    made = set_up(direct, TWO, group="failover-vm")
    (tmp_path / "clp.conf").write_bytes((SAMPLES / name).read_bytes())
    (tmp_path / "setup-ecx.sh").write_text(ecx.script(made, tool), encoding="utf-8")
    for command in ("clpcfset", "clpcfadm.py"):
        recorder = f'#!/bin/sh\nprintf "%s\\0" {command} "$@" "\n" >>"{tmp_path}/calls"\n'
        (tmp_path / command).write_text(recorder, encoding="utf-8")
        (tmp_path / command).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["sh", "setup-ecx.sh"], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)

    by_script = sample(name)
    for call in (tmp_path / "calls").read_text(encoding="utf-8").split("\n\0")[:-1]:
        carry_out(by_script, *call.split("\0")[:-1])
    assert direct.to_bytes() == by_script.to_bytes()
    assert [] == wrong(by_script, TWO)


def test_script_does_not_run_elsewhere(tmp_path: Path) -> None:
    """Without a copy of clp.conf in the folder the script does nothing."""
    script = tmp_path / "setup-ecx.sh"
    script.write_text(ecx.script((), ecx.Tool.CLPCFSET), encoding="utf-8")
    done = subprocess.run(["sh", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (1, "no clp.conf in this folder\n") == (done.returncode, done.stderr)


def test_without_a_copy_all_is_wanted() -> None:
    """Without a clp.conf the script is the one for a fresh one."""
    names = ecx.choose_names(None, CONFIG, "", "", "")
    fresh = sample("fresh-utf8.conf")
    assert ecx.edits(fresh, CONFIG, names, Disk()) == ecx.edits(None, CONFIG, names, ecx.choose_disk(None, Disk()))


def test_names_are_chosen() -> None:
    """A name that is asked for is taken before the one found, and one that ECX cannot have is refused."""
    conf = sample("complete-ascii.conf")
    assert EcxNames("g", "fip-iscsi", "m") == ecx.choose_names(conf, CONFIG, "g", "", "m")
    with pytest.raises(UsageError, match="cannot be a name in ECX"):
        ecx.choose_names(conf, CONFIG, "a/b", "", "")


def test_a_name_that_is_taken() -> None:
    """A resource of another type, or in another group, is not changed into ours."""
    conf = sample("fresh-utf8.conf")
    conf.add_group("other")
    conf.add_resource("other", "exec", "exec-Cent8.2-1")
    before = conf.to_bytes()
    with pytest.raises(UsageError, match="is there already as something else"):
        set_up(conf, CONFIG, group="failover-vm")
    assert before == conf.to_bytes()


def test_names_that_ecx_cannot_have() -> None:
    """A VM whose name cannot be a resource of ECX is an error that says to name a resource, and nothing changes."""
    config = msgspec.structs.replace(CONFIG, vm=(ProtectedVm(name="a/b"),))
    conf = sample("fresh-utf8.conf")
    with pytest.raises(UsageError, match='resource = "exec-web1"'):
        set_up(conf, config)
    assert (SAMPLES / "fresh-utf8.conf").read_bytes() == conf.to_bytes()


def test_doubtful_names_are_told() -> None:
    """What nobody has seen in a name of ECX is noted, with what to do."""
    assert ["exec-Cent8.2-1", "genw-Cent8.2-1"] == [one.split()[5].rstrip(";") for one in ecx.doubts(TWO)]


def test_scripts_are_placed(tmp_path: Path) -> None:
    """The scripts stand where ECX looks for them, executable, as they are in scripts/ecx; a second run writes none."""
    conf = sample("fresh-utf8.conf")
    set_up(conf, TWO, group="failover-vm")
    names = names_in(conf, TWO)
    first, second = Writer(lambda _text: None), Writer(lambda _text: None)
    for writer in (first, second):
        ecx.place_scripts(conf, expected(TWO, names), names.group, find_scripts(), tmp_path, writer)
    expected_places = {
        "scripts/failover-vm/exec-iscsi/start.sh": "iscsi/start.sh",
        "scripts/failover-vm/exec-iscsi/stop.sh": "iscsi/stop.sh",
        "scripts/failover-vm/exec-Cent8.2-1/start.sh": "vm/start.sh",
        "scripts/failover-vm/exec-Cent8.2-1/stop.sh": "vm/stop.sh",
        "scripts/failover-vm/exec-web1/start.sh": "vm/start.sh",
        "scripts/failover-vm/exec-web1/stop.sh": "vm/stop.sh",
        "scripts/monitor.s/genw-Cent8.2-1/genw.sh": "monitor-vm/genw.sh",
        "scripts/monitor.s/genw-web1/genw.sh": "monitor-vm/genw.sh",
        "scripts/monitor.s/genw-remote-node/genw.sh": "monitor-remote-node/genw.sh",
    }
    assert set(expected_places) == {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.sh")}
    for place, origin in expected_places.items():
        assert (find_scripts() / origin).read_bytes() == (tmp_path / place).read_bytes()
        assert 0o755 == (tmp_path / place).stat().st_mode & 0o777
    assert (len(expected_places), 0) == (len(first.changed), len(second.changed))


def test_scripts_elsewhere_are_left_there(tmp_path: Path) -> None:
    """A resource that runs scripts by an absolute path gets none beside clp.conf."""
    conf = sample("complete-ascii.conf")
    conf.set_resource("exec-iscsi", "parameters/act/path", "/opt/own/start.sh")
    conf.set_monitor("genw-remote-node", "parameters/path", "/opt/own/genw.sh")
    names = names_in(conf, CONFIG)
    ecx.place_scripts(conf, expected(CONFIG, names), names.group, find_scripts(), tmp_path, Writer(lambda _text: None))
    assert {"exec-Cent8.2-1", "genw-Cent8.2-1"} == {path.parent.name for path in tmp_path.rglob("*.sh")}


def test_the_live_file_is_never_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """ECX's own file is refused, by whatever path; so are a change without a copy and a push of something else."""
    live = tmp_path / "etc" / "clp.conf"
    live.parent.mkdir()
    live.touch()
    monkeypatch.setattr(ecx, "LIVE", live)
    (tmp_path / "link").symlink_to(live.parent)
    for path in (live, tmp_path / "link" / "clp.conf"):
        with pytest.raises(UsageError, match="never changed in place"):
            ecx.check_asked(path, None, do_apply=True, do_push=False)
    assert ecx.is_live(tmp_path / "link")
    assert not ecx.is_live(tmp_path)
    with pytest.raises(UsageError, match="in which nothing is changed"):
        ecx.check_asked(live, tmp_path / "link", do_apply=False, do_push=False)
    with pytest.raises(UsageError, match="leave --output out"):
        ecx.check_asked(tmp_path / "clp.conf", tmp_path, do_apply=True, do_push=False)
    ecx.check_asked(live, None, do_apply=False, do_push=False)
    ecx.check_asked(tmp_path / "clp.conf", None, do_apply=True, do_push=True)
    copy, other = tmp_path / "clp.conf", tmp_path / "x.conf"
    for asked in ((None, None, True, False), (copy, None, False, True), (other, None, True, True)):
        with pytest.raises(UsageError, match="clpcfctrl --pull"):
            ecx.check_asked(*asked)


def test_push(tmp_path: Path) -> None:
    """The folder is handed to the cluster as NEC's notes show it; what clpcfctrl says on failing is told."""
    said: list[str] = []
    runner = FakeRunner(printed("Command succeeded."))
    ecx.push(tmp_path, runner, said.append, dry=True)
    assert [] == runner.calls
    ecx.push(tmp_path, runner, said.append, dry=False)
    assert [["clpcfctrl", "--push", "-l", "-x", str(tmp_path)]] == [call for call, _ in runner.calls]
    assert ["Command succeeded.", said[0].replace("will run: ", "ran: ")] == said[1:]
    with pytest.raises(LocalError, match="stop the cluster first"):
        ecx.push(tmp_path, FakeRunner(printed("stop the cluster first", 1)), said.append, dry=False)


def test_sample_configuration_is_read_again(tmp_path: Path) -> None:
    """A changed file that was written is one that ECX's reader, as far as it is known, and this program's take."""
    conf = sample("fresh-eucjp.conf")
    set_up(conf, TWO)
    (tmp_path / "clp.conf").write_bytes(conf.to_bytes())
    again = read(tmp_path / "clp.conf")
    assert ("EUC-JP", ["exec-iscsi", "exec-Cent8.2-1", "exec-web1"]) == (
        again.encoding,
        [one.name for one in again.resources if one.type == "exec"],
    )


@pytest.mark.parametrize("do_apply", [False, True])
def test_a9_a_dry_run_tells_what_the_run_will_fail_of(tmp_path: Path, *, do_apply: bool) -> None:
    """A VM's name that the file's encoding lacks must be told by a dry run, in the future tense, and not be written."""
    conf = tmp_path / "clp.conf"
    was = (SAMPLES / "complete-ascii.conf").read_bytes()
    conf.write_bytes(was)
    config = msgspec.structs.replace(CONFIG, vm=(*CONFIG.vm, ProtectedVm(name="業務サーバ")))
    said: list[str] = []
    noted: list[str] = []
    options = ecx.EcxOptions(conf=conf, do_apply=do_apply, dry_run=True, output=None if do_apply else tmp_path / "out")
    if do_apply:
        with pytest.raises(LocalError, match="業"):
            ecx.set_up(config, options, FakeRunner(), said.append, noted.append)
    else:
        ecx.set_up(config, options, FakeRunner(), said.append, noted.append)
        assert any("with --apply this will fail" in one for one in noted)
        assert any("will be added" in one for one in said)
    assert not [one for one in said if ": added" in one]
    assert was == conf.read_bytes()


def test_a9_what_was_done_is_told_once_it_is_done(tmp_path: Path) -> None:
    """A real run must say in the past tense what the copy holds now, and only once it is written."""
    conf = tmp_path / "clp.conf"
    conf.write_bytes((SAMPLES / "fresh-utf8.conf").read_bytes())
    said: list[str] = []
    ecx.set_up(CONFIG, ecx.EcxOptions(conf=conf, do_apply=True), FakeRunner(), said.append, said.append)
    written = said.index(f"written: {conf}")
    assert any(": added" in one for one in said[written:])
    assert not [one for one in said[:written] if ": added" in one or "will be" in one]
