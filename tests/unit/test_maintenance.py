"""Maintenance: flags that hold for one VM or EC-VM, until a moment or for ever."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ecx_hyperv.ecx.maintenance import Flag, Kind, Maintenance
from ecx_hyperv.errors import LocalError

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def maintenance(tmp_path: Path) -> Maintenance:
    """Return maintenance without any flag."""
    return Maintenance(tmp_path / "state")


def test_nothing_is_in_maintenance_at_first(maintenance: Maintenance) -> None:
    """Before any flag was set, nothing must be in maintenance, and nothing be written."""
    assert maintenance.find(Kind.VM, "web1", NOW) is None
    assert [] == maintenance.all(NOW)
    assert not maintenance.state.exists()


def test_a_flag_holds_for_ever(maintenance: Maintenance) -> None:
    """A flag without an end must be found as it was set, however late."""
    flag = Flag(Kind.VM, "業務サーバー", NOW, reason="メモリ増設")
    maintenance.set(flag)
    assert flag == maintenance.find(Kind.VM, "業務サーバー", NOW + timedelta(days=9999))


def test_a_flag_ends_at_its_moment(maintenance: Maintenance) -> None:
    """A flag with an end must hold up to that moment, and no longer."""
    flag = Flag(Kind.VM, "web1", NOW, NOW + timedelta(hours=2))
    maintenance.set(flag)
    assert flag == maintenance.find(Kind.VM, "web1", NOW + timedelta(hours=2) - SECOND)
    assert maintenance.find(Kind.VM, "web1", NOW + timedelta(hours=2)) is None


def test_an_end_is_a_moment_in_any_zone(maintenance: Maintenance) -> None:
    """An end given in one zone must be the same moment in another."""
    tokyo = timezone(timedelta(hours=9))
    maintenance.set(Flag(Kind.VM, "web1", NOW, datetime(2024, 6, 1, 22, tzinfo=tokyo)))
    assert maintenance.find(Kind.VM, "web1", NOW + timedelta(hours=1) - SECOND) is not None
    assert maintenance.find(Kind.VM, "web1", NOW + timedelta(hours=1)) is None


def test_a_flag_is_for_one_alone(maintenance: Maintenance) -> None:
    """A flag must hold for its own VM in any case of its letters, and for no other VM or kind."""
    maintenance.set(Flag(Kind.VM, "web1", NOW))
    assert maintenance.find(Kind.VM, "WEB1", NOW) is not None
    for kind, name in ((Kind.VM, "web"), (Kind.VM, "web11"), (Kind.VM, "myweb1"), (Kind.PEER, "web1")):
        assert maintenance.find(kind, name, NOW) is None


def test_setting_again_replaces_the_flag(maintenance: Maintenance) -> None:
    """Of two flags for one VM the later must hold, without its forerunner's end."""
    maintenance.set(Flag(Kind.VM, "web1", NOW, NOW + SECOND, "short"))
    maintenance.set(Flag(Kind.VM, "Web1", NOW, None, "long"))
    assert [Flag(Kind.VM, "Web1", NOW, None, "long")] == maintenance.all(NOW + SECOND)


def test_clearing_says_whether_there_was_a_flag(maintenance: Maintenance) -> None:
    """A flag that was cleared must be gone, and clearing none must be no error."""
    maintenance.set(Flag(Kind.PEER, "ec2", NOW))
    assert maintenance.clear(Kind.PEER, "EC2")
    assert maintenance.find(Kind.PEER, "ec2", NOW) is None
    assert not maintenance.clear(Kind.PEER, "ec2")


def test_all_that_hold_are_listed_by_name(maintenance: Maintenance) -> None:
    """The list must hold every flag that holds, of both kinds, by name, and none that has ended."""
    flags = [Flag(Kind.PEER, "ec2", NOW), Flag(Kind.VM, "db1", NOW), Flag(Kind.VM, "Web1", NOW)]
    for flag in reversed(flags):
        maintenance.set(flag)
    maintenance.set(Flag(Kind.VM, "old", NOW - timedelta(hours=2), NOW))
    assert flags == maintenance.all(NOW)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"\xff\xfe", b'{"kind":"host","name":"web1","since":"2024-06-01T12:00:00Z"}'],
    ids=["empty", "half", "missing", "bytes", "kind"],
)
def test_a_damaged_flag_is_none(maintenance: Maintenance, content: bytes) -> None:
    """A flag that makes no sense must count as none, and not hide the others."""
    maintenance.set(Flag(Kind.VM, "web1", NOW))
    _overwrite(maintenance, content)
    maintenance.set(Flag(Kind.VM, "web2", NOW))
    assert maintenance.find(Kind.VM, "web1", NOW) is None
    assert [Flag(Kind.VM, "web2", NOW)] == maintenance.all(NOW)


def test_an_end_without_a_zone_is_no_moment(maintenance: Maintenance) -> None:
    """A flag whose times lack their zone, as only a person's editor leaves it, must count as damaged."""
    maintenance.set(Flag(Kind.VM, "web1", NOW))
    _overwrite(maintenance, b'{"kind":"vm","name":"web1","since":"2024-06-01T12:00:00","until":"2024-06-01T14:00:00"}')
    assert maintenance.find(Kind.VM, "web1", NOW) is None


def test_a_flag_that_cannot_be_read_is_an_error_of_ours(maintenance: Maintenance) -> None:
    """Where it can't be told whether a flag is set, it must not pass for none."""
    maintenance.set(Flag(Kind.VM, "web1", NOW))
    [path] = (maintenance.state / "maintenance").iterdir()
    path.unlink()
    path.mkdir()
    for attempt in (
        lambda: maintenance.find(Kind.VM, "web1", NOW),
        lambda: maintenance.all(NOW),
        lambda: maintenance.set(Flag(Kind.VM, "web1", NOW)),
        lambda: maintenance.clear(Kind.VM, "web1"),
    ):
        with pytest.raises(LocalError):
            attempt()


@pytest.mark.parametrize("kind", ["vm", "peer"])
def test_a_flag_of_an_earlier_version_holds(maintenance: Maintenance, kind: str) -> None:
    """A flag must be read as it has always been written, since an update must not end anyone's maintenance."""
    flag = Flag(Kind(kind), "web1", NOW, NOW + SECOND, "patch")
    maintenance.set(Flag(Kind(kind), "web1", NOW))
    since, until = "2024-06-01T12:00:00Z", "2024-06-01T12:00:01Z"
    text = f'{{"kind":"{kind}","name":"web1","since":"{since}","until":"{until}","reason":"patch"}}'
    _overwrite(maintenance, text.encode())
    assert flag == maintenance.find(Kind(kind), "web1", NOW)


def _overwrite(maintenance: Maintenance, content: bytes) -> None:
    [path] = (maintenance.state / "maintenance").iterdir()
    path.write_bytes(content)
