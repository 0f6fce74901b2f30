"""What ECX's commands alert a person to besides their work: that they could not even look, or cannot remember."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecx_hyperv.cli.command import Invocation
from ecx_hyperv.config import Paths
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.monitor_state import FileMonitorStates
from ecx_hyperv.ecx.state_folder import StateFolder
from ecx_hyperv.errors import EcxHypervError, LocalError, UsageError

# The kind under which it is remembered what was alerted.
_KIND = "config"


class MonitorNews:
    """The alerts of a monitor, which runs every minute: each at once, and again after an hour; none where `dry`."""

    def __init__(self, invocation: Invocation, *, dry: bool) -> None:
        self._invocation = invocation
        self.dry = dry
        self._fallback = ""
        # Where the state is kept, no file says yet.
        self.remember_in(Paths())

    def remember_in(self, paths: Paths) -> None:
        """Remember in the folders of the configuration, which is read now."""
        self.folder = StateFolder(Path(paths.state), Path(paths.run), self._falls_back)
        self.states = FileMonitorStates(self.folder, self._invocation.clock)

    def alert(self, name: str, level: Level, text: str) -> None:
        """Alert a person, if that is news; `name` is what the alert is about."""
        if self.dry:
            return
        now = self._invocation.clock.boottime()
        try:
            state = self.states.load(_KIND, name)
            if not state.is_news(text, now):
                return
            self.states.save(_KIND, name, state.tell(text, now))
        except LocalError as error:
            self._invocation.log.warning("nothing can be remembered", because=str(error))
        self._invocation.alert(level, text)

    def close(self) -> None:
        """Alert a person to a state folder that does not take what is to be remembered."""
        if self._fallback:
            self.alert("state", Level.WARN, self._fallback)

    def _falls_back(self, text: str) -> None:
        if not self._fallback:
            self._invocation.log.warning(text)
        self._fallback = text


@contextmanager
def watching(invocation: Invocation, monitor: str, *, dry: bool = False) -> Iterator[MonitorNews]:
    """Alert a person if a monitor cannot look, whatever keeps it from looking: a blind one must not be a quiet one."""
    news = MonitorNews(invocation, dry=dry)
    try:
        yield news
    except Exception as error:
        news.alert(_KIND, Level.ERR, f"{monitor} cannot tell: {_in_words(error)}")
        raise
    finally:
        news.close()


@contextmanager
def working(invocation: Invocation, command: str, *, dry: bool) -> Iterator[None]:
    """Alert a person if a start or stop ends by an error; not to a mistake at the prompt, and in no dry run."""
    try:
        yield
    except Exception as error:
        if not dry and (invocation.call.is_by_ecx or not isinstance(error, UsageError)):
            invocation.alert(Level.ERR, f"{command} did nothing more: {_in_words(error)}")
        raise


def _in_words(error: Exception) -> str:
    if isinstance(error, EcxHypervError):
        return error.summary
    return f"an error in the program itself: {type(error).__name__}: {error}"
