"""What pages show, read once per request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from fastapi.responses import HTMLResponse

from kohort.errors import NotEnough, NotFound
from kohort.model.health import HealthReport
from kohort.model.job import Job
from kohort.model.segmentation import Segment, Segmentation
from kohort.views import own, own_list, pages
from kohort.views.start import start
from kohort.views.working import Work
from kohort.web import forms, sight
from kohort.web.job_kinds import line_of
from kohort.web.jobs import Jobs
from kohort.web.own import OwnSegments
from kohort.web.shell import asking

if TYPE_CHECKING:
    from kohort.store.store import Store
    from kohort.store.vault import Vault


class Source(Protocol):
    """What the pages need of a workspace: documents that are already stored."""

    @property
    def name(self) -> str: ...
    @property
    def is_demo(self) -> bool: ...
    def summary(self) -> dict[str, Any]: ...
    def health(self, refresh: bool = False) -> HealthReport: ...
    def segmentation(self, name: str | None = None) -> Segmentation | None: ...
    def members_page(self, segment_id: str, cursor: int = 0, limit: int = 50) -> dict[str, Any]: ...


class Documents:
    """What is stored, read once per request; what is not there yet is None."""

    def __init__(self, source: Source, mine: OwnSegments | None = None) -> None:
        self.source, self.mine = source, mine
        self.own: own.Own | None = or_none(mine.all) if mine else None
        found: Segmentation | None = or_none(source.segmentation)
        self.found = None if found is None else sight.segmentation(found, vault_of(source))
        self.summary: dict[str, Any] = or_none(source.summary) or {}
        self.health: HealthReport | None = or_none(source.health)
        self.live = or_none(mine.clock) or "" if mine else ""

    @property
    def shell(self) -> pages.Shell:
        listed = [len(x.segments) for x in (self.found, self.own) if x is not None and x.segments]
        return pages.Shell(
            self.source.name,
            self.source.is_demo,
            self.summary.get("as_of"),
            sum(listed) if listed or self.found else None,
            self.health.score if self.health else None,
            has_lifecycle=bool(self.own and self.own.lifecycles),
            has_customers=self.own is not None,
            live=self.live,
            work=work(self.source),
            **asking(),
        )

    @property
    def own_segments(self) -> bool:
        """Whether people defined any."""
        return bool(self.own and self.own.segments)

    def listed(self, sort: str, show: str, removed: str) -> dict[str, Any] | None:
        """The list of what people defined; None where nothing can be."""
        if self.own is None or self.mine is None:
            return None
        gone = self.mine.removed(removed) if removed else None
        return own_list.listed(self.own, sort, show, edits=self.mine.edits(), removed=gone)

    def start(self, here: str, *, read: Job | None = None) -> HTMLResponse:
        """The page of the first steps; `read` = what was read in just now."""
        word = forms.word() if store_of(self.source) is not None else ""
        customers = self.summary.get("customers") or 0
        return HTMLResponse(start(self.shell, here, customers=customers, word=word, read=read))

    def segment(self, segment_id: str) -> Segment:
        known: dict[str, Segment] = {s.id: s for s in self.found.segments} if self.found else {}
        if segment_id not in known:
            raise NotFound("segment", segment_id, known)
        return known[segment_id]


def read(source: Source, mine: OwnSegments | None, wait: Callable[[], None] | None = None) -> Documents:
    if wait is not None:
        wait()
    return Documents(source, mine)


def vault_of(source: Source) -> Vault | None:
    store = store_of(source)
    return None if store is None else store.vault


def or_none(read: Any) -> Any:
    """A document, or None where there is honestly none yet."""
    try:
        return read()
    except (NotEnough, NotFound):
        return None


def store_of(source: Source) -> Store | None:
    """Where users and their sessions are; a source of found segments alone has none."""
    from kohort.workspace.workspace import Workspace

    return source.store if isinstance(source, Workspace) else None


def work(source: Source) -> tuple[Work, ...]:
    """Long work that is going on, the latest first; a source of found segments alone has none."""
    from kohort.workspace.workspace import Workspace

    if not isinstance(source, Workspace):
        return ()
    return tuple(line_of(one) for one in Jobs(source).running())
