"""The iSCSI target that an EC-VM serves, as targetcli has saved it, and the way of a host's write through it.

A host reaches the mirror disk only along a whole path: a portal at the floating address, a target's portal group that
is enabled, an ACL for the host's initiator (or demo mode), a LUN mapped there and not write-protected, the portal
group's LUN that it stands for, that LUN's backstore, and the mirror's device under it. Each of these may be there and
the path be broken all the same, so the parts are followed from one to the next and never judged by themselves.
The defaults are those of the kernel: in demo mode LUNs are write-protected unless said otherwise.
"""

import ipaddress
import posixpath

import msgspec
from msgspec import Struct

from ecx_hyperv.check.outcome import Unavailable, here

PORT = 3260


class StorageObject(Struct, frozen=True, kw_only=True):
    """A backstore: what a LUN is made of."""

    plugin: str = ""
    name: str = ""
    dev: str | None = None
    readonly: bool = False
    write_back: bool = True

    @property
    def path(self) -> str:
        """Return the name by which a LUN refers to it."""
        return f"/backstores/{self.plugin}/{self.name}"

    @property
    def fault(self) -> str:
        """Say why hosts cannot write through it safely; empty where they can."""
        if self.readonly:
            return f"the backstore {self.name} is read-only"
        if self.plugin == "fileio" and self.write_back:
            return f"the backstore {self.name} (fileio, write_back) keeps writes in this EC-VM's memory"
        return "" if self.plugin in ("block", "fileio") else f"the backstore {self.name} is of the kind {self.plugin}"


class Lun(Struct, frozen=True, kw_only=True):
    """A disk of a portal group."""

    index: int | None = None
    storage_object: str = ""


class MappedLun(Struct, frozen=True, kw_only=True):
    """A disk as one initiator sees it."""

    index: int | None = None
    tpg_lun: int | None = None
    write_protect: bool | None = None


class NodeAcl(Struct, frozen=True, kw_only=True):
    """An initiator that a portal group lets in."""

    node_wwn: str = ""
    mapped_luns: list[MappedLun] = []
    chap_userid: str | None = None


class Portal(Struct, frozen=True, kw_only=True):
    """An address at which a portal group listens."""

    ip_address: str = ""
    port: int = PORT

    def serves(self, address: str) -> bool:
        """Tell whether a connection to an address arrives here, at the port that hosts use."""
        try:
            own = ipaddress.ip_address(self.ip_address.strip("[]"))
            return self.port == PORT and (own.is_unspecified or own == ipaddress.ip_address(address))
        except ValueError:
            return False


class TpgAttributes(Struct, frozen=True, kw_only=True):
    """What of a portal group's attributes decides who may do what."""

    authentication: int = 0
    generate_node_acls: int = 0
    demo_mode_write_protect: int = 1
    prod_mode_write_protect: int = 0


class Tpg(Struct, frozen=True, kw_only=True):
    """A portal group."""

    tag: int = 1
    enable: bool = True
    attributes: TpgAttributes = TpgAttributes()
    luns: list[Lun] = []
    node_acls: list[NodeAcl] = []
    portals: list[Portal] = []
    chap_userid: str | None = None

    @property
    def is_demo(self) -> bool:
        """Tell whether it lets in whoever has no ACL."""
        return self.attributes.generate_node_acls == 1

    @property
    def is_open(self) -> bool:
        """Tell whether it lets anybody in who asks, and write."""
        attributes = self.attributes
        return self.is_demo and attributes.demo_mode_write_protect == 0 and attributes.authentication != 1

    def broken_for(self, initiator: str, serving: frozenset[int]) -> str:
        """Say where the path of an initiator to one of the serving LUNs ends; empty where it does not.

        Without a serving LUN any mapped one will do: that there is none is another matter.
        """
        acl = next((one for one in self.node_acls if one.node_wwn.casefold() == initiator.casefold()), None)
        if self.attributes.authentication == 1 and not (self.chap_userid or (acl and acl.chap_userid)):
            return "authentication is on, without a name and password for it"
        if acl is None:
            protected = self.is_demo and self.attributes.demo_mode_write_protect != 0
            return "read-only, as demo mode has it" if protected else "" if self.is_demo else "no ACL"
        if not acl.mapped_luns:
            return "no LUN is mapped"
        ours = [one for one in acl.mapped_luns if one.index is not None and (not serving or one.tpg_lun in serving)]
        if not ours:
            return "no mapped LUN is the mirror disk"
        writable = [one for one in ours if not self._is_protected(one)]
        return "" if writable else f"the mapped LUN {ours[0].index} is write-protected"

    def _is_protected(self, one: MappedLun) -> bool:
        said = one.write_protect
        return self.attributes.prod_mode_write_protect == 1 if said is None else said


