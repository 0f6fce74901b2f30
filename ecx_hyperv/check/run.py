"""The whole check: facts from both hosts and this EC-VM, side by side, then judged."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from ecx_hyperv import __version__
from ecx_hyperv.check import host_facts
from ecx_hyperv.check.catalogue import CATALOGUE, Area
from ecx_hyperv.check.cluster import judge_cluster
from ecx_hyperv.check.context import CheckContext
from ecx_hyperv.check.ec_vm import judge_configuration, judge_ec_vm
from ecx_hyperv.check.ecx_settings import judge_ecx, read_scripts
from ecx_hyperv.check.host_facts import FactsRequest, HostFacts
from ecx_hyperv.check.hosts import judge_host
from ecx_hyperv.check.linux_facts import LinuxFacts, System
from ecx_hyperv.check.logins import judge_login, silent
from ecx_hyperv.check.mirror import judge_mirror_sync, look_at_mirrors
from ecx_hyperv.check.outcome import Finding, Unavailable, Where, cannot_tell, is_so, judged, ok, warning, words
from ecx_hyperv.check.probes import ProbeResult, WireProbe
from ecx_hyperv.check.vm_identity import IdentifiedVm, IdentityFacts, IdentityRequest, identify_vm
from ecx_hyperv.check.vms import judge_ec_guest, judge_vm
from ecx_hyperv.check.wire import judge_wire
from ecx_hyperv.config import Config
from ecx_hyperv.deadline import Deadline
from ecx_hyperv.decide.facts import Side
from ecx_hyperv.decide.mirror import PairMirrors
from ecx_hyperv.ecx import clpstat
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.ecx.maintenance import Flag
from ecx_hyperv.ecx.remote import on_peer
from ecx_hyperv.errors import HostError, LocalError, Unreachable
from ecx_hyperv.host.link import CONNECTING, Answered, Ask, Exchanged, Hosts
from ecx_hyperv.host.wire import Request
from ecx_hyperv.plain import flat, flat_name

_OF_HOSTS = {Area.LOGIN, Area.HOST, Area.CLUSTER, Area.EC_GUEST, Area.VM, Area.WIRE}
# These two need no PowerShell of their own.
_NO_TRIAL = {"wire-cmdlets"}
_ASK_S = 90.0
_PEER_S = 180.0
# What the other EC-VM may say: findings, characters in a text, values in a remedy.
_MOST_FINDINGS, _MOST_SAID, _MOST_VALUES = 1000, 2000, 20
_PEER_AREAS = (Area.LOGIN, Area.EC_VM, Area.ECX)


class CheckReport(Struct, frozen=True, kw_only=True):
    """All findings; the shape of `--json`, of which no key ever goes missing."""

    version: int = 1
    node: str
    program: str
    config: str
    exit: int
    findings: list[Finding]


_REPORT = msgspec.json.Decoder(CheckReport)


@dataclass(frozen=True, slots=True)
class _Identified:
    """Which VM each name means, by casefolded name; what each host said of that, or why it did not answer."""

    vms: dict[str, IdentifiedVm]
    facts: dict[Side, IdentityFacts]
    failed: dict[Side, HostFacts | HostError]


@dataclass(frozen=True, slots=True)
class CheckRun:
    """All that a check is handed.

    `scripts` is the folder of the program's scripts for ECX, where it is known; `kept_id` gives the id that a run has
    kept for a VM's name, and may raise LocalError. `mistakes` keep the configuration from being used as it is, `notes`
    are what is probably not meant. `on_findings` is told findings as soon as they are certain, each once.
    """

    config: Config
    pair: Pair
    hosts: Hosts
    system: System
    flags: Callable[[], Sequence[Flag]]
    probe: Callable[[Side], WireProbe]
    wall: Callable[[], datetime]
    deadline: Deadline
    scripts: Path | None = None
    kept_id: Callable[[str], str] = lambda _name: ""
    mistakes: Sequence[str] = ()
    notes: Sequence[str] = ()
    on_findings: Callable[[Sequence[Finding]], None] = lambda _findings: None

    def go(self, wanted: frozenset[str], linux: LinuxFacts) -> list[Finding]:
        """Make the checks that are wanted, in the order of the catalogue; `linux` is what this EC-VM says of itself.

        Raises nothing that a machine may cause.
        """
        areas = {CATALOGUE[name].area for name in wanted}
        # Before a host is asked: an upgrade may replace the program's own scripts meanwhile.
        scripts = read_scripts(self.system.root, self.scripts, linux.conf, self.config)
        mirrors = look_at_mirrors(self.system, self.pair) if "mirror-sync" in wanted else PairMirrors()
        with ThreadPoolExecutor(3) as pool:
            probes = {side: pool.submit(self._probed, side) for side in Side if self._is_tried(wanted)}
            before = self.wall()
            first = self._identify() if areas & _OF_HOSTS else None
            answered = {} if first is None else self._ask(first)
            asked = (before, self.wall())
            context = self._context(answered, linux, {} if first is None else first.vms)
            of_ec_vm = [*self._of_ec_vm(context, linux, scripts, mirrors)]
            # The trials take longest, and nothing but their own findings rests on them.
            sure = [*(self._of_hosts(context, asked, {}) if answered else ()), *of_ec_vm]
            self._tell(one for one in sure if one.name in wanted and CATALOGUE[one.name].area is not Area.WIRE)
            tried = {side: probe.result() for side, probe in probes.items()}
        findings = [*(self._of_hosts(context, asked, tried) if answered else ()), *of_ec_vm]
        chosen = [finding for finding in findings if finding.name in wanted]
        if "group" in wanted:
            chosen.append(self._group(linux.servers, wanted - {one.name for one in chosen}, wanted))
        self._tell(one for one in chosen if one.name == "group" or CATALOGUE[one.name].area is Area.WIRE)
        return ordered(chosen)

    def _tell(self, findings: Iterable[Finding]) -> None:
        # Who is told must not be able to end the check.
        with suppress(Exception):
            self.on_findings(ordered(findings))

    def _is_tried(self, wanted: frozenset[str]) -> bool:
        return any(CATALOGUE[name].area is Area.WIRE and name not in _NO_TRIAL for name in wanted)

    def _probed(self, side: Side) -> ProbeResult:
        probe = self.probe(side)
        return probe.run(self.deadline.within(_ASK_S + probe.idle_s))

    def _identify(self) -> _Identified:
        """Ask both hosts which VM each name means: what else is asked rests on the answer."""
        first = IdentityRequest(tuple(vm.name for vm in self.config.vm))
        came = self._exchange(dict.fromkeys(Side, first.request()))
        facts = {side: first.read(one.hello, one.reply) for side, one in came.items() if isinstance(one, Answered)}
        vms = {vm.name.casefold(): identify_vm(vm, self._kept(vm.name), list(facts.values())) for vm in self.config.vm}
        return _Identified(vms, facts, {side: one for side, one in came.items() if isinstance(one, HostError)})

    def _ask(self, first: _Identified | None = None) -> Mapping[Side, HostFacts | HostError]:
        """Return what each host says; one that did not answer the first question is not asked again."""
        first = first or self._identify()
        names = tuple(vm.name for vm in self.config.vm)
        known = {name: one.asked() for name, one in first.vms.items()}
        wanted = {side: FactsRequest((self.pair.of(side).vm, *names), names, known) for side in first.facts}
        answers = self._exchange({side: one.request() for side, one in wanted.items()})
        return first.failed | {
            side: one if isinstance(one, HostError) else _with_modules(wanted[side], one, first.facts[side])
            for side, one in answers.items()
        }

    def _exchange(self, requests: Mapping[Side, Request]) -> dict[Side, Exchanged]:
        """Return what each host answered to its request."""
        asks = {side: [Ask(request, _ASK_S)] for side, request in requests.items()}
        answers = {side: came[0] for side, came in self.hosts.exchange(asks, self.deadline).items()} if asks else {}
        # The very first PowerShell of an account takes longer than a question waits.
        slow = {side: ask for side, ask in asks.items() if _is_still_connecting(answers[side])}
        again = self.hosts.exchange(slow, self.deadline) if slow else {}
        return answers | {side: came[0] for side, came in again.items()}

    def _kept(self, name: str) -> str:
        try:
            return self.kept_id(name)
        except LocalError:
            # A run that cannot read it has none either, and tells so.
            return ""

    def _context(
        self,
        answered: Mapping[Side, HostFacts | HostError],
        linux: LinuxFacts,
        identities: Mapping[str, IdentifiedVm],
    ) -> CheckContext:
        acls = None if isinstance(linux.saved, Unavailable) else linux.saved.acls()
        here = _runs_here(linux.servers, self.pair.local.name)
        return CheckContext(self.config, self.pair, answered, _runs(linux.servers), acls, identities, here)

    def _of_hosts(
        self, context: CheckContext, asked: tuple[datetime, datetime], tried: Mapping[Side, ProbeResult]
    ) -> Iterator[Finding]:
        for side, facts in context.hosts.items():
            place = context.place(side)
            probes = tried.get(side, ProbeResult())
            if isinstance(facts, HostError):
                yield from silent(place, facts, tried=probes.input is not None)
                if probes.input is None:
                    continue
            else:
                yield from judge_login(place, facts, asked)
                yield from judge_host(context, side)
                yield from judge_ec_guest(context, side)
            told = None if isinstance(facts, HostError) else facts
            yield from judge_wire(place, probes, told, self.config.ssh.stdin)
        yield from judge_cluster(context)
        for vm in self.config.vm:
            yield from judge_vm(context, vm)

    def _of_ec_vm(
        self, context: CheckContext, linux: LinuxFacts, scripts: Mapping[str, bool], mirrors: PairMirrors
    ) -> Iterator[Finding]:
        found = [facts.sessions for facts in context.told().values()]
        sessions = [one for part in found if not isinstance(part, Unavailable) for one in part]
        initiators = list(dict.fromkeys(one.initiator for one in sessions if one.initiator))
        yield judge_configuration(self.pair.local.name, self.mistakes, self.notes)
        yield from judge_ec_vm(linux, self.config, self.pair, self._maintenance(), initiators)
        yield from judge_mirror_sync(self.pair.local.name, mirrors)
        yield from judge_ecx(linux.conf, self.config, self.pair, scripts)

    def _maintenance(self) -> Sequence[Flag] | Unavailable:
        try:
            return self.flags()
        except LocalError as error:
            return Unavailable(why=f"{error.what}: {error.seen}")

    def _group(
        self, servers: clpstat.Clpstat | Unavailable, silent_ones: frozenset[str], wanted: frozenset[str]
    ) -> Finding:
        place = self.pair.local.name
        unseen = sorted(name for name in silent_ones & wanted if CATALOGUE[name].area in _OF_HOSTS)

        def judge(status: clpstat.Clpstat) -> Finding:
            shown = ", ".join(f"{one.name} {one.status} {one.current}".strip() for one in status.groups) or "no group"
            if not unseen or _runs(status) is not False:
                return ok("group", place, shown)
            seen = f"{shown}; so not looked at: {', '.join(unseen)}"
            return warning("group", place, seen, "online", words("start the group (clpgrp -s), then check again"))

        return judged("group", place, servers, judge)


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of the catalogue, each with what it means where it is not ok."""
    order = {name: number for number, name in enumerate(CATALOGUE)}
    explained = [
        finding
        if finding.outcome.value == "ok"
        else msgspec.structs.replace(finding, means=CATALOGUE[finding.name].means)
        for finding in findings
    ]
    return sorted(explained, key=lambda finding: order[finding.name])


