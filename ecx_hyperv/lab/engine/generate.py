"""Stand-ins for Windows' modules, generated from what is known of their cmdlets: parameters, sets, positions, aliases.

Binary modules become compiled cmdlets of one assembly, CDXML modules become functions: a caller's preferences reach
the former and not the latter, as on Windows.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

_FUNCTIONS = frozenset({"iSCSI", "Storage", "NetSecurity", "NetAdapter", "NetTCPIP", "DnsClient"})
# Where a module exists in PowerShell on Linux too, the cmdlets of it that it lacks there.
_LACKING = {
    "Microsoft.PowerShell.Management": ("Get-Service", "Set-Service", "Start-Service", "Restart-Service"),
    "Microsoft.PowerShell.Security": ("Get-Acl", "Set-Acl"),
    "Microsoft.PowerShell.Utility": (),
}
_NAMESPACES = {
    "Hyper-V": ("Microsoft.HyperV.PowerShell.Commands", ""),
    "FailoverClusters": ("Microsoft.FailoverClusters.PowerShell", "Command"),
    "CimCmdlets": ("Microsoft.Management.Infrastructure.CimCmdlets", "Command"),
}
_USING = "using System; using System.Collections; using System.Management.Automation;"
_COMMON = frozenset({"WhatIf", "Confirm"})
# Asks by default, which the data does not say.
_HIGH_IMPACT = frozenset({"Format-Volume"})
# Types without known properties: as an object each would bind whatever is piped in, and leave no set to choose.
_BARE = ("Microsoft.HyperV.PowerShell.VMSnapshot", "Microsoft.HyperV.PowerShell.VMDriveController")
_TYPES = {
    **{name: name for name in ("string", "bool", "int", "long", "char", "byte")},
    "uint16": "ushort",
    "uint32": "uint",
    "uint64": "ulong",
    "int16": "short",
    "boolean": "bool",
    "int32": "int",
    "int64": "long",
    "guid": "Guid",
    "switch": "SwitchParameter",
    "switchparameter": "SwitchParameter",
    "management.automation.switchparameter": "SwitchParameter",
    "stringcollection": "System.Collections.Specialized.StringCollection",
    "collections.specialized.stringcollection": "System.Collections.Specialized.StringCollection",
    "hashtable": "Hashtable",
    "collections.hashtable": "Hashtable",
    "collections.idictionary": "IDictionary",
    "timespan": "TimeSpan",
    "datetime": "DateTime",
    "version": "Version",
    "uri": "Uri",
}


@dataclass(frozen=True, slots=True)
class StandInParameter:
    """One parameter: its type, its names, and how it binds in each of its sets (None: in every set)."""

    name: str
    type: str
    aliases: tuple[str, ...]
    validate: tuple[str, ...]
    sets: tuple[tuple[str | None, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class StandInCmdlet:
    """One cmdlet, and how it binds."""

    name: str
    module: str
    default: str | None
    asks: bool
    impact: str
    parameters: tuple[StandInParameter, ...]


def cmdlets() -> Iterator[StandInCmdlet]:
    """Return every cmdlet that a stand-in is generated for."""
    documented: dict[str, Any] = {**_data("cmdlets.json")["cmdlets"], **_data("more_cmdlets.json")["cmdlets"]}
    for name, known in documented.items():
        module = known["module"]
        if name in _LACKING.get(module, (name,)):
            yield _cmdlet(name, known)


def write(folder: Path) -> None:
    """Write the modules to a folder, and the sources of their assemblies: what all share, and one for each module."""
    modules: dict[str, list[StandInCmdlet]] = {}
    for one in cmdlets():
        modules.setdefault(one.module, []).append(one)
    shared = [
        files(__package__).joinpath("standins.cs").read_text(encoding="ascii"),
        *_enums(nested=False),
        *_classes(),
    ]
    (folder / "Shared.cs").write_text("\n".join(shared), encoding="ascii")
    for module, members in modules.items():
        home = folder / module
        home.mkdir(parents=True)
        names = ", ".join(f"'{one.name}'" for one in members)
        if module in _FUNCTIONS:
            (home / f"{module}.psm1").write_text("\n".join(_function(one) for one in members), encoding="ascii")
            root, exported = f"{module}.psm1", f"FunctionsToExport = {names}"
        else:
            nested = _enums(nested=True) if module == "Hyper-V" else ()
            source = (_USING, *nested, *(_class(one) for one in members))
            (folder / f"{module}.cs").write_text("\n".join(source), encoding="ascii")
            root, exported = f"../{module}.dll", f"CmdletsToExport = {names}"
        manifest = (
            f"@{{ RootModule = '{root}'; ModuleVersion = '2.0.0.0'; {exported}\n"
            "RequiredAssemblies = '../Shared.dll' }\n"
        )
        (home / f"{module}.psd1").write_text(manifest, encoding="ascii")


@cache
def _data(name: str) -> Mapping[str, Any]:
    package = "ecx_hyperv.host" if name == "cmdlets.json" else __package__
    known: Mapping[str, Any] = json.loads(files(package).joinpath(name).read_text(encoding="utf-8"))
    return known


@cache
def _enum_types() -> Mapping[str, Mapping[str, int]]:
    """Return each enum's values by its full name, without those that no namespace is known of."""
    known = {name: one["values"] for name, one in _data("cmdlets.json")["enums"].items()}
    return {name: values for name, values in known.items() if name.startswith("Microsoft.") and "Generated" not in name}


