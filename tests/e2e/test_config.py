"""A configuration that is wrong, over real SSH: no command of ECX's fails for it, and a person is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.support import ONE, Scenario, running_lab

# No command is told which EC-VM this is: each finds itself by its address.
_UNNAMED = ("--node", "")
_ECX = (
    ("genw-vm", "vm1"),
    ("genw-remote-node",),
    ("vm-start", "vm1"),
    ("vm-unregister", "--yes", "vm1"),
)
_OTHERS = (
    ("ecx-hyperv", "status"),
    ("ecx-hyperv", "maintenance", "on", "vm1", "--for", "1h"),
    ("ecx-hyperv", "maintenance", "list"),
    ("ecx-hyperv", "maintenance", "off", "vm1"),
    ("ecx-hyperv", "trust", "--dry-run"),
    ("ecx-hyperv", "check", "configuration", "node-address"),
)


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Scenario]:
    """Return a lab whose target ec1 serves, and whose monitors rest."""
    with running_lab(tmp_path / "lab") as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.do(lambda world: world.storage.serve("ec1", on=True))
        yield scenario


def _file(scenario: Scenario) -> Path:
    return scenario.lab.folder.node("ec1") / "config.toml"


def _copy(scenario: Scenario) -> Path:
    return _file(scenario).with_name("config.last.toml")


def _write(scenario: Scenario, *changes: tuple[str, str], more: str = "") -> None:
    path = _file(scenario)
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text + more, encoding="utf-8")


def _timing(scenario: Scenario, **values: float) -> None:
    lines = _file(scenario).read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.partition(" = ")[0] not in values]
    at = kept.index("[timing]") + 1
    kept[at:at] = [f"{key} = {value!r}" for key, value in values.items()]
    _file(scenario).write_text("\n".join(kept) + "\n", encoding="utf-8")


def _alerts(scenario: Scenario, level: str) -> list[str]:
    return [event.who for event in scenario.events("alert") if event.state == level]


@pytest.mark.parametrize(
    "change",
    [('address = "127.77.0.1"', 'address = "127.77.0.9"'), ('name = "ec1"', 'nome = "ec1"'), ("[cluster]", "[cluster")],
    ids=["mistyped address", "mistyped key", "no TOML"],
)
def test_d12_a_file_that_cannot_be_used_takes_no_node_down(ready: Scenario, change: tuple[str, str]) -> None:
    """Every command goes on with the copy that was proven, says so, and leaves the copy alone; ECX's commands alert."""
    assert 0 == ready.run("ec1", "vm-start", *_UNNAMED, "vm1").returncode
    kept = _copy(ready).read_bytes()
    _write(ready, change)

    for command in (*_OTHERS, *_ECX):
        done = ready.run("ec1", *command, *_UNNAMED)
        # A check says that the file is wrong.
        wanted = (1,) if command[1:2] == ("check",) else (0,)
        assert done.returncode in wanted, (command, done.stdout, done.stderr)
        assert "last good copy" in done.stderr, (command, done.stderr)
        assert ("last good copy" in done.stdout) is (command[1:2] in (("status",), ("check",))), (command, done.stdout)
    assert kept == _copy(ready).read_bytes()
    assert any("last good copy" in text for text in _alerts(ready, "ERR"))


def test_d12_a_file_is_no_good_copy_before_this_ec_vm_found_itself_in_it(ready: Scenario) -> None:
    """Neither a valid file with a mistyped address, nor one whose local host knows no such EC-VM, becomes the copy."""
    _write(ready, ('address = "127.77.0.1"', 'address = "127.77.0.9"'))
    assert 3 == ready.run("ec1", "vm-start", *_UNNAMED, "vm1").returncode
    assert not _copy(ready).exists()

    _write(ready, ('address = "127.77.0.9"', 'address = "127.77.0.1"'), ('vm = "EC-VM1"', 'vm = "EC-VM9"'))
    ready.run("ec1", "genw-vm", *_UNNAMED, "vm1")
    assert not _copy(ready).exists()

    _write(ready, ('vm = "EC-VM9"', 'vm = "EC-VM1"'))
    assert 0 == ready.run("ec1", "vm-start", *_UNNAMED, "--dry-run", "vm1").returncode
    assert not _copy(ready).exists()
    ready.run("ec1", "genw-vm", *_UNNAMED, "vm1")
    assert _file(ready).read_bytes() == _copy(ready).read_bytes()


