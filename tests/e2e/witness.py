"""Runs a command in this process and writes down what it loads once it has reached for a host.

python -I witness.py RECORD MODULE:FUNCTION NAME ARGUMENTS...

An RPM that replaces the program's files while a command runs must find it with everything loaded: what it read later
would be of another version, or gone. The interpreter's own audit events tell of every import and every file.
"""

import importlib
import os
import sys

_RECORD, _ENTRY, *sys.argv = sys.argv[1:]
_LIBRARIES = tuple({os.path.dirname(os.__file__), *(path for path in sys.path if path)})
_reached = False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    global _reached  # noqa: PLW0603 - an audit hook is called with nothing of its own
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        _reached = True
        _write("reached a host\n")
    elif _reached and event == "import":
        _write(f"imported {arguments[0]}\n")
    elif _reached and event == "open" and str(arguments[0]).startswith(_LIBRARIES):
        _write(f"read {arguments[0]}\n")


def _write(line: str) -> None:
    descriptor = os.open(_RECORD, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)


if __name__ == "__main__":
    sys.addaudithook(_watch)
    _module, _, _function = _ENTRY.partition(":")
    getattr(importlib.import_module(_module), _function)()
