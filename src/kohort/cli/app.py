"""The whole command line. Importing it loads click and nothing heavier."""

from __future__ import annotations

# Each module registers its commands when it is imported.
from kohort.cli import (
    bots,
    cleaning,
    connect,
    customer,
    data,
    find,
    groups,
    identity,
    keys,
    limits,
    live,
    look,
    merges,
    predict,
    privacy,
    rectify,
    replay,
    retention,
    segment_looks,
    segments,
    stream,
    texts,
    triggers,
)
from kohort.cli.root import app

__all__ = [
    "app",
    "bots",
    "cleaning",
    "connect",
    "customer",
    "data",
    "find",
    "groups",
    "identity",
    "keys",
    "limits",
    "live",
    "look",
    "merges",
    "predict",
    "privacy",
    "rectify",
    "replay",
    "retention",
    "segment_looks",
    "segments",
    "stream",
    "texts",
    "triggers",
]
