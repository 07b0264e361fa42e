"""Where answers are given unless somebody says otherwise, and by which names."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

SERVE_HOST = "127.0.0.1"
"""This machine only: there is no login yet."""

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
