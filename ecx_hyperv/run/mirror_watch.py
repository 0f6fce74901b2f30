"""The mirror disks, as genw-remote-node looks at them: after its own work, briefly, and without a say in its answer.

Kept (rule 3.9): a clpmdstat that hangs or fails changes no verdict, and costs a bounded time once the verdict is known.
What it does not tell never counts as GREEN, so an alert that is open stays open.
"""

from collections.abc import Callable
from dataclasses import replace

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.mirror import PairMirrors
from ecx_hyperv.decide.mirror_news import MirrorNews, is_urgent, news_of
from ecx_hyperv.ecx.alerts import Level
from ecx_hyperv.ecx.mirrors import read_mirrors
from ecx_hyperv.ecx.monitor_state import MonitorState
from ecx_hyperv.run.context import RunContext

# What all clpmdstat of a run may take together; as long again for the peer EC-VM's answer, where a person must act.
_LOOK_S = 5.0
_LEAST_S = 0.5


class MirrorWatch:
    """The mirror disks in one run of genw-remote-node; `has_mirror` reads whether ECX's configuration holds one."""

    def __init__(self, context: RunContext, deadline: Deadline, *, has_mirror: Callable[[], bool | None]) -> None:
        self._context = context
        self._deadline = deadline
        self._has_mirror = has_mirror

    def tell(self, state: MonitorState, *, is_online: bool, is_remembered: bool) -> tuple[MonitorState, bool]:
        """Alert to what is new of the mirrors; return what is told now, and whether each mirror is GREEN.

        Where it cannot be remembered that something was told, only what is urgent is.
        """
        found, now = self._look(), self._context.clock.boottime()
        awaited = bool(state.last_alert or state.mirrors_told)
        news = news_of(found, is_online=is_online, is_awaited=awaited)
        due = [one for one in news if state.is_mirror_news(one.key, now) and (is_remembered or one.is_urgent)]
        for one in self._with_peer(due) if is_urgent(found) else due:
            log = self._context.log
            (log.error if one.is_urgent else log.warning)(one.text)
            self._context.alert(Level.ERR if one.is_urgent else Level.WARN, one.text)
            state = state.tell_mirror(one.key, now)
        return state, found.are_green

    def _look(self, *, ask_peer: bool = False) -> PairMirrors:
        deadline = self._deadline.within(_LOOK_S)
        if deadline.remaining() < _LEAST_S:
            return PairMirrors(why="no time was left to ask")
        context = self._context
        found = read_mirrors(context.run, context.pair, deadline, expected=self._has_mirror(), ask_peer=ask_peer)
        for why in (found.why, *(one.why for one in found.mirrors)):
            if why:
                context.log.warning("mirror disks", because=why)
        return found

    def _with_peer(self, due: list[MirrorNews]) -> list[MirrorNews]:
        """Return the same news, what is urgent in words of both EC-VMs: together they may tell whose side is whose."""
        if not any(one.is_urgent for one in due):
            return due
        both = news_of(self._look(ask_peer=True), is_online=True, is_awaited=True)
        texts = {one.mirror: one.text for one in both if one.mirror}
        return [replace(one, text=texts.get(one.mirror, one.text)) if one.is_urgent else one for one in due]
