"""The one way out to addresses that people typed: bounded in time and size, and never into the network we stand in.

A name is resolved once, every address it leads to is checked, and the connection goes to the address that was checked;
so a name that leads elsewhere the second time it is asked gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import email.utils
import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from kohort.errors import WrongUsage

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LARGEST_HEAD = 64 * 1024
"""Bytes of an answer's head; its body is not read."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # of protocols: nobody's receiver
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # the platform that runs a machine, in one cloud
        "3fff::/20",  # examples in documents
        "fec0::/10",  # of a site
    )
)
"""What Python counts as public although no receiver on the internet has it."""


class NotSent(Exception):
    """There is no answer, or nothing was even sent. `reason` is a word for a person; `retry` whether later can be better."""

    def __init__(self, reason: str, *, retry: bool = True) -> None:
        self.reason, self.retry = reason, retry
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered.

    Attributes:
        retry_after: Seconds it asks to wait; None = it does not say.
    """

    status: int
    retry_after: float | None = None


def networks(text: str) -> tuple[Network, ...]:
    """Networks from a setting: `10.1.0.0/16, 192.168.7.9`.

    Raises:
        WrongUsage: One is none.
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise WrongUsage(
            "KOHORT_OUTBOUND_ALLOW holds something that is no network.", hint="Write for example 10.1.0.0/16."
        ) from error


def may_reach(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address is one of the public internet, or of a network that was allowed.

    Example:
        >>> may_reach(ipaddress.ip_address("127.0.0.1")), may_reach(ipaddress.ip_address("::ffff:10.0.0.1"))
        (False, False)
    """
    inner = _inside(address)
    if any(inner in network for network in allowed if network.version == inner.version):
        return True
    if any(inner in network for network in _NOT_PUBLIC if network.version == inner.version):
        return False
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


def _inside(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, as far as routers on the way would unwrap it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        teredo = address.teredo[1] if address.teredo else None
        return address.ipv4_mapped or address.sixtofour or teredo or _isatap(address) or address
    return address


def _isatap(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address at the end of one of ISATAP, whatever network it is in."""
    number = int(address)
    if (number >> 32) & 0xFCFF_FFFF != 0x0000_5EFE:
        return None
    return ipaddress.IPv4Address(number & 0xFFFF_FFFF)


def trusting(file: str) -> ssl.SSLContext:
    """How certificates are checked where receivers have them of an authority of one's own, beside those of the system.

    Args:
        file: Certificates of authorities, PEM.

    Raises:
        WrongUsage: The file is missing or holds none.
    """
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise WrongUsage(
            "KOHORT_OUTBOUND_CA does not lead to certificates.",
            hint="Write the path of a PEM file: -----BEGIN CERTIFICATE----- …",
        ) from error
    return context


@dataclass
class Outbound:
    """Sends requests. Safe to use from many threads.

    Attributes:
        allowed: Networks that may be reached although they are private.
        connect_seconds: For finding the receiver and connecting.
        total_seconds: For everything; whoever answers byte by byte is cut off.
        tls: How certificates are checked; None = as the system says.
    """

    allowed: Sequence[Network] = ()
    connect_seconds: float = 5.0
    total_seconds: float = 15.0
    tls: ssl.SSLContext | None = field(default=None)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Posts a body and answers with the status. The answer's body is not read.

        Raises:
            NotSent: There was no answer, or the address must not be reached.
        """
        deadline = time.monotonic() + self.total_seconds
        secure, host, port, path = _parts(url)
        place = self._resolved(host, port or (443 if secure else 80))
        try:
            with self._connected(place, host, deadline, secure=secure) as connection:
                named = f"[{host}]" if ":" in host else host
                named += f":{port}" if port else ""
                head = {"Host": named, "Content-Length": str(len(body)), "Connection": "close", **headers}
                lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
                connection.settimeout(_left(deadline))
                connection.sendall("\r\n".join(lines).encode("latin-1") + body)
                return _answer(connection, deadline)
        except TimeoutError as error:
            raise NotSent("timeout") from error
        except ssl.SSLError as error:
            raise NotSent("certificate or encryption refused") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotSent("connection failed") from error

    def _resolved(self, host: str, port: int) -> tuple[Any, ...]:
        """(family, address) of the host, once every address that it has may be reached."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NotSent("name not found") from error
        for *_, place in found:
            # An address of one link alone carries its interface after %.
            if not may_reach(ipaddress.ip_address(str(place[0]).partition("%")[0]), self.allowed):
                raise NotSent("address not allowed", retry=False)
        family, _, _, _, place = found[0]
        return family, place

    def _connected(self, place: tuple[Any, ...], host: str, deadline: float, *, secure: bool) -> socket.socket:
        family, address = place
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(min(self.connect_seconds, _left(deadline)))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._tls.wrap_socket(connection, server_hostname=host) if secure else connection
        except BaseException:
            connection.close()
            raise

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self.tls or ssl.create_default_context()


def _parts(url: str) -> tuple[bool, str, int | None, str]:
    """Whether it is https, the host, the port if one is named, and the path with its question."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise NotSent("not an address", retry=False) from error
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # Where one reader sees a host another may see a name and a password: such an address is nobody's.
    plain = (host or "") + path
    if "@" in parts.netloc or "\\" in parts.netloc or not plain.isprintable() or " " in plain:
        raise NotSent("not an address", retry=False)
    if parts.scheme not in ("http", "https") or not host:
        raise NotSent("not an address", retry=False)
    return parts.scheme == "https", host, port, path


def _answer(connection: socket.socket, deadline: float) -> Answer:
    """Status and Retry-After of the first final answer."""
    received = b""
    while True:
        head, end, rest = received.partition(b"\r\n\r\n")
        if end:
            status, headers = _head(head)
            if status >= 200:
                return Answer(status, _retry_after(headers.get("Retry-After")))
            received = rest  # an interim answer: the real one follows
            continue
        if len(received) > LARGEST_HEAD:
            raise NotSent("answer too large")
        connection.settimeout(_left(deadline))
        more = connection.recv(16_384)
        if not more:
            raise NotSent("no answer")
        received += more


def _head(head: bytes) -> tuple[int, http.client.HTTPMessage]:
    line, _, rest = head.partition(b"\r\n")
    words = line.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3 or not words[1].isdigit():
        raise NotSent("not an HTTP answer")
    return int(words[1]), http.client.parse_headers(io.BytesIO(rest + b"\r\n\r\n"))


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number of them or a date."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
