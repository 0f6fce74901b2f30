"""SSH algorithms: what is taken, and what is named where nothing is common."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecx_hyperv.host.algorithms import (
    CIPHERS,
    EXCHANGES,
    HOST_KEYS,
    MACS,
    OURS,
    STRICT,
    AlgorithmKind,
    Offer,
    gaps,
    is_etm,
    kinds_in,
    offer_of,
)
from tests.unit.always import always

ETM = tuple(one for one in MACS if is_etm(one))
PLAIN = tuple(one for one in MACS if not is_etm(one))
CTR = tuple(one for one in CIPHERS if "gcm" not in one)
GCM = tuple(one for one in CIPHERS if "gcm" in one)


def test_what_is_weak_is_not_taken() -> None:
    """No MD5, no MAC of 96 bits, no CBC, no SHA-1 outside of a MAC must be among what is taken."""
    every = (*EXCHANGES, *CIPHERS, *MACS, *OURS.host_keys)
    assert not [
        one for one in every if "md5" in one or "-96" in one or "cbc" in one or "sha1" in one.replace(MACS[2], "")
    ]
    assert "hmac-sha1" == MACS[2]
    assert not {"ssh-rsa", "ssh-dss"}.intersection(OURS.host_keys)


def test_what_needs_strict_key_exchange_stands_last() -> None:
    """A host with both kinds of MACs must come to one that Terrapin does not touch."""
    assert (*PLAIN, *ETM) == MACS


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({}, []),
        ({"macs": ETM}, []),
        ({"macs": ETM, "is_strict": False}, [AlgorithmKind.MAC]),
        ({"macs": MACS, "is_strict": False}, []),
        ({"macs": ETM, "is_strict": False, "ciphers": GCM}, []),
        ({"macs": ETM, "is_strict": False, "ciphers": CIPHERS}, [AlgorithmKind.MAC]),
        ({"macs": ("hmac-md5", "hmac-sha1-96")}, [AlgorithmKind.MAC]),
        ({"ciphers": ("chacha20-poly1305@openssh.com", "aes256-cbc")}, [AlgorithmKind.CIPHER]),
        ({"exchanges": ("diffie-hellman-group1-sha1",)}, [AlgorithmKind.EXCHANGE]),
        ({"host_keys": ("ssh-rsa", "ssh-dss")}, [AlgorithmKind.HOST_KEY]),
        ({"compressions": ("zlib",)}, [AlgorithmKind.COMPRESSION]),
        ({"ciphers": (), "macs": ()}, [AlgorithmKind.CIPHER, AlgorithmKind.MAC]),
    ],
    ids=str,
)
def test_f02_each_part_that_is_missing_is_named(change: dict[str, object], parts: list[AlgorithmKind]) -> None:
    """Every part in which nothing is common must be named, and no other."""
    assert parts == [gap.kind for gap in gaps(OURS, replace(OURS, **change))]  # type: ignore[arg-type]


def test_f02_both_sides_are_told() -> None:
    """What either side takes must be told, and why a MAC that both have is not taken."""
    found = gaps(OURS, replace(OURS, ciphers=("chacha20-poly1305@openssh.com",), macs=ETM, is_strict=False))
    assert [
        (
            "cipher: the host takes chacha20-poly1305@openssh.com, this program aes128-ctr, aes192-ctr, aes256-ctr, "
            "aes128-gcm@openssh.com, aes256-gcm@openssh.com"
        ),
        (
            "MAC: the host takes hmac-sha2-256-etm@openssh.com, hmac-sha2-512-etm@openssh.com, this program "
            "hmac-sha2-256, hmac-sha2-512, hmac-sha1; hmac-sha2-256-etm@openssh.com, hmac-sha2-512-etm@openssh.com "
            "only with strict key exchange, which the host lacks"
        ),
    ] == [str(one) for one in found]
    assert "the host takes none" in str(gaps(OURS, replace(OURS, ciphers=()))[0])


def test_what_a_host_offers_is_read_by_direction() -> None:
    """What is taken in one direction only must not count, and what is no method must not be told as one."""
    exchanges = ["curve25519-sha256", "ext-info-s", STRICT]
    lists = [exchanges, ["ssh-ed25519"], ["a", "b"], ["b", "c"], ["m"], ["m"], ["none"], ["none"]]
    assert Offer(("curve25519-sha256",), ("ssh-ed25519",), ("b",), ("m",), ("none",), True) == offer_of(lists)
    assert not offer_of([["curve25519-sha256"], *lists[1:]]).is_strict
    assert not offer_of([[STRICT, "kex-strict-other"], *lists[1:]]).is_strict


def test_kinds_of_keys() -> None:
    """A kind must be found by each of its signatures, in the order in which kinds are asked for."""
    assert ("ssh-ed25519", "ssh-rsa") == kinds_in(["rsa-sha2-256", "ssh-ed25519", "ssh-dss"])
    assert tuple(HOST_KEYS) == kinds_in(OURS.host_keys)
    assert () == kinds_in(["ssh-rsa"])


NAMES = st.lists(st.text(max_size=80) | st.sampled_from((*CIPHERS, *MACS, *EXCHANGES)), max_size=40).map(tuple)


@always
@given(st.builds(Offer, NAMES, NAMES, NAMES, NAMES, NAMES, st.booleans()))
def test_whatever_a_host_offers_is_told_briefly_and_flat(theirs: Offer) -> None:
    """Any list must come to a short line without a control character; and a MAC open to Terrapin must be no way out."""
    for gap in gaps(OURS, theirs):
        assert str(gap).isascii()
        assert str(gap).isprintable()
        assert len(str(gap)) < 2000
    common = set(theirs.macs).intersection(MACS)
    if common <= set(ETM) and not theirs.is_strict and not set(theirs.ciphers).intersection(GCM):
        assert AlgorithmKind.MAC in {gap.kind for gap in gaps(OURS, theirs)}
