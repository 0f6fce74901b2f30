"""The lab's clp.conf: what ECX would have written once the cluster is set up as the program needs it."""

from ecx_hyperv.config import Config
from ecx_hyperv.desired.clpconf import check_name, parse
from ecx_hyperv.desired.ecx import ConfSection, EcxNames, expected
from ecx_hyperv.errors import UsageError
from ecx_hyperv.lab.model.servers import GROUP

_SERVER = """\
  <server name="{name}">
    <priority>{priority}</priority>
    <device id="0"><type>lan</type><info>{address}</info></device>
    <device id="400"><type>mdc</type><info>{address}</info></device>
  </server>
"""
_FRESH = """\
<?xml version="1.0" encoding="UTF-8"?>
<root>
  <cluster><name>hyperv-cluster</name><comment/></cluster>
  <all><charset>UTF-8</charset><serveros>linux</serveros></all>
{servers}  <trekking><savedversion>4.3.0-1</savedversion></trekking>
</root>
"""


def _can_be_named(name: str) -> bool:
    """Tell whether ECX may have such a name; the lab's own takes any."""
    try:
        check_name(name)
    except UsageError:
        return False
    return True


def make(config: Config) -> bytes:
    """Return a clp.conf that is right for a configuration."""
    servers = [
        _SERVER.format(name=node.name, priority=number, address=node.address) for number, node in enumerate(config.node)
    ]
    conf = parse(_FRESH.format(servers="".join(servers)).encode(), "clp.conf")
    conf.add_group(GROUP)
    for one in expected(config, EcxNames(group=GROUP)):
        if not _can_be_named(one.name):
            continue
        if one.section is ConfSection.RESOURCE:
            conf.add_resource(GROUP, one.type, one.name)
        else:
            conf.add_monitor(one.type, one.name)
        change = conf.set_resource if one.section is ConfSection.RESOURCE else conf.set_monitor
        for parameter in one.parameters:
            change(one.name, parameter.path, parameter.value)
        if one.depends:
            conf.set_depends(one.name, one.depends)
    return conf.to_bytes()
