"""T23: no spelling of an address in a network of one's own is ever connected to by what people typed as a webhook.

Every way out is watched: a connection that would be made is an answer. The twin, to whom everything is allowed, makes
them, so the test can fail.
"""

from __future__ import annotations

import ipaddress
import itertools
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from kohort.actions.outbound import NotSent, Outbound, networks

FORBIDDEN = {
    "this machine": ("127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1.1.1", "0.0.0.0", "0.1.2.3"),
    "of one's own": ("10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.254"),
    "of one link": ("169.254.0.1", "169.254.1.1", "169.254.255.254"),
    "metadata": ("169.254.169.254", "169.254.170.2", "169.254.169.123", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    "of a provider": ("100.64.0.1", "100.127.255.254"),
    "protocols": ("192.0.0.1", "192.0.0.8", "192.0.0.9", "192.0.0.170", "192.88.99.1", "198.18.0.1", "198.19.255.254"),
    "documents": ("192.0.2.1", "198.51.100.7", "203.0.113.9"),
    "many": ("224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "250.1.2.3"),
}  # fmt: skip
FORBIDDEN_6 = (
    *("::", "::1", "::2", "fe80::1", "febf::1", "fec0::1", "feff::1", "fc00::1", "fdff::1", "fd00:ec2::254"),
    *("fd20:ce::254", "ff01::1", "ff02::1", "ff0e::1", "100::1", "2001:2::1", "2001:10::1", "2001:db8::1", "3fff::1"),
    *("5f00::1", "64:ff9b:1::1", "64:ff9b:1::7f00:1", "::ffff:0:7f00:1", "2001::1", "4000::1"),
)
METADATA_NAMES = (
    *("metadata.google.internal", "metadata", "instance-data", "instance-data.ec2.internal", "metadata.tencentyun.com"),
    *("kubernetes.default.svc", "consul.service.consul", "host.docker.internal", "localhost.localdomain"),
    *("127.0.0.1.nip.io", "169-254-169-254.sslip.io", "spoofed.burpcollaborator.example"),
)
PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.216.34")


def spellings(address: str) -> Iterator[str]:
    """Ways to write an IPv4 address as the host of a URL, as far as one resolver or another understands them."""
    number = int(ipaddress.IPv4Address(address))
    a, b, c, d = address.split(".")
    parts = [int(part) for part in (a, b, c, d)]
    yield address
    yield str(number)
    yield hex(number)
    yield hex(number).upper().replace("0X", "0X")
    yield f"0{number:o}"
    yield ".".join(f"0{part:o}" for part in parts)
    yield ".".join(hex(part) for part in parts)
    yield f"0x{parts[0]:x}.{b}.0{parts[2]:o}.{d}"
    yield f"{a}.{b}.{parts[2] * 256 + parts[3]}"
    yield f"{a}.{number & 0xFF_FFFF}"
    yield ".".join(f"{part:04o}" for part in parts)
    yield address.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    yield "。".join((a, b, c, d))
    high, low = number >> 16, number & 0xFFFF
    yield f"[::ffff:{address}]"
    yield f"[::ffff:{high:x}:{low:x}]"
    yield f"[0:0:0:0:0:FFFF:{high:X}:{low:X}]"
    yield f"[64:ff9b::{high:x}:{low:x}]"
    yield f"[2002:{high:x}:{low:x}::1]"
    yield f"[2606:4700::5efe:{address}]"
    yield f"[2606:4700::200:5efe:{high:x}:{low:x}]"
    yield f"[2001:0:{high:x}:{low:x}::1]"
    yield f"[2001:0:4136:e378:8000:63bf:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}]"
    yield f"[::{high:x}:{low:x}]"


def corpus() -> list[str]:
    """URLs, each of which means an address that must not be reached."""
    hosts = [host for group in FORBIDDEN.values() for address in group for host in spellings(address)]
    hosts += [f"[{ipaddress.ip_address(address).exploded}]" for address in FORBIDDEN_6]
    hosts += [f"[{address}]" for address in FORBIDDEN_6] + ["[fe80::1%25lo]", "[fe80::1%lo]", "localhost", "LOCALHOST"]
    plain = [f"http{'s' if n % 2 else ''}://{host}{':8080' * (n % 3 == 0)}/hook" for n, host in enumerate(hosts)]
    tricks = [
        *("http://8.8.8.8@{h}/", "http://8.8.8.8:80@{h}/", "http://8.8.8.8%40{h}@{h}/", "http://{h}#@8.8.8.8/"),
        *("http://{h}?@8.8.8.8/", "http://{h}\\@8.8.8.8/", "http:\\\\{h}/", "http:////{h}/", "//{h}/", "{h}"),
        *("http://{h}\t/", "http://{h}\r\n/", "ht\ntp://{h}/", " http://{h}/", "http://{h}:80:80/", "http://{h}:99999/"),
        *("http://[{h}]/", "http://[::1/", "http://]/", "HTTP://{h}/", "gopher://{h}/", "file://{h}/etc/passwd"),
        *("ftp://{h}/", "dict://{h}:11211/", "unix:///var/run/docker.sock", "jar:http://{h}!/", "http://{h}/ HTTP/1.1"),
        *("http://{h}/\r\nX-Injected: 1", "http://{h}.:80/", "http://.{h}/", "http://{h}%00.example.com/"),
    ]  # fmt: skip
    metadata = FORBIDDEN["metadata"][:1] + FORBIDDEN["this machine"][:1]
    return [*plain, *(trick.format(h=host) for trick in tricks for host in metadata)]


class Watched(Outbound):
    """Every connection that would be made is kept instead."""

    def _connected(self, place: tuple[Any, ...], host: str, deadline: float, *, secure: bool) -> socket.socket:
        self.made.append(place[1][0])
        raise OSError("not here")

    @property
    def made(self) -> list[str]:
        return self.__dict__.setdefault("_made", [])


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Addresses are read as the system reads them; names are those of a table, and nobody outside is asked."""
    table: dict[str, list[str]] = {"localhost": ["127.0.0.1", "::1"]}
    system = socket.getaddrinfo

    def resolve(host: str, port: int, **more: Any) -> list[Any]:
        if host.lower() in table:
            return [
                (socket.AF_INET6 if ":" in place else socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port))
                for place in table[host.lower()]
            ]
        try:
            return system(host, port, flags=socket.AI_NUMERICHOST, **more)
        except UnicodeError:
            raise socket.gaierror(-2, "no name") from None

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return table


def test_nothing_is_reached_however_it_is_written(no_names) -> None:
    urls = corpus()
    assert len(set(urls)) >= 300
    out = Watched()
    reasons = set()
    for url in urls:
        try:
            out.post(url, {}, b"{}")
        except NotSent as error:
            reasons.add((error.reason, error.retry))
        assert out.made == [], url
    assert reasons == {("address not allowed", False), ("not an address", False), ("name not found", True)}


def test_most_of_it_would_be_reached_without_the_check(no_names) -> None:
    twin = Watched(networks("0.0.0.0/0, ::/0"))
    for url in corpus():
        with pytest.raises(NotSent):
            twin.post(url, {}, b"{}")
    assert len(twin.made) > 0.7 * len(corpus())


def test_public_addresses_are_reached_in_all_their_spellings(no_names) -> None:
    out = Watched()
    written = [host for address in PUBLIC for host in spellings(address)]
    for host in written:
        with pytest.raises(NotSent):
            out.post(f"https://{host}/", {}, b"{}")
    assert len(out.made) > 0.7 * len(written)


@pytest.mark.parametrize("name", METADATA_NAMES)
def test_a_name_is_what_it_leads_to(no_names, name: str) -> None:
    private = [address for group in FORBIDDEN.values() for address in group] + [a for a in FORBIDDEN_6 if a != "::"]
    out = Watched()
    for address, (before, after) in itertools.product(private, (([], []), (["8.8.8.8"], []), ([], ["8.8.8.8"]))):
        no_names[name] = [*before, address, *after]
        with pytest.raises(NotSent) as caught:
            out.post(f"https://{name}/latest/meta-data/", {}, b"{}")
        assert (caught.value.reason, out.made) == ("address not allowed", [])
    no_names[name] = ["8.8.8.8", "2606:4700::1111"]
    with pytest.raises(NotSent, match="connection failed"):
        out.post(f"https://{name}/", {}, b"{}")
    assert out.made == ["8.8.8.8"], "public in all its answers: it is connected to the first"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(status: int) -> None:
    targets = [url for url in corpus() if "\r" not in url and "\n" not in url and url.isascii()][::40]
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        second.settimeout(0.0)
        here = f"http://127.0.0.1:{second.getsockname()[1]}/"
        out = Outbound(networks("127.0.0.0/8"))
        for target in [here, *targets]:
            answer = _answered(first, out, f"HTTP/1.1 {status} x\r\nLocation: {target}\r\nRefresh: 0;{target}\r\n\r\n")
            assert answer == status
        with pytest.raises(BlockingIOError):
            second.accept()


def _answered(listener: socket.socket, out: Outbound, text: str) -> int:
    """The status that comes of an answer: it lies ready before anything is asked."""
    import threading

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(text.encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        return out.post(f"http://127.0.0.1:{listener.getsockname()[1]}/hook", {}, b"{}").status
    finally:
        thread.join(5)
