"""One SSH connection to a host, by paramiko, with a watchdog on every wait.

paramiko's own waits have no usable end (channel open 3600 s, the reply to an exec request none at all: paramiko #739),
and it does not notice a peer that has vanished (#2463). So the socket is ours, with the kernel's keepalive and
TCP_USER_TIMEOUT on it, and whatever waits is cut off by closing the transport under it.
"""

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import HostKeyRefused, LocalError, LoginRefused, NoAgent, SessionLost, Silent, Unreachable
from ecx_hyperv.host.known_hosts import KnownHosts

# paramiko logs tracebacks of its own; what matters of them is in the errors raised here.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

TCP_S = 5.0
HANDSHAKE_S = 15.0
AUTH_S = 15.0
LAUNCH_S = 10.0

# Without strict key exchange, which the sshd in Windows Server 2019 and 2022 lacks, these are open to Terrapin.
_DISABLED = {
    "macs": ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"],
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
}
# paramiko's auth exceptions that say nothing about the key: it raises one type for all of them.
_NOT_ABOUT_THE_KEY = ("timeout", "transport shut down", "EOF")


@dataclass(frozen=True, slots=True)
class SshTarget:
    """A host's sshd, whom to log in as, and with what."""

    address: str
    port: int
    user: str
    key: str
    known_hosts: str

    @property
    def entry(self) -> str:
        """Return the host's name in known_hosts."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"


class Connection:
    """An open, authenticated SSH connection."""

    def __init__(self, target: SshTarget, transport: paramiko.Transport) -> None:
        self.target = target
        self._transport = transport

    @property
    def is_active(self) -> bool:
        """Tell whether it is not known to be broken."""
        return bool(self._transport.is_active())

    def launch(self, command: str, deadline: Deadline) -> paramiko.Channel:
        """Start a command without a terminal; raises NoAgent if the host does not accept it in time."""
        limit = deadline.within(LAUNCH_S)
        try:
            with _watchdog(limit, self.close):
                channel = self._transport.open_session(timeout=max(0.1, limit.remaining()))
                channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise NoAgent(
                self.target.address,
                "the login works, but no command can be started",
                seen=_said(error, limit),
                remedy="see sshd's log on the host (Event Viewer, OpenSSH/Operational), MaxSessions and ForceCommand",
            ) from None
        return channel

    def send(self, channel: paramiko.Channel, data: bytes, deadline: Deadline) -> None:
        """Send everything, in slices that fit the window; raises SessionLost."""
        try:
            with _watchdog(deadline, self.close):
                for start in range(0, len(data), 32768):
                    channel.sendall(data[start : start + 32768])
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise SessionLost(
                self.target.address, "the connection broke while sending", seen=_said(error, deadline)
            ) from None

    def close(self) -> None:
        """Close at once, without waiting for anybody."""
        with suppress(Exception):
            self._transport.sock.close()
        # Closing a transport joins its thread; whoever closes must not wait for that.
        threading.Thread(target=self._transport.close, name="ssh-close", daemon=True).start()


def connect(target: SshTarget, deadline: Deadline, on_life: Callable[[], None] = lambda: None) -> Connection:
    """Connect, check the host's key against the pinned ones, and log in; `on_life` is called once it is connected to.

    Raises Unreachable, HostKeyRefused, LoginRefused.
    """
    pinned = _pinned(target)
    key = _load_key(target)
    opened = _open_socket(target, deadline)
    on_life()
    transport = paramiko.Transport(opened, disabled_algorithms=_DISABLED)
    connection = Connection(target, transport)
    try:
        _shake_hands(target, transport, pinned, deadline.within(HANDSHAKE_S), connection.close)
        _log_in(target, transport, key, deadline.within(AUTH_S), connection.close)
    except BaseException:
        connection.close()
        raise
    return connection


def fetch_host_keys(target: SshTarget, deadline: Deadline) -> list[paramiko.PKey]:
    """Return the host's keys, one for each kind it has, without logging in; raises Unreachable."""
    keys = []
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512"):
        transport = paramiko.Transport(_open_socket(target, deadline), disabled_algorithms=_DISABLED)
        transport.get_security_options().key_types = (kind,)
        limit = deadline.within(HANDSHAKE_S)
        try:
            with _watchdog(limit, transport.close):
                transport.start_client(timeout=limit.remaining())
                keys.append(transport.get_remote_server_key())
        except paramiko.ssh_exception.IncompatiblePeer:
            continue
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise _no_handshake(target, error, limit) from None
        finally:
            transport.close()
    return keys


