"""ECX's side: the failover group's resources and monitors, as commands for its own tool or put into a clp.conf."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from ecx_hyperv.config import Config
from ecx_hyperv.desired.clpconf import LIVE, ClpConf, ConfiguredMonitor, ConfiguredResource, check_name, read
from ecx_hyperv.desired.compare import compare, find
from ecx_hyperv.desired.ecx import (
    ConfSection,
    Disk,
    EcxNames,
    Expected,
    Scripts,
    expected,
)
from ecx_hyperv.desired.names import ask_for_mirror, names_in
from ecx_hyperv.desired.quoting import check_device, shell_line
from ecx_hyperv.desired.scripts import are_elsewhere, find_scripts
from ecx_hyperv.ecx.commands import Runner
from ecx_hyperv.errors import LocalError, UsageError
from ecx_hyperv.setup.files import Say, Writer, default_folder

_PUSH_S = 300.0
# Letters, digits, hyphens and underscores, up to 31 of them, have been seen; more may be allowed.
_SURE = re.compile(r"[A-Za-z0-9_-]{1,31}", re.ASCII)


class Tool(Enum):
    """ECX's own tool for a clp.conf: clpcfset from X 4.3, clpcfadm from X 5.1."""

    CLPCFSET = "clpcfset"
    CLPCFADM = "clpcfadm"


class Verb(Enum):
    """What an edit does."""

    ADD_GROUP = "add the group"
    ADD = "add"
    SET = "set"
    DEPEND = "depends on"


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of a clp.conf; `depends` are all that the resource then depends on, `value` the one that is new."""

    verb: Verb
    section: ConfSection
    type: str
    name: str
    group: str
    path: str = ""
    value: str = ""
    depends: tuple[str, ...] = ()

    def in_words(self, *, done: bool) -> str:
        """Say what was done, or what will be."""
        if self.verb is Verb.ADD_GROUP:
            return f"group {self.group}: {'added' if done else 'will be added'}"
        will = "" if done else "will be "
        rest = {
            Verb.SET: f"{self.path} = {self.value}" if done else f"{self.path} will be {self.value}",
            Verb.DEPEND: f"{'depends' if done else 'will depend'} on {self.value}",
        }.get(self.verb, f"{will}added, of type {self.type}")
        return f"{self.section.value} {self.name}: {rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EcxOptions:
    """What setup ecx is asked for.

    `conf` is a copy of clp.conf, which `do_apply` changes and `push` hands to the cluster. An empty name of the group,
    its floating IP or mirror disk resource is the copy's, or the one that ECX's editor would choose. `output` is the
    folder of what is made, None the copy's own or the default one.
    """

    conf: Path | None = None
    do_apply: bool = False
    push: bool = False
    tool: Tool = Tool.CLPCFSET
    group: str = ""
    fip: str = ""
    md: str = ""
    data_partition: str = "/dev/cp-diska2"
    cluster_partition: str = "/dev/cp-diska1"
    output: Path | None = None
    dry_run: bool = False


def set_up(config: Config, options: EcxOptions, run: Runner, say: Say, note: Say) -> None:
    """Make the group's resources and monitors, as a script or in a copy of clp.conf; `note` prints on stderr.

    Raises UsageError, LocalError.
    """
    check_asked(options.conf, options.output, options.do_apply, options.push)
    known = read(options.conf) if options.conf else None
    names = choose_names(known, config, options.group, options.fip, options.md)
    disk = choose_disk(known, Disk(check_device(options.data_partition), check_device(options.cluster_partition)))
    found = edits(known, config, names, disk)
    for sentence in doubts(config):
        note(f"note: {sentence}")
    writer = Writer(say, options.dry_run)
    folder = _folder_of(config, options)
    applies = options.do_apply and known is not None
    # What is only tried is tried on a copy that is read anew: the scripts' places depend on the file as it is.
    trial = known if applies or options.conf is None else read(options.conf)
    content = _applied(trial, found, note, applies=applies)
    # What is not done yet is told as that: by a dry run, and of a script that a person is to run.
    done = applies and not options.dry_run
    if not done:
        _tell(found, say, done=False)
    if applies and options.conf:
        writer.write(options.conf, content, options.conf.stat().st_mode & 0o777)
        if done:
            _tell(found, say, done=True)
    elif found:
        writer.write(folder / "setup-ecx.sh", script(found, options.tool).encode(), 0o755)
    else:
        say("clp.conf is as it should be")
    place_scripts(known, expected(config, names, disk), names.group, find_scripts(), folder, writer)
    if options.push:
        push(folder, run, say, dry=options.dry_run)


def _applied(known: ClpConf | None, found: tuple[Edit, ...], note: Say, *, applies: bool) -> bytes:
    """Return the changed copy; where it is not to be changed, only note what --apply would fail of (A9)."""
    if known is None:
        return b""
    try:
        apply(known, found)
        return known.to_bytes()
    except LocalError as error:
        if applies:
            raise
        note(f"note: with --apply this will fail: {error}")
        return b""


def _tell(found: tuple[Edit, ...], say: Say, *, done: bool) -> None:
    for edit in found:
        say(edit.in_words(done=done))


def _folder_of(config: Config, options: EcxOptions) -> Path:
    conf = options.conf
    beside = conf.absolute().parent if conf and not is_live(conf.resolve().parent) else None
    return options.output or beside or default_folder(config) / "ecx"


def check_asked(conf: Path | None, output: Path | None, do_apply: bool, do_push: bool) -> None:
    """Refuse what must not be: raises UsageError for a change without a copy, or of the live file or its folder."""
    if do_apply and output is not None:
        raise UsageError("--apply changes the copy where it is, beside its scripts", remedy="leave --output out")
    if output is not None and is_live(output):
        raise UsageError(f"{output} is ECX's own folder, in which nothing is changed", remedy="name another folder")
    if (do_apply and conf is None) or (do_push and not do_apply):
        raise UsageError("--apply needs --conf, and --push needs --apply", remedy=_HOW)
    if conf is not None and do_push and conf.name != LIVE.name:
        raise UsageError(f"--push hands over a file named {LIVE.name}", seen=conf.name, remedy=_HOW)
    if conf is not None and do_apply and is_live(conf.resolve().parent):
        raise UsageError(f"{conf} is ECX's own file, which is never changed in place", remedy=_HOW)


def is_live(folder: Path) -> bool:
    """Tell whether a folder is ECX's own."""
    return folder.resolve() == LIVE.parent.resolve()


