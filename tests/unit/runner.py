"""A stand-in for the commands of the EC-VM."""

from collections.abc import Sequence

from ecx_hyperv.ecx.commands import Completed
from ecx_hyperv.errors import LocalError


def printed(text: str, code: int | None = 0) -> Completed:
    """Return how a command ended that printed a text."""
    return Completed(code, text.encode(), b"")


class FakeRunner:
    """Gives its answers one after the other, the last one for ever; `calls` holds what it was asked to run."""

    def __init__(self, *answers: Completed | LocalError) -> None:
        self._answers = list(answers)
        self.calls: list[tuple[list[str], float]] = []

    def __call__(self, command: Sequence[str], seconds: float) -> Completed:
        """Run a command for at most that many seconds."""
        self.calls.append((list(command), seconds))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, LocalError):
            raise answer
        return answer
