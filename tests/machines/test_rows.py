"""Each link of the way from a host to the mirror disk, broken on a real target: told, and repaired by its remedy.

What breaks is tried from the host as well: the check must not call wrong what works, nor right what does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.machines.qemu import MachineImage
from tests.machines.site import FLOATING, INITIATORS, SET_UP_TARGET, TARGET, Site, site_of

_TPG = f"/iscsi/{TARGET}/tpg1"
_ACL = f"{_TPG}/acls/{INITIATORS[0]}"
# What targetcli 2.1.53 makes write-protected by its own option stays writable.
_LUN = f"/sys/kernel/config/target/iscsi/{TARGET}/tpgt_1/acls/{INITIATORS[0]}/lun_0"
_SAVE = "targetcli saveconfig"
# The hosts cannot be asked here, so the remedy leaves their names open.
_OPEN = {"IQN_OF_HOST_1": INITIATORS[0], "IQN_OF_HOST_2": INITIATORS[1]}


@dataclass(frozen=True, slots=True)
class Broken:
    """A link that is broken: by which commands, what the check says of it, and what a person does by its words.

    `by_hand` stands for what the remedy says in words, in front of a line that is run as it is.
    """

    name: str
    spoil: str
    row: str
    seen: str
    by_hand: str = ""
    host_is_stopped: bool = True


_BROKEN = (
    Broken("ACL removed", f"targetcli {_TPG}/acls delete {INITIATORS[0]}; {_SAVE}", "target-acl", INITIATORS[1]),
    Broken(
        "LUN not mapped",
        f"targetcli {_ACL} delete 0; {_SAVE}",
        "target-acl",
        "no LUN is mapped",
        f"targetcli {_TPG}/acls delete {INITIATORS[0]}; ",
    ),
    Broken(
        "LUN write-protected",
        f"echo 1 >{_LUN}/write_protect; {_SAVE}",
        "target-acl",
        "write-protected",
        f"targetcli {_TPG}/acls delete {INITIATORS[0]}; ",
    ),
    Broken("LUN removed", f"targetcli {_TPG}/luns delete 0; {_SAVE}", "target-lun", "no LUN"),
    Broken(
        "portal elsewhere",
        f"targetcli {_TPG}/portals delete 0.0.0.0 3260; targetcli {_TPG}/portals create 192.168.138.199 3260; {_SAVE}",
        "target-lun",
        "no portal at",
        f"targetcli {_TPG}/portals delete 192.168.138.199 3260; targetcli {_TPG}/portals create 0.0.0.0 3260; {_SAVE}",
    ),
    Broken("enabled at boot", "systemctl enable target", "target-service", "enabled", host_is_stopped=False),
    Broken("firewall closed", "systemctl start firewalld", "firewalld", "closed"),
)


@pytest.fixture(scope="module")
def served(image: MachineImage, program: Path) -> Iterator[Site]:
    """Return machines whose ec1 serves its mirror disk."""
    with site_of(image, program) as site:
        site.name_disk(site.ec1)
        site.activate(site.ec1)
        site.ec1.must(SET_UP_TARGET)
        # ECX's own, which the remedy for the firewall calls too.
        site.ec1.put("/usr/bin/clpfwctrl.sh", "#!/bin/sh\n", 0o755)
        yield site


def _can_write(site: Site) -> bool:
    site.log_out()
    discovered = site.host.run(f"timeout 30 iscsiadm -m discovery -t sendtargets -p {FLOATING}")
    logged_in = site.host.run("timeout 60 iscsiadm -m node --login && udevadm settle")
    if discovered.code != 0 or logged_in.code != 0:
        return False
    line = "dd if=/dev/zero of=/dev/$(lsblk -dno NAME,TRAN | awk '$2 == \"iscsi\" { print $1 }') bs=4096 count=1"
    return site.host.run(f"{line} oflag=direct conv=fsync,notrunc").code == 0


@pytest.mark.parametrize("broken", _BROKEN, ids=lambda one: one.name)
def test_broken_link_is_told_and_repaired(served: Site, broken: Broken) -> None:
    """The check must name the link, the host must fail with it, and the remedy must bring both back."""
    served.host.put("/etc/iscsi/initiatorname.iscsi", f"InitiatorName={INITIATORS[0]}\n")
    served.host.must("systemctl restart iscsid")
    served.log_out()
    served.ec1.must(broken.spoil)
    row = served.check(served.ec1)[broken.row]
    assert ("wrong", True) == (row.outcome, broken.seen in row.seen), row
    assert (not broken.host_is_stopped) == _can_write(served)

    served.log_out()
    line = broken.by_hand + (
        "" if "create the portal" in row.remedy else row.remedy.partition("then: ")[2] or row.remedy
    )
    for placeholder, name in _OPEN.items():
        line = line.replace(placeholder, name)
    served.ec1.must(line)
    assert [] == [one for one in served.check(served.ec1).values() if one.outcome != "ok"]
    assert _can_write(served)


def test_disks_that_change_places_keep_their_names(served: Site) -> None:
    """After the disks have changed places on the bus the links must lead to the same disk, whatever its name is now."""
    ec2 = served.ec2
    served.name_disk(ec2)
    assert f"{served.mirror_disk(ec2)}2\n" == ec2.must("readlink -f /dev/cp-diska2")
    ec2.must("sync")
    ec2.cut_power()
    ec2.swap_disks()
    ec2.start()
    ec2.wait()
    disk = served.mirror_disk(ec2)
    assert f"{disk}1\n{disk}2\n" == ec2.must("readlink -f /dev/cp-diska1 /dev/cp-diska2")
    rows = served.check(ec2, "udev-rule", "udev-links")
    assert ["ok", "ok"] == [row.outcome for row in rows.values()], rows


def test_facts_come_from_the_real_commands(served: Site) -> None:
    """Each fact about the EC-VM must be read from the answers of real commands, and what is not there be told so."""
    rows = served.check(
        served.ec1,
        *(
            "ecx-installed",
            "node-name",
            "node-address",
            "programs",
            "folders",
            "maintenance",
            "config-file",
            "key-file",
        ),
        *("selinux", "dnf-makecache"),
    )
    seen = {name: (row.outcome, row.seen) for name, row in rows.items()}
    assert ("wrong", "not installed") == seen["ecx-installed"]
    assert "cannot tell" == seen["node-name"][0]
    assert ("wrong", "not found: clpstat, clpcl") == seen["programs"]
    assert ("ok", "Disabled") == seen["selinux"]
    assert ("ok", "not there") == seen["dnf-makecache"]
    assert "no /root/.ssh/id_rsa" in seen["key-file"][1]
    right = ("node-address", "folders", "maintenance", "config-file")
    assert {"ok"} == {seen[name][0] for name in right}, seen
    assert "192.168.137.199" in seen["node-address"][1]
