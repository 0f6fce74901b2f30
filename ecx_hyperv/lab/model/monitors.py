"""The custom monitors of the lab's ECX: when their scripts run, and what their exit codes come to."""

from collections.abc import Callable, Sequence

from ecx_hyperv.lab.model.jobs import ScriptRunner
from ecx_hyperv.lab.model.servers import PEER_MONITOR, SimulatedMonitor, SimulatedServer
from ecx_hyperv.lab.model.state import WorldState


class Monitors:
    """Runs monitors; `on_failure` is called with the server and the monitor once its retries are used up."""

    def __init__(
        self, state: WorldState, run: ScriptRunner, on_failure: Callable[[SimulatedServer, SimulatedMonitor], None]
    ) -> None:
        self._state = state
        self._run = run
        self._on_failure = on_failure

    def fresh(self, vms: Sequence[str]) -> dict[str, SimulatedMonitor]:
        """Return the monitors of a server on which ECX has just started, by their names."""
        timings = self._state.timings
        monitors = [SimulatedMonitor(f"genw-{vm}", timings.monitor_interval) for vm in vms]
        monitors.append(SimulatedMonitor(PEER_MONITOR, timings.peer_interval))
        return {monitor.name: monitor for monitor in monitors}

    def watch(self, server: SimulatedServer) -> None:
        """Run the monitors of what is active on a server, as far as they are due; stop the others."""
        for monitor in server.monitors.values():
            if self._is_watching(server, monitor):
                self._run_monitor(server, monitor)
            else:
                self.stop(monitor)

    def _is_watching(self, server: SimulatedServer, monitor: SimulatedMonitor) -> bool:
        target = "md1" if monitor.name == PEER_MONITOR else f"exec-{monitor.name.removeprefix('genw-')}"
        return server.group == "Online" and server.resources.get(target) == "Online"

    def _run_monitor(self, server: SimulatedServer, monitor: SimulatedMonitor) -> None:
        now = self._state.now
        if monitor.job is None:
            if now >= monitor.due:
                monitor.started, monitor.due = now, now + monitor.interval
                monitor.job = self._run(server.name, f"monitor.s/{monitor.name}", "genw.sh", {})
            return
        code = monitor.job.poll()
        if code is None and now - monitor.started > self._state.timings.monitor_timeout:
            monitor.job.kill()
            self._state.record("monitor timeout", monitor.name, server.name)
            monitor.job = None
        elif code is not None:
            monitor.job = None
            self._monitored(server, monitor, code)

    def _monitored(self, server: SimulatedServer, monitor: SimulatedMonitor, code: int) -> None:
        was, monitor.status = monitor.status, "Normal" if code == 0 else "Error"
        if was != monitor.status:
            self._state.record("monitor", monitor.name, server.name, f"{monitor.status} ({code})")
        monitor.failures = 0 if code == 0 else monitor.failures + 1
        if monitor.name == PEER_MONITOR or monitor.failures <= self._state.timings.monitor_retry:
            return
        monitor.failures = 0
        self._on_failure(server, monitor)

    def stop(self, monitor: SimulatedMonitor) -> None:
        """Kill a monitor's script if it runs, and forget what the monitor has seen."""
        if monitor.job is not None:
            monitor.job.kill()
            monitor.job = None
        monitor.status, monitor.failures, monitor.due = "Offline", 0, self._state.now
