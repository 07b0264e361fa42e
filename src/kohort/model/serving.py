"""Where answers are given unless somebody says otherwise, and by which names."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from urllib.parse import urlsplit

SERVE_HOST = "127.0.0.1"
"""This machine only, unless somebody says otherwise."""

SERVE_PORT = 8765
"""Of `kohort serve`."""

STREAM_PORT = 8766
"""Of `kohort stream`."""

HOSTS_VARIABLE = "KOHORT_HOSTS"
LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


def is_our_name(listening: str, host: str) -> bool:
    """Whether the name that a visitor used is one of ours. Servers open to a network answer to every name.

    A server on this machine alone answers only to this machine's own names: otherwise a foreign web page could point
    its own name here and read through the visitor's browser. `KOHORT_HOSTS` adds names, for a proxy.

    Args:
        listening: The address that the server listens on.
        host: The header Host.

    Example:
        >>> is_our_name("127.0.0.1", "localhost:8765"), is_our_name("127.0.0.1", "shop.example")
        (True, False)
    """
    if listening not in LOCAL_NAMES:
        return True
    try:
        asked = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return asked in LOCAL_NAMES | {h.strip() for h in os.environ.get(HOSTS_VARIABLE, "").split(",") if h.strip()}


LOGIN_VARIABLE = "KOHORT_LOGIN"
"""`yes`: everybody has to log in, also while there is no user yet."""
PLAIN_VARIABLE = "KOHORT_PLAIN_HTTP"
"""`yes`: people may log in over connections that are not encrypted."""
FIRST_VARIABLE = "KOHORT_FIRST_WORD"
"""SHA-256 of the word that lets the first user in; see `word_digest`."""


def is_encrypted_or_here(scheme: str, host: str) -> bool:
    """Whether nobody between can read what a visitor sends: the connection is encrypted, or does not leave the machine.

    Args:
        scheme: "http" or "https", as the proxy said where there is one.
        host: The header Host.

    Example:
        >>> is_encrypted_or_here("https", "shop.example"), is_encrypted_or_here("http", "localhost:8765")
        (True, True)
        >>> is_encrypted_or_here("http", "10.0.0.5:8765")
        False
    """
    if scheme == "https" or os.environ.get(PLAIN_VARIABLE) == "yes":
        return True
    try:
        return (urlsplit(f"//{host}").hostname or "") in LOCAL_NAMES
    except ValueError:
        return False


def is_open_to_others(listening: str) -> bool:
    """Whether a request has come in at an address that other machines can reach.

    Example:
        >>> is_open_to_others("127.0.0.1"), is_open_to_others("10.0.0.5"), is_open_to_others("/run/kohort.sock")
        (False, True, False)
    """
    try:
        return not ipaddress.ip_address(listening).is_loopback
    except ValueError:  # a socket file, which has rights of its own, or a name that a test gave
        return False


def word_digest(word: str) -> str:
    """What is handed on of the word for the first user; dashes, blanks and capitals do not matter.

    Example:
        >>> word_digest("abcd-efgh") == word_digest("ABCD EFGH")
        True
    """
    plain = "".join(c for c in word.upper() if c.isascii() and c.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()
