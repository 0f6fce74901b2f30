"""What a person is told of a VM's state (F18)."""

import pytest

from ecx_hyperv.decide.facts import VmOnHost
from ecx_hyperv.decide.monitor import Health, Watched, judge
from ecx_hyperv.decide.states import VmKind
from tests.decide.support import at_home


@pytest.mark.parametrize("kind", list(VmKind))
def test_f18_no_state_is_an_empty_word(kind: VmKind) -> None:
    """Where Hyper-V names no state, the alert must say so, and not leave a hole in its sentence."""
    verdict = judge(Watched(seen=at_home(on_local=VmOnHost(kind, ""))))
    assert "  " not in verdict.why
    assert " is  " not in verdict.why
    if kind is VmKind.ODD:
        assert Health.UNKNOWN is verdict.health
        assert "in a state without a name" in verdict.why