def test_d12_a_changed_file_is_used_while_it_is_unproven(ready: Scenario) -> None:
    """A file that is valid counts from its change on, also where its copy cannot be proven."""
    assert 0 == ready.run("ec1", "vm-start", "vm1").returncode
    before = _copy(ready).read_bytes()
    _write(ready, ('vm = "EC-VM1"', 'vm = "EC-VM9"'), more='[[vm]]\nname = "vm2"\n')

    done = ready.run("ec1", "genw-vm", "vm2")

    assert 0 == done.returncode
    assert "vm2" in done.stdout
    assert "last good copy" not in done.stderr
    assert before == _copy(ready).read_bytes()


@pytest.mark.parametrize("command", [("genw-vm", "vm1"), ("genw-remote-node",)], ids=" ".join)
def test_d12_a_monitor_that_is_blind_alerts(ready: Scenario, command: tuple[str, ...]) -> None:
    """Without any file that can be used, ECX's alert log says so at ERR; genw-vm does not call that a failure."""
    _write(ready, ('address = "127.77.0.1"', 'address = "127.77.0.9"'))

    done = ready.run("ec1", *command, *_UNNAMED)

    assert (0 if command[0] == "genw-vm" else 3) == done.returncode
    assert any("node.address" in text for text in _alerts(ready, "ERR"))


def test_d20_a_reserve_above_the_whole_stop_cuts_no_power(ready: Scenario) -> None:
    """A reserve that leaves a guest no grace is bounded and told: the guest is shut down, not turned off."""
    assert 0 == ready.run("ec1", "vm-start", "vm1").returncode
    _timing(ready, reserve=2000)

    done = ready.run("ec1", "vm-unregister", "--yes", "vm1")

    assert 0 == done.returncode, done.stderr
    assert "[timing] reserve" in done.stderr
    assert any("[timing] reserve" in text for text in _alerts(ready, "WARN"))
    assert "shut down" in done.stderr
    assert "turn off" not in done.stderr


@pytest.mark.parametrize("more", ['name = "ec-vm1"', 'name = "other"\nid = "{id}"'], ids=["by name", "by id"])
def test_d20_an_ec_vm_as_a_vm_is_never_touched(ready: Scenario, more: str) -> None:
    """An EC-VM that the file also names as a protected VM is neither stopped, started nor reported as failed."""
    identifier: str = ready.do(lambda world: world.ec_vms["ec1"].id)
    _write(ready, more=f"[[vm]]\n{more.format(id=identifier)}\n")
    name = "EC-VM1" if "ec-vm1" in more else "other"

    for command in (("vm-unregister", "--yes", name), ("vm-start", name), ("genw-vm", name)):
        done = ready.run("ec1", *command)
        if command[0] != "vm-start" or name != "other":
            assert 0 == done.returncode, (command, done.stdout, done.stderr)
        assert "EC-VM" in done.stdout + done.stderr
    assert [] == ready.events("EC-VM shuts down") == ready.events("EC-VM off")


def test_d20_hosts_that_are_swapped_are_told_and_fail_nothing(ready: Scenario) -> None:
    """Each node with the other one's host: a start works, a person is told, and the file is no good copy."""
    hosts = ('host = "127.77.1.1"', 'host = "127.77.1.2"')
    _write(ready, (hosts[0], "@@@"), (hosts[1], hosts[0]), ("@@@", hosts[1]))

    done = ready.run("ec1", "vm-start", "vm1")

    assert 0 == done.returncode, done.stderr
    assert any("swapped" in text for text in _alerts(ready, "WARN"))
    assert "" != ready.running_on("vm1") != ONE
    assert not _copy(ready).exists()
    stopped = ready.run("ec1", "vm-unregister", "--yes", "vm1")
    assert 0 == stopped.returncode, stopped.stderr
    assert "" == ready.running_on("vm1")


@pytest.mark.parametrize("reserve", [30, 2000])
def test_d20_config_check_and_setup_demand_what_can_be_used(ready: Scenario, reserve: int, tmp_path: Path) -> None:
    """What loads but cannot be meant is named by file, line and key, with 3; `check` finds it wrong, set-up refuses."""
    _timing(ready, reserve=reserve)
    line = _file(ready).read_text(encoding="utf-8").splitlines().index(f"reserve = {reserve}") + 1

    checked = ready.run("ec1", "ecx-hyperv", "config", "check")
    judged = ready.run("ec1", "ecx-hyperv", "check", "configuration")
    made = ready.run("ec1", "ecx-hyperv", "setup", "host", "--output", str(tmp_path / "out"))

    assert (3, 1, 3) == (checked.returncode, judged.returncode, made.returncode)
    for done in (checked, judged, made):
        assert f"config.toml:{line}: timing.reserve: expected" in " ".join((done.stdout + done.stderr).split())
    assert not (tmp_path / "out").exists()
