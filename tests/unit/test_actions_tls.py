"""Webhooks over TLS, against a real server: whoever is not who the address says gets nothing."""

from __future__ import annotations

import contextlib
import datetime
import hmac
import ipaddress
import socket
import ssl
import threading
import warnings
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kohort.actions.outbound import NotSent, Outbound, networks, trusting
from kohort.definitions.triggers import Destination
from kohort.errors import WrongUsage
from kohort.workspace.triggers import ALLOW_VARIABLE, CA_VARIABLE, open_channel

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
LOCAL = networks("127.0.0.0/8")


class Authority:
    """Issues certificates; its own is in a file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = _certificate(self.name, self.key, self, NOW - DAY, NOW + DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        made = made.add_extension(_usage(signs=True), critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(
        self, *hosts: str, start: datetime.datetime = NOW - DAY, end: datetime.datetime = NOW + DAY
    ) -> ssl.SSLContext:
        """What a server of these hosts needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        made = _certificate(name, key, self, start, end)
        made = made.add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        made = made.add_extension(issuer, critical=False)
        file = self.folder / "server.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    authority: Authority,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(authority.name).public_key(key.public_key())
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return made.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, signs, signs, False, False)


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass
class Received:
    """What reached the server, and how."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)


@contextmanager
def server(context: ssl.SSLContext) -> Iterator[Received]:
    """Answers 204 to everybody who comes through TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = Received(listener.getsockname()[1])
        context.sni_callback = lambda _socket, name, _context: found.names.append(name)

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                connection.settimeout(5)
                with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as inside:
                    text = b""
                    while b"{}" not in text:
                        text += inside.recv(65_536)
                    found.requests.append(text)
                    inside.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                connection.close()

        def until_closed() -> None:
            with contextlib.suppress(OSError):
                serve()

        thread = threading.Thread(target=until_closed, daemon=True)
        thread.start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ours")


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "other")


def test_a_webhook_is_delivered_to_an_authority_of_ones_own_that_a_setting_names(
    ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CA_VARIABLE, str(ours.file))
    monkeypatch.setenv(ALLOW_VARIABLE, "127.0.0.0/8")
    monkeypatch.setenv("HOOK_SECRET", "a-secret-that-is-long")
    with server(ours.issue("localhost")) as there:
        channel = open_channel(Destination("crm", f"https://localhost:{there.port}/hook?a=b", "HOOK_SECRET"))
        assert channel.send("d1", b"{}", 1_700_000_000_000_000, "1").status == 204
    head, _, said = there.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    signed = hmac.digest(b"a-secret-that-is-long", b"d1.1700000000.{}", "sha256")
    assert lines[0] == "POST /hook?a=b HTTP/1.1"
    assert f"Host: localhost:{there.port}" in lines
    assert f"webhook-signature: v1,{b64encode(signed).decode()}" in lines
    assert (said, there.names) == (b"{}", ["localhost"])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_names_and_addresses_are_compared_with_the_certificate(ours: Authority, host: str) -> None:
    out = Outbound(LOCAL, tls=trusting(str(ours.file)))
    with server(ours.issue("localhost", "127.0.0.1")) as there:
        assert out.post(f"https://{host}:{there.port}/", {}, b"{}").status == 204
    assert len(there.requests) == 1


@pytest.mark.parametrize(
    ("about", "hosts", "start", "end"),
    [
        ("another name", ("other.example",), NOW - DAY, NOW + DAY),
        ("a longer name", ("localhost.example",), NOW - DAY, NOW + DAY),
        ("any name", ("*",), NOW - DAY, NOW + DAY),
        ("an address instead of the name", ("127.0.0.1",), NOW - DAY, NOW + DAY),
        ("expired", ("localhost",), NOW - 2 * DAY, NOW - DAY / 24),
        ("not valid yet", ("localhost",), NOW + DAY / 24, NOW + DAY),
    ],
)
def test_a_certificate_that_is_not_the_receivers_gets_nothing(
    ours: Authority, about: str, hosts: tuple[str, ...], start: datetime.datetime, end: datetime.datetime
) -> None:
    out = Outbound(LOCAL, tls=trusting(str(ours.file)))
    with server(ours.issue(*hosts, start=start, end=end)) as there:
        with pytest.raises(NotSent) as caught:
            out.post(f"https://localhost:{there.port}/", {}, b"{}")
        assert (caught.value.reason, caught.value.retry) == ("certificate or encryption refused", True), about
    assert there.requests == []


def test_an_authority_that_nobody_named_is_refused(ours: Authority, other: Authority) -> None:
    with server(other.issue("localhost")) as there:
        for out in (Outbound(LOCAL), Outbound(LOCAL, tls=trusting(str(ours.file)))):
            with pytest.raises(NotSent, match="certificate"):
                out.post(f"https://localhost:{there.port}/", {}, b"{}")
    assert there.requests == []


def test_plain_http_where_encryption_was_asked_for_is_no_answer(ours: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                connection.recv(65_536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(NotSent):
            Outbound(LOCAL).post(f"https://localhost:{listener.getsockname()[1]}/", {}, b"{}")
        thread.join(5)


def test_encryption_that_is_broken_is_refused(ours: Authority) -> None:
    old = ours.issue("localhost")
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with server(old) as there, pytest.raises(NotSent):
        Outbound(LOCAL, tls=trusting(str(ours.file))).post(f"https://localhost:{there.port}/", {}, b"{}")
    assert there.requests == []


def test_authorities_of_ones_own_stand_beside_those_of_the_system(ours: Authority) -> None:
    here, usual = trusting(str(ours.file)), ssl.create_default_context()
    assert here.cert_store_stats()["x509_ca"] == usual.cert_store_stats()["x509_ca"] + 1
    assert here.check_hostname


@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_a_setting_that_leads_to_no_certificate_is_told(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(WrongUsage, match="KOHORT_OUTBOUND_CA"):
        trusting(str(file))
