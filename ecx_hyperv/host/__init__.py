"""The Windows side: one SSH connection, one PowerShell, typed requests, and what they show."""

import sys
from types import ModuleType
from typing import cast

# paramiko imports invoke, for `Match exec` in a configuration of ssh, which this program never reads: a seventh of the
# time in which a command starts. paramiko goes on without.
sys.modules.setdefault("invoke", cast(ModuleType, None))