def _cmdlet(name: str, known: Mapping[str, Any]) -> StandInCmdlet:
    dumped = _data("bindings.json")["dumped"].get(name)
    piped = _data("bindings.json")["documented"].get(name, {"params": {}})["params"]
    parameters = []
    described: Mapping[str, Mapping[str, Any]] = known["params"]
    aliases = {alias for one in described.values() for alias in one.get("al", ())}
    for parameter, one in described.items():
        if parameter in _COMMON | aliases:
            continue
        seen = dumped and dumped["params"].get(parameter)
        if seen:
            parameters.append(_as_dumped(parameter, seen))
        elif dumped:
            parameters.append(StandInParameter(parameter, _type(one["t"]), tuple(one.get("al", ())), (), ((None, ()),)))
        else:
            pipe = one.get("pipe") or piped.get(parameter, {}).get("pipe", ())
            parameters.append(_as_documented(parameter, one, known["sets"], pipe))
    defaults = [one.rstrip("*") for one in known["sets"] if one.endswith("*") and one != "(single)*"]
    return StandInCmdlet(
        name=name,
        module=known["module"],
        default=dumped["default"] if dumped else (defaults[0] if defaults else None),
        asks=bool(dumped["should"] if dumped else known["should_process"]),
        impact="High" if name in _HIGH_IMPACT else (dumped and dumped["impact"]) or "Medium",
        parameters=tuple(parameters),
    )


def _as_dumped(name: str, seen: Mapping[str, Any]) -> StandInParameter:
    sets = []
    known: list[dict[str, Any]] = seen["sets"] or [{}]
    for one in known:
        flags = [key for key in ("Mandatory", "ValueFromPipeline", "ValueFromPipelineByPropertyName") if one.get(key)]
        binds = [f"{key} = true" for key in flags]
        if "Position" in one:
            binds.append(f"Position = {one['Position']}")
        sets.append((one.get("ParameterSetName"), tuple(binds)))
    validate = [f"{seen['validate']}()"] if seen.get("validate") else []
    return StandInParameter(name, _type(seen["type"]), tuple(seen.get("alias", ())), tuple(validate), tuple(sets))


def _as_documented(
    name: str, one: Mapping[str, Any], sets: Mapping[str, Any], pipe: tuple[str, ...]
) -> StandInParameter:
    common = [f"Position = {one['pos']}"] if "pos" in one else []
    common += ["ValueFromPipeline = true"] if "value" in pipe else []
    common += ["ValueFromPipelineByPropertyName = true"] if "property" in pipe else []
    binds: list[tuple[str | None, tuple[str, ...]]] = []
    for title, members in sets.items():
        if name in members or f"!{name}" in members:
            must = ["Mandatory = true"] if f"!{name}" in members else []
            binds.append((None if title == "(single)*" else title.rstrip("*"), (*must, *common)))
    values = ", ".join(f'"{value}"' for value in one.get("vals", ()))
    kind = _type(one["t"])
    validate = (f"ValidateSet({values})",) if values and kind == "object" else ()
    kind = "string" if validate else kind
    return StandInParameter(name, kind, tuple(one.get("al", ())), validate, tuple(binds) or ((None, ()),))


def _type(name: str | None) -> str:
    """Return a parameter's type in C#; what no stand-in has stays an object."""
    if name is None:
        return "object"
    inner, array = (name[:-2], "[]") if name.endswith("[]") else (name, "")
    nullable = inner.startswith("System.Nullable[")
    inner = inner.removeprefix("System.Nullable[").removesuffix("]") if nullable else inner
    inner = inner.removeprefix("System.")
    known = _TYPES.get(inner.casefold(), "")
    if not known:
        known = _own_type(inner.replace("NativeGroupHelp+", ""))
        nullable = nullable and known in _enum_types()
    mark = "?" if nullable and known not in {"string", "object"} else ""
    return known.replace("+", ".") + mark + array


def _own_type(name: str) -> str:
    classes: Mapping[str, Any] = _data("cmdlets.json")["object_properties"]
    for full in (*_enum_types(), *classes, *_BARE):
        if full == name or ("." not in name and full.rpartition(".")[2] == name):
            return full
    return "object"


