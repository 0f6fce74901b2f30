"""ECX's own settings, from its clp.conf, against what the program needs of them."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from ecx_hyperv.check.outcome import Finding, Remedy, Unavailable, cannot_tell, here, is_so, ok, words, wrong
from ecx_hyperv.config import Config
from ecx_hyperv.desired.clpconf import ClpConf, ConfiguredMonitor, ConfiguredResource
from ecx_hyperv.desired.compare import compare, find
from ecx_hyperv.desired.ecx import ConfSection, Deviation, EcxNames, Expected, expected
from ecx_hyperv.desired.names import names_in
from ecx_hyperv.desired.scripts import are_elsewhere
from ecx_hyperv.ecx.environment import Pair
from ecx_hyperv.errors import UsageError
from ecx_hyperv.host.observe import is_same_address

# Which check looks at which parameters: the first beginning that fits.
_OF_EXEC = {
    "parameters/act/path": "ecx-script",
    "parameters/deact/path": "ecx-script",
    "parameters/timeout/": "ecx-script-timeout",
    "act/timeout": "ecx-script-timeout",
    "deact/timeout": "ecx-script-timeout",
    "parameters/userlog": "ecx-log",
    "parameters/logrotate/": "ecx-log-rotation",
    "depend": "ecx-depends",
    "": "ecx-script-mode",
}
_OF_GENW = {
    "parameters/path": "ecx-script",
    "parameters/sync": "ecx-script-mode",
    "parameters/normalval": "ecx-normal-value",
    "parameters/userlog": "ecx-log",
    "parameters/logrotate/": "ecx-log-rotation",
    "polling/timeout": "ecx-monitor-timeout",
    "polling/interval": "ecx-interval",
    "polling/reconfirmation": "ecx-retry",
    "polling/timing": "ecx-timing",
    "target": "ecx-timing",
    "emergency/timeout/": "ecx-on-timeout",
    "": "ecx-recovery",
}
_CHECKS: Mapping[str, Mapping[str, str]] = {
    "exec": _OF_EXEC,
    "genw": _OF_GENW,
    "fip": {"": "ecx-address"},
    "md": {"": "ecx-mirror"},
}
_WATCH = {"": "ecx-watch"}


def judge_ecx(
    conf: ClpConf | Unavailable, config: Config, pair: Pair, scripts: Mapping[str, bool]
) -> Iterator[Finding]:
    """Judge clp.conf; `scripts` tells for each resource and monitor whether the program's scripts are in place."""
    if isinstance(conf, Unavailable):
        yield wrong(
            "ecx-conf", pair.local.name, conf.why, "a clp.conf that can be read", conf.remedy or words("see ECX")
        )
        return
    try:
        names = names_in(conf, config)
        wanted = expected(config, names)
    except UsageError as error:
        yield wrong("ecx-conf", pair.local.name, error.what, error.seen, words(error.remedy))
        return
    yield ok(
        "ecx-conf", pair.local.name, f"cluster {conf.cluster}, {conf.encoding}, of ECX {conf.version or 'unknown'}"
    )
    yield _server(conf, pair)
    if not names.md:
        yield _which_mirror(names)
    for one in wanted:
        yield from _object(conf, one, scripts)


def _which_mirror(names: EcxNames) -> Finding:
    why = (
        f"nobody can tell which of {', '.join(names.mirrors)} holds the VMs: {names.iscsi} depends on none, or several"
    )
    how = words(f"let {names.iscsi} depend on the VMs' mirror disk, in ECX or with: ecx-hyperv setup ecx --md NAME")
    return cannot_tell("ecx-mirror", names.iscsi, Unavailable(why=why, remedy=how))


def _server(conf: ClpConf, pair: Pair) -> Finding:
    found = {server.name: server for server in conf.servers}
    strange = [
        node.name
        for node in (pair.local, pair.peer)
        if node.name not in found or not any(is_same_address(one, node.address) for one in found[node.name].addresses)
    ]
    seen = "; ".join(f"{server.name}: {', '.join(server.addresses)}" for server in found.values())
    return is_so(
        "ecx-server",
        pair.local.name,
        seen or "no server",
        so=not strange,
        expected="; ".join(f"{node.name}: {node.address}" for node in (pair.local, pair.peer)),
        remedy=words(f"correct [[node]] {', '.join(strange)} to what ECX has, or ECX's servers"),
    )


