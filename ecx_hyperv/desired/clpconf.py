"""clp.conf, ECX's configuration: read in whatever encoding it declares, edited, and written back in the same one.

The parts and their shapes are those of ECX X 4.1 and X 5.3. What this module does not know stays as it is. The live
file is never written in place: ECX takes a copy, by `clpcfctrl --push`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from ecx_hyperv.desired import clpelements
from ecx_hyperv.desired.clpxml import Document, decode, encode
from ecx_hyperv.errors import LocalError, UsageError

LIVE = Path("/opt/nec/clusterpro/etc/clp.conf")

# What would end a step of a parameter's path, or stand for something else in one, in a folder or in the XML.
_NO_NAME = re.compile(r"[/@\x00-\x1f\x7f'\"\\<>&*?]|^[-.]|^\s|\s$|^$")

_FOR_SERVER = re.compile(r"\Aserver@[^/]+/")


@dataclass(frozen=True, slots=True)
class Device:
    """One of a server's devices: `type` is lan, mdc and so on, `info` its address."""

    id: str
    type: str
    info: str


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """One EC-VM as ECX knows it; the lowest priority is where a group starts."""

    name: str
    priority: int | None
    devices: tuple[Device, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses of its LAN devices, in the order of the file."""
        return tuple(device.info for device in self.devices if device.type == "lan" and device.info)


@dataclass(frozen=True, slots=True)
class Member:
    """A group's mention of one of its resources."""

    type: str
    name: str


@dataclass(frozen=True, slots=True)
class ConfiguredGroup:
    """A failover group and its resources, in the order of the file."""

    name: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class ConfiguredResource:
    """A resource; `parameters` by their paths as clpcfset takes them (`parameters/timeout/start`).

    `depends` is None where the file says nothing and ECX's default dependencies hold.
    """

    type: str
    name: str
    group: str | None
    parameters: Mapping[str, str]
    depends: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ConfiguredMonitor:
    """A monitor; `parameters` by their paths as clpcfset takes them (`polling/timeout`)."""

    type: str
    name: str
    parameters: Mapping[str, str]


class ClpConf:
    """A clp.conf in memory; every edit tells whether it changed anything."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._root = document.root
        self._changed = False

    @property
    def file(self) -> str:
        """Return the name of the file that it was read from."""
        return self._document.file

    @property
    def encoding(self) -> str:
        """Return the encoding that the file declares, in its own spelling."""
        return self._document.declared

    @property
    def cluster(self) -> str:
        """Return the cluster's name; empty where the file has none."""
        return self._root.findtext("cluster/name", "")

    @property
    def version(self) -> str:
        """Return the version of ECX that wrote the file, such as 5.3.1-1; empty where it does not say."""
        return self._root.findtext("trekking/savedversion", "")

    @property
    def servers(self) -> tuple[ConfiguredServer, ...]:
        """Return the servers, by their priority."""
        found = [_server(element) for element in self._root.findall("server")]
        return tuple(sorted(found, key=lambda one: 1 << 31 if one.priority is None else one.priority))

    @property
    def groups(self) -> tuple[ConfiguredGroup, ...]:
        """Return the groups."""
        return tuple(
            ConfiguredGroup(
                element.get("name", ""),
                tuple(Member(*clpelements.split_reference(one.get("name", ""))) for one in element.findall("resource")),
            )
            for element in self._root.findall("group")
        )

    @property
    def resources(self) -> tuple[ConfiguredResource, ...]:
        """Return the resources of all groups."""
        owner = {(member.type, member.name): group.name for group in self.groups for member in group.members}
        return tuple(
            ConfiguredResource(
                kind, name, owner.get((kind, name)), clpelements.parameters(element), clpelements.depends(element)
            )
            for kind, name, element in self._objects("resource")
        )

    @property
    def monitors(self) -> tuple[ConfiguredMonitor, ...]:
        """Return the monitors."""
        return tuple(
            ConfiguredMonitor(kind, name, clpelements.parameters(element))
            for kind, name, element in self._objects("monitor")
        )

    def find_group(self, name: str) -> ConfiguredGroup | None:
        """Return the group of that name."""
        return next((group for group in self.groups if group.name == name), None)

    def find_resource(self, name: str) -> ConfiguredResource | None:
        """Return the resource of that name; ECX allows a name once, whatever the type."""
        return next((resource for resource in self.resources if resource.name == name), None)

    def find_monitor(self, name: str) -> ConfiguredMonitor | None:
        """Return the monitor of that name."""
        return next((monitor for monitor in self.monitors if monitor.name == name), None)

    def add_group(self, name: str) -> bool:
        """Add an empty failover group; raises UsageError for a name that cannot be one."""
        if self.find_group(name):
            return False
        ids = [
            number
            for gid in self._root.findall("group/gid")
            if (number := clpelements.whole_number(gid.text)) is not None
        ]
        group = ET.Element("group", {"name": check_name(name)})
        ET.SubElement(group, "comment")
        ET.SubElement(group, "gid").text = str(max(ids, default=-1) + 1)
        self._insert_after(group, "group", "networkpartition", "heartbeat", "server")
        return self._count()

    def add_resource(self, group: str, kind: str, name: str) -> bool:
        """Add a resource without parameters to a group; raises UsageError, LocalError."""
        found = self.find_resource(name)
        if found is not None:
            if (kind, group) != (found.type, found.group):
                seen = f"type {found.type} in group {found.group}"
                raise LocalError(
                    f"{self.file}: {name} is there already as something else", seen=seen, remedy="rename it"
                )
            return False
        owner = next((one for one in self._root.findall("group") if one.get("name") == group), None)
        if owner is None:
            raise LocalError(f"{self.file} has no group {group}", seen=self._known_groups(), remedy="name one of these")
        self._add("resource", kind, name)
        at = [n for n, child in enumerate(owner) if child.tag in ("comment", "resource")]
        owner.insert(at[-1] + 1 if at else 0, ET.Element("resource", {"name": f"{kind}@{name}"}))
        return True

    def add_monitor(self, kind: str, name: str) -> bool:
        """Add a monitor without parameters; raises UsageError, LocalError."""
        found = self.find_monitor(name)
        if found is not None:
            if found.type != kind:
                raise LocalError(f"{self.file}: {name} is there already", seen=f"type {found.type}", remedy="rename it")
            return False
        element = self._add("monitor", kind, name)
        ET.SubElement(element, "target")
        return True

    def set_resource(self, name: str, path: str, value: str) -> bool:
        """Set one parameter of a resource; raises LocalError."""
        return self._set("resource", name, path, value)

    def set_monitor(self, name: str, path: str, value: str) -> bool:
        """Set one parameter of a monitor; raises LocalError."""
        return self._set("monitor", name, path, value)

    def set_depends(self, name: str, depends: Sequence[str]) -> bool:
        """Set what a resource depends on, and nothing else; raises LocalError."""
        element = self._element("resource", name)
        if set(clpelements.depends(element) or ()) == set(depends) and (
            depends or clpelements.depends(element) is not None
        ):
            return False
        for old in element.findall("depend"):
            element.remove(old)
        # As ECX writes it: an empty name says that there is no dependency at all.
        for one in depends or ("",):
            ET.SubElement(element, "depend", {"name": one})
        self._changed = True
        return True

    def to_bytes(self) -> bytes:
        """Return the whole file in its own encoding, byte for byte as it was if nothing changed; raises LocalError."""
        if self._changed:
            ET.indent(self._root)
        return encode(self._document)

    def _objects(self, section: str) -> Iterator[tuple[str, str, ET.Element]]:
        parent = self._root.find(section)
        for element in parent if parent is not None else ():
            if isinstance(element.tag, str) and element.tag != "types" and element.get("name"):
                yield element.tag, element.get("name", ""), element

    def _element(self, section: str, name: str) -> ET.Element:
        found = next((element for _, known, element in self._objects(section) if known == name), None)
        if found is None:
            raise LocalError(f"{self.file} has no {section} {name}", remedy="add it first")
        return found

    def _add(self, section: str, kind: str, name: str) -> ET.Element:
        parent = self._root.find(section)
        if parent is None:
            parent = ET.SubElement(self._root, section)
        if kind not in [one.get("name") for one in parent.findall("types")]:
            at = sum(1 for child in parent if child.tag == "types")
            parent.insert(at, ET.Element("types", {"name": kind}))
        element = ET.SubElement(parent, kind, {"name": check_name(name)})
        ET.SubElement(element, "comment")
        self._count()
        return element

    def _set(self, section: str, name: str, path: str, value: str) -> bool:
        element = self._element(section, name)
        for step in path.split("/"):
            element = clpelements.child(element, step)
        if (element.text or "").strip() == value and len(element) == 0:
            return False
        element.text = value
        self._changed = True
        return True

    def _count(self) -> bool:
        # ECX's own editor keeps a count of all objects.
        number = self._root.find("webmgr/client/objectnumber")
        count = None if number is None else clpelements.whole_number(number.text)
        if number is not None and count is not None:
            number.text = str(count + 1)
        self._changed = True
        return True

    def _insert_after(self, element: ET.Element, *tags: str) -> None:
        at = next((max(n for n, one in enumerate(self._root) if one.tag == tag) for tag in tags if self._has(tag)), -1)
        self._root.insert(at + 1, element)

    def _has(self, tag: str) -> bool:
        return self._root.find(tag) is not None

    def _known_groups(self) -> str:
        return "groups: " + (", ".join(group.name for group in self.groups) or "none")


def parse(content: bytes, file: str) -> ClpConf:
    """Read a clp.conf; raises LocalError with its place for what is none."""
    document = decode(content, file)
    if document.root.tag != "root":
        raise LocalError(
            f"{file} is no clp.conf", seen=f"its root is <{document.root.tag}>, not <root>", remedy="name a clp.conf"
        )
    return ClpConf(document)


def read(path: Path) -> ClpConf:
    """Read a clp.conf; raises LocalError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LocalError(
            f"{path} cannot be read",
            seen=error.strerror or str(error),
            remedy="name the clp.conf; ECX keeps its own at " + str(LIVE),
        ) from None
    return parse(content, str(path))


def check_name(name: str) -> str:
    """Return a name that ECX may have for a group, resource or monitor; raises UsageError for one that breaks it."""
    if _NO_NAME.search(name):
        raise UsageError(
            f"{name!r} cannot be a name in ECX",
            seen="a / @ quote, backslash, < > & * ?, control character, or a - . or blank at its ends",
            remedy='give the VM an ECX resource of a plain name: resource = "exec-web1" in its [[vm]]',
        )
    return name


def overrides(parameters: Mapping[str, str], path: str) -> Iterator[tuple[str, str]]:
    """Return what a parameter is set to for single servers: the paths of these settings, and their values."""
    return ((where, value) for where, value in parameters.items() if _FOR_SERVER.sub("", where) == path != where)


def _server(element: ET.Element) -> ConfiguredServer:
    return ConfiguredServer(
        element.get("name", ""),
        clpelements.whole_number(element.findtext("priority")),
        tuple(
            Device(one.get("id", ""), one.findtext("type", "").strip(), one.findtext("info", "").strip())
            for one in element.findall("device")
        ),
    )