def _open_socket(target: SshTarget, deadline: Deadline) -> socket.socket:
    limit = deadline.within(TCP_S)
    try:
        opened = socket.create_connection((target.address, target.port), timeout=max(0.1, limit.remaining()))
    except OSError as error:
        kind = Silent if _is_silence(error) else Unreachable
        raise kind(
            target.address,
            f"port {target.port} does not answer",
            seen=f"nothing for {TCP_S:g} s" if isinstance(error, TimeoutError) else error.strerror or str(error),
            remedy="see that the host is on, the network to it, its firewall and its sshd service",
        ) from None
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 10),
        (socket.TCP_KEEPINTVL, 5),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, 20_000),
        (socket.TCP_NODELAY, 1),
    ):
        opened.setsockopt(socket.IPPROTO_TCP, option, value)
    return opened


def _is_silence(error: OSError) -> bool:
    # What the kernel says when packets, or the question for the address, bring nothing back. A refusal comes from a
    # host that lives; having no route of one's own says nothing about it.
    return isinstance(error, TimeoutError) or error.errno in (errno.EHOSTUNREACH, errno.EHOSTDOWN)


def _pinned(target: SshTarget) -> tuple[paramiko.PKey, ...]:
    try:
        pinned = KnownHosts.read(target.known_hosts).pinned(target.entry)
    except LocalError as error:
        raise HostKeyRefused(
            target.address, error.what, seen=error.seen, remedy="run: ecx-hyperv trust", tried=False
        ) from None
    if not pinned:
        raise HostKeyRefused(
            target.address,
            "its host key is not pinned",
            seen=f"no entry {target.entry} in {target.known_hosts}",
            remedy="run: ecx-hyperv trust",
            tried=False,
        )
    return pinned


def _load_key(target: SshTarget) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(target.key)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm, UnknownKeyType, paramiko.SSHException) as error:
        raise LoginRefused(
            target.address,
            f"the private key {target.key} cannot be used",
            seen=str(error),
            remedy="see [ssh] key: an OpenSSH private key without passphrase, readable by this user",
            tried=False,
        ) from None


def _shake_hands(
    target: SshTarget,
    transport: paramiko.Transport,
    pinned: tuple[paramiko.PKey, ...],
    limit: Deadline,
    close: Callable[[], None],
) -> None:
    transport.banner_timeout = transport.handshake_timeout = limit.remaining()
    kinds = [kind for key in pinned for kind in _kinds(key)]
    options = transport.get_security_options()
    options.key_types = tuple(kind for kind in dict.fromkeys(kinds) if kind in options.key_types)
    try:
        with _watchdog(limit, close):
            transport.start_client(timeout=limit.remaining())
            # At its timeout start_client just returns; then there is no key yet.
            key = transport.get_remote_server_key()
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise _changed(target, f"it offers no key of a pinned kind ({error})") from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _no_handshake(target, error, limit) from None
    if key not in pinned:
        raise _changed(target, f"its {key.get_name()} key is {key.fingerprint}")


def _kinds(key: paramiko.PKey) -> tuple[str, ...]:
    return ("rsa-sha2-512", "rsa-sha2-256") if key.get_name() == "ssh-rsa" else (key.get_name(),)


def _log_in(
    target: SshTarget,
    transport: paramiko.Transport,
    key: paramiko.PKey,
    limit: Deadline,
    close: Callable[[], None],
) -> None:
    transport.auth_timeout = limit.remaining()
    try:
        with _watchdog(limit, close):
            transport.auth_publickey(target.user, key)
    except paramiko.AuthenticationException as error:
        if limit.has_passed or any(words in str(error) for words in _NOT_ABOUT_THE_KEY):
            raise _no_handshake(target, error, limit) from None
        raise LoginRefused(
            target.address,
            f"it does not let {target.user} in",
            seen=str(error),
            remedy=f"see that {target.key}.pub is in administrators_authorized_keys there, and that file's ACL",
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _no_handshake(target, error, limit) from None
    if not transport.is_authenticated():
        raise LoginRefused(target.address, f"it wants more than a key from {target.user}", remedy="see its sshd_config")


def _changed(target: SshTarget, seen: str) -> HostKeyRefused:
    return HostKeyRefused(
        target.address,
        f"its host key is not the one pinned in {target.known_hosts}",
        seen=seen,
        remedy="if the host was reinstalled: ecx-hyperv trust; if not, find out who answers at this address",
    )


def _no_handshake(target: SshTarget, error: BaseException, limit: Deadline) -> Unreachable:
    return Unreachable(
        target.address,
        f"something listens on port {target.port}, but the SSH login does not come about",
        seen=_said(error, limit),
        remedy="restart the sshd service on the host; see how busy it is",
    )


def _said(error: BaseException, limit: Deadline) -> str:
    return "no answer in time" if limit.has_passed else str(error) or type(error).__name__


@contextmanager
def _watchdog(deadline: Deadline, close: Callable[[], None]) -> Iterator[None]:
    """Close the connection at the deadline, so that nothing inside can wait for longer."""
    timer = threading.Timer(deadline.remaining(), close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