_HOW = "mkdir copy; clpcfctrl --pull -l -x copy; ecx-hyperv setup ecx --conf copy/clp.conf --apply [--push]"


def doubts(config: Config) -> list[str]:
    """Return what ECX may not take, one sentence each; nobody could ask an ECX."""
    names = [name for vm in config.vm for name in (vm.resource_name, vm.monitor_name)]
    odd = [name for name in names if not _SURE.fullmatch(name)]
    return [f'ECX may refuse the name {name}; if so, set resource = "exec-web1" in its [[vm]]' for name in odd]


def push(folder: Path, run: Runner, say: Say, *, dry: bool) -> None:
    """Hand a folder with clp.conf and scripts to the cluster; raises LocalError with what clpcfctrl says."""
    command = ("clpcfctrl", "--push", "-l", "-x", str(folder))
    if dry:
        say(f"will run: {shell_line(*command)}")
        return
    done = run(command, _PUSH_S)
    said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
    if done.code != 0:
        raise LocalError(
            f"{shell_line(*command)} failed",
            seen=said or f"exit {done.code}",
            remedy="do what it says (it may want the group, the monitors or the cluster stopped), then run it by hand",
        )
    if said:
        say(said)
    say(f"ran: {shell_line(*command)}")


def choose_names(conf: ClpConf | None, config: Config, group: str, fip: str, md: str) -> EcxNames:
    """Say how the parts are called: as asked for, else as in a clp.conf, else as ECX's editor would call them.

    Raises UsageError where a clp.conf has several mirror disks and nobody can tell which one is the VMs'.
    """
    found = names_in(conf, config) if conf else EcxNames()
    found = replace(
        found,
        group=check_name(group) if group else found.group,
        fip=check_name(fip) if fip else found.fip,
        md=check_name(md) if md else found.md,
        mirrors=() if md else found.mirrors,
    )
    ask_for_mirror(found)
    return found


def choose_disk(conf: ClpConf | None, disk: Disk) -> Disk:
    """Take the mirror connection's id from a clp.conf that has one."""
    devices = [
        device.id for server in (conf.servers if conf else ()) for device in server.devices if device.type == "mdc"
    ]
    return replace(disk, connection=devices[0]) if devices else disk


def edits(conf: ClpConf | None, config: Config, names: EcxNames, disk: Disk) -> tuple[Edit, ...]:
    """Return what a clp.conf needs to be as expected, none if it is; without one all that a fresh one needs.

    Raises UsageError for names that ECX cannot have.
    """
    found: list[Edit] = []
    if conf is None or conf.find_group(names.group) is None:
        found.append(Edit(Verb.ADD_GROUP, ConfSection.RESOURCE, "", check_name(names.group), names.group))
    for wanted in expected(config, names, disk):
        check_name(wanted.name)
        found += _edits_of(conf, wanted, names.group)
    return tuple(found)


