"""What a monitor remembers from run to run, as far as it can: a memory that does not work decides nothing by itself."""

from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.monitor_state import MonitorState, MonitorStates
from ecx_hyperv.errors import LocalError
from ecx_hyperv.run.context import RunContext


class MonitorMemory:
    """The states of one kind of monitor; `trouble` says why not all is remembered, and is empty where all is."""

    def __init__(self, context: RunContext, states: MonitorStates, kind: str) -> None:
        self._context = context
        self._states = states
        self._kind = kind
        self.trouble = ""

    def load(self, name: str) -> MonitorState:
        """Return what is remembered of a VM or EC-VM; an empty state where nothing can be read."""
        try:
            return self._states.load(self._kind, name)
        except LocalError as error:
            self._note(name, error)
            clock = self._context.clock
            return MonitorState(boot=clock.boot(), looked=clock.boottime())

    def save(self, name: str, state: MonitorState) -> bool:
        """Remember a state, and tell whether it will be known to the next run."""
        try:
            self._states.save(self._kind, name, state)
        except LocalError as error:
            self._note(name, error)
            return False
        return True

    def tell(self) -> None:
        """Alert a person if not all is remembered: in each run, since that cannot be remembered either."""
        if self.trouble:
            self._context.alert(Level.ERR, f"what a monitor saw is not remembered: {self.trouble}")

    def _note(self, name: str, error: LocalError) -> None:
        self.trouble = str(error)
        self._context.log.warning("nothing can be remembered", of=name, because=self.trouble)
