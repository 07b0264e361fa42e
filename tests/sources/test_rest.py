"""A REST API, fetched over the wire: pages of every kind, patience when it throttles, and only that server."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kohort.errors import SourceFailed, WrongUsage
from kohort.model.connection import Auth, Connection, Mark, Pages, Since

rest = pytest.importorskip("kohort.ingest.connect.rest", exc_type=ImportError)
pytestmark = pytest.mark.sources

ROWS = [{"id": n, "price": 0.1 + n} for n in range(1, 8)]


def fetched(api: Any, pages: Pages, mark: Mark | None = None, **more: Any) -> list[list[Any]]:
    connection = Connection("shop", "orders", rest=f"{api.url}/orders", pages=pages, **more)
    return list(rest.pages(connection, mark, sleep=lambda _: None))


def some(start: int, size: int = 3) -> list[dict[str, Any]]:
    return ROWS[start : start + size]


def flat(pages: list[list[Any]]) -> list[int]:
    return [row["id"] for page in pages for row in page]


ALL = [row["id"] for row in ROWS]


def test_one_page(api: Any) -> None:
    api.says = lambda path, params: api.answer(ROWS)
    assert flat(fetched(api, Pages())) == ALL
    assert api.asked[0][:2] == ("/orders", {})


def test_pages_by_a_mark_in_the_answer(api: Any) -> None:
    def says(path: str, params: dict[str, str]) -> Any:
        start = int(params.get("after", 0))
        following = {"next": start + 3} if start + 3 < 7 else {}
        return api.answer({"data": {"items": some(start)}, "meta": following})

    api.says = says
    pages = Pages("cursor", path="meta.next", param="after", size_param="limit", size=3)
    assert flat(fetched(api, pages, records="data.items", params=(("status", "paid"),))) == ALL
    assert [params for _, params, _ in api.asked] == [
        {"status": "paid", "limit": "3"},
        {"status": "paid", "limit": "3", "after": "3"},
        {"status": "paid", "limit": "3", "after": "6"},
    ]


def test_pages_by_an_address_in_the_answer_or_a_header(api: Any) -> None:
    def says(path: str, params: dict[str, str]) -> Any:
        start = int(params.get("from", 0))
        url = f"{api.url}/orders?from={start + 3}"
        more = start + 3 < 7
        if path == "/orders" and params.get("how") != "header":
            return api.answer({"rows": some(start), "next": url if more else None})
        return api.answer(some(start), **({"Link": f'<{url}&how=header>; rel="next"'} if more else {}))

    api.says = says
    assert flat(fetched(api, Pages("link", path="next"), records="rows")) == ALL
    assert flat(fetched(api, Pages("header"), params=(("how", "header"),))) == ALL


def test_pages_by_number(api: Any) -> None:
    api.says = lambda path, params: api.answer(some((int(params["page"]) - 1) * 3))
    assert flat(fetched(api, Pages("page", param="page"))) == ALL
    api.asked.clear()
    api.says = lambda path, params: api.answer(some(int(params["skip"]), int(params["take"])))
    assert flat(fetched(api, Pages("offset", param="skip", size_param="take", size=2))) == ALL
    assert [params["skip"] for _, params, _ in api.asked] == ["0", "2", "4", "6", "8"]


def test_numbers_keep_every_digit(api: Any) -> None:
    api.says = lambda path, params: api.answer(b'[{"id": 9007199254740993, "price": 0.10000000000000000001}]')
    assert fetched(api, Pages()) == [[{"id": 9007199254740993, "price": Decimal("0.10000000000000000001")}]]


def test_only_what_is_new_is_asked_for(api: Any) -> None:
    since = Since("changed", "updated_after", overlap_s=60)
    fetched(api, Pages(), Mark(1709287200000000, True), since=since)
    assert api.asked[0][1] == {"updated_after": "2024-03-01T09:59:00Z"}


@pytest.mark.parametrize(
    ("auth", "header", "expected"),
    [
        (Auth(bearer_env="SHOP_TOKEN"), "Authorization", "Bearer s3cret"),
        (Auth(user="me", password_env="SHOP_TOKEN"), "Authorization", "Basic bWU6czNjcmV0"),
        (Auth(header="X-Api-Key", value_env="SHOP_TOKEN"), "X-Api-Key", "s3cret"),
    ],
)
def test_we_say_who_we_are(api: Any, monkeypatch: pytest.MonkeyPatch, auth: Auth, header: str, expected: str) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    fetched(api, Pages(), auth=auth)
    assert api.asked[0][2][header] == expected
    monkeypatch.delenv("SHOP_TOKEN")
    with pytest.raises(WrongUsage, match="SHOP_TOKEN"):
        fetched(api, Pages(), auth=auth)


def test_throttling_is_waited_for(api: Any) -> None:
    told = iter([api.answer(b"", 429, Retry_After="1"), api.answer(ROWS)])
    api.says = lambda path, params: next(told)
    assert flat(fetched(api, Pages())) == ALL
    assert len(api.asked) == 2


def test_who_asks_for_too_much_patience_is_left_alone(api: Any) -> None:
    api.says = lambda path, params: api.answer(b"", 429, Retry_After="3600")
    with pytest.raises(SourceFailed, match="60 minutes") as caught:
        fetched(api, Pages())
    assert (caught.value.code, caught.value.retry, len(api.asked)) == ("throttled", True, 1)


def test_a_failure_and_a_broken_line_are_tried_again(api: Any) -> None:
    told = iter([api.answer(b"", 503, Retry_After="0"), None, api.answer(ROWS)])
    api.says = lambda path, params: next(told)
    assert flat(fetched(api, Pages())) == ALL


def test_pages_before_a_failure_are_given(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "ATTEMPTS", 2)
    api.says = lambda path, params: (
        api.answer(some(0)) if params["page"] == "1" else api.answer(b"who is anna@example.org", 500, Retry_After="0")
    )
    connection = Connection("shop", "orders", rest=f"{api.url}/orders", pages=Pages("page", param="page"))
    found = rest.pages(connection, None)
    assert len(next(found)) == 3
    with pytest.raises(SourceFailed) as caught:
        next(found)
    assert (caught.value.code, caught.value.retry, len(api.asked)) == ("unreachable", True, 3)
    assert "anna" not in str(caught.value)


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ((b"", 401), "not_allowed"),
        ((b"", 404), "bad_answer"),
        ((b"<html>", 200), "bad_answer"),
        (({"error": "none"}, 200), "bad_answer"),
        ((b"[" * 100_000, 200), "bad_answer"),
    ],
)
def test_answers_that_are_none(api: Any, says: Any, code: str) -> None:
    api.says = lambda path, params: api.answer(*says)
    with pytest.raises(SourceFailed) as caught:
        fetched(api, Pages())
    assert caught.value.code == code


def test_rows_that_are_not_where_they_should_be(api: Any) -> None:
    api.says = lambda path, params: api.answer({"data": {"items": None}})
    assert flat(fetched(api, Pages(), records="data.items")) == []
    with pytest.raises(SourceFailed, match=r"nothing at 'data\.rows'"):
        fetched(api, Pages(), records="data.rows")


def test_the_same_page_for_ever_ends(api: Any) -> None:
    api.says = lambda path, params: api.answer(ROWS)
    with pytest.raises(SourceFailed, match="same page"):
        fetched(api, Pages("page", param="page"))


@pytest.mark.parametrize("way", ["link", "redirect"])
def test_no_other_server_is_asked(api: Any, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    other = api.another()
    try:
        elsewhere = f"{other.url}/orders"
        api.says = lambda path, params: (
            api.answer({"rows": some(0), "next": elsewhere})
            if way == "link"
            else api.answer(b"", 302, Location=elsewhere)
        )
        with pytest.raises(SourceFailed, match="another server"):
            fetched(api, Pages("link", path="next"), records="rows", auth=Auth(bearer_env="SHOP_TOKEN"))
        assert other.asked == []
    finally:
        other.close()


def test_a_page_beyond_the_limit_is_not_read(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "LARGEST_ANSWER", 1_000)
    api.says = lambda path, params: api.answer([{"id": "x" * 2_000}])
    with pytest.raises(SourceFailed, match="more in one page"):
        fetched(api, Pages())


def test_requests_keep_the_pace_that_was_said(api: Any) -> None:
    api.says = lambda path, params: api.answer(some((int(params["page"]) - 1) * 3))
    waits: list[float] = []
    connection = Connection("shop", "orders", rest=f"{api.url}/orders", pages=Pages("page", param="page"), per_minute=6)
    list(rest.pages(connection, None, sleep=waits.append))
    assert len(waits) == len(api.asked) - 1
    assert all(9 < w <= 10 * (n + 1) for n, w in enumerate(waits))


def test_each_request_is_counted_before_it_is_sent_also_when_it_is_repeated(api: Any) -> None:
    answers = [api.answer({}, status=503), api.answer([ROWS[0]])]
    api.says = lambda path, params: answers.pop(0)
    spent: list[int] = []
    connection = Connection("shop", "orders", rest=f"{api.url}/orders", pages=Pages())
    found = list(rest.pages(connection, None, sleep=lambda _: None, spend=lambda: spent.append(len(api.asked))))
    assert found == [[{"id": 1, "price": Decimal("1.1")}]]
    assert spent == [0, 1]


def test_what_refuses_a_request_ends_the_fetch(api: Any) -> None:
    def spend() -> None:
        raise SourceFailed("Enough for today.", code="budget_spent")

    connection = Connection("shop", "orders", rest=f"{api.url}/orders", pages=Pages())
    with pytest.raises(SourceFailed, match="Enough"):
        list(rest.pages(connection, None, spend=spend))
    assert api.asked == []
