"""Tracking events: bytes → arrivals → rows of the event table. docs/tracking.md says what is accepted and how it is stored.

`bodies` reads requests, `records` reads Kafka records, `Normaliser` judges arrivals and makes rows.
"""

from __future__ import annotations

from kohort.ingest.tracking.bodies import arrivals, frame_arrivals, inflate, parse, query_body
from kohort.ingest.tracking.judge import again, rejected
from kohort.ingest.tracking.normalise import Normalised, Normaliser, TrackingSettings
from kohort.ingest.tracking.reasons import REASONS
from kohort.ingest.tracking.records import arrival_of, arrival_of_value

__all__ = [
    "REASONS",
    "Normalised",
    "Normaliser",
    "TrackingSettings",
    "again",
    "arrival_of",
    "arrival_of_value",
    "arrivals",
    "frame_arrivals",
    "inflate",
    "parse",
    "query_body",
    "rejected",
]
