"""A configuration that is valid, and whether it can be used: what a check demands, and what a run makes of the rest."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.config import Config, Node, ProtectedVm, Timing
from ecx_hyperv.config_file import parse, read
from ecx_hyperv.usable.doubts import advice, find_mistakes
from ecx_hyperv.usable.timing import bounded
from tests.unit.always import always
from tests.unit.samples import EC1, EC2, MINIMAL, config_of

_ACCEPTED = Path(__file__).parent / "configs" / "accepted"
_GRACES = ("timing.shutdown", "timing.shutdown_on_failover")
# What is told of each file that release 0.1.0 took. The others hold nothing that a file alone can show.
_TOLD = {
    "both-ec-vms-as-vms": {"vm[1].name", "vm[2].name"},
    "commands-of-a-day": {"timing.start", "timing.unregister", "timing.monitor", "timing.connect", "timing.stale"},
    "commands-of-a-moment": {
        *("timing.start", "timing.unregister", "timing.monitor", "timing.connect", "timing.reserve"),
        *("timing.confirm_peer", *_GRACES),
    },
    "confirmations-above-monitor": {"timing.monitor", "timing.confirm_vm", "timing.confirm_peer", "timing.connect"},
    "ec-vm-as-vm": {"vm[2].name"},
    "floating-address-of-a-host": {"node[1].host"},
    "floating-address-of-an-ec-vm": {"node[1].address"},
    "grace-above-unregister": {"timing.shutdown"},
    "host-that-is-no-address": {"node[2].host"},
    "interval-1e-300": {"timing.interval"},
    "interval-of-a-day": {"timing.interval"},
    "no-confirmation": {"timing.confirm_peer", "timing.hung_after", "timing.stale", "timing.cool_down"},
    "no-grace": {"timing.reserve"},
    "no-settle": {"timing.settle", "timing.critical", "timing.isolated"},
    "numbers-of-every-kind": {"timing.settle"},
    "one-address-written-twice": {"node[2].address"},
    "one-ec-vm-twice": {"node[2].vm"},
    "paths-that-are-one": {"paths.state"},
    "reserve-above-unregister": {"timing.reserve"},
    "resource-that-ecx-refuses": {"vm[1].resource"},
}


def told(config: Config) -> list[str]:
    """Return the keys of what keeps a configuration from being usable."""
    return [mistake.key for mistake in find_mistakes(config, "config.toml")]


def with_timing(**timing: float) -> Config:
    """Return a configuration with that timing."""
    return msgspec.structs.replace(config_of(ProtectedVm(name="web1")), timing=Timing(**timing))


@pytest.mark.parametrize("path", sorted(_ACCEPTED.glob("*.toml")), ids=lambda path: path.stem)
def test_d20_what_was_accepted_is_told_with_its_line(path: Path) -> None:
    """Each mistake of a file that goes on to load must be told with file, line and key, and nothing else."""
    loaded = read(path)
    mistakes = find_mistakes(loaded.config, str(path), loaded.text)

    assert _TOLD.get(path.stem, set()) == {mistake.key for mistake in mistakes}
    assert all(mistake.line and str(mistake).startswith(f"{path}:{mistake.line}: ") for mistake in mistakes)


def test_the_sample_can_be_used() -> None:
    """The file that is installed, once its values are a site's own, must raise no doubt."""
    path = Path(__file__).parents[2] / "config" / "config.toml"
    loaded = read(path)
    assert [] == find_mistakes(loaded.config, str(path), loaded.text)
    assert [] == advice(loaded.config)


@pytest.mark.parametrize(
    ("nodes", "target", "keys"),
    [
        ((("192.168.1.1", "h1"), ("192.168.1.2", "H1")), "10.0.0.1", ["node[2].host"]),
        ((("192.168.1.1", "h1"), ("192.168.1.2", "h1.example.local.")), "10.0.0.1", ["node[2].host"]),
        ((("192.168.1.1", "h1"), ("::ffff:192.168.1.1", "h2")), "10.0.0.1", ["node[2].address"]),
        ((("192.168.1.1", "h1"), ("192.168.1.2", "192.168.1.1")), "10.0.0.1", ["node[2].host"]),
        ((("fd00::1", "h1"), ("fd00::2", "h2")), "FD00:0::2", ["node[2].address"]),
        ((("192.168.1.1", "192.168.1.397"), ("192.168.1.2", "h2")), "10.0.0.1", ["node[1].host"]),
        ((("192.168.1.1", "h 1"), ("192.168.1.2", "h2")), "10.0.0.1", ["node[1].host"]),
        ((("192.168.1.1", "fd00:::1"), ("192.168.1.2", "h2")), "10.0.0.1", ["node[1].host"]),
        (
            (("0.0.0.0", "h1"), ("224.0.0.1", "h2")),
            "::",
            ["cluster.iscsi_target", "node[1].address", "node[2].address"],
        ),
        ((("192.168.1.1", "h1"), ("192.168.1.2", "業務.example.local")), "10.0.0.1", []),
    ],
)
def test_d20_machines_differ_and_addresses_are_some(
    nodes: tuple[tuple[str, str], ...], target: str, keys: list[str]
) -> None:
    """Two spellings of one machine, and what is no machine's address, must be told; names of any script are names."""
    made = tuple(
        Node(name=f"ec{n}", address=address, vm=f"EC-VM{n}", host=host) for n, (address, host) in enumerate(nodes, 1)
    )
    config = config_of(nodes=made)
    cluster = msgspec.structs.replace(config.cluster, iscsi_target=target)
    assert keys == told(msgspec.structs.replace(config, cluster=cluster))


