"""Kohort: who your customers are, in groups that behave alike, in plain words, with honest evidence.

The whole of it is one object, the workspace:

    import kohort as ko

    ws = ko.create("shop", currency="GBP", timezone="Europe/London")
    ws.ingest("orders/*.csv")            # files → events; rejected rows kept and explained
    ws.health().verdict                  # is the data enough for the job?
    ws.features(as_of="2011-12-09")      # one row per customer, correct at that moment
    found = ws.discover()                # groups, compared and explained; found.segmentation
    found.adopt("Main")                  # a versioned definition with memberships
    ws.members("Main")                   # customer_id, segment, since, confidence, reason

Segments of your own are rules under a name, kept in `kohort.yaml`:

    ws.segments.add("loyal", "did('order_line', at_least => 3, within => '12 months')")
    ws.segments.preview("loyal").size    # before anything is saved: how many, condition by condition
    ws.segments.run()                    # members follow the definitions from here on
    ws.segments.why("loyal", "14127")    # what is so for one customer, and what time will change

Without a workspace, on any table: `ko.discover(table)` or the scikit-learn estimator `ko.Segmenter`.

What was found is drawn by `ko.charts(found)`: each chart shows itself in a notebook and saves itself as SVG, PNG or CSV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError

if TYPE_CHECKING:
    from pathlib import Path

    from kohort.discovery.discover import discover, read_table
    from kohort.discovery.estimator import Segmenter
    from kohort.model.segmentation import Segmentation
    from kohort.views.gallery import charts
    from kohort.workspace.workspace import Workspace

__version__ = "0.1.0"

__all__ = [
    "KohortError",
    "Segmentation",
    "Segmenter",
    "Workspace",
    "charts",
    "create",
    "discover",
    "open",
    "read_table",
]

_HOMES = {
    "Segmentation": "kohort.model.segmentation",
    "Segmenter": "kohort.discovery.estimator",
    "Workspace": "kohort.workspace.workspace",
    "charts": "kohort.views.gallery",
    "discover": "kohort.discovery.discover",
    "read_table": "kohort.discovery.discover",
}


def open(path: str | Path = ".") -> Workspace:  # noqa: A001 - reads as kohort.open("shop"), like gzip.open
    """Open a workspace folder.

    Args:
        path: Folder that holds `kohort.yaml`.

    Raises:
        NoWorkspace: The folder holds no workspace.

    Example:
        >>> open("nowhere")
        Traceback (most recent call last):
        ...
        kohort.errors.NoWorkspace: There is no workspace in 'nowhere'. Make one with: kohort init -w nowhere
    """
    from kohort.workspace.workspace import Workspace

    return Workspace.open(path)


def create(
    path: str | Path, *, name: str | None = None, timezone: str = "UTC", currency: str = "EUR", business: str = "auto"
) -> Workspace:
    """Make a new workspace folder and open it.

    Args:
        path: Folder to make; it may exist if it is empty.
        name: What the business is called; the folder's name if not given.
        timezone: IANA zone that days and hours are meant in.
        currency: ISO 4217 code that money is reported in.
        business: "shop", "subscription", "b2b", or "auto" to choose from what the data contains.

    Example:
        >>> import tempfile
        >>> create(tempfile.mkdtemp() + "/shop", currency="GBP").currency
        'GBP'
    """
    from kohort.workspace.workspace import Workspace

    return Workspace.create(path, name=name, timezone=timezone, currency=currency, business=business)


def __getattr__(name: str) -> Any:
    """Public names load their libraries on first touch, so that `import kohort` stays light."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kohort' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
