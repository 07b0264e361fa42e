"""Sending one mail through the server that the environment names. Nothing is read from files, and no password is ever told."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr

from kohort.errors import KohortError, WrongUsage
from kohort.model.serving import LOCAL_NAMES

HOST, PORT, SECURITY = "KOHORT_SMTP_HOST", "KOHORT_SMTP_PORT", "KOHORT_SMTP_SECURITY"
USER, PASSWORD = "KOHORT_SMTP_USER", "KOHORT_SMTP_PASSWORD"
SENDER, TO = "KOHORT_MAIL_FROM", "KOHORT_MAIL_TO"
PORTS = {"starttls": 587, "tls": 465, "none": 25}
"""How the connection is protected → the usual port."""
SECONDS = 20.0
MOST_RECEIVERS = 100


class NotMailed(KohortError):
    """The mail server did not take the mail. `retry` says whether it may later."""

    code = "not_mailed"

    def __init__(self, message: str, *, hint: str = "", retry: bool = False) -> None:
        self.retry = retry
        super().__init__(message, hint=hint)


@dataclass(frozen=True, slots=True)
class Mailer:
    """A mail server, and between whom mails go.

    Attributes:
        security: "starttls", "tls" (from the first byte), or "none", which is for a server on this machine only.
    """

    host: str
    port: int
    security: str
    sender: str
    to: tuple[str, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    seconds: float = SECONDS

    def send(self, subject: str, text: str, html: str) -> None:
        """Sends one mail in two forms to everybody it is for.

        Raises:
            NotMailed: The server cannot be reached, does not prove who it is, or refuses.
        """
        mail = self.message(subject, text, html)
        try:
            with self._server() as server:
                if self.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self.user:
                    server.login(self.user, self.password)
                refused = server.send_message(mail)
        except smtplib.SMTPAuthenticationError:
            raise NotMailed(
                "The mail server does not accept the user or the password.", hint=f"See {USER} and {PASSWORD}."
            ) from None
        except smtplib.SMTPRecipientsRefused:
            raise NotMailed("The mail server takes mail for none of the receivers.", hint=f"See {TO}.") from None
        except smtplib.SMTPResponseException as error:
            raise NotMailed(
                f"The mail server refused the mail ({error.smtp_code}).", retry=400 <= error.smtp_code < 500
            ) from None
        except smtplib.SMTPNotSupportedError:
            raise NotMailed(
                "The mail server does not offer what is asked of it: to protect the connection, or to log in.",
                hint=f"See {SECURITY} and {USER}.",
            ) from None
        except ssl.SSLError:
            hint = f"See {SECURITY}: starttls, tls or none."
            raise NotMailed(
                "The connection to the mail server is not safe: it does not prove who it is.", hint=hint
            ) from None
        except (OSError, smtplib.SMTPException):
            raise NotMailed("The mail server cannot be reached.", hint=f"See {HOST} and {PORT}.", retry=True) from None
        if refused:
            raise NotMailed(
                f"The mail server takes mail for {len(self.to) - len(refused)} of {len(self.to)} receivers only.",
                hint=f"See {TO}.",
            )

    def message(self, subject: str, text: str, html: str) -> EmailMessage:
        """The mail: plain text, and the same in HTML."""
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = " ".join(subject.split())[:200], self.sender, ", ".join(self.to)
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=self.sender.rpartition("@")[2].rstrip(">"))
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text)
        mail.add_alternative(html, subtype="html")
        return mail

    def _server(self) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.seconds, context=ssl.create_default_context())
        return smtplib.SMTP(self.host, self.port, timeout=self.seconds)


def mailer(environment: Mapping[str, str]) -> Mailer:
    """The mail server that the environment names.

    Raises:
        WrongUsage: Something is missing, or is not what it should be; or the mail would travel unprotected.
    """
    said = {name: environment.get(name, "").strip() for name in (HOST, PORT, SECURITY, USER, SENDER, TO)}
    missing = [name for name in (HOST, SENDER, TO) if not said[name]]
    if missing:
        raise WrongUsage(f"Mail needs {', '.join(missing)} in the environment.", hint=f"Set it: export {missing[0]}=…")
    security = said[SECURITY] or "starttls"
    if security not in PORTS:
        raise WrongUsage(f"{SECURITY} is none of {', '.join(PORTS)}.")
    password = environment.get(PASSWORD, "")
    if security == "none" and said[HOST] not in LOCAL_NAMES:
        raise WrongUsage("The mail would travel unprotected.", hint=f"Set {SECURITY} to starttls or tls.")
    to = tuple(dict.fromkeys(one.strip() for one in said[TO].split(",") if one.strip()))
    if not 0 < len(to) <= MOST_RECEIVERS:
        raise WrongUsage(f"{TO} has 1 to {MOST_RECEIVERS} receivers, with commas between them.")
    for name, address in ((SENDER, said[SENDER]), *((TO, one) for one in to)):
        if "@" not in parseaddr(address)[1] or not address.isprintable():
            raise WrongUsage(f"{name} holds something that is no e-mail address.")
    return Mailer(said[HOST], _port(said[PORT], security), security, said[SENDER], to, said[USER], password)


def _port(text: str, security: str) -> int:
    if not text:
        return PORTS[security]
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65_536):
        raise WrongUsage(f"{PORT} is no port number.")
    return int(text)
