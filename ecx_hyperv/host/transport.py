"""paramiko's transport with this program's algorithms, which remembers what the host offers.

paramiko says only that "no acceptable ciphers" were found, not which ones the host has. So the host's KEXINIT is read
here once more on its way in. `_parse_kex_init` is no public method; a test holds it against each paramiko that is used,
and a paramiko without it costs the words of an error, no safety.
"""

import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import paramiko
from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA
from paramiko.packet import Packetizer

from ecx_hyperv.host import algorithms
from ecx_hyperv.host.algorithms import OURS, WITHOUT_MAC, Gap, Offer

_COOKIE_BYTES = 16
_LISTS = 8
# OpenSSH names about 30 in its longest list. What is kept is kept for as long as the connection lives.
_MOST_NAMES = 200
# As OpenSSH has it (PACKET_MAX_SIZE); the longest that a host may send by what it was told is 32 KiB and a bit.
LONGEST_PACKET = 256 * 1024
# What stands before a server's version, and the version: RFC 4253 knows 255 characters, some print a banner first.
LONGEST_LINE = 16 * 1024
# A packet that was under way when the window was counted.
_SLACK = 64 * 1024
_LONG_NAME, _SHORT_NAME = "curve25519-sha256@libssh.org", "curve25519-sha256"


class BoundedPacketizer(Packetizer):
    """Reads packets, and a server's first lines, that have a length which they may have."""

    def __init__(self, opened: Any) -> None:
        super().__init__(opened)
        self._greeted = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT002 - as paramiko has it
        """Read that many bytes; raises SSHException for more than a packet has."""
        if not 0 <= n <= LONGEST_PACKET:
            raise paramiko.SSHException(f"a packet of {n} bytes, more than {LONGEST_PACKET} or less than none")
        return super().read_all(n, check_rekey)

    def readline(self, timeout: float) -> str:
        """Read a line of those that come before the first packet; raises SSHException for one that is no text."""
        try:
            return super().readline(timeout)
        except UnicodeDecodeError as error:
            raise paramiko.SSHException(f"its first line is no text: {error.reason}") from None

    def _read_timeout(self, timeout: float) -> bytes:
        part: bytes = super()._read_timeout(timeout)  # type: ignore[misc]
        self._greeted += len(part)
        if self._greeted > LONGEST_LINE:
            raise paramiko.SSHException(f"more than {LONGEST_LINE} bytes and no first line of SSH")
        return part


_Take = Callable[[paramiko.Channel, Any], None]


def _taken_by_paramiko() -> Mapping[int, _Take]:
    table: Mapping[int, _Take] = vars(paramiko.Transport)["_channel_handler_table"]
    return table


def _within_window(feed: _Take) -> _Take:
    """Return what takes a channel's data as `feed` does, and ends the connection of a host that sends too much."""

    def take(channel: paramiko.Channel, message: Any) -> None:
        feed(channel, message)
        if len(channel.in_buffer) + len(channel.in_stderr_buffer) > channel.in_window_size + _SLACK:
            raise paramiko.SSHException("more than the window allows")

    return take


class HostTransport(paramiko.Transport):
    """A client's transport to a host."""

    # What paramiko does with each kind of message to a channel, and what of it is bounded here.
    _channel_handler_table: ClassVar[Mapping[int, _Take]] = {
        kind: _within_window(take) if kind in (MSG_CHANNEL_DATA, MSG_CHANNEL_EXTENDED_DATA) else take
        for kind, take in _taken_by_paramiko().items()
    }

    # What paramiko has, but types-paramiko does not know.
    _kex_info: dict[str, type]
    remote_cipher: str
    remote_mac: str

    def __init__(self, opened: socket.socket, ours: Offer = OURS) -> None:
        # Before the constructor, which starts nothing but is not ours.
        self.theirs: Offer | None = None
        self._ours = ours
        super().__init__(opened, packetizer_class=BoundedPacketizer)
        if _LONG_NAME in self._kex_info:
            # One method with two names (RFC 8731): paramiko knows the older one alone, many guides name the other.
            self._kex_info = {_SHORT_NAME: self._kex_info[_LONG_NAME], **self._kex_info}
        options = self.get_security_options()
        options.kex = tuple(one for one in ours.exchanges if one in self._kex_info)
        options.ciphers = ours.ciphers
        options.digests = ours.macs
        options.key_types = ours.host_keys

    def want_keys(self, kinds: Iterable[str]) -> None:
        """Take host keys of these kinds alone, the best first, as ssh does; what cannot be checked is left out."""
        wanted = set(kinds)
        self.get_security_options().key_types = tuple(
            one for kind, ones in algorithms.HOST_KEYS.items() if kind in wanted for one in ones
        )

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return what the host and this program have nothing in common in; nothing before the host has told."""
        return () if self.theirs is None else algorithms.gaps(self._ours, self.theirs)

    @property
    def would_do_without_mac(self) -> bool:
        """Tell whether this host, with whom it does not go like this, can be reached by ciphers that need no MAC."""
        if self.theirs is None or self._ours == WITHOUT_MAC:
            return False
        return not algorithms.gaps(WITHOUT_MAC, self.theirs)

    @property
    def is_open_to_terrapin(self) -> bool:
        """Tell whether what was agreed on needs strict key exchange, and it was not agreed on."""
        agreed = ((self.local_cipher, self.local_mac), (self.remote_cipher, self.remote_mac))
        needs = any(algorithms.is_etm(str(mac)) and not algorithms.is_aead(str(cipher)) for cipher, mac in agreed)
        return needs and not self.agreed_on_strict_kex

    def _parse_kex_init(self, m: paramiko.Message) -> None:
        if self.theirs is None:
            copy = paramiko.Message(m.asbytes())
            copy.get_bytes(_COOKIE_BYTES)
            self.theirs = algorithms.offer_of(
                copy.get_binary().decode("ascii", "replace").split(",")[:_MOST_NAMES] for _ in range(_LISTS)
            )
        super()._parse_kex_init(m)  # type: ignore[misc]
