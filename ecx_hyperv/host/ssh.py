"""One SSH connection to a host, by paramiko, with a watchdog on every wait.

paramiko's own waits have no usable end (channel open 3600 s, the reply to an exec request none at all: paramiko #739),
and it does not notice a peer that has vanished (#2463). So the socket is ours, with the kernel's keepalive and
TCP_USER_TIMEOUT on it, and whatever waits is cut off by closing the transport under it.
"""

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType

from ecx_hyperv.deadline import Deadline
from ecx_hyperv.errors import (
    HostError,
    LoginRefused,
    NoAgent,
    NoCommonAlgorithm,
    SessionLost,
    Silent,
    Unreachable,
)
from ecx_hyperv.host import algorithms
from ecx_hyperv.host.host_keys import changed, check_key, nothing_common, read_pins
from ecx_hyperv.host.known_hosts import KnownHosts
from ecx_hyperv.host.known_hosts_file import PinnedKey
from ecx_hyperv.host.transport import HostTransport

# paramiko logs tracebacks of its own; what matters of them is in the errors raised here.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

TCP_S = 5.0
HANDSHAKE_S = 15.0
AUTH_S = 15.0
LAUNCH_S = 10.0

# What comes out of paramiko's waits is whatever its reader failed with, and a host's bytes choose that: besides
# paramiko's own UnicodeDecodeError, struct.error, KeyError, InvalidTag and more.
BROKEN = (Exception,)
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
        except BROKEN as error:
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
        except BROKEN as error:
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

    Raises Unreachable, NoCommonAlgorithm, HostKeyRefused, LoginRefused.
    """
    known = read_pins(target.address, target.port, target.known_hosts)
    key = _load_key(target)
    transport = HostTransport(_open_socket(target, deadline))
    on_life()
    try:
        _join(target, transport, known, key, deadline)
    except NoCommonAlgorithm:
        if not transport.would_do_without_mac:
            raise
        # paramiko tells its own wishes before it has heard the host's, so only a second connection can have others.
        transport = HostTransport(_open_socket(target, deadline), algorithms.WITHOUT_MAC)
        _join(target, transport, known, key, deadline)
    return Connection(target, transport)


def _join(
    target: SshTarget, transport: HostTransport, known: KnownHosts, key: paramiko.PKey, deadline: Deadline
) -> None:
    close = Connection(target, transport).close
    try:
        _shake_hands(target, transport, known, deadline.within(HANDSHAKE_S), close)
        _log_in(target, transport, key, deadline.within(AUTH_S), close)
    except BaseException:
        close()
        raise


def fetch_host_keys(target: SshTarget, deadline: Deadline) -> tuple[PinnedKey, ...]:
    """Return the host's keys, one for each kind it has, without logging in; never none.

    Raises Unreachable, NoCommonAlgorithm.
    """
    keys: list[PinnedKey] = []
    offered: tuple[str, ...] = tuple(algorithms.HOST_KEYS)
    for kind in algorithms.HOST_KEYS:
        if kind not in offered:
            continue
        transport = HostTransport(_open_socket(target, deadline))
        transport.want_keys([kind])
        limit = deadline.within(HANDSHAKE_S)
        try:
            with _watchdog(limit, transport.close):
                transport.start_client(timeout=limit.remaining())
                keys.append(_shown_by(transport))
        except BROKEN as error:
            if not _lacks_only(transport, [kind]):
                raise _no_handshake(target, transport, error, limit) from None
        finally:
            transport.close()
        if transport.theirs is not None:
            offered = algorithms.kinds_in(transport.theirs.host_keys)
    if not keys:
        raise _no_handshake(target, transport, EOFError("it shows no key"), limit)
    return tuple(keys)


def _open_socket(target: SshTarget, deadline: Deadline) -> socket.socket:
    limit = deadline.within(TCP_S)
    try:
        opened = socket.create_connection((target.address, target.port), timeout=max(0.1, limit.remaining()))
    except OSError as error:
        is_silent = _is_silence(error)
        raise (Silent if is_silent else Unreachable)(
            target.address,
            f"port {target.port} {'does not answer' if is_silent else 'cannot be connected to'}",
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
    transport: HostTransport,
    known: KnownHosts,
    limit: Deadline,
    close: Callable[[], None],
) -> None:
    transport.banner_timeout = transport.handshake_timeout = limit.remaining()
    pinned = known.pinned(target.address, target.port)
    kinds = list(dict.fromkeys(key.kind for key in pinned))
    transport.want_keys(kinds)
    try:
        with _watchdog(limit, close):
            transport.start_client(timeout=limit.remaining())
            # At its timeout start_client just returns; then there is no key yet.
            shown = _shown_by(transport)
    except BROKEN as error:
        if _lacks_only(transport, kinds):
            has = ", ".join(algorithms.kinds_in(transport.theirs.host_keys)) if transport.theirs else ""
            raise changed(
                known, target.address, f"it has no key of a pinned kind: it has {has}, pinned is {', '.join(kinds)}"
            ) from None
        raise _no_handshake(target, transport, error, limit) from None
    check_key(known, target.address, target.port, shown)
    if transport.is_open_to_terrapin:
        raise nothing_common(target.address, transport.gaps)


def _shown_by(transport: HostTransport) -> PinnedKey:
    key = transport.get_remote_server_key()
    return PinnedKey(key.get_name(), key.asbytes())


def _lacks_only(transport: HostTransport, kinds: Iterable[str]) -> bool:
    """Tell whether a host agrees with this program in all, but has no key of these kinds."""
    if transport.theirs is None or transport.gaps:
        return False
    return not set(algorithms.kinds_in(transport.theirs.host_keys)).intersection(kinds)


def _log_in(
    target: SshTarget,
    transport: HostTransport,
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
            raise _no_handshake(target, transport, error, limit) from None
        raise LoginRefused(
            target.address,
            f"it does not let {target.user} in",
            seen=str(error),
            remedy=f"see that {target.key}.pub is in administrators_authorized_keys there, and that file's ACL",
        ) from None
    except BROKEN as error:
        raise _no_handshake(target, transport, error, limit) from None
    if not transport.is_authenticated():
        raise LoginRefused(target.address, f"it wants more than a key from {target.user}", remedy="see its sshd_config")


def _no_handshake(target: SshTarget, transport: HostTransport, error: BaseException, limit: Deadline) -> HostError:
    if transport.gaps:
        return nothing_common(target.address, transport.gaps)
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
