"""A stand-in for clpcfset and clpcfadm: the subcommands that NEC's public notes show, and no other."""

from ecx_hyperv.desired.clpconf import ClpConf


def carry_out(conf: ClpConf, tool: str, *words: str) -> None:
    """Change a clp.conf as one command would; an unknown command is an error."""
    match words:
        case ("add", "grp", "failover", name):
            assert conf.add_group(name)
        case ("add", "rsc", group, kind, name):
            assert conf.add_resource(group, kind, name)
        case ("add", "rscdep", _kind, name, depends):
            found = conf.find_resource(name)
            assert found is not None
            conf.set_depends(name, [*(found.depends or ()), depends])
        case ("add", "mon", kind, name):
            assert conf.add_monitor(kind, name)
        case ("add", "rscparam", _kind, name, path, value) if tool == "clpcfset":
            conf.set_resource(name, path, value)
        case ("add", "monparam", _kind, name, path, value) if tool == "clpcfset":
            conf.set_monitor(name, path, value)
        case ("mod", "-t", where, "--set", value, "--nocheck") if tool == "clpcfadm.py":
            section, whose, path = where.split("/", 2)
            (conf.set_resource if section == "resource" else conf.set_monitor)(whose.split("@", 1)[1], path, value)
        case _:
            raise AssertionError(f"{tool}: no such command: {words}")
