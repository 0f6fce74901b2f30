"""The configuration that a command goes by: bounded, told, and kept only where nothing can hold the command up."""

import io
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ecx_hyperv.cli import configuration
from ecx_hyperv.cli.command import Invocation, Options
from ecx_hyperv.cli.ending import Ending
from ecx_hyperv.config_file import Loaded, last_good, read
from ecx_hyperv.deadline import SystemClock
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.ecx import commands
from ecx_hyperv.ecx.alerts import EcxAlerts, Level
from ecx_hyperv.ecx.environment import EcxCall, read_call
from ecx_hyperv.errors import ConfigError, UsageError
from ecx_hyperv.log import LogFormat, open_log
from ecx_hyperv.output import Delivery, Output
from ecx_hyperv.run.context import HomesSeen
from tests.unit.samples import MINIMAL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a good file stands that only its owner may write."""
    path = tmp_path / "config.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    path.chmod(0o640)
    return path


def invocation_of(path: Path, node: str = "ec1") -> tuple[Invocation, io.StringIO]:
    """Return how a command was called with a file, and what it logs."""
    clock, written = SystemClock(), io.StringIO()
    log = open_log(clock, "test", form=LogFormat.TEXT, verbose=True, stream=written)
    call: EcxCall = read_call({}, Path("/"))
    delivery = Delivery.BEST_EFFORT
    ending = Ending(delivery, Output(delivery), clock, log, EcxAlerts(commands.run, log))
    return Invocation(Options(path, node, LogFormat.TEXT, verbose=True), clock, log, call, ending), written


def context_of(*, dry: bool = False, told: tuple[str, ...] = (), own: bool = True) -> Any:
    """Return the parts of a run's context that count here."""
    return SimpleNamespace(dry=dry, homes=HomesSeen({Side.LOCAL: own}, list(told)))


@pytest.mark.parametrize(
    ("value", "pace"),
    [("", 1), ("0.02", 0.02), ("1", 1), ("0", 1), ("-1", 1), ("7", 1), ("nan", 1), ("inf", 1), ("fast", 1)],
)
def test_only_a_faster_world_lowers_the_floors(monkeypatch: pytest.MonkeyPatch, value: str, pace: float) -> None:
    """Whatever stands in the lab's variable, no floor may be raised, or lowered to nothing."""
    monkeypatch.setenv("ECX_HYPERV_PACE", value)
    assert pace == configuration.pace()
    monkeypatch.delenv("ECX_HYPERV_PACE")
    assert 1 == configuration.pace()


def test_d20_what_is_bounded_is_told(path: Path) -> None:
    """A run goes by the bounded value; the log and an alert say so, and the copy keeps what was written."""
    path.write_text(f"{MINIMAL}[timing]\nsettle = 0\n[[vm]]\nname = 'EC-VM2'\n", encoding="utf-8")
    invocation, written = invocation_of(path)

    in_use = configuration.load_in_use(invocation)

    assert (30, 0) == (in_use.config.timing.settle, in_use.loaded.config.timing.settle)
    assert in_use.trouble is not None
    level, text = in_use.trouble
    assert Level.WARN is level
    for part in ("[timing] settle 0 is not 30 or more", "[[vm]] EC-VM2 is the EC-VM of ec2"):
        assert part in text
        assert part in written.getvalue()


def test_nothing_is_told_of_a_file_as_meant(path: Path) -> None:
    """A file that holds together leads to no line of the log, and to no alert."""
    invocation, written = invocation_of(path)
    alerts: list[object] = []
    configuration.alert_trouble(configuration.load_in_use(invocation), lambda *one: alerts.append(one))
    assert ("", []) == (written.getvalue(), alerts)


@pytest.mark.parametrize(
    ("context", "kept"),
    [
        (context_of(), True),
        (context_of(dry=True), False),
        (context_of(own=False), False),
        (context_of(told=("the hosts may be swapped",)), False),
    ],
    ids=["proven", "dry", "another host", "swapped"],
)
def test_d12_only_a_run_that_proves_the_file_keeps_it(path: Path, context: Any, kept: bool) -> None:
    """The copy is kept by a run whose local host showed the local EC-VM, and by no dry one."""
    configuration.see_to_copy(configuration.load_in_use(invocation_of(path)[0]), context)
    assert kept is last_good(path).exists()


def test_a_folder_that_hangs_holds_no_command(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the copy cannot be written at all, a command is over all the same."""
    over = threading.Event()
    monkeypatch.setattr(configuration, "_KEEP_S", 0.05)
    monkeypatch.setattr(configuration, "keep", lambda _loaded: over.wait(60))
    configuration.see_to_copy(configuration.load_in_use(invocation_of(path)[0]), context_of())
    assert not over.is_set()
    over.set()


def test_d12_a_node_that_the_file_does_not_have_gives_way(path: Path) -> None:
    """A file without the node that this EC-VM is told to be is used by no command of ECX's; a person's tools go on."""
    invocation, _ = invocation_of(path, node="ec9")
    with pytest.raises(UsageError, match="no node named 'ec9'"):
        configuration.load_in_use(invocation)
    assert configuration.load_for_a_person(invocation).path == path

    last_good(path).write_text(MINIMAL.replace('"ec1"', '"ec9"'), encoding="utf-8")
    in_use = configuration.load_in_use(invocation)
    assert last_good(path) == in_use.path
    assert in_use.trouble is not None
    assert Level.ERR is in_use.trouble[0]


@pytest.mark.parametrize("load", [configuration.load_in_use, configuration.load_for_a_person])
def test_a_file_that_others_may_write_is_told(
    path: Path, load: Callable[[Invocation], configuration.ConfigInUse]
) -> None:
    """Whoever may write the file decides what runs as root: every command tells that, and refuses nothing for it."""
    invocation, written = invocation_of(path)
    assert () == load(invocation).writers
    path.chmod(0o666)
    sentence = f"{path} can be written by others (mode 666)"

    in_use = load(invocation)

    assert (sentence,) == in_use.writers
    assert 1 == written.getvalue().count(sentence)
    assert in_use.trouble is None


def test_what_is_probably_not_meant_is_noted(path: Path) -> None:
    """A configuration without a VM is allowed, and noted."""
    assert ["no [[vm]] is named"] == configuration.notes_on(read(path))
    assert ["no [[vm]] is named"] == configuration.notes_on(Loaded(read(path).config, path / "nothing"))


def test_d20_no_set_up_is_made_from_what_contradicts_itself(path: Path) -> None:
    """A set-up takes neither a bound nor a last good copy."""
    invocation, _ = invocation_of(path)
    assert configuration.load_usable(invocation).node[0].name == "ec1"
    path.write_text(f"{MINIMAL}[timing]\nreserve = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"timing\.reserve"):
        configuration.load_usable(invocation)
    path.write_text("[cluster\n", encoding="utf-8")
    last_good(path).write_text(MINIMAL, encoding="utf-8")
    with pytest.raises(ConfigError, match="valid TOML"):
        configuration.load_usable(invocation)
