"""The mirror's disks (F10): rules as udev reads them, and names that need none."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.check.disks import is_stable
from ecx_hyperv.check.udev_rules import LinkMade, made_by, parse, read
from tests.unit.always import always

SAMPLES = Path(__file__).parents[1] / "samples" / "udev"
YES, PERHAPS, NO = LinkMade


def made(name: str, device: str) -> LinkMade:
    """Tell what the rules of a sample make of a device."""
    return made_by(parse((SAMPLES / name).read_text(encoding="utf-8"), name), f"/dev/{device}")


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("cp-diska1", YES),
        ("cp-diska2", YES),
        ("cp-diska", YES),
        ("cp-diskax", NO),
        ("cp-diskb2", YES),
        ("cp-spare", YES),
        ("disk-c1", YES),
        ("by-serial/36001405f3-part2", YES),
        ("by-serial/36001405f4-part2", NO),
        ("cp-diskd1", NO),
    ],
)
def test_f10_the_rules_by_hand(device: str, expected: LinkMade) -> None:
    """Each layout that udev takes must be seen to make its links, and no others."""
    assert expected is made("99-clusterpro.rules", device)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("cp-asked", NO),
        ("cp-commented", NO),
        ("cp-broken", NO),
        ("cp-jumped", NO),
        ("cp-%n$", YES),
        ("cp-live", YES),
        ("cp-removed", NO),
        ("cp-diska2", NO),
        ("other", NO),
    ],
)
def test_f10_what_makes_no_link(device: str, expected: LinkMade) -> None:
    """What only asks, removes, is a comment, is broken or jumped over must make nothing."""
    assert expected is made("50-odd.rules", device)


@pytest.mark.parametrize(("device", "expected"), [("cp-diska2", PERHAPS), ("cp-", PERHAPS), ("other", NO)])
def test_f10_what_a_property_decides(device: str, expected: LinkMade) -> None:
    """A name that a disk's property decides must be doubtful, and one that is nothing but a property no link at all."""
    assert expected is made("60-doubtful.rules", device)


@pytest.mark.parametrize(
    ("device", "stable"),
    [
        ("/dev/mapper/vgf-dp", True),
        ("/dev/mapper/mpatha2", True),
        ("/dev/mapper/control", False),
        ("/dev/vgf/dp", True),
        ("/dev/vg-data/lv_cp.1", True),
        ("/dev/disk/by-id/scsi-36001405f0-part2", True),
        ("/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part1", True),
        ("/dev/disk/by-partuuid/0c2b", True),
        ("/dev/disk/by-diskseq/3-part2", False),
        ("/dev/md/mirror", True),
        ("/dev/sdb1", False),
        ("/dev/mapper/../sdb1", False),
        ("/dev/nvme0n1p2", False),
        ("/dev/dm-3", False),
        ("/dev/md127", False),
        ("/dev/block/8:16", False),
        ("/dev/cp-diska2", False),
        ("/dev/input/event0", False),
        ("vgf/dp", False),
        ("", False),
    ],
)
def test_f10_names_that_need_no_rule(device: str, stable: bool) -> None:
    """Names by the disk, its path or a volume group must need no rule; the kernel's own numbers are no such names."""
    assert stable is is_stable(device)


def test_f10_a_file_in_etc_takes_the_place_of_another(tmp_path: Path) -> None:
    """As for udev, a file in /etc must hide one of its name elsewhere, and all folders be read."""
    for folder, name, link in (
        ("usr/lib/udev/rules.d", "10.rules", "cp-hidden"),
        ("etc/udev/rules.d", "10.rules", "cp-shown"),
        ("run/udev/rules.d", "20.rules", "cp-run"),
        ("usr/lib/udev/rules.d", "30.rules", "cp-masked"),
        ("usr/lib/udev/rules.d", "readme.txt", "cp-text"),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_text(f'KERNEL=="sd*", SYMLINK+="{link}"\n', encoding="utf-8")
    (tmp_path / "etc/udev/rules.d/30.rules").symlink_to("/dev/null")
    rules = read(tmp_path)
    found = {link: made_by(rules, f"/dev/cp-{link}") for link in ("hidden", "shown", "run", "masked", "text")}
    assert {"hidden": NO, "shown": YES, "run": YES, "masked": NO, "text": NO} == found


@always
@given(text=st.text(max_size=200) | st.text('SYMLINK+="cp-%n$e{}\\\n#, GOTOABE:', max_size=200))
def test_f10_any_text_is_read_without_an_error(text: str) -> None:
    """Whatever stands in a file, reading it must raise nothing; without SYMLINK no link is made."""
    found = made_by(parse(text, "x.rules"), "/dev/cp-diska2")
    assert found is NO or "SYMLINK" in text


def test_f10_a_rule_takes_no_time() -> None:
    """A value of many properties, or many quotes, must be read at once."""
    assert NO is made_by(parse('SYMLINK+="a' + "%k" * 500 + '"', "x.rules"), "/dev/a" + "b" * 200 + "/c")
    assert () == parse('SYMLINK+="' + '\\"' * 20_000, "x.rules")
