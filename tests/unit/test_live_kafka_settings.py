"""Which topics are read, from the environment; what decides whether events count once is nobody's to set."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohort.errors import WrongUsage
from kohort.live.kafka_settings import KafkaSettings, settings_from

ROOT = Path(__file__).parents[2]


def test_nothing_is_read_where_no_servers_are_named() -> None:
    assert settings_from({"KOHORT_KAFKA_TOPICS": "shop"}, "g") is None


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    options = tmp_path / "client.properties"
    options.write_text("# a comment\n\nsecurity.protocol=SASL_SSL\n sasl.password = a=b \n")
    found = settings_from(
        {
            "KOHORT_KAFKA_SERVERS": "one:9092,two:9092",
            "KOHORT_KAFKA_TOPICS": "shop, ,^app-.*",
            "KOHORT_KAFKA_GROUP": "ours",
            "KOHORT_KAFKA_BEGIN": "latest",
            "KOHORT_KAFKA_SCHEMA": "/etc/change.avsc",
            "KOHORT_KAFKA_OPTIONS": str(options),
        },
        "g",
    )
    assert found == KafkaSettings(
        "one:9092,two:9092",
        ("shop", "^app-.*"),
        "ours",
        "latest",
        Path("/etc/change.avsc"),
        options={"security.protocol": "SASL_SSL", "sasl.password": "a=b"},
    )


@pytest.mark.parametrize(
    "more",
    [
        {"KOHORT_KAFKA_TOPICS": " , "},
        {"KOHORT_KAFKA_BEGIN": "yesterday"},
        {"KOHORT_KAFKA_OPTIONS": "/nowhere/at/all"},
    ],
)
def test_what_cannot_be_meant_is_refused(more: dict[str, str]) -> None:
    with pytest.raises(WrongUsage):
        settings_from({"KOHORT_KAFKA_SERVERS": "k:1", "KOHORT_KAFKA_TOPICS": "t"} | more, "g")


def test_a_line_without_a_value_is_told_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "options").write_text("a=b\nsecret\n")
    with pytest.raises(WrongUsage) as caught:
        settings_from({"KOHORT_KAFKA_SERVERS": "k:1", "KOHORT_KAFKA_OPTIONS": str(tmp_path / "options")}, "g")
    assert "Line 2" in caught.value.message
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["enable.auto.commit", "auto.offset.reset", "isolation.level", "group.id"])
def test_what_decides_whether_events_count_once_cannot_be_set(name: str) -> None:
    with pytest.raises(WrongUsage):
        KafkaSettings("k:1", ("t",), "g", options={name: "x"})


def test_every_setting_has_its_line_in_the_documentation() -> None:
    page = (ROOT / "docs" / "kafka.md").read_text()
    for name in ("SERVERS", "TOPICS", "GROUP", "BEGIN", "SCHEMA", "OPTIONS"):
        assert f"`KOHORT_KAFKA_{name}`" in page
