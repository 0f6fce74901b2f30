"""The elements of a clp.conf: references, dependencies, and parameters by their paths as ECX's own tools take them."""

from collections.abc import Iterator, Mapping
from xml.etree import ElementTree as ET

# Digits beyond these are no number that ECX writes, and Python refuses to convert thousands of them.
_MOST_DIGITS = 18


def split_reference(reference: str) -> tuple[str, str]:
    """Return type and name of a group's mention of a resource, `exec@exec1`; the type is empty where it has none."""
    kind, _, name = reference.partition("@")
    return (kind, name) if name else ("", kind)


def depends(element: ET.Element) -> tuple[str, ...] | None:
    """Return what a resource depends on; None where the file says nothing."""
    found = element.findall("depend")
    return tuple(name for one in found if (name := one.get("name", ""))) if found else None


def parameters(element: ET.Element) -> Mapping[str, str]:
    """Return the parameters of a resource or monitor by their paths."""
    return dict(_flat(element, ""))


def child(element: ET.Element, step: str) -> ET.Element:
    """Return the child that a step of a path names, `server@ec1`; it is added where there is none."""
    tag, _, key = step.partition("@")
    attribute = "id" if key.isdecimal() else "name"
    found = next((one for one in element.findall(tag) if not key or one.get(attribute) == key), None)
    return ET.SubElement(element, tag, {attribute: key} if key else {}) if found is None else found


def whole_number(text: str | None) -> int | None:
    """Return a number as ECX writes it; None for anything else."""
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS else None


def _flat(element: ET.Element, before: str) -> Iterator[tuple[str, str]]:
    for one in element:
        if not isinstance(one.tag, str) or one.tag == "depend":
            continue
        key = one.get("id", one.get("name"))
        path = f"{before}{one.tag}" + (f"@{key}" if key is not None else "")
        if len(one):
            yield from _flat(one, f"{path}/")
        else:
            yield path, (one.text or "").strip()
