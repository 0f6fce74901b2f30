"""The lab itself: the world in real time, an SSH server for each way to a host, ECX on both EC-VMs."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ecx_hyperv.host.wire import Hello, Reply, Request, changes
from ecx_hyperv.lab.engine.modules import Engine
from ecx_hyperv.lab.linux import files
from ecx_hyperv.lab.linux.files import Folder
from ecx_hyperv.lab.model.ecx import SimulatedEcx
from ecx_hyperv.lab.model.jobs import ScriptJob
from ecx_hyperv.lab.model.timings import Timings
from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.service import control
from ecx_hyperv.lab.service.audit import Audit, AuditedRequest
from ecx_hyperv.lab.service.commands import Commands
from ecx_hyperv.lab.service.control import ControlAnswer, ControlQuestion
from ecx_hyperv.lab.service.engine_hosts import EngineHosts
from ecx_hyperv.lab.service.scripts import ScriptProcess
from ecx_hyperv.lab.service.sshd import Account, SshEndpoint
from ecx_hyperv.lab.windows.agent import InjectedFaults
from ecx_hyperv.lab.windows.powershell import PowerShell

if TYPE_CHECKING:
    import paramiko

_TICK_S = 0.02


class Lab:
    """A running lab; its world may be looked at and changed within `world_now`."""

    def __init__(
        self,
        path: Path,
        vms: Sequence[str],
        timings: Timings,
        timing: Mapping[str, float],
        *,
        stdin: str = "handle",
        engine: Engine | None = None,
    ) -> None:
        self.folder = Folder(path)
        self.timings = timings
        self.port = files.free_port()
        self._world = World(timings, vms, files.CSV)
        self._lock = threading.RLock()
        self._tending = threading.Lock()
        self._began = time.monotonic()
        self._stopped = threading.Event()
        for node in files.NODES:
            self._world.ec_vms[node].linux.addresses = files.node_address(node)
        files.make(self.folder, list(self._world.hosts), vms, self.port, timing, stdin)
        self.ecx = SimulatedEcx(self._world, self._run_script, vms)
        self.audits: dict[tuple[str, str], Audit] = {}
        self.faults: dict[str, InjectedFaults] = {}
        # What each host's simulated PowerShell is asked, for whoever wants to see it.
        self.on_request: Callable[[str, Request], None] = lambda _host, _request: None
        self.engine_hosts = None if engine is None else EngineHosts(path / "engine", engine, self.world_now)
        self.endpoints = {
            (node, host): self._endpoint(node, number, host)
            for node in files.NODES
            for number, host in enumerate(self._world.hosts, 1)
        }
        self._commands = Commands(
            ecx=self.ecx, world_now=self.world_now, faults=self.faults, audits=self.audits, stop=self.stop
        )

    def start(self) -> None:
        """Start the SSH servers and the control socket, and let time pass."""
        self._tend_endpoints()
        self.folder.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder.socket))
        listener.listen(32)
        self._control = listener
        threading.Thread(target=self._listen, args=(listener,), daemon=True, name="lab-control").start()
        threading.Thread(target=self._tick, daemon=True, name="lab-tick").start()

    def stop(self) -> None:
        """Kill what runs, and close the SSH servers and the control socket."""
        self._stopped.set()
        with self.world_now():
            for server in self.ecx.servers.values():
                for job in (server.job, *(monitor.job for monitor in server.monitors.values())):
                    if job is not None:
                        job.kill()
        for endpoint in self.endpoints.values():
            endpoint.close()
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._control.close()
        if self.engine_hosts is not None:
            self.engine_hosts.close()
        self.folder.socket.unlink(missing_ok=True)

    @contextmanager
    def world_now(self) -> Iterator[World]:
        """Hold the world still, as it is at this moment."""
        with self._lock:
            self._world.advance_to(time.monotonic() - self._began)
            yield self._world

    def wait_for_stop(self) -> None:
        """Wait until somebody stops the lab."""
        self._stopped.wait()

    def audit(self, node: str, host: str) -> Audit:
        """Return what an EC-VM has asked of a host since the audits were last cleared."""
        return self.audits.setdefault((node, host), Audit())

    def _tick(self) -> None:
        while not self._stopped.wait(_TICK_S):
            with self.world_now():
                self.ecx.tick()
            self._tend_endpoints()

    def _tend_endpoints(self) -> None:
        with self._tending:
            with self.world_now() as world:
                states = {key: world.ssh_answers(*key) for key in self.endpoints}
            for key, state in states.items():
                self.endpoints[key].become(state)

    def _endpoint(self, node: str, number: int, host: str) -> SshEndpoint:
        def logged_in() -> None:
            self.audit(node, host).logins += 1

        def asked() -> None:
            self.audit(node, host).round_trips += 1

        return SshEndpoint(
            (files.address(node, number), self.port),
            files.load_key(self.folder.host_key(host)),
            Account(files.USER, files.load_key(self.folder.node(node) / "id_ed25519")),
            lambda: _LabHost(self, node, host),
            lambda: self.faults.get(host, InjectedFaults()),
            logged_in,
            self.timings.deadman,
            asked,
            None if self.engine_hosts is None else partial(self._run_real, self.engine_hosts, node, host),
        )

    def _run_real(self, hosts: EngineHosts, node: str, host: str, channel: "paramiko.Channel", command: str) -> int:
        self.audit(node, host).powershells += 1
        return hosts.run(host, channel, command)

    def _answer(self, question: ControlQuestion) -> ControlAnswer:
        if question.do == "powershell" and self.engine_hosts is not None:
            # The stand-ins ask the world meanwhile, so nobody may hold it.
            host, line = question.arguments
            return self.engine_hosts.run_line(self._commands.host(host), line)
        return self._commands.answer(question)

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            serve = threading.Thread(target=self._serve, args=(connection,), daemon=True, name="lab-question")
            serve.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            control.serve(connection, self._answer)

    def _run_script(self, node: str, folder: str, script: str, variables: Mapping[str, str]) -> ScriptJob:
        mine = self.folder.node(node)
        place = mine / "scripts" / folder
        log = mine / "log" / f"{place.name}.log"
        return ScriptProcess(place / script, place, log, {**self.folder.environment(node), **variables})


class _LabHost:
    """One powershell.exe on a host, asked by one EC-VM."""

    def __init__(self, lab: Lab, node: str, host: str) -> None:
        self._audit = lab.audit(node, host)
        self._audit.powershells += 1
        self._start = lab.timings.powershell
        self._on_request = partial(lab.on_request, host)
        with lab.world_now() as world:
            self._shell = PowerShell(world, host, files.TARGET, sleep=time.sleep, enter=lab.world_now)

    def hello(self) -> Hello:
        time.sleep(self._start)
        return self._shell.hello()

    def perform(self, request: Request) -> Reply:
        after = time.monotonic() - self._audit.answered_at
        changed = tuple(call.cmdlet for call in request.calls if changes(call))
        self._audit.asked.append(AuditedRequest(after, changed))
        self._on_request(request)
        reply = self._shell.perform(request)
        self._audit.answered_at = time.monotonic()
        return reply