@pytest.mark.parametrize(
    ("vm", "keys"),
    [
        (ProtectedVm(name="ec-vm2"), ["vm[2].name"]),
        (ProtectedVm(name="web", role="EC-VM1"), ["vm[2].role"]),
        (ProtectedVm(name="web", role="DB"), ["vm[2].role"]),
        (ProtectedVm(name="web", id="{01234567-89AB-cdef-0123-456789abcdef}"), ["vm[2].id"]),
        (ProtectedVm(name="web", resource="exec-" + "x" * 27), ["vm[2].resource"]),
        (ProtectedVm(name="web", resource="-web"), ["vm[2].resource"]),
        (ProtectedVm(name="web", resource="web/1"), ["vm[2].resource"]),
        (ProtectedVm(name="web", resource="db"), ["vm[2].resource"]),
        (ProtectedVm(name="web", resource="exec-Cent8.2-1"), []),
        (ProtectedVm(name="業務サーバー"), []),
    ],
)
def test_d20_a_vm_is_one_of_its_own(vm: ProtectedVm, keys: list[str]) -> None:
    """An EC-VM, a VM that another [[vm]] means too, and a name that ECX refuses must be told."""
    first = ProtectedVm(name="db", id="01234567-89ab-cdef-0123-456789abcdef")
    assert keys == told(config_of(first, vm))


def test_an_ec_vm_among_the_vms_is_told_to_who_runs_a_command() -> None:
    """Each [[vm]] that is an EC-VM must be named in a sentence of its own, whatever its case."""
    assert () == config_of(ProtectedVm(name="web")).ec_vms_among_vms
    (sentence,) = config_of(ProtectedVm(name="web"), ProtectedVm(name="ec-vm2")).ec_vms_among_vms
    assert "ec-vm2 is the EC-VM of ec2" in sentence


_SECONDS = st.one_of(st.floats(0, 86400), st.sampled_from([5e-324, 1e-300, 1.0, 60.0, 1800.0, 86400.0]))
_TIMINGS = st.fixed_dictionaries({}, optional={name: _SECONDS.filter(bool) for name in Timing.__struct_fields__})
_COMMANDS = ("start", "unregister", "monitor")


@always
@given(timing=_TIMINGS, pace=st.sampled_from([1.0, 0.02]))
def test_d20_whatever_is_accepted_is_bounded_to_what_a_check_takes(timing: dict[str, float], pace: float) -> None:
    """Any timing must be bounded to one that holds together, which is then left alone, and nothing else be changed."""
    before = Timing(**timing)
    found, doubts = bounded(before, pace)

    assert (found, ()) == bounded(found, pace)
    changed = {name for name in Timing.__struct_fields__ if getattr(found, name) != getattr(before, name)}
    assert changed <= {one.key for one in doubts}
    assert found.reserve <= found.unregister / 2
    assert found.reserve + max(found.shutdown, found.shutdown_on_failover) < found.unregister
    assert min(found.settle, found.patience) >= 30 * pace
    assert 0 < found.interval <= 5
    assert max(found.confirm_vm, found.confirm_peer) < found.monitor / 2


@always
@given(timing=_TIMINGS)
def test_d20_a_run_changes_exactly_what_a_check_tells(timing: dict[str, float]) -> None:
    """What a run bounds must be told by a check, and besides only what is beyond ECX's own limits."""
    config = with_timing(**timing)
    _, doubts = bounded(config.timing)
    beyond = {f"timing.{key}" for key in _COMMANDS if getattr(config.timing, key) > 9000}
    bounds = {f"timing.{one.key}" for one in doubts}
    assert bounds <= set(told(config)) <= bounds | beyond


def test_defaults_are_left_alone() -> None:
    """The defaults must hold together, and what sets nothing be left as it is."""
    assert (Timing(), ()) == bounded(Timing())
    assert [] == told(parse(MINIMAL, "config.toml"))
    assert [] == told(config_of(nodes=(EC1, EC2)))


def test_a_bound_is_told_with_what_was_written() -> None:
    """What a run does not go by must be told with its key, the value in the file and the one that is used."""
    _, (doubt,) = bounded(Timing(reserve=2000, unregister=1500))
    assert "[timing] reserve 2000 is not 750 or less" in str(doubt)
    assert str(doubt).endswith(": 750 is used")


def test_nothing_is_advised_for_a_file_as_meant() -> None:
    """A file with the defaults and a VM must raise no doubts."""
    assert [] == advice(config_of(ProtectedVm(name="web1")))


@pytest.mark.parametrize("key", ["start", "unregister"])
def test_a_time_that_ecx_must_be_told_is_pointed_out(key: str) -> None:
    """A command that takes longer than a script has by default must be pointed out; at the edge it fits."""
    (sentence,) = advice(with_timing(**{key: 1741}))
    assert f"timing.{key}" in sentence
    assert [] == advice(with_timing(**{key: 1740}))


def test_a_file_without_vms_is_pointed_out() -> None:
    """A file that names no VM loads, but is probably not finished."""
    assert ["no [[vm]] is named"] == advice(parse(MINIMAL, "config.toml"))