def apply(conf: ClpConf, what: tuple[Edit, ...]) -> None:
    """Make edits in a clp.conf; raises UsageError, LocalError."""
    for one in what:
        if one.verb is Verb.ADD_GROUP:
            conf.add_group(one.group)
        elif one.verb is Verb.DEPEND:
            conf.set_depends(one.name, one.depends)
        elif one.section is ConfSection.RESOURCE:
            _ = (
                conf.set_resource(one.name, one.path, one.value)
                if one.path
                else conf.add_resource(one.group, one.type, one.name)
            )
        else:
            _ = conf.set_monitor(one.name, one.path, one.value) if one.path else conf.add_monitor(one.type, one.name)


def script(what: tuple[Edit, ...], tool: Tool) -> str:
    """Return the edits as a script of the tool's commands, to be run in a folder that holds a copy of clp.conf."""
    lines = [
        "#!/bin/sh",
        f"# ecx-hyperv setup ecx: {tool.value} in a folder with a copy of clp.conf and, beside it, the folder scripts.",
        "# Before: clpcfctrl --pull -l -x .    Afterwards: clpcfctrl --push -l -x .",
        "set -eu",
        "[ -f clp.conf ] || { echo 'no clp.conf in this folder' >&2; exit 1; }",
        f'[ "$PWD" != {shell_line(str(LIVE.parent))} ] || {{ echo "not in the live folder" >&2; exit 1; }}',
        *(shell_line(*_words(one, tool)) for one in what),
    ]
    return "\n".join([*lines, ""])


def place_scripts(
    conf: ClpConf | None, wanted: tuple[Expected, ...], group: str, source: Path, to: Path, writer: Writer
) -> None:
    """Put the scripts of the resources and monitors beside a clp.conf, as ECX wants them; raises LocalError.

    A resource or monitor that is set to scripts elsewhere, by an absolute path, is left alone.
    """
    for one in wanted:
        if one.scripts is None or are_elsewhere(find(conf, one) if conf else None):
            continue
        place = to / "scripts" / (group if one.section is ConfSection.RESOURCE else "monitor.s") / check_name(one.name)
        for name in _files_of(one.scripts):
            writer.write(place / name, (source / one.scripts.value / name).read_bytes(), 0o755)


def _edits_of(conf: ClpConf | None, wanted: Expected, group: str) -> Iterator[Edit]:
    there = find(conf, wanted) if conf else None
    edit = Edit(Verb.ADD, wanted.section, wanted.type, there.name if there else wanted.name, group)
    if there is None:
        yield edit
        for one in wanted.parameters:
            yield replace(edit, verb=Verb.SET, path=one.path, value=one.value)
        for n, name in enumerate(wanted.depends, 1):
            yield replace(edit, verb=Verb.DEPEND, value=name, depends=wanted.depends[:n])
        return
    if there.type != wanted.type or (isinstance(there, ConfiguredResource) and there.group not in (None, group)):
        raise UsageError(
            f"{wanted.name} is there already as something else",
            seen=f"type {there.type}" + (f", group {there.group}" if isinstance(there, ConfiguredResource) else ""),
            remedy=f"name its group with --group, or rename one of them; wanted: type {wanted.type}, group {group}",
        )
    yield from _mends(conf, wanted, there, edit)


def _mends(
    conf: ClpConf | None, wanted: Expected, there: ConfiguredResource | ConfiguredMonitor, edit: Edit
) -> Iterator[Edit]:
    values: Mapping[str, str] = {one.path: one.value for one in wanted.parameters}
    depends = list((there.depends or ()) if isinstance(there, ConfiguredResource) else ())
    for wrong in compare(conf, wanted) if conf else ():
        if wrong.path == "depend":
            depends.append(wrong.wanted)
            yield replace(edit, verb=Verb.DEPEND, value=wrong.wanted, depends=tuple(depends))
        else:
            yield replace(edit, verb=Verb.SET, path=wrong.place or wrong.path, value=values[wrong.path])


def _words(edit: Edit, tool: Tool) -> tuple[str, ...]:
    command = "clpcfset" if tool is Tool.CLPCFSET else "clpcfadm.py"
    kind = "rsc" if edit.section is ConfSection.RESOURCE else "mon"
    if edit.verb is Verb.ADD_GROUP:
        return (command, "add", "grp", "failover", edit.group)
    if edit.verb is Verb.DEPEND:
        return (command, "add", "rscdep", edit.type, edit.name, edit.value)
    if edit.verb is Verb.ADD:
        return (command, "add", kind, *((edit.group,) if kind == "rsc" else ()), edit.type, edit.name)
    if tool is Tool.CLPCFSET:
        return (command, "add", f"{kind}param", edit.type, edit.name, edit.path, edit.value)
    # Without nocheck it refuses a path that its own defaults do not have, relation/name for one.
    path = f"{edit.section.value}/{edit.type}@{edit.name}/{edit.path}"
    return (command, "mod", "-t", path, "--set", edit.value, "--nocheck")


def _files_of(scripts: Scripts) -> tuple[str, ...]:
    return ("start.sh", "stop.sh") if scripts in (Scripts.VM, Scripts.ISCSI) else ("genw.sh",)
