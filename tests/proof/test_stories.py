"""Random stories over the whole lab, and the fixed ones that random ones have found."""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof import shares
from tests.proof.counts import Record, Tally
from tests.proof.machine import Stories, play, told

# As many as a few seconds hold, others in each share; `scripts/soak` plays as many as it is asked to.
_PARTS = 2
_SETTINGS = settings(
    max_examples=40,
    stateful_step_count=12,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)
FOUND = {
    "an EC-VM that hung is restarted by an operator a moment before the monitor would": [("ec1 hangs", 0.0)],
    "a host is powered on again while it still shuts down": [
        ("ws2019-host-1 is cut off", 40.0),
        ("ws2019-host-2 is shut down", 0.0),
    ],
    "both EC-VMs are active, and one cannot start": [
        ("ws2019-host-2's sshd says nothing", 0.0),
        ("ec1 and ec2 are cut apart: all", 200.0),
    ],
    "a stop takes the volume offline while the other EC-VM takes over": [
        ("ec1 and ec2 are cut apart: all", 15.0),
        ("ec2 is shut down", 90.0),
    ],
    "both hosts are shut down, one whose guest cannot leave": [
        ("ws2019-host-1 is shut down", 40.0),
        ("ec1 is shut down", 0.0),
        ("ws2019-host-2 is shut down", 40.0),
    ],
    "a guest whose cluster service crashed is cut off with its host": [
        ("ws2019-host-2's cluster service crashes", 0.0),
        ("ws2019-host-2 is cut off", 200.0),
    ],
}


# The owner's host is back while the last look of a fetch is under way, which goes by what the cluster says.
_BACK = [
    ("clpcl -t on ec1", 15.0),
    ("Hyper-V on ws2019-host-1 restarts", 90.0),
    ("Get-ClusterGroup hangs on ws2019-host-1 for a while", 15.0),
    ("Get-ClusterGroup hangs on ws2019-host-1 for a while", 40.0),
    ("ws2019-host-1 and ec2 are cut apart: all", 40.0),
]


@pytest.mark.parametrize("part", range(_PARTS))
def test_random_stories(part: int, record_property: Record) -> None:
    """Whatever happens in whatever order, every rule holds, and once all is mended the VMs run where they should."""
    told.clear()
    machine = type(f"Stories{part}", (Stories,), {})
    run_state_machine_as_test(seed(part + _PARTS * shares.number())(machine), settings=_SETTINGS)
    counts = {what.replace(" ", "_"): count for what, count in told.items()}
    Tally(record_property).add("random stories", **counts)


@pytest.mark.parametrize("node", ["ec1", "ec2"])
@pytest.mark.parametrize("name", FOUND)
def test_found_story(name: str, node: str) -> None:
    """A story that once broke a rule breaks none any more."""
    play(1, node, *FOUND[name])


def test_a_host_that_is_back_in_the_middle_of_a_look() -> None:
    """A look that began before the owner's host was back may go by the cluster, as two looks before it did."""
    play(2, "ec1", *_BACK)
