"""Whether a user agent is that of a machine: a maintained list of crawlers first, then words that only machines use of themselves.

The list is `crawler-user-agents` (MIT), some 1,500 patterns with a kind for each. A robot that nobody has listed yet mostly
still says what it is ("ExampleBot/1.0 (+https://…)"); one that lies about it looks like a browser and is not found here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

AGENT = "agent:"
"""Beginning of a key under `controls:` that is about user agents: `"agent: Acme Monitor": bot`."""

PERSON, BOT = "person", "bot"

KINDS = {
    "search-engine": "crawlers of search engines",
    "ai-crawler": "crawlers that collect texts for language models",
    "seo": "crawlers that judge sites for search engines",
    "advertising": "checkers of advertising",
    "social-preview": "fetchers of previews for messages and social media",
    "feed-reader": "feed readers",
    "monitoring": "monitors of uptime and speed",
    "scanner": "scanners for security",
    "archiver": "archivers",
    "academic": "research crawlers",
    "http-library": "scripts",
    "browser-automation": "browsers steered by programs",
    "self-declared": "machines that say so themselves and are on no list",
    "set": "those you named in kohort.yaml",
}
"""Kind → what it is, in words."""

# Beside the list: words that name what a program does, and an address to complain to, which no browser gives. "Cubot" is a
# maker of telephones.
_WORDS = re.compile(
    r"(?<!cu)bot\b|(?<!cu)bot[/;_-]|robot|crawl|spider|slurp|scrap(?:er|y)|fetcher|archiver|headless|phantomjs|validator"
    r"|monitoring|link ?check|site ?check|feed ?(?:reader|parser)|scanner|uptime|synthetic|lighthouse|subscribers?\b"
    r"|libwww|python-|python/|\bperl/|https?://|@[a-z0-9-]+\.[a-z]{2}",
    re.IGNORECASE,
)

# Libraries by which apps on telephones send the events of the person who holds it.
_APPS = re.compile(r"^(?:okhttp|Dalvik|Dart/|.*CFNetwork/)")
_CHARS = 1_000
_REMEMBERED = 50_000
_SPECIAL = re.compile(r"(?<!\\)[.^$*+?()\[\]{}|]|\\[a-zA-Z]")


@dataclass(frozen=True, slots=True)
class _Known:
    """The list in a form in which a browser's agent is passed in a tenth of a millisecond: most patterns are plain texts."""

    texts: tuple[tuple[str, str], ...]  # (text, kind)
    patterns: tuple[tuple[re.Pattern[str], str], ...]
    any_pattern: re.Pattern[str]

    def kind(self, agent: str) -> str:
        for text, kind in self.texts:
            if text in agent:
                return kind
        if self.any_pattern.search(agent):
            return next((kind for pattern, kind in self.patterns if pattern.search(agent)), "")
        return ""


@cache
def known() -> _Known:
    """The list that is installed."""
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    return compiled(CRAWLER_USER_AGENTS_DATA)


def compiled(entries: Sequence[Mapping[str, object]]) -> _Known:
    """A list as it is published: objects with `pattern` and `tags`."""
    texts, patterns = [], []
    for entry in entries:
        pattern, tags = str(entry["pattern"]), entry.get("tags")
        kind = str(tags[0]) if isinstance(tags, list) and tags and tags[0] in KINDS else "self-declared"
        if _SPECIAL.search(pattern):
            patterns.append((re.compile(pattern), kind))
        else:
            texts.append((re.sub(r"\\(.)", r"\1", pattern), kind))
    joined = "|".join(f"(?:{pattern.pattern})" for pattern, _ in patterns) or r"(?!)"
    return _Known(tuple(texts), tuple(patterns), re.compile(joined))


class Agents:
    """Judges user agents. What was judged once is remembered by its digest: a user agent is personal.

    Args:
        people: Texts that make an agent a person's, whatever the list says; case does not matter.
        bots: Texts that make it a machine's; these go first.

    Example:
        >>> agents = Agents()
        >>> agents.kind("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
        'search-engine'
        >>> agents.kind("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36")
        ''
    """

    def __init__(self, people: Sequence[str] = (), bots: Sequence[str] = (), listed: _Known | None = None) -> None:
        self._people = tuple(text.lower() for text in people)
        self._bots = tuple(text.lower() for text in bots)
        self._listed = listed
        self._judged: dict[int, str] = {}

    @classmethod
    def of(cls, controls: Mapping[str, str]) -> Agents:
        """From `controls:` of kohort.yaml; other keys than those about agents are passed over."""
        said = {key[len(AGENT) :].strip(): value for key, value in controls.items() if key.startswith(AGENT)}
        return cls(
            people=[text for text, value in said.items() if value == PERSON],
            bots=[text for text, value in said.items() if value == BOT],
        )

    def kind(self, agent: str) -> str:
        """Which of KINDS the sender of an event says it is in its user agent; empty for a person."""
        return self._remembered("event", agent, self._look)

    def kind_of_request(self, agent: str) -> str:
        """The same for the user agent of the request that brought an event, where the event itself names none.

        Servers send events of people by HTTP libraries; so a library is no machine here, and neither is a word.
        """
        return self._remembered("request", agent, self._look_at_request)

    def _remembered(self, where: str, agent: str, look: Callable[[str], str]) -> str:
        mark = hash((where, agent))
        kind = self._judged.get(mark)
        if kind is None:
            if len(self._judged) >= _REMEMBERED:
                self._judged.clear()
            kind = self._judged[mark] = look(agent[:_CHARS])
        return kind

    def _told(self, agent: str) -> str | None:
        lower = agent.lower()
        if any(text in lower for text in self._bots):
            return "set"
        return "" if any(text in lower for text in self._people) else None

    def _list(self) -> _Known:
        return self._listed or known()

    def _look(self, agent: str) -> str:
        if (told := self._told(agent)) is not None:
            return told
        if not agent or _APPS.match(agent):
            return ""
        return self._list().kind(agent) or ("self-declared" if _WORDS.search(agent) else "")

    def _look_at_request(self, agent: str) -> str:
        if (told := self._told(agent)) is not None:
            return told
        kind = self._list().kind(agent) if agent else ""
        return "" if kind == "http-library" else kind
