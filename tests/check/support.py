"""A lab that is set up as it should be, its check within this process, and how something is made wrong."""

import copy
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from ecx_hyperv.check.catalogue import CATALOGUE, Area, names_of
from ecx_hyperv.check.linux_facts import System, read
from ecx_hyperv.check.outcome import Finding, Outcome, Remedy, Where
from ecx_hyperv.check.probes import WireProbe
from ecx_hyperv.check.run import CheckRun
from ecx_hyperv.cli import common
from ecx_hyperv.cli.command import Invocation, Options
from ecx_hyperv.config import Config
from ecx_hyperv.config_file import load
from ecx_hyperv.deadline import Deadline, SystemClock
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.mirror import MirrorColor
from ecx_hyperv.desired import clpconf
from ecx_hyperv.desired.clpconf import ClpConf
from ecx_hyperv.desired.scripts import find_scripts
from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.kept_ids import FileKeptIds
from ecx_hyperv.ecx.maintenance import Maintenance
from ecx_hyperv.ecx.state_folder import StateFolder
from ecx_hyperv.errors import LocalError
from ecx_hyperv.host.ssh import connect
from ecx_hyperv.lab.model.timings import PACE
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.service.control import ControlQuestion
from ecx_hyperv.lab.windows import remedies
from ecx_hyperv.log import LogFormat
from ecx_hyperv.usable.doubts import find_mistakes
from tests.e2e.support import ONE, TWO, Scenario, running_lab

# All but those that take a PowerShell of their own and some seconds.
QUICK = frozenset(CATALOGUE) - frozenset(names_of(Area.WIRE)) - {"peer"} | {"wire-cmdlets"}


@contextmanager
def set_up(folder: Path, monkeypatch: pytest.MonkeyPatch, *vms: str) -> Iterator["SetUp"]:
    """Run a lab whose group runs on ec1, with its commands on this process's PATH."""
    with running_lab(folder, *vms) as scenario:
        scenario.lab.ecx.monitoring = False
        scenario.start_group()
        environment = scenario.lab.folder.environment("ec1")
        monkeypatch.setenv("PATH", environment["PATH"])
        yield SetUp(scenario)


