"""One PowerShell of a host as its cmdlets see it: what each shows or does, and what this host refuses."""

from collections.abc import Mapping
from typing import Any

from ecx_hyperv.lab.model.world import World
from ecx_hyperv.lab.windows.allowed import ALLOWED
from ecx_hyperv.lab.windows.cmdlets import Cmdlets
from ecx_hyperv.lab.windows.messages import Failure
from ecx_hyperv.lab.windows.setting_rows import SHOWN, SettingRows


class HostCmdlets:
    """The cmdlets of one PowerShell; `blocked` is how long the one that was called last takes, in seconds."""

    def __init__(self, world: World, host: str, target: str) -> None:
        self._world = world
        self._host = host
        self._cmdlets = Cmdlets(world, host, target)
        self._setting_rows = SettingRows(world, host, target)
        self.blocked = 0.0

    def may_run(self, cmdlet: str) -> None:
        """Raise Failure for a cmdlet whose module is not there, or that this account may not use."""
        facts = self._world.hosts[self._host].facts
        if ALLOWED[cmdlet] == facts.missing:
            raise Failure(0, facts.missing, identifier="Modules_ModuleNotFound", category="ResourceUnavailable")
        if cmdlet in facts.denied.split(","):
            raise Failure(5, cmdlet, identifier="AccessDenied", category="PermissionDenied")

    def call(self, cmdlet: str, args: Mapping[str, Any], piped: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
        """Make a call of a cmdlet that may run, and return the objects that come out; raises Failure."""
        self.blocked = 0.0
        refusal = self._world.refused(self._host, cmdlet)
        if refusal is not None:
            about = refusal.about or self._host
            raise Failure(refusal.code, about, identifier=refusal.identifier, category=refusal.category)
        if ALLOWED[cmdlet] == "FailoverClusters" and not self._world.cluster.is_member(self._host):
            raise Failure(1753, self._host)
        if ALLOWED[cmdlet] == "Hyper-V":
            self.need_service()
        if cmdlet in SHOWN:
            try:
                # What is piped in binds to -VM, as that of Get-VMIntegrationService does.
                bound = args if piped is None else {**args, "VM": piped}
                return SHOWN[cmdlet](self._setting_rows, bound)
            except LookupError as missing:
                raise Failure(2, str(missing.args[0]), identifier="PathNotFound", category="ObjectNotFound") from None
        objects = self._cmdlets.call(cmdlet, args, piped)
        self.blocked = self._cmdlets.blocked
        return objects

    def need_service(self) -> None:
        """Raise Failure where Hyper-V's management service does not run."""
        if not self._world.hosts[self._host].vmms:
            raise Failure(0, self._host, identifier="ServiceAway", category="ObjectNotFound")

    def built_in(self, cmdlet: str, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Do what the agent does itself, with cmdlets of Windows; raises Failure."""
        return self._cmdlets.call(cmdlet, args, None)

    def fresh_state(self, key: str) -> str | None:
        """Return a VM's state as it is now, which Get-VM may show only seconds later."""
        return self._cmdlets.fresh_state(key)
