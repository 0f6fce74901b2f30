"""What wheels with compiled code carry inside: libraries that are linked in, which no name of a wheel tells of.

Either the wheel brings bills of its own (CycloneDX, in dist-info/sboms), or packaging/carried.toml says what is in it.
Both are held against the code, which names the crates of Rust, and the OpenSSL, that it was compiled from.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from wheels import Refused

TABLE = Path(__file__).with_name("carried.toml")

_BILL = re.compile(r"[^/]+\.dist-info/sboms/[^/]+")
_CRATE = re.compile(rb"/registry/src/[^/\0]+/([A-Za-z0-9_-]+?)-([0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*)/")
_OPENSSL = re.compile(rb"\0OpenSSL ([0-9]+\.[0-9]+\.[0-9]+[a-z]?) [0-9]{1,2} [A-Z][a-z]{2} [0-9]{4}\0")


@dataclass(frozen=True, slots=True)
class Carried:
    """A part inside of a wheel: its package URL, its licence, and the SHA-256 of its source, each where it is known."""

    name: str
    version: str | None
    purl: str
    licence: str | None = None
    digest: str | None = None


def carried(wheel: Path, table: Path = TABLE) -> list[Carried]:
    """Return what a wheel carries inside, in the order of the package URLs; raises Refused where that is not all."""
    name, version = wheel.name.split("-")[:2]
    with ZipFile(wheel) as archive:
        bills = [one for one in archive.namelist() if _BILL.fullmatch(one)]
        code = [data for one in archive.namelist() if (data := archive.read(one)).startswith(b"\x7fELF")]
        if bills:
            parts = [part for bill in bills for part in _of_bill(wheel, bill, archive.read(bill))]
        elif code:
            parts = list(_of_table(wheel, tomllib.loads(table.read_text(encoding="utf-8")).get(name.lower()), version))
        else:
            parts = []
    known = {(part.name, part.version) for part in parts}
    if missing := sorted(set(_named_in(code)) - known):
        where = "its own bill of materials" if bills else table.name
        raise Refused(f"{wheel.name}: not in {where}: {', '.join(' '.join(one) for one in missing)}")
    return sorted({part.purl: part for part in parts}.values(), key=lambda part: part.purl)


def _named_in(code: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    for data in code:
        yield from ((name.decode(), version.decode()) for name, version in _CRATE.findall(data))
        yield from (("openssl", version.decode()) for version in _OPENSSL.findall(data))


def _of_table(wheel: Path, row: Mapping[str, Any] | None, version: str) -> Iterator[Carried]:
    if row is None or row["version"] != version:
        told = f"of {row['version']}" if row else "of no version"
        raise Refused(f"{wheel.name}: it has compiled code, and what that carries is told {told}")
    for part in row["parts"]:
        name, _, of = part["purl"].rpartition("/")[2].partition("@")
        yield Carried(name, of or None, part["purl"], part["licence"])


def _of_bill(wheel: Path, name: str, data: bytes) -> Iterator[Carried]:
    try:
        bill = json.loads(data)
    except ValueError as error:
        raise Refused(f"{wheel.name}: {name} is no JSON: {error}") from None
    if not isinstance(bill, dict) or bill.get("bomFormat") != "CycloneDX":
        raise Refused(f"{wheel.name}: {name} is no CycloneDX")
    for one in _flat(bill.get("components", [])):
        # What only helped to build it is not in it.
        if one.get("scope") != "excluded":
            digests = [each["content"] for each in one.get("hashes", []) if each["alg"] == "SHA-256"]
            # Where the maker had it on the disk says nothing to others.
            purl = re.sub(r"\?download_url=file:.*", "", one.get("purl") or f"pkg:generic/{one['name']}")
            version = one.get("version")
            yield Carried(one["name"], version, purl, _licence(one), digests[0] if digests else None)


def _flat(components: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in components:
        yield one
        yield from _flat(one.get("components", []))


def _licence(component: Mapping[str, Any]) -> str | None:
    for one in component.get("licenses", []):
        stated = one.get("expression") or one.get("license", {}).get("id") or one.get("license", {}).get("name")
        if stated is not None:
            return str(stated)
    return None