class IscsiTarget(Struct, frozen=True, kw_only=True):
    """A target, by its IQN."""

    fabric: str = ""
    wwn: str = ""
    tpgs: list[Tpg] = []


class Saved(Struct, frozen=True, kw_only=True):
    """All that targetcli restores."""

    storage_objects: list[StorageObject] = []
    targets: list[IscsiTarget] = []

    def backstores(self, device: str) -> list[StorageObject]:
        """Return the backstores that are made of a device."""
        wanted = posixpath.normpath(device)
        return [one for one in self.storage_objects if one.dev and posixpath.normpath(one.dev) == wanted]

    def backstore(self, device: str) -> StorageObject | None:
        """Return a backstore that is made of a device, one through which hosts can write before others."""
        return min(self.backstores(device), key=lambda one: bool(one.fault), default=None)

    def tpgs(self) -> list[Tpg]:
        """Return the portal groups of all iSCSI targets."""
        return [tpg for target in self.targets if target.fabric == "iscsi" for tpg in target.tpgs if tpg.enable]

    def acls(self) -> tuple[str, ...]:
        """Return the initiators that are let in."""
        return tuple(dict.fromkeys(acl.node_wwn for tpg in self.tpgs() for acl in tpg.node_acls))

    def serving(self, tpg: Tpg, device: str) -> frozenset[int]:
        """Return the LUNs of a portal group that are made of a device; of any backstore, if none is made of it."""
        ours = self.backstores(device)
        # Of two backstores of one device only the one counts through which a write is safe.
        made = {one.path for one in ([one for one in ours if not one.fault] or ours or self.storage_objects)}
        return frozenset(one.index for one in tpg.luns if one.index is not None and one.storage_object in made)

    def ways(self, device: str, address: str) -> list[Tpg]:
        """Return the portal groups that serve a device at an address, whoever they let in."""
        return [
            tpg
            for tpg in self.tpgs()
            if self.serving(tpg, device) and any(portal.serves(address) for portal in tpg.portals)
        ]

    def broken_before_acls(self, device: str, address: str) -> str:
        """Say why no portal group serves a device at an address; empty where one does."""
        if self.ways(device, address):
            return ""
        all_of_them = [tpg for target in self.targets if target.fabric == "iscsi" for tpg in target.tpgs]
        if not self.tpgs():
            return "no portal group is enabled" if all_of_them else "no iSCSI target"
        serving = [tpg for tpg in self.tpgs() if self.serving(tpg, device)]
        if not serving:
            luns = [one.storage_object for tpg in self.tpgs() for one in tpg.luns]
            return f"no LUN of its backstore: {', '.join(luns)}" if luns else "no LUN in an enabled target"
        portals = [f"{one.ip_address}:{one.port}" for tpg in serving for one in tpg.portals]
        return f"no portal at {address}:{PORT}: {', '.join(portals) or 'none at all'}"

    def broken_for(self, initiator: str, device: str, address: str) -> str:
        """Say where an initiator's path ends, among its ACL, its mapped LUN and the LUN; empty where it does not."""
        # Where no portal group serves the device that is told by itself, and the ACLs are judged all the same.
        ways = self.ways(device, address) or self.tpgs()
        broken = [tpg.broken_for(initiator, self.serving(tpg, device)) for tpg in ways] or [
            "no portal group is enabled"
        ]
        return "" if not all(broken) else next((one for one in broken if one != "no ACL"), broken[0])


_SAVED = msgspec.json.Decoder(Saved, strict=False)


def parse(content: bytes, file: str) -> Saved | Unavailable:
    """Read targetcli's saved configuration; older releases wrote numbers and flags as text."""
    try:
        return _SAVED.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Unavailable(
            why=f"{file} makes no sense: {error}",
            remedy=here("ecx-hyperv setup iscsi --initiator IQN_OF_HOST_1 --initiator IQN_OF_HOST_2"),
        )
