"""The way from this EC-VM to the hosts: its key, and for each host the script that lets exactly that key in."""

import base64
import ipaddress
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko.pkey import UnknownKeyType

from ecx_hyperv.config import Config, Node
from ecx_hyperv.errors import LocalError, UsageError
from ecx_hyperv.setup.files import Say, Writer
from ecx_hyperv.setup.host_scripts import ScriptOptions, write_each
from ecx_hyperv.setup.powershell import build

# What a stolen key could do else: no forwarding of ports and agents, no terminal, no start-up file.
OPTIONS = "restrict"
BEGIN, END = "# ecx-hyperv begin: made by ecx-hyperv setup ssh, do not edit", "# ecx-hyperv end"
# A connection whose EC-VM has vanished is given up after 45 s; without this, Windows keeps it for two hours.
SSHD_SETTINGS = (
    "PubkeyAuthentication yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitEmptyPasswords no",
    "ClientAliveInterval 15",
    "ClientAliveCountMax 3",
    "MaxSessions 10",
    "MaxStartups 10:30:100",
    "LoginGraceTime 60",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOptions(ScriptOptions):
    """What setup ssh is asked for.

    `more` are addresses and networks that are let in besides the EC-VMs, `others` the files of public keys that are let
    in besides this EC-VM's. `yes` pins the hosts' keys without asking, `no_trust` does not fetch them.
    """

    more: tuple[str, ...] = ()
    others: tuple[Path, ...] = ()
    yes: bool = False
    no_trust: bool = False


def write_scripts(config: Config, options: SshOptions, say: Say, note: Say) -> bool:
    """Have a key here, and write or print the script that lets it in on each host; `note` prints on stderr.

    Returns False where there is nothing to write scripts with: in a dry run before there is a key. Raises UsageError,
    LocalError.
    """
    # Whatever is wrong with what was given is told before anything is made.
    known = [read_public(path) for path in options.others]
    allowed = check_addresses(config, options.more)
    dry = options.dry_run or options.to_stdout
    key_writer = Writer(note if options.to_stdout else say, dry)
    this_key = make_key(Path(config.ssh.key), f"ecx-hyperv@{platform.node()}", key_writer)
    if this_key is None and options.to_stdout:
        raise UsageError(
            "the scripts need the key", seen=f"none at {config.ssh.key}", remedy="run ecx-hyperv setup ssh first"
        )
    if this_key is None:
        note("the scripts for the hosts need the key: run this without --dry-run")
        return False
    keys = list(dict.fromkeys([this_key, *known]))
    write_each(config, options, "ssh", lambda node: host_script(config, node, keys, allowed), Writer(say, dry), say)
    return True


def make_key(path: Path, comment: str, writer: Writer) -> str | None:
    """Have a private key there, kept if it is, and return its line for authorized_keys; None in a dry run without one.

    Raises LocalError for one that cannot be used.
    """
    if path.exists():
        line = public_line(path, comment)
        writer.say(f"unchanged: {path}")
    elif writer.dry:
        writer.write(path, b"", 0o600)
        return None
    else:
        writer.write(path, _new_key(), 0o600)
        line = public_line(path, comment)
    public = path.with_name(f"{path.name}.pub")
    kind, blob, *known = _known_line(public).split() or ("", "")
    if [kind, blob] == line.split()[:2]:
        writer.say(f"unchanged: {public}")
        return _line(kind, blob, " ".join(known) or comment)
    writer.write(public, f"{line}\n".encode("ascii"), 0o644)
    return line


def public_line(path: Path, comment: str) -> str:
    """Return the public half of a private key, as a line; raises LocalError."""
    try:
        key = paramiko.PKey.from_path(path)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, UnknownKeyType, paramiko.SSHException) as error:
        raise LocalError(
            f"the private key {path} cannot be used",
            seen=str(error),
            remedy="[ssh] key: name an OpenSSH private key without passphrase, or a place where none is yet",
        ) from None
    return _line(key.get_name(), key.get_base64(), comment)


def read_public(path: Path) -> str:
    """Read another EC-VM's public key file; raises UsageError for what is none."""
    try:
        text = path.read_text(encoding="ascii").strip()
        kind, blob, *comment = text.split()
        key = paramiko.PKey.from_type_string(kind, base64.b64decode(blob, validate=True))
    except (OSError, ValueError, paramiko.SSHException, UnknownKeyType) as error:
        raise UsageError(
            f"{path} is no public key", seen=str(error), remedy="name the .pub file of the other EC-VM"
        ) from None
    return _line(key.get_name(), key.get_base64(), " ".join(comment) or path.stem)


def authorized_line(public: str) -> str:
    """Return a line of authorized_keys that lets a key run commands, and nothing else."""
    return f"{OPTIONS} {public}"


def sshd_block() -> list[str]:
    """Return what goes to the head of sshd_config, between its marks."""
    return [BEGIN, *SSHD_SETTINGS, END]


def check_addresses(config: Config, more: Sequence[str]) -> list[str]:
    """Return who is let in: the EC-VMs and `more`; raises UsageError for what is neither address nor network."""
    return list(dict.fromkeys([*(one.address for one in config.node), *(_address(one) for one in more)]))


def host_script(config: Config, node: Node, keys: Sequence[str], addresses: Sequence[str]) -> str:
    """Return the script that lets these keys in on a node's host, from these addresses only; raises UsageError."""
    return build(
        "ssh.ps1",
        f"ecx-hyperv setup ssh: {node.host}, the host of {node.name}",
        {
            "Keys": [authorized_line(key) for key in keys],
            "Settings": sshd_block(),
            "Port": config.ssh.port,
            "Addresses": addresses,
            "Allowed": f"made by ecx-hyperv: port {config.ssh.port} for {', '.join(addresses)}",
        },
    )


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _known_line(path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    return text if len(text.split()) >= 2 else ""


def _line(kind: str, blob: str, comment: str) -> str:
    # A comment is for people; what could mean something else in a line or a script has no business in it.
    plain = "".join(one if one.isascii() and (one.isalnum() or one in "@._-") else "_" for one in comment)
    return f"{kind} {blob} {plain}"


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(
            f"--from {text!r} is no IP address or network", remedy="write it like 192.168.137.50"
        ) from None
