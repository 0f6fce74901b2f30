"""What a clp.conf has otherwise than expected."""

from collections.abc import Iterator

from ecx_hyperv.desired.clpconf import ClpConf, ConfiguredMonitor, ConfiguredResource, overrides
from ecx_hyperv.desired.ecx import ConfSection, Deviation, Expected

_MISSING = "this program needs it"


def compare(conf: ClpConf, wanted: Expected) -> tuple[Deviation, ...]:
    """Return everything in which clp.conf differs from one expectation; empty where it is right."""
    found = find(conf, wanted)
    if found is None or found.type != wanted.type:
        seen = f"of type {found.type}" if found else "not there"
        return (Deviation(wanted, "", f"a {wanted.section.value} of type {wanted.type}", seen, _MISSING),)
    return (*_other_parameters(found, wanted), *_other_depends(found, wanted))


def find(conf: ClpConf, wanted: Expected) -> ConfiguredResource | ConfiguredMonitor | None:
    """Return the object that an expectation is about, be it right or wrong; None where there is none."""
    if wanted.section is ConfSection.RESOURCE:
        return conf.find_resource(wanted.name)
    named = conf.find_monitor(wanted.name)
    if named is not None or wanted.must:
        return named
    key = wanted.parameters[0]
    known = (one for one in conf.monitors if one.type == wanted.type)
    return next((one for one in known if key.accepts(one.parameters.get(key.path))), None)


def _other_parameters(found: ConfiguredResource | ConfiguredMonitor, wanted: Expected) -> Iterator[Deviation]:
    for one in wanted.parameters:
        seen = found.parameters.get(one.path)
        if not one.accepts(seen):
            yield Deviation(wanted, one.path, one.wanted, "not set" if seen is None else seen, one.why)
        for place, value in overrides(found.parameters, one.path):
            if not one.accepts(value):
                seen = f"{value} for {place.partition('/')[0]}"
                yield Deviation(wanted, one.path, one.wanted, seen, one.why, place)


def _other_depends(found: ConfiguredResource | ConfiguredMonitor, wanted: Expected) -> Iterator[Deviation]:
    if not isinstance(found, ConfiguredResource):
        return
    for name in wanted.depends:
        # Without a mention ECX's defaults hold, and those know types only: no EXEC resource depends on another.
        if name not in (found.depends or ()):
            seen = "ECX's default dependencies" if found.depends is None else ", ".join(found.depends) or "none"
            yield Deviation(wanted, "depend", name, seen, "what it uses must be up before it, and go down after it")
