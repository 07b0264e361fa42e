"""The whole command line. Importing it loads click and nothing heavier."""

from __future__ import annotations

# Each module registers its commands when it is imported.
from kohort.cli import (
    audit_log,
    bots,
    cleaning,
    connect,
    customer,
    data,
    find,
    identity,
    keys,
    limits,
    live,
    look,
    merges,
    predict,
    privacy,
    retention,
    segment_looks,
    segments,
    stream,
    texts,
    triggers,
    users,
)
from kohort.cli.root import app

__all__ = [
    "app",
    "audit_log",
    "bots",
    "cleaning",
    "connect",
    "customer",
    "data",
    "find",
    "identity",
    "keys",
    "limits",
    "live",
    "look",
    "merges",
    "predict",
    "privacy",
    "retention",
    "segment_looks",
    "segments",
    "stream",
    "texts",
    "triggers",
    "users",
]