def digest(config: Config) -> str:
    """Return a few digits that are the same where two configurations say the same of the set-up."""
    nodes = [(node.name, node.address, node.vm) for node in config.node]
    parts = (config.cluster, config.timing, config.monitor, nodes, config.vm, config.ssh.stdin)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]


def ask_peer(system: System, pair: Pair, config: Config, wanted: frozenset[str]) -> list[Finding]:
    """Return what the other EC-VM finds of itself and of its way to the hosts; it is reached by ssh, as root."""
    names = [name for name in CATALOGUE if name in wanted and CATALOGUE[name].area in _PEER_AREAS and name != "peer"]
    remedy = words(f"on {pair.peer.name}: ecx-hyperv check; or let root of this EC-VM log in there by its key")
    if not names:
        return []
    try:
        done = on_peer(system.run, pair, ["ecx-hyperv", "check", "--json", *names], _PEER_S)
        said = _REPORT.decode(done.stdout)
    except (LocalError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = (
            error.what if isinstance(error, LocalError) else flat(done.stderr.decode("utf-8", "replace").strip()[-200:])
        )
        return [cannot_tell("peer", pair.peer.name, Unavailable(why=why or "it answers nothing", remedy=remedy))]
    known = [one for one in said.findings[:_MOST_FINDINGS] if one.name in CATALOGUE]
    return [_same(pair, config, said), *(_from_peer(one, said.node, pair.peer.name) for one in known)]


def _same(pair: Pair, config: Config, said: CheckReport) -> Finding:
    """Both EC-VMs must run the same program with the same configuration."""
    other = [
        what
        for what, here, there in (
            (f"program {flat_name(said.program)}", __version__, said.program),
            ("another config.toml", digest(config), said.config),
        )
        if here != there
    ]
    return is_so(
        "peer",
        pair.peer.name,
        "; ".join(other) or f"program {__version__}, the same configuration",
        so=not other,
        expected=f"program {__version__} and the configuration of {pair.local.name}",
        remedy=words("install the same version on both EC-VMs, and copy config.toml from the one that is right"),
    )


def _from_peer(finding: Finding, node: str, peer: str) -> Finding:
    """Return what the other EC-VM says as its word: what it would have run is for that EC-VM, and never for this one.

    `node` is what it calls itself, `peer` what the configuration calls it.
    """
    place = peer if finding.place == node else f"{flat_name(finding.place)} (from {peer})"
    remedy = finding.remedy
    if remedy is not None:
        on = peer if remedy.where is Where.EC_VM else flat_name(remedy.on)
        run, said = flat(remedy.run, _MOST_SAID), tuple(map(flat_name, remedy.said[:_MOST_VALUES]))
        remedy = msgspec.structs.replace(remedy, run=run, on=on, said=said, by=peer)
    seen, expected = (flat(text, _MOST_SAID) for text in (finding.seen, finding.expected))
    return msgspec.structs.replace(finding, place=place, seen=seen, expected=expected, remedy=remedy, means="")


def _with_modules(wanted: FactsRequest, answer: Answered, first: IdentityFacts) -> HostFacts:
    """Read what a host answered; the modules that the first question had it load belong to it."""
    facts = host_facts.read(wanted, answer.hello, answer.reply)
    return replace(facts, modules={**first.modules, **facts.modules})


def _is_still_connecting(answer: Exchanged) -> bool:
    return isinstance(answer, Unreachable) and CONNECTING in answer.what


def _runs(status: clpstat.Clpstat | Unavailable) -> bool | None:
    if isinstance(status, Unavailable) or not status.groups:
        return None
    return any(group.status == "Online" for group in status.groups)


def _runs_here(status: clpstat.Clpstat | Unavailable, node: str) -> bool:
    """Tell whether a group may be online on this EC-VM: yes, unless clpstat says otherwise."""
    if isinstance(status, Unavailable) or not status.groups:
        return True
    return any(group.status == "Online" and group.current.casefold() == node.casefold() for group in status.groups)
