"""The iSCSI target that an EC-VM serves, as targetcli has saved it."""

import msgspec
from msgspec import Struct

from ecx_hyperv.check.outcome import Unavailable, here


class StorageObject(Struct, frozen=True, kw_only=True):
    """A backstore: what a LUN is made of."""

    plugin: str = ""
    name: str = ""
    dev: str = ""

    @property
    def path(self) -> str:
        """Return the name by which a LUN refers to it."""
        return f"/backstores/{self.plugin}/{self.name}"


class Lun(Struct, frozen=True, kw_only=True):
    """A disk of a target."""

    storage_object: str = ""


class NodeAcl(Struct, frozen=True, kw_only=True):
    """An initiator that a target lets in."""

    node_wwn: str = ""


class Tpg(Struct, frozen=True, kw_only=True):
    """A portal group."""

    enable: bool = True
    luns: list[Lun] = []
    node_acls: list[NodeAcl] = []


class IscsiTarget(Struct, frozen=True, kw_only=True):
    """A target, by its IQN."""

    fabric: str = ""
    wwn: str = ""
    tpgs: list[Tpg] = []


class Saved(Struct, frozen=True, kw_only=True):
    """All that targetcli restores."""

    storage_objects: list[StorageObject] = []
    targets: list[IscsiTarget] = []

    def backstore(self, device: str) -> StorageObject | None:
        """Return the backstore that is made of a device."""
        return next((one for one in self.storage_objects if one.dev == device), None)

    def tpgs(self) -> list[Tpg]:
        """Return the portal groups of all iSCSI targets."""
        return [tpg for target in self.targets if target.fabric == "iscsi" for tpg in target.tpgs if tpg.enable]

    def acls(self) -> tuple[str, ...]:
        """Return the initiators that are let in."""
        return tuple(dict.fromkeys(acl.node_wwn for tpg in self.tpgs() for acl in tpg.node_acls))


def parse(content: bytes, file: str) -> Saved | Unavailable:
    """Read targetcli's saved configuration."""
    try:
        return msgspec.json.decode(content, type=Saved)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unavailable(
            why=f"{file} makes no sense: {error}",
            remedy=here("ecx-hyperv setup iscsi --initiator IQN_OF_HOST_1 --initiator IQN_OF_HOST_2"),
        )