class SetUp:
    """One EC-VM of a lab, and its check."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.folder = scenario.lab.folder
        self.mine = self.folder.node("ec1")
        self.root = self.folder.root("ec1")
        self.config = load(self.mine / "config.toml")
        self._kept = self._snapshot()

    # Its check.

    def check(self, wanted: frozenset[str] = QUICK, config: Config | None = None, **probe: float) -> list[Finding]:
        """Return what a check finds."""
        check_run = self.check_run(config, **probe)
        return check_run.go(wanted, read(check_run.system, check_run.config, self.mine / "config.toml"))

    def check_run(self, config: Config | None = None, **probe: float) -> CheckRun:
        """Return what makes the check, with real SSH to the lab's hosts."""
        chosen = config or self.config
        clock = SystemClock()
        pair = Pair(*chosen.node)
        invocation = Invocation(Options(self.mine, "ec1", LogFormat.TEXT, False), clock, *_NO_LOG)
        deadline = Deadline.after(clock, 60)

        def probe_of(side: Side) -> WireProbe:
            target = common.target_of(chosen, pair, side)
            times = {"idle_s": 0.2, "deadman_s": 6.0, "hello_s": 2.0, "end_s": 3.0, "request_s": 3.0, **probe}
            return WireProbe(lambda until: connect(target, until), chosen.ssh.powershell, **times)

        return CheckRun(
            config=chosen,
            pair=pair,
            hosts=common.open_hosts(invocation, chosen, pair),
            system=System(self.run, self.root, deadline),
            flags=lambda: Maintenance(Path(chosen.paths.state)).all(clock.wall()),
            probe=probe_of,
            wall=clock.wall,
            deadline=deadline,
            scripts=find_scripts(),
            kept_id=FileKeptIds(StateFolder(self.mine / "state", self.mine / "run")).load_id,
            mistakes=[str(one) for one in find_mistakes(chosen, "config.toml", pace=PACE)],
        )

    def run(self, command: Sequence[str], seconds: float) -> Completed:
        """Run a stand-in within this process: a command of ECX, or of the EC-VM's Linux."""
        del seconds
        answer = self.scenario.lab._commands.answer(
            ControlQuestion(do=command[0], node="ec1", arguments=list(command[1:]))
        )
        if "no such order" in answer.text:
            raise LocalError(f"the command {command[0]} is not there")
        return Completed(answer.code, answer.text.encode(), b"")

    # What is made wrong.

    def set(self, where: str, name: str, value: Any) -> None:
        """Set one of the lab's facts."""
        self.do(lambda world: setattr(world.facts_of(where), name, value))

    def do(self, act: Callable[[World], Any]) -> None:
        """Do something to the world."""
        self.scenario.do(act)
        # What has become of a host's sshd would show at the lab's next tick only.
        self.scenario.lab._tend_endpoints()

    def file(self, name: str) -> Path:
        """Return a file of the EC-VM."""
        return self.root / name

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a file of the EC-VM."""
        path = self.file(name)
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def edit_conf(self, change: Callable[[ClpConf], object]) -> None:
        """Change ECX's clp.conf."""
        path = self.file("opt/nec/clusterpro/etc/clp.conf")
        conf = clpconf.read(path)
        assert change(conf)
        path.write_bytes(conf.to_bytes())

    # What mends it.

    def mend(self, remedy: Remedy) -> None:
        """Run a remedy where it says."""
        if remedy.where is Where.HOST:
            host = ONE if remedy.on.casefold() == ONE else TWO
            self.do(lambda world: remedies.run(world, host, remedy.run))
            return
        assert remedy.where is Where.EC_VM
        line = remedy.run.replace(" /etc/", f" {self.root}/etc/")
        line = f"{line} --yes" if line == "ecx-hyperv trust" else line
        done = subprocess.run(
            ["sh", "-c", line],
            env=self.folder.environment("ec1"),
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        assert 0 == done.returncode, (line, done.stdout, done.stderr)

    def restore(self) -> None:
        """Make everything as it was."""
        files, settings = self._kept
        self.scenario.lab.ecx.mirror.spoil_or_show(MirrorColor.GREEN)
        self.do(lambda world: _put_back(world, settings))
        shutil.rmtree(self.mine / "state", ignore_errors=True)
        for path, content, mode in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or not path.exists() or path.read_bytes() != content:
                path.unlink(missing_ok=True)
                path.write_bytes(content)
            path.chmod(mode)
        for name in ("", "1", "2"):
            link = self.file(f"dev/cp-diska{name}")
            link.unlink(missing_ok=True)
            link.symlink_to(f"sdb{name}")

    def _snapshot(self) -> tuple[list[tuple[Path, bytes, int]], dict[str, Any]]:
        kept = [self.mine / "id_ed25519", self.mine / "known_hosts", self.folder.bin / "clpcl"]
        kept.append(self.folder.bin / "clpstat")
        kept += [path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()]
        # The start of the group has kept ids.
        kept += [path for path in (self.mine / "state" / "ids").rglob("*") if path.is_file()]
        kept += [path for path in (self.mine / "scripts").rglob("*") if path.is_file()]
        files = [(path, path.read_bytes(), path.stat().st_mode & 0o777) for path in kept]
        settings: dict[str, Any] = {}
        self.do(lambda world: settings.update(_taken(world)))
        return files, settings


def _taken(world: World) -> dict[str, Any]:
    return copy.deepcopy({name: getattr(one, attribute) for name, one, attribute in _places(world)})


def _put_back(world: World, settings: dict[str, Any]) -> None:
    for strange in [name for name in world.volumes if name not in settings]:
        del world.volumes[strange]
    for added in [key for key in world.vms if key not in settings]:
        del world.vms[added]
    for name, one, attribute in _places(world):
        kept = copy.deepcopy(settings[name])
        now = getattr(one, attribute)
        if is_dataclass(now) and not isinstance(now, type):
            for field in fields(now):
                setattr(now, field.name, getattr(kept, field.name))
        else:
            setattr(one, attribute, kept)
    if world.cuts:
        world.restore_all()
    world.storage.changed()
    for host in world.hosts:
        world.storage.reconnect(host)


def _places(world: World) -> Iterator[tuple[str, Any, str]]:
    yield "cluster", world, "facts"
    yield "unclustered", world, "unclustered"
    for host in world.hosts.values():
        for attribute in ("facts", "paused", "quarantined", "service", "memory", "sshd", "left_cleanly"):
            yield f"{host.name} {attribute}", host, attribute
    for key, vm in world.vms.items():
        yield key, vm, "facts"
        for attribute in ("name", "role", "machine_name", "configuration_name"):
            yield f"{key} {attribute}", vm, attribute
    for ec_vm in world.ec_vms.values():
        yield ec_vm.vm, ec_vm, "facts"
        yield ec_vm.name, ec_vm, "linux"
    for volume in world.volumes.values():
        yield volume.name, volume, "state"


def bad(findings: Sequence[Finding]) -> set[tuple[str, str]]:
    """Return check and place of everything that is wrong, or warned of."""
    return {(one.name, one.place) for one in findings if one.outcome in (Outcome.WRONG, Outcome.WARNING)}


def unknown(findings: Sequence[Finding]) -> set[str]:
    """Return the checks that nobody can tell."""
    return {one.name for one in findings if one.outcome is Outcome.CANNOT_TELL}


class _Silent:
    """A log that nobody reads."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None


_NO_LOG: Any = (_Silent(), None, None)
