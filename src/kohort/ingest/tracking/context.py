"""What is kept of an event's context: coarse, and nothing that tells one person from another."""

from __future__ import annotations

from typing import Any

import orjson

from kohort.ingest.tracking.columns import Columns, Row
from kohort.ingest.tracking.privacy import host_of

CAMPAIGN = {
    "source": "p_context_campaign_source",
    "medium": "p_context_campaign_medium",
    "name": "p_context_campaign_name",
    "term": "p_context_campaign_term",
    "content": "p_context_campaign_content",
}
"""UTM parameters as SDKs hand them over."""

PLAIN = {"locale": "p_context_locale", "timezone": "p_context_timezone", "groupId": "p_context_group_id"}

_MOBILE = ("mobi", "iphone", "ipod")
_TABLET = ("ipad", "tablet", "kindle")
_TEXT = 200
_REMEMBERED = 20_000
_READ = (*PLAIN, "campaign", "library", "device", "userAgent")
_SCHEME = len("https://") + 1


class Contexts:
    """Stores what is kept of contexts. All but the page is mostly as it was before, so what came of it is remembered."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._kept: dict[int, Row] = {}
        self._hosts: dict[str, str] = {}

    def forget(self) -> None:
        """Types of columns have changed."""
        self._kept.clear()

    def keep(self, row: Row, context: dict[str, Any]) -> None:
        """Stores campaign, page path, host of the referrer, library, locale, time zone, group and kind of device.

        IP addresses, user agents, device and advertising ids, exact places and the query of a page are not kept.
        """
        get = context.get
        # Only the digest stays in memory: a user agent is personal.
        digest = hash(orjson.dumps([get(name) for name in _READ]))
        kept = self._kept.get(digest)
        if kept is None:
            kept = _kept(context, self._columns)
            if len(self._kept) >= _REMEMBERED:
                self._kept.clear()
            self._kept[digest] = kept
        row |= kept
        page = get("page")
        if type(page) is dict:
            self._page(row, page)

    def _page(self, row: Row, page: dict[str, Any]) -> None:
        path, referrer = page.get("path"), page.get("referrer")
        if type(path) is str:
            _text(row, "p_context_page_path", path.partition("?")[0].partition("#")[0], self._columns)
        if type(referrer) is str and referrer:
            host = self._hosts.get(referrer)
            if host is None:
                host = host_of(referrer)
                if len(self._hosts) >= _REMEMBERED:
                    self._hosts.clear()
                if len(referrer) <= len(host) + _SCHEME:  # nothing but the host: safe to keep, and by far the most
                    self._hosts[referrer] = host
            _text(row, "p_context_referrer_host", host, self._columns)


def _kept(context: dict[str, Any], columns: Columns) -> Row:
    row: Row = {}
    for name, column in PLAIN.items():
        _text(row, column, context.get(name), columns)
    campaign = context.get("campaign")
    if type(campaign) is dict and campaign:
        for name, column in CAMPAIGN.items():
            _text(row, column, campaign.get(name), columns)
    library = context.get("library")
    if type(library) is dict:
        _text(row, "p_context_library", library.get("name"), columns)
    _text(row, "p_context_device_type", _device(context), columns)
    return row


def _device(context: dict[str, Any]) -> str:
    """phone, tablet, desktop, … as the client says, else by the few words of its user agent that say it."""
    device = context.get("device")
    if type(device) is dict and type(kind := device.get("type")) is str and kind:
        return kind.lower()
    agent = context.get("userAgent")
    if type(agent) is not str or "Mozilla" not in agent[:20]:
        return ""
    lower = agent[:300].lower()
    if any(word in lower for word in _TABLET):
        return "tablet"
    return "mobile" if any(word in lower for word in _MOBILE) else "desktop"


def _text(row: Row, column: str, value: Any, columns: Columns) -> None:
    if type(value) is int:
        value = str(value)
    if type(value) is str and 0 < len(value) <= _TEXT:
        columns.put(row, column, value)
