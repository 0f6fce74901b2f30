"""The mirror's disks on this EC-VM: names that stay the same, that are there, and the mirror's own device."""

import posixpath
import re
from collections.abc import Iterator

from ecx_hyperv.check.linux_facts import LinuxFacts
from ecx_hyperv.check.outcome import Finding, Unavailable, cannot_tell, here, is_so, ok, warning, words
from ecx_hyperv.check.udev_rules import LinkMade, made_by
from ecx_hyperv.desired.ecx import Disk

# Names that the kernel gives out anew at each boot.
_UNSTABLE = re.compile(
    r"/dev/(?:(?:sd|vd|xvd|hd)[a-z]+\d*|nvme\d+n\d+(?:p\d+)?|mmcblk\d+(?:p\d+)?|dm-\d+|md\d+(?:p\d+)?|loop\d+(?:p\d+)?)"
    r"|/dev/(?:block/.*|disk/by-diskseq/.*)"
)
# Made by udev, LVM, multipath or mdadm from what is written on a disk or where it is plugged in.
_STABLE = re.compile(r"/dev/disk/by-[a-z]+/.+|/dev/mapper/(?!control$)[^/]+|/dev/md/[^/]+|/dev/mpath/[^/]+")
# A logical volume: /dev/GROUP/VOLUME, where the group is none of the folders of other devices.
_VOLUME = re.compile(r"/dev/(?P<group>[A-Za-z0-9+_.][A-Za-z0-9+_.-]*)/[A-Za-z0-9+_.][A-Za-z0-9+_.-]*")
_FOLDERS = frozenset(
    {
        *("block", "bsg", "bus", "char", "cpu", "disk", "dma_heap", "dri", "fd", "hugepages", "input", "mapper", "md"),
        *("mpath", "mqueue", "net", "pts", "raw", "shm", "snd", "usb", "vfio"),
    }
)
_RULE = here("ecx-hyperv setup iscsi --disk DEVICE")
_NAMES = ("udev-rule", "udev-links", "mirror-device")


def judge_disk(place: str, facts: LinuxFacts) -> Iterator[Finding]:
    """Judge the mirror's partitions and its device."""
    if isinstance(facts.disk, Unavailable):
        yield from (cannot_tell(name, place, facts.disk) for name in _NAMES)
        return
    parts = (facts.disk.data, facts.disk.cluster)
    yield _rule(place, facts, parts)
    gone = [one for one in parts if not facts.devices.get(one)]
    yield is_so(
        "udev-links",
        place,
        f"not there: {', '.join(gone)}" if gone else "there",
        so=not gone,
        expected=", ".join(parts),
        remedy=words("see that the disk is attached; then: udevadm control --reload && udevadm trigger"),
    )
    yield _mirror(place, facts, facts.disk)


def is_stable(device: str) -> bool:
    """Tell whether a device's name stays the same without a rule: by its disk, its path, or as a logical volume's."""
    path = posixpath.normpath(device)
    if _UNSTABLE.fullmatch(path):
        return False
    volume = _VOLUME.fullmatch(path)
    return bool(_STABLE.fullmatch(path)) or (volume is not None and volume["group"] not in _FOLDERS)


def _rule(place: str, facts: LinuxFacts, parts: tuple[str, ...]) -> Finding:
    unstable = [one for one in parts if _UNSTABLE.fullmatch(posixpath.normpath(one))]
    if unstable:
        return warning("udev-rule", place, ", ".join(unstable), "names that stay the same", _RULE)
    made = {one: LinkMade.YES if is_stable(one) else made_by(facts.rules, one) for one in parts}
    unmade = [one for one, how in made.items() if how is LinkMade.NO]
    doubtful = [one for one, how in made.items() if how is LinkMade.PERHAPS]
    if doubtful and not unmade:
        why = f"a rule may make {', '.join(doubtful)}: that depends on a property of the disk"
        return cannot_tell("udev-rule", place, Unavailable(why=why, remedy=words("udevadm test shows what it makes")))
    return is_so(
        "udev-rule",
        place,
        f"no rule makes {', '.join(unmade)}" if unmade else ", ".join(parts),
        so=not unmade,
        expected=f"a rule for {', '.join(parts)}",
        remedy=_RULE,
    )


def _mirror(place: str, facts: LinuxFacts, disk: Disk) -> Finding:
    is_there = facts.devices.get(disk.served, False)
    if not is_there and not _is_active(place, facts):
        return ok("mirror-device", place, f"{disk.served} is not there, and the group does not run here")
    return is_so(
        "mirror-device",
        place,
        f"{disk.served} is {'there' if is_there else 'not there'}",
        so=is_there,
        expected=f"{disk.served}, made by ECX's mirror driver",
        remedy=words("see that ECX runs, that its version knows this kernel, and the mirror disk's settings"),
    )


def _is_active(place: str, facts: LinuxFacts) -> bool:
    return not isinstance(facts.servers, Unavailable) and any(one.current == place for one in facts.servers.groups)
