"""Which Kafka topics a workspace reads, as the environment says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from kohort.errors import WrongUsage

SERVERS, TOPICS, GROUP = "KOHORT_KAFKA_SERVERS", "KOHORT_KAFKA_TOPICS", "KOHORT_KAFKA_GROUP"
BEGIN, SCHEMA, OPTIONS = "KOHORT_KAFKA_BEGIN", "KOHORT_KAFKA_SCHEMA", "KOHORT_KAFKA_OPTIONS"
OURS = frozenset(["bootstrap.servers", "group.id", "enable.auto.commit", "auto.offset.reset", "isolation.level"])
"""Options of the client that decide whether events count once, or that have a place of their own."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where records come from.

    Attributes:
        servers: `host:port`, several with commas.
        topics: Names; one that begins with `^` is a regular expression.
        group: Of consumers; one per workspace.
        begin: Where a partition is read from that was never read before.
        schema: File (or folder) of Avro schemas, see `kohort.live.avro`; None = JSON, and Avro that brings its schema.
        instance: Name of this consumer in its group: the process that begins after one that ended badly takes its place
            at once. Empty = a new name each time.
        options: Further settings of the client, such as `security.protocol`.

    Raises:
        WrongUsage: There is no topic, or an option is one of `OURS`.
    """

    servers: str
    topics: tuple[str, ...]
    group: str
    begin: Literal["earliest", "latest"] = "earliest"
    schema: Path | None = None
    instance: str = "kohort"
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.topics:
            raise WrongUsage("No Kafka topic is named.", hint=f"Set {TOPICS}, several with commas.")
        if taken := sorted(OURS & self.options.keys()):
            raise WrongUsage(
                f"The Kafka option {taken[0]!r} cannot be set.", hint="It decides whether events count once."
            )


def settings_from(environ: Mapping[str, str], group: str) -> KafkaSettings | None:
    """What the environment says; None where no servers are named.

    Args:
        group: Where the environment names none: the workspace's own.

    Raises:
        WrongUsage: It says something that cannot be meant.

    Example:
        >>> settings_from({"KOHORT_KAFKA_SERVERS": "k:9092", "KOHORT_KAFKA_TOPICS": "shop, app"}, "g").topics
        ('shop', 'app')
    """
    servers = environ.get(SERVERS, "").strip()
    if not servers:
        return None
    begin = environ.get(BEGIN, "").strip() or "earliest"
    if begin not in ("earliest", "latest"):
        raise WrongUsage(f"{BEGIN} is neither earliest nor latest.")
    schema, options = environ.get(SCHEMA, "").strip(), environ.get(OPTIONS, "").strip()
    return KafkaSettings(
        servers,
        tuple(t for t in (part.strip() for part in environ.get(TOPICS, "").split(",")) if t),
        environ.get(GROUP, "").strip() or group,
        cast(Literal["earliest", "latest"], begin),
        Path(schema) if schema else None,
        options=_options(Path(options)) if options else {},
    )


def _options(file: Path) -> dict[str, str]:
    """A file of lines `name=value`: passwords then stand in no environment and no list of processes."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"The file that {OPTIONS} names cannot be read.") from error
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise WrongUsage(f"Line {number} of the file of Kafka options has no '='.", hint="Write name=value.")
        found[name.strip()] = value.strip()
    return found