def _object(conf: ClpConf, wanted: Expected, scripts: Mapping[str, bool]) -> Iterator[Finding]:
    table = _CHECKS.get(wanted.type, _WATCH) if wanted.must else _WATCH
    deviations = compare(conf, wanted)
    missing = [one for one in deviations if not one.path]
    found = find(conf, wanted)
    if not wanted.must:
        yield _finding("ecx-watch", wanted, list(deviations), found, conf.file)
        return
    yield _finding("ecx-object", wanted, missing, found, conf.file)
    if missing:
        for name in dict.fromkeys(_name(table, one.path) for one in wanted.parameters):
            yield cannot_tell(name, wanted.name, Unavailable(why="see ecx-object"))
        return
    by_name: dict[str, list[Deviation]] = {_name(table, one.path): [] for one in wanted.parameters}
    if wanted.depends:
        by_name[_name(table, "depend")] = []
    for one in deviations:
        by_name[_name(table, one.path)].append(one)
    if wanted.scripts is not None and not scripts.get(wanted.name, True):
        by_name["ecx-script"].append(Deviation(wanted, "script", "the program's own", "another text", "it runs that"))
    for name, different in by_name.items():
        yield _finding(name, wanted, different, found, conf.file)


def _name(table: Mapping[str, str], path: str) -> str:
    return next(name for beginning, name in table.items() if path.startswith(beginning))


def _finding(
    name: str,
    wanted: Expected,
    different: list[Deviation],
    found: ConfiguredResource | ConfiguredMonitor | None,
    file: str,
) -> Finding:
    if not different:
        return ok(name, wanted.name, _seen(name, wanted, found))
    seen = "; ".join(f"{one.path} {one.seen}".strip() for one in different)
    expects = "; ".join(f"{one.path} {one.wanted}".strip() for one in different)
    return wrong(name, wanted.name, seen, f"{expects}: {different[0].why}", _setup(file))


def _setup(file: str) -> Remedy:
    return here(
        f"cd $(mktemp -d) && cp {shlex.quote(file)} clp.conf && ecx-hyperv setup ecx --conf clp.conf --apply --push"
    )


def _seen(name: str, wanted: Expected, found: ConfiguredResource | ConfiguredMonitor | None) -> str:
    """Show the values that were found right."""
    if found is None or name in ("ecx-object", "ecx-watch"):
        return f"{wanted.section.value} of type {wanted.type}"
    if name == "ecx-depends":
        return ", ".join(wanted.depends)
    table = _CHECKS.get(wanted.type, _WATCH)
    shown = {one.path: found.parameters.get(one.path, "default") for one in wanted.parameters}
    parts = [(path.removeprefix("parameters/"), value) for path, value in shown.items() if _name(table, path) == name]
    return ", ".join(f"{path} {value}" for path, value in parts)


def read_scripts(root: Path, source: Path | None, conf: ClpConf | Unavailable, config: Config) -> dict[str, bool]:
    """Tell for each resource and monitor whether ECX has the program's own scripts for it; those of `source`."""
    if source is None or isinstance(conf, Unavailable):
        return {}
    try:
        wanted = expected(config, names_in(conf, config))
    except UsageError:
        return {}
    return {
        one.name: _is_same(source / one.scripts.value, _folder(root, conf, one))
        for one in wanted
        if one.scripts is not None and not are_elsewhere(find(conf, one))
    }


def _is_same(source: Path, placed: Path) -> bool:
    try:
        return all((placed / one.name).read_bytes() == one.read_bytes() for one in source.iterdir() if one.is_file())
    except OSError:
        return False


def _folder(root: Path, conf: ClpConf, wanted: Expected) -> Path:
    """Return the folder in which ECX keeps the scripts of a resource or monitor."""
    scripts = root / "opt/nec/clusterpro/scripts"
    if wanted.section is ConfSection.MONITOR:
        return scripts / "monitor.s" / wanted.name
    resource = conf.find_resource(wanted.name)
    return scripts / (resource.group if resource and resource.group else "failover1") / wanted.name
