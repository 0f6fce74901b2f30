"""How the parts that this program needs are called in a clp.conf that has them already.

A group may hold mirror disks and floating addresses of other people. What is taken for ours is changed by `setup ecx`:
the first mirror disk of the group was, once, and another's ext4 became no file system at all. So a mirror disk is ours
only if the resource exec-iscsi depends on it, or if it is the only one of the group and shows no sign of another use;
else a person must say. A floating address is ours if it is the configured one, or if exec-iscsi depends on it.
"""

from collections.abc import Iterable

from ecx_hyperv.config import Config
from ecx_hyperv.desired.clpconf import ClpConf, ConfiguredResource
from ecx_hyperv.desired.ecx import EcxNames
from ecx_hyperv.errors import UsageError

_NO_FILE_SYSTEM = "none"


def names_in(conf: ClpConf, config: Config) -> EcxNames:
    """Say how the parts are called in a clp.conf that has them already; the defaults for what it does not have.

    `md` is empty, and `mirrors` names them all, where a person must say which mirror disk is the VMs' one.
    """
    default = EcxNames()
    resources = conf.resources
    vms = {vm.resource_name for vm in config.vm}
    served = _resources(conf, _needed_by(conf, default.iscsi))
    address = config.cluster.iscsi_target
    ours = (one for one in resources if one.type == "fip" and one.parameters.get("parameters/ip") == address)
    fip = next(ours, None) or next((one for one in served if one.type == "fip"), None)
    owner = next((one.group for one in resources if one.name in vms or one.name == default.iscsi), None)
    group = owner or (fip.group if fip else None) or next((group.name for group in conf.groups), default.group)
    md, mirrors = _mirror(conf, group, served)
    taken = {one.name for one in resources}
    spare = next((name for name in (default.fip, "fip-iscsi") if name not in taken), default.fip)
    return EcxNames(group, fip.name if fip else spare, md, mirrors=mirrors)


def ask_for_mirror(names: EcxNames) -> None:
    """Raise UsageError where a person must say which mirror disk is the VMs' one."""
    if not names.md:
        raise UsageError(
            "which mirror disk holds the VMs is not known",
            seen=f"{names.iscsi} depends on none of {', '.join(names.mirrors)}, or on several",
            remedy="name it with --md; a name that is not there yet adds a mirror disk",
        )


def _mirror(conf: ClpConf, group: str, served: tuple[ConfiguredResource, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the name of the VMs' mirror disk, or none and all that it may be."""
    needed = [one.name for one in served if one.type == "md"]
    if len(needed) == 1:
        return needed[0], ()
    there = [one for one in conf.resources if one.type == "md" and one.group == group]
    if not there and not needed:
        return EcxNames().md, ()
    if len(there) == 1 and not needed and _is_free(conf, there[0]):
        return there[0].name, ()
    return "", tuple(dict.fromkeys([*needed, *(one.name for one in there)]))


def _is_free(conf: ClpConf, md: ConfiguredResource) -> bool:
    """Tell whether nothing shows that a mirror disk holds somebody's data."""
    mounted = md.parameters.get("parameters/mount/point", "")
    used = any(md.name in (one.depends or ()) for one in conf.resources)
    return md.parameters.get("parameters/fs") == _NO_FILE_SYSTEM and not mounted and not used


def _needed_by(conf: ClpConf, name: str) -> tuple[str, ...]:
    """Return what a resource depends on, or, if none of that is a mirror disk, what those depend on in turn."""
    found: list[str] = []
    following = [name]
    while following:
        parts = [part for one in _resources(conf, following) for part in one.depends or ()]
        following = [part for part in dict.fromkeys(parts) if part not in (name, *found)]
        found += following
        if any(one.type == "md" for one in _resources(conf, following)):
            break
    return tuple(found)


def _resources(conf: ClpConf, names: Iterable[str]) -> tuple[ConfiguredResource, ...]:
    known = {one.name: one for one in conf.resources}
    return tuple(known[name] for name in names if name in known)
