"""The RPM's bill of materials: sbom.py WHEELS NAME VERSION prints CycloneDX JSON. Needs cyclonedx-python-lib.

A component for each wheel, and in it one for each library that its compiled code carries inside.
"""

import sys
import uuid
from datetime import UTC, datetime
from email.parser import HeaderParser
from os import environ
from pathlib import Path
from zipfile import ZipFile

from carried import Carried, carried
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from wheels import Refused, digest_of


def main() -> None:
    """Print the bill."""
    folder, name, version = sys.argv[1:]
    wheels = sorted(Path(folder).glob("*.whl"))
    product = Component(name=name, version=version, type=ComponentType.APPLICATION, bom_ref=f"{name}-{version}")
    parts = [part_of(wheel) for wheel in wheels]
    bom = Bom(components=parts, serial_number=uuid.uuid5(uuid.NAMESPACE_OID, "".join(map(digest_of, wheels)) + version))
    bom.metadata.component = product
    bom.metadata.timestamp = datetime.fromtimestamp(int(environ["SOURCE_DATE_EPOCH"]), UTC)
    bom.register_dependency(product, parts)
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"sbom.py: not valid: {error}")
    print(text)


def part_of(wheel: Path) -> Component:
    """Return what a wheel is, with its hash and the licence it states."""
    with ZipFile(wheel) as archive:
        metadata = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        stated = HeaderParser().parsestr(archive.read(metadata).decode("utf-8"))
    licence = stated["License-Expression"] or stated["License"] or licence_of(stated.get_all("Classifier", []))
    if licence is None:
        sys.exit(f"sbom.py: {wheel.name} states no licence")
    name, version = stated["Name"].lower(), stated["Version"]
    purl = PackageURL("pypi", name=name.replace("_", "-"), version=version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest_of(wheel))],
        licenses=[LicenseFactory().make_from_string(licence)],
        components=[inside(part, str(purl)) for part in carried(wheel)],
    )


def inside(part: Carried, of: str) -> Component:
    """Return what a wheel carries inside; another wheel may carry the same."""
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{of}#{part.purl}",
        purl=PackageURL.from_string(part.purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.digest)] if part.digest else [],
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else [],
    )


def licence_of(classifiers: list[str]) -> str | None:
    """Return the licence that a trove classifier names."""
    known = {"License :: OSI Approved :: MIT License": "MIT"}
    return next((known[one] for one in classifiers if one in known), None)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"sbom.py: {refused}")