def _enums(*, nested: bool) -> Iterator[str]:
    """Return the enums; one that is nested in a cmdlet's class belongs to that class' assembly."""
    for full, values in _enum_types().items():
        if nested != ("+" in full):
            continue
        space, _, name = full.rpartition(".")
        members = ", ".join(f"{key} = {number}" for key, number in values.items())
        outer, _, inner = name.rpartition("+")
        body = f"public enum {inner} {{ {members} }}"
        body = f"public partial class {outer} {{ {body} }}" if outer else body
        yield f"namespace {space} {{ {body} }}"


def _classes() -> Iterator[str]:
    for full in _BARE:
        space, _, name = full.rpartition(".")
        yield f"namespace {space} {{ public class {name} : EcxStandIn.Thing {{ }} }}"
    for full, properties in _data("cmdlets.json")["object_properties"].items():
        space, _, name = full.rpartition(".")
        members = [
            f'public object {one} {{ get {{ return Get("{one}"); }} set {{ Set("{one}", value); }} }}'
            if _own_type(kind.removeprefix("System.Nullable<").removesuffix(">")) not in _enum_types()
            else _enum_property(one, kind)
            for one, kind in properties.items()
        ]
        base = "EcxStandIn.Thing"
        yield f"namespace {space} {{ public class {name} : {base} {{ {' '.join(members)} }} }}"


def _enum_property(name: str, kind: str) -> str:
    inner = kind.removeprefix("System.Nullable<").removesuffix(">").replace("+", ".")
    return f'public {inner}? {name} {{ get {{ return ({inner}?)Get("{name}"); }} set {{ Set("{name}", value); }} }}'


def _class(one: StandInCmdlet) -> str:
    verb, _, noun = one.name.partition("-")
    space, suffix = _NAMESPACES.get(one.module, ("Microsoft.PowerShell.Commands", "Command"))
    title = [f'"{verb}", "{noun}"']
    title += [f'DefaultParameterSetName = "{one.default}"'] if one.default else []
    title += [f"SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.{one.impact}"] if one.asks else []
    members = [
        " ".join(
            (
                *(_attribute(name, binds, '"') for name, binds in parameter.sets),
                *_alias(parameter, '"'),
                *(f"[{rule.removesuffix('()')}]" for rule in parameter.validate),
                f"public {parameter.type} {parameter.name} {{ get; set; }}",
            )
        )
        for parameter in one.parameters
    ]
    members += ["protected override bool ShouldAsk { get { return true; } }"] if one.asks else []
    body = "\n    ".join(members)
    return (
        f"namespace {space}\n{{\n    [Cmdlet({', '.join(title)})]\n"
        f"    public partial class {verb}{noun}{suffix} : EcxStandIn.Command {{\n    {body}\n    }}\n}}"
    )


def _attribute(name: str | None, binds: tuple[str, ...], quote: str) -> str:
    named = [f"ParameterSetName = {quote}{name}{quote}"] if name else []
    return f"[Parameter({', '.join((*named, *binds))})]"


def _alias(parameter: StandInParameter, quote: str) -> tuple[str, ...]:
    names = ", ".join(f"{quote}{alias}{quote}" for alias in parameter.aliases)
    return (f"[Alias({names})]",) if names else ()


def _function(one: StandInCmdlet) -> str:
    title = [f"DefaultParameterSetName = '{one.default}'"] if one.default else []
    title += [f"SupportsShouldProcess = $true, ConfirmImpact = '{one.impact}'"] if one.asks else []
    members = ",\n".join(
        " ".join(
            (
                *(_attribute(name, binds, "'").replace("= true", "= $true") for name, binds in parameter.sets),
                *_alias(parameter, "'"),
                *(f"[{rule}]".replace('"', "'") for rule in parameter.validate),
                *_class_of(one, parameter),
                f"[{_in_script(parameter.type)}] ${parameter.name}",
            )
        )
        for parameter in one.parameters
    )
    asks = "$true" if one.asks else "$false"
    return (
        f"function {one.name} {{\n[CmdletBinding({', '.join(title)})]\nparam(\n{members}\n)\n"
        f"process {{ [EcxStandIn.World]::Run($PSCmdlet, $PSBoundParameters, {asks}, '{one.name}') }}\n}}"
    )


def _class_of(one: StandInCmdlet, parameter: StandInParameter) -> tuple[str, ...]:
    """Return what tells apart the objects that a CDXML cmdlet takes from the pipeline: their class."""
    takes = any("ValueFromPipeline = true" in binds for _, binds in parameter.sets)
    if not takes or parameter.type not in {"object", "object[]"}:
        return ()
    itself = "Disk" if one.name == "New-Partition" else one.name.partition("-")[2]
    return (f"[PSTypeName('MSFT_{itself if parameter.name == 'InputObject' else parameter.name}')]",)


def _in_script(kind: str) -> str:
    names = {"ushort": "uint16", "uint": "uint32", "ulong": "uint64", "short": "int16", "SwitchParameter": "switch"}
    inner = kind.removesuffix("[]").removesuffix("?").replace("object", "psobject")
    return names.get(inner, inner) + ("[]" if kind.endswith("[]") else "")
