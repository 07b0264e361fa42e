"""T08: whatever is sent to an address for programs, the answer is one that its description knows, and never a server error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import kohort
from kohort.web.access import TABLE
from kohort.web.app import create
from kohort.web.tracking import Limits
from kohort.workspace.workspace import Workspace

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ENDLESS = "/v1/stream"
OPERATIONS = sorted(
    (method, pattern.replace(":path}", "}"))
    for (method, pattern), rule in TABLE.items()
    if pattern.startswith("/v1/") and rule.key
)
NAMES = [" ".join(one) for one in OPERATIONS]
BEGINNING = {("POST", "/v1/jobs"), ("POST", "/v1/privacy/retention")}
"""What begins a process where it succeeds: only bodies that are wrong are sent there."""
SAID = {
    "name": ["buyers", "buyers/buyers", "tiers", "tiers/many", "none", "Main", ""],
    "number": ["K1", "K2", "c-00000000000001", "1", "2"],
    "id": ["1", "2"],
    "segment": ["buyers", "tiers"],
    "customer": ["K1", "K2", "K9"],
    "trigger": ["welcome"],
    "as_of": ["2026-01-05", "2031-02-30", "soon"],
    "since": ["2026-01-01", "x"],
}
"""Values that are there, or nearly, beside what is made up."""


class Site:
    """A workspace with some of everything, a key for everything, and what describes it."""

    def __init__(self, folder: Path) -> None:
        lines = [f"o{n}-{i},K{n},2026-01-0{i},tea,1,5" for n in range(1, 6) for i in range(1, n + 1)]
        orders = folder / "orders.csv"
        orders.write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
        kohort.create(folder / "ws", name="Tea shop").close()
        settings_file = folder / "ws" / "kohort.yaml"
        text = settings_file.read_text()
        settings_file.write_text(f"{text}\nconsent:\n  marketing: t_marketing\n")
        self.ws = Workspace.open(folder / "ws")
        self.ws.ingest(orders, kind="orders")
        self.fill()
        self.key = self.ws.keys.add("everything", "admin")
        self.app = create(self.ws, limits=Limits(points_per_second=1_000_000))
        self.schema = schemathesis.openapi.from_asgi("/v1/openapi.json", self.app, config=schemathesis.Config())

    def fill(self) -> None:
        """What others may have taken out."""
        self.ws.segments.add("buyers", "did('order_line')")
        self.ws.segments.add("tiers", {"tiers": {"many": "did(*, at_least => 3)", "few": "did(*)"}})
        self.ws.segments.run()

    def operation(self, method: str, path: str) -> Any:
        return self.schema[path][method]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("api"))
    yield made
    made.ws.close()


def known_words(case: Any, data: st.DataObject) -> None:
    """Puts something that is there in the place of something made up, half of the time."""
    for fields in (case.path_parameters, case.query):
        for name in set(fields or {}) & SAID.keys():
            if data.draw(st.booleans()):
                fields[name] = data.draw(st.sampled_from([word for word in SAID[name] if word or fields is case.query]))


def wrong_body(case: Any) -> bool:
    return bool(case.meta.is_negative_at(ParameterLocation.BODY))


def tried(site: Site, method: str, path: str, examples: int) -> None:
    operation = site.operation(method, path)
    everything = st.one_of(
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
    )
    if (method, path) in BEGINNING:
        everything = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE).filter(wrong_body)

    @settings(max_examples=examples)
    @given(everything, st.data())
    def answered(case: Any, data: st.DataObject) -> None:
        known_words(case, data)
        response = case.call(headers={"Authorization": f"Bearer {site.key}"})
        case.validate_response(response, checks=CHECKS)

    answered()


def test_every_address_is_described(site: Site) -> None:
    found = [one.ok() for one in site.schema.get_all_operations() if isinstance(one, Ok)]
    described = {(operation.method.upper(), operation.path) for operation in found}
    assert described == {*OPERATIONS, ("GET", ENDLESS)}


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=NAMES)
def test_no_server_error_and_no_answer_that_is_not_described(site: Site, method: str, path: str) -> None:
    tried(site, method, path, 6)


@pytest.mark.nightly
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=NAMES)
def test_the_same_at_length(site: Site, method: str, path: str) -> None:
    site.fill()
    tried(site, method, path, 500)
